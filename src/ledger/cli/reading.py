"""What does the ledger say of a record?  ``ledger show``, ``ledger history``, ``ledger diff``.

It prints what the views and the log hold, and leaves out nothing that it was not told to leave out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer

from ledger import errors, governance, past
from ledger.cli import console, given
from ledger.differing import Change
from ledger.service import VERSIONS_MAX
from projections.contracts import CONTRACTS

WHY: Final = ("reason", "public_note", "note")
"""The members of an event that say why, of which each has one at most."""
VERSION_HELP: Final = "What was shown when this was the record's last version."
RECORDED_HELP: Final = "What was shown at this moment, or at the end of this day in UTC."
AS_OF_HELP: Final = (
    "What was in effect at this moment or at the end of this day, by what is known now, or was "
    "known at the version or recorded moment."
)
CONTRACT_HELP: Final = "The document under this public contract, as JSON: such as gate-verdict-v1."
FROM_HELP: Final = (
    "A version, 0 for before the first submission, or a recorded moment or day; without it, "
    "everything since before the first submission."
)
TO_HELP: Final = "A version, or a recorded moment or day; without it, now."


def show(  # noqa: PLR0913 - one for each option
    record: given.Record,
    *,
    version: Annotated[
        str | None, typer.Option("--version", metavar="N", help=VERSION_HELP, show_default=False)
    ] = None,
    recorded_at: Annotated[
        str | None, typer.Option(metavar="MOMENT", help=RECORDED_HELP, show_default=False)
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(metavar="MOMENT", help=AS_OF_HELP, show_default=False)
    ] = None,
    contract: Annotated[
        str | None, typer.Option(metavar="NAME", help=CONTRACT_HELP, show_default=False)
    ] = None,
    as_json: given.AsJson = False,
) -> None:
    """Show the public view of a record, or its document under a contract, now or as it was."""
    if contract is not None and contract not in CONTRACTS:
        message = f"NAME is one of {', '.join(CONTRACTS)}."
        raise typer.BadParameter(message, param_hint="--contract")
    told = {"version": version, "recorded_at": recorded_at, "as_of": as_of}
    question = past.asked({name: text for name, text in told.items() if text is not None})
    view: dict[str, Any] | None
    with given.opened() as opened:
        if question is None:
            view = given.wait(opened.record(record))
        else:
            view = given.wait(opened.past(record, question)).shown
        base_url = opened.settings.base_url
    if view is None:
        raise errors.RecordUnknown
    if contract is not None:
        parameters = question.parameters if question else {}
        console.say(_document(contract, view, base_url, parameters))
    elif as_json:
        console.say(json.dumps(view, ensure_ascii=False, indent=2))
    else:
        console.pairs(_for_people(view))


def _document(contract: str, view: dict[str, Any], base_url: str, asked: dict[str, str]) -> str:
    from ledger.web import documents  # noqa: PLC0415 - big, and hardly a command needs it

    return documents.made(CONTRACTS[contract], view, base_url, asked).decode()


def _for_people(view: dict[str, Any]) -> dict[str, object]:
    verdict, tier, level = view["verdict"], view["tier"], view["level"]
    corrections = view["corrections"]
    return {
        "record": view["record_id"],
        "handle": view["handle"],
        "title": view["title"],
        "publisher": view["publisher"],
        "submitted": view["submitted_on"],
        "verdict": f"{verdict['label']} ({verdict['basis']}): {verdict['reason']['text']}",
        "gate": verdict["gate_label"],
        "level": f"L{level['level']} {level['label']}",
        "tier": f"{tier['label']} ({tier['source']})",
        "review score": view["review"] and view["review"]["mean"],
        "doi": view["doi"],
        "corrections": f"{corrections['state']}, {corrections['count']}",
        "standing": corrections["standing"],
        "superseded by": view["superseded_by"],
        "basis": f"{view['basis']}, policy {view['policy']['version']}",
        "version": f"{view['version']} at position {view['position']}",
        "recorded": view["recorded_at"],
        **_past(view.get("past")),
    }


def _past(told: dict[str, Any] | None) -> dict[str, object]:
    """Return what is said of a view of the past."""
    if told is None:
        return {}
    left_out = ", ".join(map(str, told["not_in_effect"]))
    erased = ", ".join(map(str, told["erased_since"]))
    return {
        "as recorded at": told["recorded_at"],
        "as in effect at": told["as_of"],
        "known up to version": told["known_version"],
        "not in effect": f"version {left_out}" if left_out else None,
        "erased since": f"by version {erased}" if erased else None,
    }


def history(record: given.Record, *, as_json: given.AsJson = False) -> None:
    """Show everything that happened to a record, in order."""
    with given.opened() as opened:
        record_id = given.wait(opened.ledger.resolve(record))
        rows = given.wait(opened.history(record_id))
    if not rows:
        raise errors.RecordUnknown
    if as_json:
        console.say(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    place = ("version", "position", "recorded", "type", "actor", "basis")
    console.table((*place, "effective", "reason"), [_line(row) for row in rows])


def _line(row: dict[str, Any]) -> tuple[object, ...]:
    event = row["event"]
    place = (row["version"], row["position"], row["recorded_at"], row["type"])
    reason = next((event[name] for name in WHY if event.get(name)), None)
    return (*place, event["actor"], event["basis"]["kind"], row["effective"], reason)


def diff(
    record: given.Record,
    *,
    start: Annotated[
        str | None, typer.Option("--from", metavar="POINT", help=FROM_HELP, show_default=False)
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="POINT", help=TO_HELP, show_default=False)
    ] = None,
    as_json: given.AsJson = False,
) -> None:
    """Show what changed on a record between two points, and which events changed it."""
    points = {name: point for name, point in (("from", start), ("to", end)) if point is not None}
    with given.opened() as opened:
        # Whoever asks here has the machine to itself: however many events there are, each is named.
        found = given.wait(opened.difference(record, points, VERSIONS_MAX, sys.maxsize))
    if as_json:
        console.say(json.dumps(found.told, ensure_ascii=False, indent=2))
        return
    columns = ("field", "change", "from", "to", "version", "type", "actor", "recorded", "effective")
    console.table(columns, [row for change in found.changes for row in _lines(change)])


def _lines(change: Change) -> Iterator[tuple[object, ...]]:
    """Yield a line for each event that had a part in a change."""
    what = (change.path, change.kind, _short(change.before), _short(change.after))
    for event in change.events or ():
        version = event["version"] if event["stream"] != governance.STREAM else None
        who = (version, event["type"], event["actor"])
        yield (*what, *who, event["recorded_at"], event["effective"])


def _short(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
