"""What did the source print?  An imported record's page as its source stated it, line by line.

Pure; it repairs nothing: what the import did not know and what was missing are shown as such.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from ledger.web import wording
from ledger.web.fact import Fact


@dataclass(frozen=True, slots=True)
class StatedLine:
    """One value as printed; a paragraph has no label."""

    line: int
    label: str | None
    value: str


@dataclass(frozen=True, slots=True)
class StatedSection:
    """The lines that stood under one heading of the source."""

    heading: str
    lines: tuple[StatedLine, ...]


@dataclass(frozen=True, slots=True)
class SourcePage:
    """Everything that an import kept of its source."""

    facts: tuple[Fact, ...]
    verdict: tuple[Fact, ...]
    sections: tuple[StatedSection, ...]
    unknown: tuple[StatedSection, ...]
    missing: tuple[str, ...]


def build(source: Mapping[str, Any]) -> SourcePage:
    """Return what an imported page stated, from the view document's ``source``."""
    return SourcePage(
        facts=(
            Fact("Source", source["name"]),
            Fact("Digest of the source", source["source"], exact=True),
            Fact("Dialect", "Markdown tables" if source["dialect"] == "table" else "Plain text"),
        ),
        verdict=_verdict(source["verdict"]) if source["verdict"] else (),
        sections=_sections(source["stated"]),
        unknown=_sections(source["unknown"]),
        missing=tuple(source["missing"]),
    )


def _verdict(told: Mapping[str, Any]) -> tuple[Fact, ...]:
    return (
        Fact("Status", wording.said(wording.STATUSES, told["status"])),
        Fact("Gate", told["gate_label"] or told["gate"] or "not stated"),
        Fact("Reason", told["reason"] or "not stated"),
    )


def _sections(fields: Sequence[Mapping[str, Any]]) -> tuple[StatedSection, ...]:
    return tuple(
        StatedSection(heading, tuple(StatedLine(f["line"], f["label"], f["value"]) for f in lines))
        for heading, lines in groupby(fields, key=itemgetter("section"))
    )
