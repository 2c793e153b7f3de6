"""What may be asked of a record?  One frozen model per command; the API's request bodies are these.

Shapes only: whether a command is allowed is decided by ``ledger.record``, never here.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from ledger.content import ClaimCounts, Content, ReviewerScores, Value
from ledger.events import Change, Evaluator, Notice, Subject
from ledger.evidence import Evidence
from ledger.vocabulary import (
    ArtifactRole,
    AskedBy,
    ClaimSource,
    CorrectionType,
    Day,
    Digest,
    Doi,
    Gate,
    Handle,
    Identifier,
    Line,
    MediaType,
    Method,
    Moment,
    Nature,
    Outcome,
    Pointer,
    Prose,
    RecordId,
    Visibility,
)

_DIGEST = "sha256:" + "0123456789abcdef" * 4


class Command(Value):
    """What every command may carry: ids that tie it to a wider process."""

    EXAMPLE: ClassVar[dict[str, Any]] = {}

    correlation_id: Identifier | None = None
    causation_id: Identifier | None = None


class SubmittedReview(Value):
    """The three reviewers' scores and how they reviewed; the mean follows."""

    scores: ReviewerScores
    method: Line | None = None


class Submit(Command):
    """Submit a new research record; the ledger gives it an id and reserves a handle."""

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "content": {
            "kind": "empirical",
            "title": "Does label smoothing change calibration on small test sets?",
            "abstract": {"text": "We compare two training recipes on three small test sets."},
            "research_question": "Does label smoothing lower calibration error below 500 examples?",
            "publisher": "Example Research",
        },
        "submitted_on": "2026-07-01",
        "review": {
            "scores": {"challenger": "7.9", "confirmer": "8.4", "integrator": "8.1"},
            "method": "Three automated reviewers",
        },
        "claims": {"extracted": 12, "grounded": 9, "verified": 0},
        "claim_source": "parsed-source-sections",
    }
    content: Content
    handle: Handle | None = Field(
        default=None, description="A handle to reserve; random by default."
    )
    submitted_on: Day | None = Field(default=None, description="Today when not given; never later.")
    review: SubmittedReview | None = None
    claims: ClaimCounts | None = None
    claim_source: ClaimSource | None = None


class Resubmit(Command):
    """Submit a new version of the content; evaluations of earlier versions become stale."""

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "content": {
            "kind": "empirical",
            "title": "Does label smoothing change calibration on small test sets?",
            "abstract": {"text": "We compare two training recipes on five small test sets."},
            "publisher": "Example Research",
        },
        "reason": "Two test sets were added after review.",
    }
    content: Content
    reason: Prose
    submitted_on: Day | None = Field(default=None, description="Today when not given; never later.")


class Attach(Command):
    """Attach bytes by their digest: public ones, or what this record withholds."""

    EXAMPLE: ClassVar[dict[str, Any]] = {"role": "repro-script", "digest": _DIGEST}
    role: ArtifactRole
    digest: Digest
    media_type: MediaType | None = None
    visibility: Visibility = Visibility.PUBLIC
    location: Line | None = None


class Register(Command):
    """Register the record's DOI; a record has one, and a DOI has one record."""

    EXAMPLE: ClassVar[dict[str, Any]] = {"scheme": "doi", "value": "10.5281/zenodo.99999999"}
    scheme: Annotated[str, Field(pattern="^doi$")] = "doi"
    value: Doi
    registered_on: Day | None = None


class AssessReview(Command):
    """Record a later review."""

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "review": {"scores": {"challenger": "6.0", "confirmer": "7.0", "integrator": "6.5"}}
    }
    review: SubmittedReview
    assessed_on: Day | None = None


class CountClaims(Command):
    """Record later claim counts."""

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "claims": {"extracted": 12, "grounded": 11, "verified": 6},
        "claim_source": "parsed-source-sections",
    }
    claims: ClaimCounts
    claim_source: ClaimSource
    counted_on: Day | None = None


class Evaluate(Command):
    """Append a gate evaluation: the outcome, its evidence, and the exact submission it is about."""

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "gate": "gate-3",
        "method": "red-team",
        "outcome": "failed",
        "subject": {"submission": 1, "digest": _DIGEST},
        "evidence": {
            "kind": "red-team",
            "attacks": [
                {
                    "role": "COUNTEREXAMPLE_HUNTER",
                    "score": "8.0",
                    "finding": "The split leaks labels.",
                },
                {
                    "role": "CITATION_AUDITOR",
                    "score": "7.0",
                    "finding": "Two citations do not exist.",
                },
                {"role": "REPLICATION_ATTACKER", "error": "The sandbox ran out of memory."},
            ],
            "aggregation": {"rule": "mean", "threshold": "7.0", "quorum": 2},
            "mean": "7.5",
        },
        "evaluator": {"id": "red-team-runner", "version": "1.4.0"},
        "evaluated_at": "2026-07-02T03:48:27.951721Z",
    }
    evaluation_id: RecordId | None = Field(default=None, description="A UUID; made when not given.")
    gate: Gate
    method: Method
    outcome: Outcome
    subject: Subject
    evidence: Evidence | None = None
    policy: Identifier | None = None
    evaluator: Evaluator
    evaluated_at: Moment
    withdraws: RecordId | None = None
    note: Prose | None = None


class Correct(Command):
    """Correct public fields, or put a notice on the record; ``from`` is what you saw."""

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "correction_type": "METADATA",
        "nature": "correction",
        "public_note": "The publisher's name was misspelled.",
        "changes": [
            {"field": "publisher", "from": "Example Research", "to": "Example Research e.V."}
        ],
        "asserted_by": "Example Research, editorial office",
    }
    correction_id: RecordId | None = Field(default=None, description="A UUID; made when not given.")
    correction_type: CorrectionType
    nature: Nature
    public_note: Prose
    changes: tuple[Change, ...] = Field(default=(), max_length=50)
    asserted_by: Line
    effective_on: Day | None = Field(default=None, description="Today when not given.")
    notice: Notice = Notice()
    reasons: tuple[Line, ...] = Field(default=(), max_length=50)
    corrects: RecordId | None = None


class Supersede(Command):
    """Say that another record of this ledger took this one's place; it ends all edits."""

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "by": "01980f5e-6c1a-7cc3-9d3f-0a4f5b6c7d8e",
        "reason": "The study was redone on the full data set.",
    }
    by: RecordId
    reason: Prose
    effective_on: Day | None = None


class Erase(Command):
    """Erase texts from the body of an event; the log says what, when, by whom and why."""

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "members": ["/content/abstract/text"],
        "reason": "The abstract named a person who has asked to be left out.",
        "asked_by": "data-subject",
        "legal_basis": "GDPR, article 17(1)(a)",
    }
    members: tuple[Pointer, ...] = Field(
        min_length=1, max_length=100, description="JSON Pointers into the event's body."
    )
    reason: Prose = Field(description="It is public, so it must not repeat what is erased.")
    asked_by: AskedBy
    legal_basis: Line | None = None
