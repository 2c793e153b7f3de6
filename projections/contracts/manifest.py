"""The machine twin of a record's page, and the way to its other documents: paper-manifest-v1.1.

Every member is that of the public view; what belongs to a document of its own is linked, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from projections.contracts.correction_record import CorrectionEvent, Erasure, Successor, successor
from projections.contracts.correction_record import event as correction_event
from projections.contracts.document import (
    Basis,
    Count,
    Day,
    Digest,
    Document,
    Figure,
    GateId,
    Grade,
    Links,
    Moment,
    Part,
    PolicyName,
    Shown,
    State,
    Status,
    TierName,
    Url,
    Uuid,
    View,
)
from projections.contracts.evaluations import Evaluation
from projections.contracts.provenance import Artifact, Submission, artifact

NotApplicable = Callable[[str, View], str | None]


class Abstract(Part):
    """The abstract; quoted_from names the work whose words they are, if it is another's."""

    text: str
    quoted_from: str | None


class ReviewerScores(Part):
    """The scores of the three reviewers."""

    challenger: Figure
    confirmer: Figure
    integrator: Figure


class Review(Part):
    """The review: its mean, and the scores where they are known."""

    mean: Figure | None
    scores: ReviewerScores | None
    method: str | None


class Claims(Part):
    """How many claims reached which stage, each counter by itself; null is "not known"."""

    extracted: Count | None
    grounded: Count | None
    verified: Count | None
    cross_source_corroborated: Count | None
    artifact_inspected: Count | None
    sandbox_executed: Count | None
    independently_reproduced: Count | None
    externally_reviewed_or_formally_verified: Count | None
    source: Literal["parsed-source-sections", "not-publicly-specified"] | None


class Level(Part):
    """A level with its label."""

    level: Count
    label: str


class Reason(Part):
    """Why a verdict is as it is, for programs and for people."""

    code: str
    text: str


class Verdict(Part):
    """The gate verdict."""

    status: Status
    label: str
    gate: GateId
    gate_label: str
    decided_by: GateId | None
    reason: Reason
    evaluated_at: Moment | None
    evaluation_id: Uuid | None
    basis: Literal["checked", "stated", "derived"]


class Tier(Part):
    """The quality tier and what it rests on."""

    tier: TierName
    label: str
    basis: str
    source: Shown


class Dimension(Part):
    """The level of one quality dimension."""

    level: Grade
    label: str
    source: Shown


class Dimensions(Part):
    """The eight quality dimensions."""

    evidence_strength: Dimension
    citation_grounding: Dimension
    numerical_consistency: Dimension
    benchmark_validity: Dimension
    novelty: Dimension
    uncertainty_disclosure: Dimension
    reproducibility_status: Dimension
    safety_impact: Dimension


class OtherPolicy(Part):
    """What another policy version would say of the record."""

    tier: TierName
    level: Count
    status: Status


class Policy(Part):
    """The policy version that the record is shown under, and what the others would say."""

    version: PolicyName
    others: dict[PolicyName, OtherPolicy]


class Corrections(Part):
    """The corrections of the record, and what they made of its state and standing."""

    state: State
    count: Count
    last_corrected_on: Day | None
    standing: Literal[
        "clear", "under-concern", "partially-retracted", "withdrawn", "retracted", "removed"
    ]
    events: tuple[CorrectionEvent, ...]


class Provenance(Part):
    """Where the record comes from."""

    level: Literal[3, 4]
    label: str
    report_artifact: bool
    external_record: bool
    claim_lineage: Count | None
    review_method: str | None


class StatedField(Part):
    """One value as a source page printed it, and where."""

    section: str
    label: str | None
    value: str
    line: Count


class StatedVerdict(Part):
    """The verdict block as a source page printed it."""

    status: Status
    gate: GateId | None
    gate_label: str | None
    reason: str | None
    claims_predates_activation: bool


class SourcePage(Part):
    """The page that an import read, as it printed its values."""

    source: Digest
    name: str
    dialect: Literal["plain", "table"]
    verdict: StatedVerdict | None
    stated: tuple[StatedField, ...]
    unknown: tuple[StatedField, ...]
    missing: tuple[str, ...]


class Linked(Part):
    """Another document about the record; url is null where its contract does not apply."""

    contract: str
    url: Url | None
    schema_: Url = Field(alias="schema")
    not_applicable: str | None = Field(description="Why there is no such document, else null.")


class Addresses(Part):
    """Where the record's page and lists are."""

    page: Url
    view: Url
    history: Url
    evaluations: Url
    corrections: Url
    findings: Url
    doi: Url | None


class PaperManifest(Document):
    """Everything that a record's page shows of the record, and links to its other documents."""

    NAME: ClassVar[str] = "paper-manifest-v1.1"
    FILE: ClassVar[str] = "manifest.json"

    schema_version: Literal["1.1"]
    contract_version: Literal["paper-manifest-v1.1"]
    publisher: str
    kind: Literal["synthesis", "mathematical", "empirical"]
    basis: Basis
    submitted_on: Day | None
    abstract: Abstract | None
    research_question: str | None
    note: str | None
    submission: Submission
    content_digest: Digest
    review: Review | None
    claims: Claims
    verification_level: Level
    gate_verdict: Verdict
    evaluations: tuple[Evaluation, ...]
    quality_tier: Tier
    quality_dimensions: Dimensions
    policy: Policy
    correction_record: Corrections
    erasures: tuple[Erasure, ...]
    superseded_by: Successor | None
    provenance: Provenance
    doi: str | None
    artifacts: tuple[Artifact, ...]
    source_page: SourcePage | None
    documents: tuple[Linked, ...]
    addresses: Addresses


_AS_IN_THE_VIEW = (
    "publisher",
    "kind",
    "basis",
    "submitted_on",
    "abstract",
    "research_question",
    "note",
    "submission",
    "content_digest",
    "review",
    "claims",
    "evaluations",
    "policy",
    "provenance",
    "doi",
    "erasures",
)


def paper_manifest(view: View, links: Links, not_applicable: NotApplicable) -> PaperManifest:
    """Return the manifest; ``not_applicable`` says why a contract (by name) has no document."""
    corrections = dict(view["corrections"])
    entries = corrections.pop("entries")
    return PaperManifest.made(
        view,
        links,
        **{name: view[name] for name in _AS_IN_THE_VIEW},
        verification_level=view["level"],
        gate_verdict=view["verdict"],
        quality_tier=view["tier"],
        quality_dimensions=view["dimensions"],
        correction_record={**corrections, "events": [correction_event(each) for each in entries]},
        superseded_by=successor(view, links),
        artifacts=[artifact(each, links) for each in view["artifacts"]],
        source_page=view["source"],
        documents=[
            _linked(name, links, not_applicable(name, view))
            for name in links.documents
            if name != PaperManifest.NAME
        ],
        addresses={
            "page": links.page,
            "view": links.view,
            "history": links.history,
            "evaluations": links.evaluations,
            "corrections": links.corrections,
            "findings": links.findings,
            "doi": links.doi(view["doi"]) if view["doi"] else None,
        },
    )


def _linked(name: str, links: Links, why_not: str | None) -> Mapping[str, Any]:
    return {
        "contract": name,
        "url": None if why_not else links.documents[name],
        "schema": links.schemas[name],
        "not_applicable": why_not,
    }
