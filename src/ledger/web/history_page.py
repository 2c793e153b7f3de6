"""What happened to one record, fact by fact, as a page: a part of its timeline at a time.

Pure; the facts are those of the log, whatever was in effect when.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.web import part, timeline, urls, wording


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """A part of a record's timeline, oldest first."""

    handle: str
    title: str
    prefix: str
    record_href: str
    json_href: str
    part: part.Part
    timeline: tuple[timeline.Entry, ...]


def of(document: Mapping[str, Any], before: int | None) -> part.Part:
    """Return which of a record's versions the page shows; the first is version 1."""

    def at(version: int | None) -> str:
        return urls.record_history_page(document["handle"], version)

    return part.part(range(1, document["version"] + 1), before, "fact", at)


def build(
    document: Mapping[str, Any], shown: part.Part, history: Sequence[Mapping[str, Any]]
) -> HistoryPage:
    """Return the page; ``history`` are the events of the part."""
    handle, last = document["handle"], document["version"]
    erased_by = defaultdict[int, list[int]](list)
    for erasure in document["erasures"]:
        erased_by[erasure["version"]].append(erasure["recorded_as"])
    return HistoryPage(
        handle=handle,
        title=document["title"],
        prefix=wording.TITLE_PREFIXES.get(document["corrections"]["standing"], ""),
        record_href=urls.record_page(handle),
        json_href=urls.history(document["record_id"]),
        part=shown,
        timeline=timeline.entries(history, handle, last, erased_by),
    )
