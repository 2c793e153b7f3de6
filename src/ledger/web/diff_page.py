"""What changed on a record, as a page: each field with what it said, what it says, and by whom.

Pure; the fields are those of the public document, by their JSON pointers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger.differing import Change, Difference, Point
from ledger.governance import STREAM
from ledger.web import part, urls, wording
from ledger.web.fact import Fact, at_moment, on_day

CHANGES_MAX: Final = 300
"""How many changes a page shows: all that a record of some facts has since its beginning."""


@dataclass(frozen=True, slots=True)
class Cause:
    """An event that had a part in a change; without an address it is one of the ledger itself."""

    label: str
    href: str | None
    actor: str
    reason: str | None
    effective: Fact
    recorded: Fact


@dataclass(frozen=True, slots=True)
class Row:
    """One field; what it said or says is None where there was nothing."""

    path: str
    kind: str
    before: str | None
    after: str | None
    causes: tuple[Cause, ...]
    untold: bool
    """Whether there were too many events to name those behind it."""


@dataclass(frozen=True, slots=True)
class DiffPage:
    """What changed on one record between two points."""

    handle: str
    title: str
    address: str
    record_href: str
    json_href: str
    asked: Mapping[str, str]
    summary: tuple[Fact, ...]
    shortened: Fact | None
    """Of very many changes: how many there are, and where all of them are."""
    rows: tuple[Row, ...]


def build(document: Mapping[str, Any], found: Difference, asked: Mapping[str, str]) -> DiffPage:
    """Return the page; ``asked`` are the points as they were given."""
    handle = document["handle"]
    json_href = urls.diff(document["record_id"], **asked)
    left_out = part.counted(len(found.changes), "change", "first", CHANGES_MAX)
    return DiffPage(
        handle=handle,
        title=document["title"],
        address=urls.record_diff_page(handle),
        record_href=urls.record_page(handle),
        json_href=json_href,
        asked=asked,
        summary=(
            Fact("From", _point(found.before)),
            Fact("To", _point(found.after)),
            Fact("Events in between", f"{found.events:,}"),
            Fact("Fields changed", f"{len(found.changes):,}"),
        ),
        shortened=Fact(left_out, "All changes as JSON", json_href) if left_out else None,
        rows=tuple(
            _row(change, handle, document["version"]) for change in found.changes[:CHANGES_MAX]
        ),
    )


def _point(point: Point) -> str:
    if point.recorded_at is None:
        return "before the first submission"
    recorded = wording.moment(str(point.told["recorded_at"]))
    return f"version {point.version}, recorded {recorded}"


def _row(change: Change, handle: str, last: int) -> Row:
    return Row(
        path=change.path,
        kind=change.kind,
        before=_text(change.before),
        after=_text(change.after),
        causes=tuple(_cause(event, handle, last) for event in change.events or ()),
        untold=change.events is None,
    )


def _cause(event: Mapping[str, Any], handle: str, last: int) -> Cause:
    label, href = wording.said(wording.EVENTS, event["type"]), None
    if event["stream"] != STREAM:
        href = part.version_href(handle, event["version"], last)
        label = f"{label}, version {event['version']}"
    effective = event["effective"]
    if effective is not None and "T" in effective:
        since = at_moment("Effective", effective, "not stated")
    else:
        since = on_day("Effective", effective, "not stated")
    recorded = at_moment("Recorded", event["recorded_at"], "not known")
    return Cause(label, href, event["actor"], event["reason"], since, recorded)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
