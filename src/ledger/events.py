"""What happened?  Every fact that the log can hold: frozen, named as people say it, versioned.

The stored type name is the string that each class owns (``record.submitted``), never a Python path.
A shape that was ever written is never edited: a change is a new version and an upcast in the codec.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from ledger.content import ClaimCounts, Content, Facts, PublicField, Review, Scalar, Value
from ledger.evidence import Evidence
from ledger.vocabulary import (
    ActorId,
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
    PolicyVersion,
    Prose,
    RecordId,
    Scope,
    Status,
    Visibility,
)


class Checked(Value):
    """The ledger saw the evidence and checked it."""

    kind: Literal["checked"] = "checked"


class Stated(Value):
    """A source said so: the digest of its bytes, its name, and the line where it said it."""

    kind: Literal["stated"] = "stated"
    source: Digest
    name: Line
    line: int | None = Field(default=None, ge=1)


Basis = Annotated[Checked | Stated, Field(discriminator="kind")]


class Event(BaseModel):
    """What every event carries besides its own fact.

    ``originator_id`` and ``originator_version`` (dense from 1 in each stream) are columns of the
    log, not part of the stored body; the log adds ``position`` and ``recorded_at`` when it writes.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, populate_by_name=True, serialize_by_alias=True
    )
    TYPE: ClassVar[str]
    VERSION: ClassVar[int] = 1
    EFFECTIVE: ClassVar[str | None] = None
    """The member that says since when the fact holds; None where only its recording is known."""

    originator_id: str = Field(exclude=True)
    originator_version: int = Field(exclude=True, ge=1)
    actor: ActorId
    basis: Basis = Checked()
    correlation_id: Identifier | None = None
    causation_id: Identifier | None = None

    def effective(self, recorded_at: datetime) -> datetime:
        """Return since when the fact holds: a day from its start in UTC, else as recorded."""
        said: date | datetime | None = getattr(self, self.EFFECTIVE) if self.EFFECTIVE else None
        if said is None:
            return recorded_at
        return said if isinstance(said, datetime) else datetime.combine(said, time.min, UTC)


# ---------------------------------------------------------------- the record's own stream


class PublicationRule(Value):
    """Whether the stated publication rule was kept at submission (score and verified claims)."""

    rule: Literal["score>=6.5 and verified>=5"] = "score>=6.5 and verified>=5"
    kept: bool | None = Field(description="None when the score or the verified count is not known.")


class RecordSubmitted(Event):
    """A research record came into being: a publisher submitted its first content under a handle."""

    TYPE: ClassVar[str] = "record.submitted"
    EFFECTIVE: ClassVar[str | None] = "submitted_on"
    handle: Handle
    content: Content
    content_digest: Digest
    submitted_on: Day | None = None
    review: Review | None = None
    claims: ClaimCounts | None = None
    claim_source: ClaimSource | None = None
    publication_rule: PublicationRule | None = None


class RecordResubmitted(Event):
    """The publisher submitted a new version of the content; evaluations stay bound to theirs."""

    TYPE: ClassVar[str] = "record.resubmitted"
    EFFECTIVE: ClassVar[str | None] = "submitted_on"
    submission: int = Field(ge=2, description="The number of this submission version.")
    content: Content
    content_digest: Digest
    submitted_on: Day
    reason: Prose


class ArtifactAttached(Event):
    """Bytes with a digest were attached to the record for a purpose."""

    TYPE: ClassVar[str] = "artifact.attached"
    role: ArtifactRole
    digest: Digest | None = Field(description="None only where a source states that there is one.")
    media_type: MediaType | None = None
    size_bytes: int | None = Field(default=None, ge=0)
    visibility: Visibility = Visibility.PUBLIC
    location: Line | None = Field(default=None, description="A URL where a copy is kept elsewhere.")


class ExternalRecordRegistered(Event):
    """The record was registered with an outside registry; once per record, unique in the ledger."""

    TYPE: ClassVar[str] = "external-record.registered"
    EFFECTIVE: ClassVar[str | None] = "registered_on"
    scheme: Literal["doi"] = "doi"
    value: Doi | None = Field(description="None only where a source states it registered, unnamed.")
    registered_on: Day | None = None


class ReviewAssessed(Event):
    """Reviewers assessed the record anew; the latest review is the current one."""

    TYPE: ClassVar[str] = "review.assessed"
    EFFECTIVE: ClassVar[str | None] = "assessed_on"
    review: Review
    assessed_on: Day


class ClaimsCounted(Event):
    """The record's claims were counted anew; the latest counts are the current ones."""

    TYPE: ClassVar[str] = "claims.counted"
    EFFECTIVE: ClassVar[str | None] = "counted_on"
    claims: ClaimCounts
    claim_source: ClaimSource
    counted_on: Day


class Subject(Value):
    """Which bytes an evaluation is about: a submission version and its content digest."""

    submission: int = Field(ge=1)
    digest: Digest


class Evaluator(Value):
    """The program that evaluated, and its version."""

    id: Identifier
    version: Identifier


class GateEvaluated(Event):
    """A gate evaluated one submission version and reported an outcome with its evidence."""

    TYPE: ClassVar[str] = "gate.evaluated"
    EFFECTIVE: ClassVar[str | None] = "evaluated_at"
    evaluation_id: RecordId
    gate: Gate
    method: Method | None = None
    outcome: Outcome
    subject: Subject
    evidence: Evidence | None = None
    policy: Identifier | None = None
    evaluator: Evaluator | None = None
    evaluated_at: Moment | None = None
    withdraws: RecordId | None = Field(
        default=None, description="For invalid-check: the evaluation that it withdraws."
    )
    note: Prose | None = None


class Change(Value):
    """One field of the public record, what it said, and what it says from now on."""

    field: PublicField
    from_: Scalar = Field(alias="from")
    to: Scalar


class Notice(Value):
    """Where the correction is published: a notice of its own, or in place on the record."""

    in_situ: bool = True
    doi: Doi | None = None
    url: Line | None = None


class CorrectionIssued(Event):
    """Someone entitled to it corrected the public record, or put a notice on it, and said why."""

    TYPE: ClassVar[str] = "correction.issued"
    EFFECTIVE: ClassVar[str | None] = "effective_on"
    correction_id: RecordId
    correction_type: CorrectionType
    nature: Nature
    public_note: Prose
    changes: tuple[Change, ...] = ()
    asserted_by: Line
    effective_on: Day
    notice: Notice = Notice()
    reasons: tuple[Line, ...] = ()
    corrects: RecordId | None = Field(
        default=None, description="The earlier correction that this one corrects."
    )


class RecordSuperseded(Event):
    """Another record took this one's place; nothing on it is edited from now on."""

    TYPE: ClassVar[str] = "record.superseded"
    EFFECTIVE: ClassVar[str | None] = "effective_on"
    by: RecordId
    reason: Prose
    effective_on: Day


class StatedField(Value):
    """One labelled value, or one paragraph without a label, as the source printed it."""

    section: Line
    label: Line | None = None
    value: Prose
    line: int = Field(ge=1)


class StatedVerdict(Value):
    """The verdict block as the source printed it."""

    status: Status
    gate: Gate | None = None
    gate_label: Line | None = None
    reason: Prose | None = None
    claims_predates_activation: bool = False


class PageImported(Event):
    """A page of another publisher was read into the log; this keeps what it printed, verbatim."""

    TYPE: ClassVar[str] = "page.imported"
    source: Digest
    name: Line
    dialect: Literal["plain", "table"]
    verdict: StatedVerdict | None = None
    stated: tuple[StatedField, ...] = ()
    unknown: tuple[StatedField, ...] = ()
    missing: tuple[Line, ...] = ()


class PayloadErased(Event):
    """Texts of an earlier event of this record were erased from its body; their places stay."""

    TYPE: ClassVar[str] = "payload.erased"
    EFFECTIVE: ClassVar[str | None] = "erased_on"
    position: int = Field(ge=1, description="Where the event whose texts are gone stands.")
    version: int = Field(ge=1, description="Its version in the record.")
    type: Line = Field(description="Its type and schema version, such as `record.submitted:1`.")
    members: tuple[Pointer, ...] = Field(min_length=1, description="What was erased of its body.")
    redacted_digest: Digest = Field(description="SHA-256 of the body that stands there now.")
    erased_on: Day
    asked_by: AskedBy
    reason: Prose
    legal_basis: Line | None = None
    also_at: tuple[int, ...] = Field(
        default=(), description="Positions of the record's events that still held such a text."
    )


RecordEvent = (
    RecordSubmitted
    | RecordResubmitted
    | ArtifactAttached
    | ExternalRecordRegistered
    | ReviewAssessed
    | ClaimsCounted
    | GateEvaluated
    | CorrectionIssued
    | RecordSuperseded
    | PageImported
    | PayloadErased
)


def facts_after(facts: Facts | None, event: Event) -> Facts:
    """Return the correctable facts of a record after one more of its events; the first submits.

    Raises ValueError when there is neither: every fold of a record stands on this one.
    """
    match event:
        case RecordSubmitted():
            shared = {name: getattr(event, name) for name in Facts.model_fields}
            return Facts(**shared)
        case _ if facts is None:
            message = f"{event.originator_id} does not open with {RecordSubmitted.TYPE}"
            raise ValueError(message)
        case RecordResubmitted():
            update: dict[str, object] = {
                "content": event.content,
                "submitted_on": event.submitted_on,
            }
        case ReviewAssessed():
            update = {"review": event.review}
        case ClaimsCounted():
            update = {"claims": event.claims, "claim_source": event.claim_source}
        case CorrectionIssued():
            for change in event.changes:
                facts = facts.corrected(change.field, change.to)
            return facts
        case _:
            return facts
    return facts.model_copy(update=update)


# ---------------------------------------------------------------- the ledger's own streams


class GateActivated(Event):
    """A gate went live: from this day on, records are expected to pass through it."""

    TYPE: ClassVar[str] = "gate.activated"
    EFFECTIVE: ClassVar[str | None] = "activated_on"
    gate: Gate
    activated_on: Day
    label: Line


class PolicyAdopted(Event):
    """From now on, records of one basis are shown under this version of the policy."""

    TYPE: ClassVar[str] = "policy.adopted"
    policy: PolicyVersion
    applies_to: Literal["checked", "stated"]
    reason: Prose


class KeyIssued(Event):
    """An actor was given an API key; the log holds the key's digest, never the key."""

    TYPE: ClassVar[str] = "actor.key-issued"
    key_id: Identifier
    key_digest: Digest
    holder: ActorId
    scopes: tuple[Scope, ...] = Field(min_length=1)


class KeyRevoked(Event):
    """An API key stopped being valid."""

    TYPE: ClassVar[str] = "actor.key-revoked"
    key_id: Identifier
    key_digest: Digest
    reason: Line


class LogBegun(Event):
    """The log is signed under a new name from here on, because it could not go on as it was."""

    TYPE: ClassVar[str] = "log.begun"
    STREAM: ClassVar[str] = "log"
    """The one stream of these facts, which change nothing that is in force."""
    origin: Line
    follows: Line | None = Field(description="The name under which it was signed before.")
    follows_size: int | None = Field(description="How many events its last checkpoint covered.")
    follows_root: Digest | None = Field(description="The root of that checkpoint.")
    reason: Prose


LedgerEvent = GateActivated | PolicyAdopted | KeyIssued | KeyRevoked | LogBegun
AnyEvent = RecordEvent | LedgerEvent
