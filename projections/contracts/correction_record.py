"""What was corrected on a record, when, why, and which fields?  correction-record-v1.

Additive: every correction that was ever issued is in it, in the order of the record's versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal

from pydantic import Field

from projections.contracts.document import (
    Count,
    Day,
    Digest,
    Document,
    Links,
    Part,
    State,
    Url,
    Uuid,
    View,
)

UPDATED: Final = "2026-11-21"
"""The day on which the shape of this contract last changed."""

MANIFEST: Final = "paper-manifest-v1.1"

POLICY_BASIS: Final = (
    "The record is a log of facts: a correction is one more fact, with what the field said before, "
    "what it says since, and a public note. Where texts had to be erased, erasures say so. Keys "
    "and operational logs are not public."
)
INTERPRETATION: Final = (
    "CURRENT does not mean free of errors: no correction was issued. A notice without affected "
    "fields changes no field; a retraction is such a notice, and shows in the standing."
)
LIMITATIONS: Final = (
    "Only corrections that were issued to this ledger are listed. corrected_at is the day from "
    "which a correction is in effect; when it was recorded is in the record's history."
)


class Manifest(Part):
    """The manifest that goes with this document."""

    schema_: Url = Field(alias="schema")
    contract_version: Literal["paper-manifest-v1.1"]
    contract_updated: Day
    current_manifest_url: Url
    correction_record_url: Url


class FieldChange(Part):
    """One field, what it said, and what it says since; null is "none"."""

    field: str
    from_: str | int | None = Field(alias="from")
    to: str | int | None


class Notice(Part):
    """Where a correction is published: in place on the record, or in a notice of its own."""

    in_situ: bool
    doi: str | None
    url: str | None


class CorrectionEvent(Part):
    """One correction."""

    event_id: Uuid
    corrected_at: Day
    correction_type: Literal[
        "METADATA", "ARTIFACT", "CLAIM", "BENCHMARK", "PROVENANCE", "QUALITY_ASSESSMENT"
    ]
    public_note: str
    affected_fields: tuple[str, ...]
    nature: Literal[
        "addendum",
        "clarification",
        "correction",
        "corrigendum",
        "erratum",
        "expression_of_concern",
        "new_edition",
        "new_version",
        "partial_retraction",
        "removal",
        "retraction",
        "withdrawal",
        "reinstatement",
    ]
    changes: tuple[FieldChange, ...]
    asserted_by: str
    notice: Notice
    reasons: tuple[str, ...]
    corrects: Uuid | None
    basis: Literal["checked", "stated"]
    version: Count


class Erasure(Part):
    """Texts that were erased from a fact of the record: what, when, at whose asking, by whom, why.

    Their places in the fact stay; what stood there is gone.
    """

    position: Count
    version: Count
    type: str
    members: tuple[str, ...]
    redacted_digest: Digest
    erased_on: Day
    asked_by: Literal[
        "data-subject", "author", "publisher", "rights-holder", "authority", "operator"
    ]
    reason: str
    legal_basis: str | None
    erased_by: str
    recorded_as: Count


class Successor(Part):
    """The record that took this one's place."""

    record_id: Uuid
    page_url: Url


class CorrectionPolicy(Part):
    """What readers may rely on."""

    corrections_are_additive: Literal[True]
    no_silent_public_rewrites: Literal[True]
    private_operational_logs_public: Literal[False]
    basis: str


class CorrectionRecord(Document):
    """The correction record: state, standing and every correction of a record."""

    NAME: ClassVar[str] = "correction-record-v1"
    FILE: ClassVar[str] = "correction-record.json"

    schema_version: Literal["1"]
    contract_version: Literal["correction-record-v1"]
    contract_updated: Day
    publisher: str
    manifest: Manifest
    correction_state: State
    correction_count: Count
    last_corrected_at: Day | None
    correction_events: tuple[CorrectionEvent, ...]
    known_superseded_manifest_urls: tuple[Url, ...]
    erasures: tuple[Erasure, ...]
    standing: Literal[
        "clear", "under-concern", "partially-retracted", "withdrawn", "retracted", "removed"
    ]
    superseded_by: Successor | None
    policy: CorrectionPolicy
    interpretation: str
    limitations: str


def correction_record(view: View, links: Links) -> CorrectionRecord:
    """Return the correction record of a record."""
    told = view["corrections"]
    return CorrectionRecord.made(
        view,
        links,
        contract_updated=UPDATED,
        publisher=view["publisher"],
        manifest={
            "schema": links.schemas[MANIFEST],
            "contract_version": MANIFEST,
            "contract_updated": UPDATED,
            "current_manifest_url": links.documents[MANIFEST],
            "correction_record_url": links.documents[CorrectionRecord.NAME],
        },
        correction_state=told["state"],
        correction_count=told["count"],
        last_corrected_at=told["last_corrected_on"],
        correction_events=[event(entry) for entry in told["entries"]],
        # What a correction took the place of is what was shown just before it.
        known_superseded_manifest_urls=[
            links.manifest_at(entry["version"] - 1) for entry in told["entries"]
        ],
        erasures=view["erasures"],
        standing=told["standing"],
        superseded_by=successor(view, links),
        policy={
            "corrections_are_additive": True,
            "no_silent_public_rewrites": True,
            "private_operational_logs_public": False,
            "basis": POLICY_BASIS,
        },
        interpretation=INTERPRETATION,
        limitations=LIMITATIONS,
    )


def successor(view: View, links: Links) -> dict[str, Any] | None:
    """Return the record that took this one's place, or None."""
    by = view["superseded_by"]
    return {"record_id": by, "page_url": links.record(by)} if by else None


def event(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry of the view as a correction event."""
    return {
        "event_id": entry["correction_id"],
        "corrected_at": entry["effective_on"],
        "affected_fields": list(dict.fromkeys(c["field"] for c in entry["changes"])),
        **{name: entry[name] for name in _SAME},
    }


_SAME: Final = (
    "correction_type",
    "public_note",
    "nature",
    "changes",
    "asserted_by",
    "notice",
    "reasons",
    "corrects",
    "basis",
    "version",
)
"""Members that an entry of the view and a correction event share, word for word."""
