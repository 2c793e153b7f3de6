"""Does a verdict agree with its own evidence?  The rules for a gate evaluation, one refusal each.

Pure, like ``ledger.rules``: it looks at the record, the evidence and the moment it is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ledger import errors
from ledger.commands import Evaluate
from ledger.events import GateEvaluated
from ledger.evidence import RedTeamEvidence, SandboxEvidence
from ledger.in_force import Activation
from ledger.record import ResearchRecord
from ledger.rules import CLOCK_SKEW, Asked, envelope
from ledger.vocabulary import Gate, Method, Outcome, new_record_id

METHODS: Final = {
    Gate.VERIFICATION: frozenset({Method.LEAN4, Method.SANDBOX, Method.COUNTEREXAMPLE}),
    Gate.RED_TEAM: frozenset({Method.RED_TEAM, Method.COUNTEREXAMPLE}),
}


def evaluate(
    record: ResearchRecord, command: Evaluate, active: Mapping[Gate, Activation], asked: Asked
) -> GateEvaluated:
    """Decide a gate evaluation; ``active`` are the gates that were activated in this ledger."""
    activation = active.get(command.gate)
    if activation is None or activation.activated_on > (asked.at + CLOCK_SKEW).date():
        raise errors.GateNotActive
    evaluation_id = command.evaluation_id or new_record_id()
    if evaluation_id in record.evaluations:
        raise errors.EvaluationExists
    if command.method not in METHODS[command.gate]:
        raise errors.MethodNotOfGate
    _subject_matches(record, command)
    _timely(record, command, asked)
    _withdrawal_fits(record, command)
    _evidence_agrees(command)
    _evidence_is_there(record, command)
    return GateEvaluated(
        **envelope(record, asked, command),
        evaluation_id=evaluation_id,
        gate=command.gate,
        method=command.method,
        outcome=command.outcome,
        subject=command.subject,
        evidence=command.evidence,
        policy=command.policy,
        evaluator=command.evaluator,
        evaluated_at=command.evaluated_at,
        withdraws=command.withdraws,
        note=command.note,
    )


def _subject_matches(record: ResearchRecord, command: Evaluate) -> None:
    number = command.subject.submission
    if (
        number > len(record.submissions)
        or record.submissions[number - 1].digest != command.subject.digest
    ):
        raise errors.SubjectMismatch(
            current_submission=len(record.submissions), current_digest=record.current.digest
        )


def _timely(record: ResearchRecord, command: Evaluate, asked: Asked) -> None:
    if command.evaluated_at > asked.at + CLOCK_SKEW:
        raise errors.EvaluatedInTheFuture
    submitted_on = record.submissions[command.subject.submission - 1].submitted_on
    if submitted_on is not None and command.evaluated_at.date() < submitted_on:
        raise errors.EvaluatedBeforeSubmission(submitted_on=submitted_on.isoformat())


def _withdrawal_fits(record: ResearchRecord, command: Evaluate) -> None:
    if (command.outcome is Outcome.INVALID_CHECK) != (command.withdraws is not None):
        raise errors.WithdrawalWithoutTarget
    if command.withdraws is None:
        return
    target = record.evaluations.get(command.withdraws)
    if target is None or target.gate is not command.gate:
        raise errors.EvaluationUnknown
    if target.submission != command.subject.submission:
        message = "The evaluation to withdraw is about another submission version."
        raise errors.SubjectMismatch(message, submission=target.submission)
    if target.outcome is Outcome.INVALID_CHECK:
        raise errors.WithdrawalStands
    if command.withdraws in record.withdrawn:
        raise errors.EvaluationAlreadyWithdrawn


def _evidence_agrees(command: Evaluate) -> None:
    evidence = command.evidence
    if evidence is None:
        return
    if evidence.kind != command.method.value:
        raise errors.EvidenceOfAnotherMethod
    if isinstance(evidence, SandboxEvidence) and evidence.scaleless:
        raise errors.RelativeToleranceOfZero
    if isinstance(evidence, RedTeamEvidence):
        _attacks_add_up(evidence, command.outcome)
    # An invalid check is no longer judged by its figures; everything else must say what they say.
    implied = evidence.implied()
    if command.outcome is not Outcome.INVALID_CHECK and not _compatible(command.outcome, implied):
        said = implied.value if implied else "no settled outcome"
        message = f"The outcome is {command.outcome.value}, but the evidence implies {said}."
        raise errors.OutcomeContradictsEvidence(message, implied=implied.value if implied else None)


def _compatible(outcome: Outcome, implied: Outcome | None) -> bool:
    if implied is None:
        return outcome not in {Outcome.PASSED, Outcome.FAILED}
    return outcome is implied


def _attacks_add_up(evidence: RedTeamEvidence, outcome: Outcome) -> None:
    if any(a.score is not None and a.error is not None for a in evidence.attacks):
        raise errors.CrashedAttackerAveraged
    if not evidence.mean_agrees():
        if evidence.mean_agrees(evidence.scores_with_crashes_as_zero):
            raise errors.CrashedAttackerAveraged
        raise errors.MeanContradictsScores
    if outcome in {Outcome.PASSED, Outcome.FAILED}:
        if evidence.aggregation is None:
            raise errors.AggregationMissing
        if len(evidence.valid_scores) < evidence.aggregation.quorum:
            raise errors.QuorumNotMet


def _evidence_is_there(record: ResearchRecord, command: Evaluate) -> None:
    refusals: dict[Outcome, type[errors.Refusal]] = {
        Outcome.PASSED: errors.VerifiedWithoutArtifact,
        Outcome.FAILED: errors.FalsifiedWithoutEvidence,
    }
    refusal = refusals.get(command.outcome)
    if refusal is None:
        return
    if command.evidence is None:
        raise refusal
    missing = [
        role
        for role, digest in command.evidence.artifacts()
        if digest is None or (role, digest) not in record.artifacts
    ]
    if isinstance(command.evidence, RedTeamEvidence):
        # A score alone is no evidence: what an attacker found is.
        mute = [a.role.value for a in command.evidence.attacks if a.valid and a.finding is None]
        missing += [f"finding of {role}" for role in mute]
    if missing:
        raise refusal(missing=missing)
