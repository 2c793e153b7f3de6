"""What may happen to a research record?  The aggregate: its state, and what changes it.

Pure: no I/O and no clock of its own.  ``evolve`` folds facts and never refuses one; the rules that
turn a command into facts are in ``ledger.rules``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import NamedTuple

from ledger.content import Facts
from ledger.events import (
    ArtifactAttached,
    ClaimsCounted,
    CorrectionIssued,
    Event,
    ExternalRecordRegistered,
    GateEvaluated,
    PageImported,
    PayloadErased,
    RecordResubmitted,
    RecordSubmitted,
    RecordSuperseded,
    ReviewAssessed,
    facts_after,
)
from ledger.growing import Grown
from ledger.vocabulary import STANDING_NATURES, Gate, Nature, Outcome


@dataclass(frozen=True, slots=True)
class Submission:
    """One submission version: its content digest and its day, as corrected."""

    digest: str
    submitted_on: date | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the rules need to know of a gate evaluation: what it is about, and what came of it."""

    gate: Gate
    submission: int
    outcome: Outcome
    evaluated_on: date | None


class ResearchRecord(NamedTuple):
    """What the rules need to know of a record, as of ``version``.

    A tuple, because one is made for every event, and tuples are made several times faster.
    """

    record_id: str
    handle: str
    facts: Facts
    submissions: tuple[Submission, ...]
    version: int = 1
    artifacts: frozenset[tuple[str, str | None]] = frozenset()
    registered: bool = False
    evaluations: Mapping[str, Evaluation] = MappingProxyType({})
    withdrawn: frozenset[str] = frozenset()
    corrections: Grown[str] = Grown()
    in_doubt: bool = False
    superseded_by: str | None = None
    dated_from: date | None = None
    """The earliest day of a review, a count or a correction since the current submission."""

    @property
    def current(self) -> Submission:
        """The current submission version."""
        return self.submissions[-1]


def evolve(record: ResearchRecord | None, event: Event) -> ResearchRecord:
    """Return the record after one more event; raises ValueError if it cannot be the next one."""
    if record is None:
        return _opened(event)
    if event.originator_version != record.version + 1:
        message = (
            f"{record.record_id} is at version {record.version}: "
            f"{event.originator_version} is not next"
        )
        raise ValueError(message)
    facts = facts_after(record.facts, event)
    return _applied(record, event, facts)._replace(facts=facts, version=event.originator_version)


def project(_nothing: ResearchRecord | None, events: Iterable[Event]) -> ResearchRecord | None:
    """Fold a stream into a record, None for an empty stream; the engine's projector function."""
    record: ResearchRecord | None = None
    for event in events:
        record = evolve(record, event)
    return record


def _opened(event: Event) -> ResearchRecord:
    if not isinstance(event, RecordSubmitted) or event.originator_version != 1:
        message = f"{event.originator_id} does not open with a submission"
        raise ValueError(message)
    facts = facts_after(None, event)
    first = Submission(event.content_digest, event.submitted_on)
    return ResearchRecord(event.originator_id, event.handle, facts, (first,))


def _applied(  # noqa: PLR0911 - one return a fact
    record: ResearchRecord, event: Event, facts: Facts
) -> ResearchRecord:
    match event:
        case RecordResubmitted():
            again = Submission(event.content_digest, event.submitted_on)
            return record._replace(submissions=(*record.submissions, again), dated_from=None)
        case ArtifactAttached():
            return record._replace(artifacts=record.artifacts | {(event.role.value, event.digest)})
        case ExternalRecordRegistered():
            return record._replace(registered=True)
        case GateEvaluated():
            return _evaluated(record, event)
        case CorrectionIssued():
            return _corrected(record, event, facts)
        case RecordSuperseded():
            return record._replace(superseded_by=event.by)
        case ReviewAssessed():
            return record._replace(dated_from=_earlier(record.dated_from, event.assessed_on))
        case ClaimsCounted():
            return record._replace(dated_from=_earlier(record.dated_from, event.counted_on))
        case PageImported() | PayloadErased():
            # Facts alone: they were folded before.  What was erased is gone from them already.
            return record
        case _:
            message = f"a record's stream cannot hold {event.TYPE}"
            raise ValueError(message)


def _earlier(known: date | None, day: date) -> date:
    return day if known is None else min(known, day)


def _evaluated(record: ResearchRecord, event: GateEvaluated) -> ResearchRecord:
    moment = event.evaluated_at
    evaluation = Evaluation(
        event.gate, event.subject.submission, event.outcome, moment.date() if moment else None
    )
    gone = {event.withdraws} if event.withdraws else set()
    return record._replace(
        evaluations={**record.evaluations, event.evaluation_id: evaluation},
        withdrawn=record.withdrawn | gone,
    )


def _corrected(record: ResearchRecord, event: CorrectionIssued, facts: Facts) -> ResearchRecord:
    # A corrected submission date is the date that evaluations are held against from now on.
    dated = Submission(record.current.digest, facts.submitted_on)
    in_doubt = record.in_doubt or event.nature in STANDING_NATURES
    return record._replace(
        submissions=(*record.submissions[:-1], dated),
        corrections=record.corrections.plus(event.correction_id),
        in_doubt=in_doubt and event.nature is not Nature.REINSTATEMENT,
        dated_from=_earlier(record.dated_from, event.effective_on),
    )
