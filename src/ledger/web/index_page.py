"""What does the index show?  Search, facets and the list of records, newest first.

Pure; the list keeps the order that the catalogue gave it, and never ranks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger.web import urls, wording
from ledger.web.choice import Choice, Paging, paging, toggled
from ledger.web.fact import Fact, on_day
from projections import catalogue
from projections.policy import LEVEL_LABELS

FACET_TITLES: Final = {
    "status": "Gate status",
    "tier": "Quality tier",
    "level": "Verification level",
    "kind": "Kind",
    "publisher": "Publisher",
    "state": "Correction record",
    "standing": "Standing",
    "basis": "Basis",
}
FACET_VALUES_MAX: Final = 12
"""How many values of one facet are offered; chosen ones are always among them."""


@dataclass(frozen=True, slots=True)
class Facet:
    """A field to filter by; ``unlisted`` counts the values that are not offered."""

    field: str
    title: str
    choices: tuple[Choice, ...]
    opened: bool
    unlisted: int


@dataclass(frozen=True, slots=True)
class RecordRow:
    """One record in the list."""

    href: str
    handle: str
    title: str
    prefix: str
    status: str
    status_label: str
    facts: tuple[Fact, ...]
    marks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IndexPage:
    """Everything that the template of the index may use."""

    text: str
    total: str
    rows: tuple[RecordRow, ...]
    facets: tuple[Facet, ...]
    chosen: tuple[Choice, ...]
    clear_href: str
    paging: Paging
    narrowed: bool


def index(query: catalogue.Query, page: catalogue.Page) -> IndexPage:
    """Return the index under a question."""
    facets = tuple(
        facet for each in catalogue.FILTERS if (facet := _facet(query, each, page.facets)).choices
    )
    chosen = tuple(c for facet in facets for c in facet.choices if c.chosen)
    return IndexPage(
        text=query.text,
        total=wording.count(page.total, "record") + ("" if page.exact else " or more"),
        rows=tuple(_record_row(entry) for entry in page.items),
        facets=facets,
        chosen=chosen,
        clear_href=urls.index(),
        paging=paging(page, lambda cursor: urls.index(**_asked(query), cursor=cursor)),
        narrowed=bool(chosen or query.text),
    )


def _asked(query: catalogue.Query) -> dict[str, Any]:
    """Return the question as parameters of an address; a change of filters starts at the top."""
    return {"q": query.text} | {each: getattr(query, each) for each in catalogue.FILTERS}


def _facet(query: catalogue.Query, field: str, counts: Mapping[str, Mapping[str, int]]) -> Facet:
    chosen = tuple(str(value) for value in getattr(query, field))
    # A chosen value that matches nothing is still offered, so that it can be taken out again.
    known = {**counts.get(field, {}), **{v: 0 for v in chosen if v not in counts.get(field, {})}}
    offered = [v for n, v in enumerate(known) if n < FACET_VALUES_MAX or v in chosen]
    choices = tuple(
        Choice(
            field=field,
            value=value,
            label=facet_label(field, value),
            count=known[value],
            chosen=value in chosen,
            href=urls.index(**_asked(query) | {field: toggled(chosen, value)}),
        )
        for value in offered
    )
    opened = bool(chosen) or field in {"status", "tier"}
    return Facet(field, FACET_TITLES[field], choices, opened, len(known) - len(offered))


def facet_label(field: str, value: str) -> str:
    """Return how one value of a facet is written."""
    words: dict[str, dict[str, str]] = {
        "status": wording.STATUSES,
        "tier": wording.TIERS,
        "kind": wording.KINDS,
        "state": wording.CORRECTION_STATES,
        "standing": wording.STANDINGS,
        "basis": wording.BASES,
    }
    if field == "level":
        known = {str(int(level)): label for level, label in LEVEL_LABELS.items()}
        return f"L{value}, {known[value]}" if value in known else value
    return wording.said(words[field], value) if field in words else value


def _record_row(entry: catalogue.Entry) -> RecordRow:
    marks = [wording.BASES["stated"]] if entry.basis == "stated" else []
    if entry.state != "CURRENT":
        marks.insert(0, wording.said(wording.CORRECTION_STATES, entry.state))
    return RecordRow(
        href=urls.record_page(entry.handle),
        handle=entry.handle,
        title=entry.title,
        prefix=wording.TITLE_PREFIXES.get(entry.standing, ""),
        status=entry.status,
        status_label=wording.said(wording.STATUSES, entry.status),
        facts=(
            Fact("Quality tier", wording.said(wording.TIERS, entry.tier)),
            Fact("Level", f"L{entry.level}"),
            Fact("Score", f"{wording.score(entry.score)}/10" if entry.score else "no score"),
            on_day("Submitted", entry.submitted_on, "date not stated"),
        ),
        marks=tuple(marks),
    )
