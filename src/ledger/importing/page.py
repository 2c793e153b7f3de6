"""What does a record page say?  Every field exactly as printed, or named as missing.

It must never repair, complete or drop anything: a text that fits no field stays verbatim.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import Field

from ledger.content import Value
from ledger.errors import UnreadablePage
from ledger.events import StatedField, StatedVerdict
from ledger.importing import form, reason, values
from ledger.importing.layout import Layout, layout_of, text_of
from ledger.vocabulary import (
    ClaimSource,
    Count,
    Day,
    Digest,
    Doi,
    Gate,
    Handle,
    Kind,
    Line,
    Method,
    Moment,
    Prose,
    Score,
    Status,
)

GRADES: Final = frozenset({"UNASSESSED", "LOW", "MEDIUM", "HIGH"})


class StatedPage(Value):
    """A record page as read; None means that the page does not say, or says it unreadably.

    ``stated`` holds every labelled value and paragraph in the order of the page, ``unknown`` what
    has no known place.  ``missing`` names what a whole page would have: ``handle`` when nothing is
    printed, ``unread: handle`` when what is printed is none, ``section: Provenance`` for a section.
    """

    source: Digest
    name: Line
    dialect: Literal["plain", "table"]
    title: Line
    handle: Handle | None = None
    kind: Kind | None = None
    abstract: Prose | None = None
    research_question: Prose | None = None
    submitted_on: Day | None = None
    review_mean: Score | None = None
    verified_claims: Count | None = None  # the header's counter
    grounded_claims: Count | None = None  # the section's counter
    claim_source: ClaimSource | None = None
    claim_lineage: Count | None = None
    doi: Doi | None = None
    level: tuple[int, Line] | None = None
    verdict: StatedVerdict | None = None
    reading: reason.Reading = reason.Reading()
    evaluated_at: Moment | None = None
    gate: Gate | None = None  # the gate that decided, as far as the page tells
    tier: Line | None = None
    tier_basis: Prose | None = None
    dimensions: dict[str, str] = Field(default_factory=dict)
    correction_state: Line | None = None
    correction_count: Count | None = None
    manifest_contract: Line | None = None
    correction_contract: Line | None = None
    publisher: Line | None = None
    provenance_level: tuple[int, Line] | None = None
    report_artifact: bool | None = None
    external_record: bool | None = None
    review_method: Line | None = None
    quality_guide: Line | None = None
    provenance_contract: Line | None = None
    note: Prose | None = None
    stated: tuple[StatedField, ...] = ()
    unknown: tuple[StatedField, ...] = ()
    missing: tuple[Line, ...] = ()

    def line(self, section: str, label: str | None) -> int | None:
        """Return the first line that states something under this label of this section."""
        wanted = (section, label)
        return next((f.line for f in self.stated if (f.section, f.label) == wanted), None)

    @property
    def title_line(self) -> int | None:
        """The line of the title."""
        return next((f.line for f in self.stated if f.value == self.title), None)

    @property
    def registered(self) -> bool:
        """Whether the page says that the record is registered: outright, or by a DOI alone."""
        return self.doi is not None if self.external_record is None else self.external_record


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A field of the page, where it is printed, what it is called when missing, how it is read."""

    field: str
    section: str
    label: str
    name: str
    read: Callable[[str], object | None] = values.line
    expected: bool = True


_WANTED: Final = (
    _Wanted("kind", form.HEADER, "Kind", "kind", values.kind, expected=False),
    _Wanted("submitted_on", form.HEADER, "Submitted", "submitted", values.day),
    _Wanted("review_mean", form.HEADER, "Review score", "review score", values.score_of_ten),
    _Wanted("verified_claims", form.HEADER, "Verified claims", "verified claims", values.count),
    _Wanted("doi", form.HEADER, "DOI", "DOI", values.doi, expected=False),
    _Wanted("level", form.LEVEL, "Paper level", "paper level", values.level),
    _Wanted(
        "grounded_claims",
        form.LEVEL,
        "Source-grounded claims",
        "source-grounded claims",
        values.count,
    ),
    _Wanted(
        "claim_source",
        form.LEVEL,
        "Claim record source",
        "claim record source",
        values.claim_source,
    ),
    _Wanted("status", form.VERDICT, "Status", "status", values.status),
    _Wanted("gate", form.VERDICT, "Gate", "gate", values.gate),
    _Wanted("gate_label", form.VERDICT, "Gate", "gate label", expected=False),
    _Wanted("reason", form.VERDICT, "Reason", "reason", values.prose),
    _Wanted("evaluated_at", form.VERDICT, "Evaluated", "evaluated", values.moment, expected=False),
    _Wanted("tier", form.TIER, "Tier", "tier"),
    _Wanted("tier_basis", form.TIER, "Basis", "tier basis", values.prose),
    _Wanted("correction_state", form.CORRECTIONS, "Status", "correction status"),
    _Wanted(
        "correction_count", form.CORRECTIONS, "Correction count", "correction count", values.count
    ),
    _Wanted("manifest_contract", form.CORRECTIONS, "Manifest contract", "manifest contract"),
    _Wanted("correction_contract", form.CORRECTIONS, "Correction contract", "correction contract"),
    _Wanted("publisher", form.PROVENANCE, "Publisher", "publisher"),
    _Wanted(
        "provenance_level",
        form.PROVENANCE,
        "Public provenance",
        "public provenance",
        values.level,
    ),
    _Wanted(
        "report_artifact", form.PROVENANCE, "Report artifact", "report artifact", values.available
    ),
    _Wanted(
        "external_record", form.PROVENANCE, "External record", "external record", values.registered
    ),
    _Wanted("claim_lineage", form.PROVENANCE, "Claim lineage", "claim lineage", values.lineage),
    _Wanted("review_method", form.PROVENANCE, "Review method", "review method"),
    _Wanted("quality_guide", form.PROVENANCE, "Quality guide", "quality guide", expected=False),
    _Wanted("provenance_contract", form.PROVENANCE, "Provenance contract", "provenance contract"),
    _Wanted("note", form.PROVENANCE, "Note", "note", values.prose),
)


def parse(source: bytes, name: str) -> StatedPage:
    """Return what the page says; raises UnreadablePage when it is no record page at all.

    ``name`` is what the source is called for people, such as its file name.
    """
    if values.line(name) is None:
        raise UnreadablePage("The name of the page is not one line of at most 1,000 characters.")
    layout = layout_of(text_of(source))
    _refuse_strangers(layout)
    missing: list[str] = []
    found: dict[str, Any] = {
        "source": "sha256:" + hashlib.sha256(source).hexdigest(),
        "name": name,
        "dialect": layout.dialect,
        "title": layout.title,
        "handle": _handle(layout, missing),
        "abstract": _text(layout, form.ABSTRACT, missing),
        "research_question": _text(layout, form.QUESTION, missing),
    }
    found |= _labelled(layout, missing)
    found |= _verdict(found, layout, missing)
    found["dimensions"] = _dimensions(layout, missing)
    _name_doi(found, missing)
    missing += _absent_sections(layout)
    return StatedPage(
        **found,
        stated=tuple(layout.stated),
        unknown=tuple(layout.unknown),
        missing=tuple(missing),
    )


def _refuse_strangers(layout: Layout) -> None:
    if not layout.title:
        raise UnreadablePage("The page has no title.")
    if values.line(layout.title) is None:
        raise UnreadablePage("The title is not one line of at most 1,000 characters.")
    if not any(layout.find(form.LEVEL, label) for label in form.LABELS[form.LEVEL]) and not any(
        layout.find(form.VERDICT, label) for label in form.LABELS[form.VERDICT]
    ):
        message = (
            "The page has neither a verification level nor a gate verdict: it is no record page."
        )
        raise UnreadablePage(message)


def _handle(layout: Layout, missing: list[str]) -> str | None:
    read = None if layout.handle is None else values.handle(layout.handle)
    if read is None:
        missing.append("handle" if layout.handle is None else "unread: handle")
    return read


def _text(layout: Layout, section: str, missing: list[str]) -> str | None:
    printed = layout.texts.get(section)
    read = None if printed is None else values.prose(printed)
    if read is None:
        missing.append(section.lower() if printed is None else f"unread: {section.lower()}")
    return read


def _labelled(layout: Layout, missing: list[str]) -> dict[str, Any]:
    """Read every wanted field; name those that are not printed or do not fit."""
    printed_sections = {kept.section for kept in layout.stated if kept.label} | {form.HEADER}
    found: dict[str, Any] = {}
    for wanted in _WANTED:
        printed = layout.find(wanted.section, wanted.label)
        read = None
        if printed is not None and printed.line != layout.open_line:
            read = wanted.read(printed.value)
        found[wanted.field] = read
        if printed is not None and read is None:
            broken = " (the page breaks off there)" if printed.line == layout.open_line else ""
            missing.append(f"unread: {wanted.name}{broken}")
        elif read is None and wanted.expected and wanted.section in printed_sections:
            missing.append(wanted.name)
    return found


def _verdict(found: dict[str, Any], layout: Layout, missing: list[str]) -> dict[str, Any]:
    """Return verdict, reading and deciding gate; takes the verdict's parts out of ``found``."""
    status, gate, label, said = (
        found.pop(field) for field in ("status", "gate", "gate_label", "reason")
    )
    settled = status in {Status.VERIFIED, Status.FALSIFIED}
    if settled and found["evaluated_at"] is None and "unread: evaluated" not in missing:
        missing.append("evaluated")
    reading = reason.Reading() if said is None else reason.read(said)
    decided_by = None
    if settled or found["evaluated_at"] is not None:
        missing.extend(f"unread: {what}" for what in reading.unread)
        decided_by = _deciding_gate(reading, gate, layout)
        if decided_by is None:
            missing.append("unread: evaluation (the page names no gate for it)")
    if status is None:
        return {"verdict": None, "reading": reading, "gate": decided_by}
    verdict = StatedVerdict(
        status=status,
        gate=gate,
        gate_label=label,
        reason=said,
        claims_predates_activation=status is Status.UNVERIFIED and reading.predates_activation,
    )
    return {"verdict": verdict, "reading": reading, "gate": decided_by}


def _deciding_gate(reading: reason.Reading, printed: Gate | None, layout: Layout) -> Gate | None:
    """Return the gate that the verdict rests on: the reason knows better than the Gate line."""
    if reading.gate is not None:
        return reading.gate
    if printed is not None:
        return printed
    if reading.method in {Method.SANDBOX, Method.LEAN4}:
        return Gate.VERIFICATION
    # Last, the standing text under the verdict, which speaks of one gate.
    told = [
        field.value
        for field in layout.stated
        if (field.section, field.label) == (form.VERDICT, None) and field.line != layout.open_line
    ]
    return next((gate for gate in map(values.gate, told) if gate is not None), None)


def _dimensions(layout: Layout, missing: list[str]) -> dict[str, str]:
    grades: dict[str, str] = {}
    for label in form.LABELS[form.DIMENSIONS]:
        printed = layout.find(form.DIMENSIONS, label)
        if printed is None:
            continue  # an unassessed dimension is not shown
        if printed.value in GRADES and printed.line != layout.open_line:
            grades[label] = printed.value
        else:
            missing.append(f"unread: {label.lower()}")
    return grades


def _name_doi(found: dict[str, Any], missing: list[str]) -> None:
    """Name a DOI that should be there, or that the page itself disowns."""
    if found["doi"] is not None and found["external_record"] is False:
        missing.append("unread: DOI (the page also says that no record is registered)")
    unread = any(name.startswith("unread: DOI") for name in missing)
    if found["doi"] is None and found["external_record"] is not False and not unread:
        missing.append("DOI")


def _absent_sections(layout: Layout) -> list[str]:
    """Name the sections of labelled values of which nothing is printed."""
    printed = {kept.section for kept in layout.stated if kept.label}
    return [
        f"section: {section}"
        for section, labels in form.LABELS.items()
        if labels and section not in printed
    ]
