"""What do a record's evaluations add up to?  The fold from evaluations to the public verdict.

Pure, and blind to scores and claim counts: a verdict follows from evaluations alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final, Literal, NamedTuple

from ledger.events import GateEvaluated
from ledger.evidence import CounterexampleEvidence, LeanEvidence, RedTeamEvidence, SandboxEvidence
from ledger.in_force import InForce
from ledger.vocabulary import Gate, Outcome, Status

State = Literal["counting", "stale", "withdrawn"]
ReasonCode = Literal[
    "not-attempted",
    "predates-activation",
    "inconclusive",
    "withdrawn",
    "evaluator-error",
    "passed",
    "failed",
    "not-applicable",
]
CONCLUSIVE: Final = frozenset({Outcome.PASSED, Outcome.FAILED})
UNSETTLED: Final[dict[Outcome, ReasonCode]] = {
    Outcome.INCONCLUSIVE: "inconclusive",
    Outcome.INVALID_CHECK: "withdrawn",
    Outcome.EVALUATOR_ERROR: "evaluator-error",
    Outcome.NOT_APPLICABLE: "not-applicable",
}


class Verdict(NamedTuple):
    """The public status, the gate it hangs on, and why, in a code and a sentence.

    ``decided_by`` is None while nothing is settled; ``evaluated_at`` is None when nothing was
    evaluated or the source did not say when.
    """

    status: Status
    gate: Gate
    decided_by: GateEvaluated | None
    reason: ReasonCode
    text: str
    evaluated_at: datetime | None


def states(evaluations: Sequence[GateEvaluated], submission: int) -> list[State]:
    """Return for each evaluation, in order, whether it counts for the current submission."""
    withdrawn = {e.withdraws for e in evaluations if e.outcome is Outcome.INVALID_CHECK}
    return [
        "withdrawn"
        if e.evaluation_id in withdrawn
        else "stale"
        if e.subject.submission != submission
        else "counting"
        for e in evaluations
    ]


def verdict(
    evaluations: Sequence[GateEvaluated],
    submission: int,
    submitted_on: date | None,
    in_force: InForce,
) -> Verdict:
    """Return the verdict on the current submission.

    Only ``passed`` and ``failed`` settle a gate: a later run that broke down or found nothing
    neither clears a falsification nor spoils a verification (docs/decisions/0004).
    """
    if not evaluations:
        return _untouched(submitted_on, in_force)
    ruling = _ruling(evaluations, submission, submitted_on, in_force)
    before = falsified_before(evaluations, submission)
    if before is None or ruling.status is not Status.UNVERIFIED:
        return ruling
    # A new submission does not wash off what was found of an earlier one.
    text = f"{ruling.text} Submission {before.subject.submission} of this record was falsified."
    return ruling._replace(text=text)


def falsified_before(evaluations: Sequence[GateEvaluated], submission: int) -> GateEvaluated | None:
    """Return the evaluation that falsified the latest such submission before this one, or None."""
    withdrawn = {e.withdraws for e in evaluations if e.outcome is Outcome.INVALID_CHECK}
    latest = {
        (e.subject.submission, e.gate): e
        for e in evaluations
        if e.outcome in CONCLUSIVE
        and e.evaluation_id not in withdrawn
        and e.subject.submission < submission
    }
    failed = [e for e in latest.values() if e.outcome is Outcome.FAILED]
    return max(failed, key=lambda e: e.subject.submission, default=None)


def _ruling(
    evaluations: Sequence[GateEvaluated],
    submission: int,
    submitted_on: date | None,
    in_force: InForce,
) -> Verdict:
    counting = [
        e
        for e, state in zip(evaluations, states(evaluations, submission), strict=True)
        if state == "counting"
    ]
    latest = {e.gate: e for e in counting if e.outcome in CONCLUSIVE}
    for gate in sorted(latest):
        if latest[gate].outcome is Outcome.FAILED:
            return _settled(Status.FALSIFIED, latest[gate])
    if (passed := latest.get(Gate.VERIFICATION)) is not None:
        return _settled(Status.VERIFIED, passed)
    unsettled = [e for e in counting if e.gate not in latest]
    if unsettled:
        last = unsettled[-1]
        code = UNSETTLED[last.outcome]
        return Verdict(Status.UNVERIFIED, last.gate, None, code, sentence(last), last.evaluated_at)
    if (survived := latest.get(Gate.RED_TEAM)) is not None:
        return _not_falsified(survived)
    return _untouched(submitted_on, in_force)


def _settled(status: Status, by: GateEvaluated) -> Verdict:
    reason: ReasonCode = "passed" if status is Status.VERIFIED else "failed"
    return Verdict(status, by.gate, by, reason, sentence(by), by.evaluated_at)


def _not_falsified(by: GateEvaluated) -> Verdict:
    # To survive the attackers is not to be verified, but it is not nothing either.
    text = f"{sentence(by)} No proof or reproduction has been attempted."
    return Verdict(Status.UNVERIFIED, by.gate, None, "passed", text, by.evaluated_at)


def _untouched(submitted_on: date | None, in_force: InForce) -> Verdict:
    gate = Gate.VERIFICATION
    activation = in_force.gates.get(gate)
    if (
        activation is not None
        and submitted_on is not None
        and submitted_on < activation.activated_on
    ):
        text = (
            f"Submitted on {submitted_on.isoformat()}, before this gate went live on "
            f"{activation.activated_on.isoformat()}; no evaluation has been attempted."
        )
        return Verdict(Status.UNVERIFIED, gate, None, "predates-activation", text, None)
    text = "No evaluation of this submission has been attempted."
    return Verdict(Status.UNVERIFIED, gate, None, "not-attempted", text, None)


def sentence(evaluation: GateEvaluated) -> str:
    """Return what an evaluation found, in one sentence with its own figures."""
    match evaluation.outcome:
        case Outcome.INVALID_CHECK:
            return (
                "The check was found to be invalid, and the evaluation made with it is withdrawn."
            )
        case Outcome.EVALUATOR_ERROR:
            return "The evaluator failed before it reached an outcome."
        case Outcome.NOT_APPLICABLE:
            return "This gate does not apply to the record."
        case _:
            return f"{_finding(evaluation)}: {evaluation.outcome.value}."


def _finding(evaluation: GateEvaluated) -> str:
    match evaluation.evidence:
        case SandboxEvidence() as run:
            scale = "relative" if run.tolerance.kind == "relative" else "absolute"
            return (
                f"Sandbox reproduction computed {run.computed} where {run.expected} was expected "
                f"({scale} tolerance {run.tolerance.value})"
            )
        case LeanEvidence() as run:
            return f"Lean 4 run with {run.toolchain} ended with exit code {run.exit_code}"
        case RedTeamEvidence() as attack:
            scores = ", ".join(
                f"{a.role.value} {a.score}" if a.valid else f"{a.role.value} did not finish"
                for a in attack.attacks
            )
            return f"Red team of {len(attack.attacks)} attackers ({scores})"
        case CounterexampleEvidence():
            return "A counterexample was found"
        case _:
            return "Evaluated without published evidence"
