"""What must the documentation take from the code?  The event page and the tables.

``python docs/generate.py`` writes them, ``--check`` only says what is not current.  It never
touches a word outside docs/events.md and the marked parts of the other pages.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel, TypeAdapter

from ledger import content, events, evidence, vocabulary
from ledger.content import Value
from ledger.metrics import Metrics
from ledger.settings import Settings
from ledger.web import problems

DOCS: Final = Path(__file__).parent

EVENTS_HEAD: Final = """\
# Events

Every fact that the log can hold. This page is generated from the event classes by
`python docs/generate.py`; do not edit it. [The format](ledger-format.md) says how a fact is stored.

A stored fact has a *topic*, its type name and schema version (`record.submitted:1`), and a *body*,
the JSON of the members below: each of them is there, `null` where there is nothing. An event type
is never edited once it was written: a change is a new schema version, and old rows are lifted to
it when they are read.
"""


CHOICES: Final[dict[str, Any]] = {"Basis": events.Basis, "Evidence": evidence.Evidence}


def sentence(thing: Any) -> str:
    """Return a docstring as one paragraph, with its code marks in Markdown."""
    paragraph = (inspect.getdoc(thing) or "").split("\n\n")[0]
    return " ".join(paragraph.split()).replace("``", "`")


def table(*rows: tuple[str, ...]) -> list[str]:
    """Return the lines of a Markdown table; the first row is its head."""
    head, *rest = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    ruled = f"|{'---|' * len(head)}"
    first, *others = [f"| {' | '.join(line)} |" for line in (head, *rest)]
    return [first, ruled, *others]


def members(model: type[BaseModel], without: type[BaseModel] | None = None) -> list[str]:
    """Return the table of a model's members, as its source names their types."""
    rows = []
    inherited = without.model_fields if without else {}
    for name, field in model.model_fields.items():
        if name in inherited or field.exclude:
            continue
        annotation = next(
            c.__annotations__[name]
            for c in model.__mro__
            if name in vars(c).get("__annotations__", {})
        )
        shown = re.sub(r"\s+", " ", str(annotation)).replace("None", "null")
        shown = re.sub(r"Literal\[(.*?)\]", r"\1", shown).replace("'", '"')
        rows.append((f"`{field.alias or name}`", f"`{shown}`", field.description or ""))
    return table(("member", "type", ""), *rows) if rows else ["No members of its own."]


def event_types() -> list[type[events.Event]]:
    """Return every event type, those of records first."""
    return list(get_args(events.AnyEvent))


def values() -> Iterator[type[Value]]:
    """Yield every value that a fact may carry, in the order of the source."""
    for module in (content, evidence, events):
        for thing in vars(module).values():
            own = inspect.isclass(thing) and thing.__module__ == module.__name__
            if (
                own
                and issubclass(thing, Value)
                and thing is not Value
                and thing is not content.Facts
            ):
                yield thing


def lists() -> Iterator[type[StrEnum]]:
    """Yield every closed list."""
    for module in (vocabulary, content):
        for thing in vars(module).values():
            own = inspect.isclass(thing) and thing.__module__ == module.__name__
            if own and issubclass(thing, StrEnum):
                yield thing


def scalar_rows() -> list[tuple[str, ...]]:
    """Return one row for each scalar type: its name and what the JSON schema of it says."""
    rows: list[tuple[str, ...]] = []
    for name in ("Line", "Prose", "RecordId", "Handle", "Doi", "Digest", "ActorId", "Identifier",
                 "MediaType", "Moment", "Day", "Count", "Figure", "Score"):  # fmt: skip
        schema = TypeAdapter(getattr(vocabulary, name)).json_schema(mode="serialization")
        schema |= {k: v for k, v in TypeAdapter(getattr(vocabulary, name)).json_schema().items()
                   if k in {"maximum", "minimum", "format"}}  # fmt: skip
        said = [f"{key} `{value}`" for key, value in schema.items() if key != "examples"]
        rows.append((f"`{name}`", ", ".join(said)))
    return rows


def events_page() -> str:
    """Return docs/events.md."""
    lines = [EVENTS_HEAD, "## Index", ""]
    lines += table(
        ("topic", "fact"),
        *(
            (f"[`{e.TYPE}:{e.VERSION}`](#{e.TYPE.replace('.', '')})", sentence(e))
            for e in event_types()
        ),
    )
    lines += ["", "## Every event", "", sentence(events.Event), "", *members(events.Event)]
    for event in event_types():
        lines += ["", f"## {event.TYPE}", "", sentence(event), ""]
        lines += [f"Topic `{event.TYPE}:{event.VERSION}`.", "", *members(event, events.Event)]
    lines += ["", "# Values", "", "What the members above are made of."]
    for name, union in CHOICES.items():
        kinds = get_args(get_args(union)[0])
        linked = " or ".join(f"[{kind.__name__}](#{kind.__name__.lower()})" for kind in kinds)
        lines += ["", f"## {name}", "", f"{linked}, told apart by `kind`."]
    lines += ["", "## Scalar", "", "Text, a whole number, or `null` for none."]
    for value in values():
        lines += ["", f"## {value.__name__}", "", sentence(value), "", *members(value)]
    lines += ["", "# Closed lists", ""]
    lines += table(
        ("list", "values", ""),
        *(
            (f"`{one.__name__}`", ", ".join(f"`{v.value}`" for v in one), sentence(one))
            for one in lists()
        ),
    )
    lines += [
        "",
        "# Scalars",
        "",
        "As JSON Schema says them.",
        "",
        *table(("name", "form"), *scalar_rows()),
    ]
    return "\n".join(lines) + "\n"


def refusal_table() -> list[str]:
    """Return every refusal with its code, its HTTP status and its sentence."""
    rows = sorted(
        (int(problems.status_of(kind)), kind.code, sentence(kind))
        for kind in problems.every_refusal()
    )
    return table(("status", "code", "sentence"), *((str(s), f"`{c}`", t) for s, c, t in rows))


def effective_table() -> list[str]:
    """Return for each event type since when such a fact holds."""
    rows = [
        (f"`{kind.TYPE}`", f"`{kind.EFFECTIVE}`" if kind.EFFECTIVE else "when it was recorded")
        for kind in event_types()
    ]
    return table(("fact", "holds since"), *rows)


def settings_table() -> list[str]:
    """Return every setting with its default and its sentence."""
    prefix = Settings.model_config["env_prefix"]
    return table(
        ("setting", "default", ""),
        *(
            (
                f"`{prefix}{name.upper()}`",
                "" if field.default is None else f"`{field.default}`",
                field.description or "",
            )
            for name, field in Settings.model_fields.items()
        ),
    )


def metrics_table() -> list[str]:
    """Return every metric of the program with its labels and its sentence."""
    registry = Metrics("").registry
    rows = []
    for family in registry.collect():
        if family.name.startswith("ledger_"):
            name = family.name + ("_total" if family.type == "counter" else "")
            rows.append((f"`{name}`", family.type, family.documentation))
    return table(("metric", "type", ""), *rows)


PARTS: Final = {
    "api.md": {"refusals": refusal_table, "effective": effective_table},
    "operating.md": {"settings": settings_table, "metrics": metrics_table},
}


def pages() -> dict[Path, str]:
    """Return every page that holds something generated, as it should be."""
    made = {DOCS / "events.md": events_page()}
    for name, parts in PARTS.items():
        text = (DOCS / name).read_text(encoding="utf-8")
        for part, lines in parts.items():
            start, end = f"<!-- generated: {part} -->", f"<!-- end: {part} -->"
            before, _, rest = text.partition(start)
            _, _, after = rest.partition(end)
            text = "\n".join([f"{before}{start}", *lines(), f"{end}{after}"])
        made[DOCS / name] = text
    return made


def main() -> int:
    """Write the pages, or check them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1 when not current")
    check = parser.parse_args().check
    stale = {
        path: text
        for path, text in pages().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }
    for path, text in stale.items():
        if check:
            print(f"{path.name} is not current: run `just docs`")
        else:
            path.write_text(text, encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
