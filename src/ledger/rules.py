"""May this happen?  From a record's history and a wish to new facts, or a refusal with its reason.

Pure functions: the moment of asking is given in ``Asked``, nothing is read and nothing is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from pydantic import ValidationError

from ledger import errors
from ledger.commands import (
    AssessReview,
    Attach,
    Command,
    Correct,
    CountClaims,
    Register,
    Resubmit,
    Submit,
    SubmittedReview,
    Supersede,
)
from ledger.content import ClaimCounts, Facts, PublicField, Review
from ledger.events import (
    ArtifactAttached,
    ClaimsCounted,
    CorrectionIssued,
    ExternalRecordRegistered,
    PublicationRule,
    RecordResubmitted,
    RecordSubmitted,
    RecordSuperseded,
    ReviewAssessed,
)
from ledger.record import ResearchRecord
from ledger.vocabulary import Nature, new_record_id

CLOCK_SKEW: Final = timedelta(seconds=5)
"""How far another machine's clock may run ahead of ours before we call it the future."""

PUBLICATION_SCORE: Final = Decimal("6.5")
PUBLICATION_CLAIMS: Final = 5
ARTIFACTS: Final = "artifacts"
RESERVED_WORDS: Final = frozenset(
    {
        ARTIFACTS,
        "claims",
        "correction-record.json",
        "corrections",
        "diff",
        "evaluations",
        "findings",
        "gate-evaluations",
        "gate-verdict.json",
        "history",
        "manifest.json",
        "math-result.json",
        "quality-dimensions.json",
        "quality-tiers.json",
        "registrations",
        "reviews",
        "source-provenance.json",
        "submissions",
        "supersession",
        "verification-levels.json",
    }
)
"""What follows a record's name in the addresses of its parts; no DOI may end in one."""

CLAIM_FIELDS: Final = frozenset(
    {PublicField.CLAIMS_EXTRACTED, PublicField.CLAIMS_GROUNDED, PublicField.CLAIMS_VERIFIED}
)


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, and when."""

    actor: str
    at: datetime


def envelope(record: ResearchRecord, asked: Asked, command: Command) -> dict[str, Any]:
    """Return what every new event of a record carries besides its fact."""
    return {
        "originator_id": record.record_id,
        "originator_version": record.version + 1,
        "actor": asked.actor,
        "correlation_id": command.correlation_id,
        "causation_id": command.causation_id,
    }


def submit(command: Submit, record_id: str, handle: str, asked: Asked) -> RecordSubmitted:
    """Decide a first submission under the given id and handle."""
    day = command.submitted_on or asked.at.date()
    _not_future(day, asked, errors.SubmittedInTheFuture)
    _in_order(command.claims)
    review = _review(command.review) if command.review else None
    return RecordSubmitted(
        originator_id=record_id,
        originator_version=1,
        actor=asked.actor,
        correlation_id=command.correlation_id,
        causation_id=command.causation_id,
        handle=handle,
        content=command.content,
        content_digest=command.content.digest(),
        submitted_on=day,
        review=review,
        claims=command.claims,
        claim_source=command.claim_source,
        publication_rule=publication_rule(review, command.claims),
    )


def publication_rule(review: Review | None, claims: ClaimCounts | None) -> PublicationRule:
    """Return whether the stated publication rule is kept; undecided while a figure is missing."""
    score = review.mean if review else None
    verified = claims.verified if claims else None
    if score is None or verified is None:
        return PublicationRule(kept=None)
    return PublicationRule(kept=score >= PUBLICATION_SCORE and verified >= PUBLICATION_CLAIMS)


def resubmit(record: ResearchRecord, command: Resubmit, asked: Asked) -> RecordResubmitted:
    """Decide a new submission version."""
    _editable(record)
    digest = command.content.digest()
    # What is shown now, corrections included: to submit that again would only shed its verdict.
    if command.content.says_the_same(record.facts.content):
        raise errors.UnchangedContent
    day = command.submitted_on or asked.at.date()
    _not_future(day, asked, errors.SubmittedInTheFuture)
    _not_before_submission(record, day)
    return RecordResubmitted(
        **envelope(record, asked, command),
        submission=len(record.submissions) + 1,
        content=command.content,
        content_digest=digest,
        submitted_on=day,
        reason=command.reason,
    )


def attach(
    record: ResearchRecord, command: Attach, size_bytes: int, asked: Asked
) -> ArtifactAttached:
    """Decide the attachment of stored bytes of the given size."""
    _editable(record)
    if (command.role.value, command.digest) in record.artifacts:
        raise errors.ArtifactAlreadyAttached
    return ArtifactAttached(
        **envelope(record, asked, command),
        role=command.role,
        digest=command.digest,
        media_type=command.media_type,
        size_bytes=size_bytes,
        visibility=command.visibility,
        location=command.location,
    )


def register(record: ResearchRecord, command: Register, asked: Asked) -> ExternalRecordRegistered:
    """Decide the registration of the record's DOI; its reservation holds that it is free."""
    _editable(record)
    addressable(command.value)
    if record.registered:
        raise errors.DoiAlreadyRegistered
    if command.registered_on is not None:
        _not_future(command.registered_on, asked, errors.DatedInTheFuture)
    return ExternalRecordRegistered(
        **envelope(record, asked, command), value=command.value, registered_on=command.registered_on
    )


def addressable(doi: str) -> None:
    """Refuse a DOI under which its record could not be asked for: it would name a part of another.

    A client takes dot segments out of an address before it asks (RFC 3986, section 5.2.4).
    """
    *_, before, last = doi.split("/")
    if last in RESERVED_WORDS or before == ARTIFACTS or {".", ".."} & {*doi.split("/")}:
        raise errors.DoiNotAddressable


def assess_review(record: ResearchRecord, command: AssessReview, asked: Asked) -> ReviewAssessed:
    """Decide a later review."""
    _editable(record)
    day = _dated(record, command.assessed_on, asked)
    review = _review(command.review)
    return ReviewAssessed(**envelope(record, asked, command), review=review, assessed_on=day)


def count_claims(record: ResearchRecord, command: CountClaims, asked: Asked) -> ClaimsCounted:
    """Decide later claim counts."""
    _editable(record)
    _in_order(command.claims)
    day = _dated(record, command.counted_on, asked)
    return ClaimsCounted(
        **envelope(record, asked, command),
        claims=command.claims,
        claim_source=command.claim_source,
        counted_on=day,
    )


def correct(record: ResearchRecord, command: Correct, asked: Asked) -> CorrectionIssued:
    """Decide a correction: every ``from`` must be what the record says now."""
    if command.changes:
        _editable(record)
    correction_id = command.correction_id or new_record_id()
    if correction_id in record.corrections:
        raise errors.CorrectionExists
    if command.corrects is not None and command.corrects not in record.corrections:
        raise errors.CorrectionUnknown
    if command.nature is Nature.REINSTATEMENT and not record.in_doubt:
        raise errors.NothingToReinstate
    _changes_fit(record, command, asked)
    return CorrectionIssued(
        **envelope(record, asked, command),
        correction_id=correction_id,
        correction_type=command.correction_type,
        nature=command.nature,
        public_note=command.public_note,
        changes=command.changes,
        asserted_by=command.asserted_by,
        effective_on=_dated(record, command.effective_on, asked),
        notice=command.notice,
        reasons=command.reasons,
        corrects=command.corrects,
    )


def supersede(
    record: ResearchRecord, command: Supersede, successors: tuple[str, ...], asked: Asked
) -> RecordSuperseded:
    """Decide a supersession; ``successors`` is the chain from ``by`` onwards, each next one's id.

    The chain starts with ``command.by`` itself and is empty when the ledger has no such record.
    """
    _editable(record)
    if command.by == record.record_id:
        raise errors.SupersedesItself
    if not successors:
        raise errors.SuccessorUnknown
    if record.record_id in successors:
        raise errors.SupersedingCycle
    day = _dated(record, command.effective_on, asked)
    return RecordSuperseded(
        **envelope(record, asked, command), by=command.by, reason=command.reason, effective_on=day
    )


def _changes_fit(record: ResearchRecord, command: Correct, asked: Asked) -> None:
    facts: Facts = record.facts
    seen: set[PublicField] = set()
    for change in command.changes:
        field = change.field
        if field in seen or change.from_ == change.to:
            message = f"The change of {field.value} has no effect, or the field is named twice."
            raise errors.CorrectionWithoutEffect(message, field=field.value)
        seen.add(field)
        current = record.facts.value(field)
        if change.from_ != current or isinstance(change.from_, str) != isinstance(current, str):
            message = f"The field {field.value} no longer says what this correction says it says."
            raise errors.StaleCorrection(message, field=field.value, current=current)
        try:
            facts = facts.corrected(field, change.to)
        except ValidationError as misfit:
            why = str(misfit.errors()[0]["msg"]).removeprefix("Value error, ")
            message = f"The new value does not fit the field {field.value}: {why}."
            raise errors.CorrectionDoesNotFit(message, field=field.value) from misfit
    if PublicField.SUBMITTED_ON in seen:
        _submission_day_fits(record, command, facts.submitted_on, asked)
    # Imported counts may be out of order; that must not stand in the way of other corrections.
    if seen & CLAIM_FIELDS:
        _in_order(facts.claims)


def _submission_day_fits(
    record: ResearchRecord, command: Correct, day: date | None, asked: Asked
) -> None:
    """Refuse a day under which the history would contradict itself."""
    if day is None:
        message = "A submission day is replaced by another day, not taken away."
        raise errors.CorrectionDoesNotFit(message, field=PublicField.SUBMITTED_ON.value)
    _not_future(day, asked, errors.SubmittedInTheFuture)
    *earlier, _current = record.submissions
    if earlier and earlier[-1].submitted_on is not None and day < earlier[-1].submitted_on:
        raise errors.DatedBeforeSubmission(submitted_on=earlier[-1].submitted_on.isoformat())
    effective = command.effective_on or asked.at.date()
    first = min(filter(None, (record.dated_from, effective)))
    if first < day:
        raise errors.DatedBeforeSubmission(given=first.isoformat(), submitted_on=day.isoformat())
    for evaluation in record.evaluations.values():
        about_current = evaluation.submission == len(record.submissions)
        if about_current and evaluation.evaluated_on and evaluation.evaluated_on < day:
            raise errors.EvaluatedBeforeSubmission(submitted_on=day.isoformat())


def _review(submitted: SubmittedReview) -> Review:
    return Review(scores=submitted.scores, method=submitted.method)


def _editable(record: ResearchRecord) -> None:
    if record.superseded_by is not None:
        raise errors.SupersededRecord(by=record.superseded_by)


def _in_order(claims: ClaimCounts | None) -> None:
    disorder = claims.disorder() if claims else None
    if disorder:
        message = f"The claim counts are out of order: {disorder}."
        raise errors.ClaimsOutOfOrder(message)


def _dated(record: ResearchRecord, day: date | None, asked: Asked) -> date:
    day = day or max(asked.at.date(), record.current.submitted_on or asked.at.date())
    _not_future(day, asked, errors.DatedInTheFuture)
    _not_before_submission(record, day)
    return day


def _not_future(day: date, asked: Asked, refusal: type[errors.Refusal]) -> None:
    if day > (asked.at + CLOCK_SKEW).date():
        raise refusal(given=day.isoformat())


def _not_before_submission(record: ResearchRecord, day: date) -> None:
    first = record.current.submitted_on
    if first is not None and day < first:
        raise errors.DatedBeforeSubmission(given=day.isoformat(), submitted_on=first.isoformat())
