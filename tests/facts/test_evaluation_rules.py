"""A verdict cannot contradict its own evidence: each rule, each refusal, each boundary."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from given import GATES, NOW, Given, given
from ledger import errors
from ledger.events import GateEvaluated
from ledger.in_force import Activation
from ledger.vocabulary import ArtifactRole, Gate, Outcome
from view_facts import evaluated, submitted, superseded, uuid
from wishes import (
    CASE,
    RESULTS,
    SCRIPT,
    SUBJECT,
    attacks,
    bundle,
    evaluate,
    lean,
    resubmitted,
    sandbox,
    withdraw,
)

SETTLED = {"passed", "failed"}
SECOND = {"submission": 2, "digest": resubmitted()("", 2).model_dump()["content_digest"]}


def a_record(*more: Any) -> Given:
    return given(submitted(), *bundle(), *more)


# ---------------------------------------------------------------- reproductions

REPRODUCTIONS = [
    # computed, expected, tolerance, scale, what the figures imply
    ("100.0", "100.0", "0.05", "relative", "passed"),
    ("105.0", "100.0", "0.05", "relative", "passed"),
    ("105.0000000000000000000000000000000001", "100.0", "0.05", "relative", "failed"),
    ("95.0", "100.0", "0.05", "relative", "passed"),
    ("94.9999999999999999999999999999999999", "100.0", "0.05", "relative", "failed"),
    ("-105", "-100", "0.05", "relative", "passed"),
    ("-94.99", "-100", "0.05", "relative", "failed"),
    ("100", "-100", "0.05", "relative", "failed"),
    ("7", "7.0", "0", "relative", "passed"),
    ("7.0000000001", "7", "0", "relative", "failed"),
    # In binary floating point, 1.1 - 1.0 is larger than 0.1.
    ("1.1", "1.0", "0.1", "absolute", "passed"),
    ("-1.1", "-1.0", "0.1", "absolute", "passed"),
    ("1.1000000000000000000000001", "1.0", "0.1", "absolute", "failed"),
    ("0.1", "0", "0.1", "absolute", "passed"),
    ("-0.1", "0", "0.1", "absolute", "passed"),
    ("0.11", "0", "0.1", "absolute", "failed"),
    ("1E+400", "1E+400", "0", "relative", "passed"),
    ("1.0000001E+399", "1E+399", "0.0000001", "relative", "passed"),
    ("1.0000002E+399", "1E+399", "0.0000001", "relative", "failed"),
    ("1E+400", "1E-400", "0.05", "relative", "failed"),
    ("1E-400", "0", "1E-400", "absolute", "passed"),
    ("2E-400", "0", "1E-400", "absolute", "failed"),
]


@pytest.mark.parametrize(("computed", "expected", "tolerance", "scale", "implied"), REPRODUCTIONS)
def test_a_reproduction_has_the_outcome_that_its_exact_figures_imply(
    computed: str, expected: str, tolerance: str, scale: str, implied: str
) -> None:
    run = sandbox(computed, expected, tolerance, scale=scale)
    for outcome in ("passed", "failed", "inconclusive", "not-applicable", "evaluator-error"):
        asked = a_record().when(evaluate(run, outcome))
        if outcome == implied:
            assert isinstance(asked.answer, GateEvaluated)
        else:
            asked.refuses(errors.OutcomeContradictsEvidence, implied=implied)


@pytest.mark.parametrize("expected", ["0", "0.00", "-0", "0E+7"])
def test_a_tolerance_relative_to_nothing_is_refused(expected: str) -> None:
    for outcome in SETTLED:
        asked = a_record().when(evaluate(sandbox("0", expected), outcome))
        asked.refuses(errors.RelativeToleranceOfZero)


# ---------------------------------------------------------------- proofs and counterexamples


def test_a_proof_passes_when_it_type_checks() -> None:
    asked = a_record().when(evaluate(lean(0, "propext", "Classical.choice")))
    assert isinstance(asked.answer, GateEvaluated)


@pytest.mark.parametrize("outcome", sorted(SETTLED))
def test_a_proof_with_a_hole_settles_nothing(outcome: str) -> None:
    hollow = lean(0, "propext", "sorryAx")
    a_record().when(evaluate(hollow, outcome)).refuses(
        errors.OutcomeContradictsEvidence, implied=None
    )
    assert isinstance(a_record().when(evaluate(hollow, "inconclusive")).answer, GateEvaluated)


def test_a_proof_that_does_not_type_check_cannot_pass() -> None:
    asked = a_record().when(evaluate(lean(1)))
    asked.refuses(errors.OutcomeContradictsEvidence, implied="failed")


@pytest.mark.parametrize("gate", ["gate-2", "gate-3"])
def test_a_counterexample_can_only_falsify(gate: str) -> None:
    found = {"kind": "counterexample", "digest": CASE, "cases_tried": 12}
    failed = a_record().when(evaluate(found, "failed", gate=gate))
    assert isinstance(failed.answer, GateEvaluated)
    passed = a_record().when(evaluate(found, "passed", gate=gate))
    passed.refuses(errors.OutcomeContradictsEvidence, implied="failed")


# ---------------------------------------------------------------- red teams

TEAMS = [
    # scores, None for a crash; the outcome at a threshold of 7.0
    (("7.0", "7.0", "7.0"), "failed"),
    (("6.9", "7.0", "7.1"), "failed"),
    (("6.9", "7.0", "7.0"), "passed"),
    (("10", "4.1", None), "failed"),
    (("0", "0", "0"), "passed"),
]


@pytest.mark.parametrize(("scores", "implied"), TEAMS)
def test_a_red_team_has_the_outcome_that_its_scores_imply(
    scores: tuple[str | None, ...], implied: str
) -> None:
    for outcome in (*SETTLED, "inconclusive"):
        asked = a_record().when(evaluate(attacks(*scores), outcome))
        if outcome == implied:
            assert isinstance(asked.answer, GateEvaluated)
        else:
            asked.refuses(errors.OutcomeContradictsEvidence, implied=implied)


def test_a_mean_over_a_crashed_attacker_is_refused() -> None:
    team = attacks("8.0", "7.0", None, mean="5.0")
    a_record().when(evaluate(team, "failed")).refuses(errors.CrashedAttackerAveraged)
    a_record().when(evaluate(team, "invalid-check", withdraws=uuid(100))).refuses(
        errors.EvaluationUnknown
    )


def test_a_crash_with_a_score_is_refused() -> None:
    team = attacks("8.0", "7.0", "0.0")
    team["attacks"][2]["error"] = "It ran out of memory."
    a_record().when(evaluate(team, "failed")).refuses(errors.CrashedAttackerAveraged)


@pytest.mark.parametrize(
    "mean", ["7.3", "7.6", "7.49", "7.51", "6", "9", "0", "10", "1E+1", "0E+2"]
)
def test_a_mean_that_is_not_the_mean_is_refused(mean: str) -> None:
    team = attacks("8.0", "7.0", None, mean=mean)
    a_record().when(evaluate(team, "failed")).refuses(errors.MeanContradictsScores)


@pytest.mark.parametrize(
    ("scores", "mean"),
    [
        (("8.0", "7.0", None), "7.5"),
        (("8.0", "7.0", None), "7.50"),
        (("8.0", "7.0", None), "8"),
        (("8.0", "7.0", None), "7"),
        (("8.0", "8.0", "7.0"), "7.67"),
        (("8.0", "8.0", "7.0"), "7.666666666666666667"),
        (("10", "10", None), "1E+1"),
    ],
)
def test_a_mean_agrees_at_the_decimals_it_is_given_with(
    scores: tuple[str | None, ...], mean: str
) -> None:
    asked = a_record().when(evaluate(attacks(*scores, mean=mean), "failed"))
    assert isinstance(asked.answer, GateEvaluated)


def test_a_mean_of_no_scores_is_refused() -> None:
    team = attacks(None, None, mean="0.0")
    a_record().when(evaluate(team, "evaluator-error")).refuses(errors.CrashedAttackerAveraged)
    silent = attacks(None, None)
    assert isinstance(a_record().when(evaluate(silent, "evaluator-error")).answer, GateEvaluated)


@pytest.mark.parametrize("outcome", sorted(SETTLED))
def test_a_red_team_below_its_quorum_settles_nothing(outcome: str) -> None:
    team = attacks("9.0", None, None)
    a_record().when(evaluate(team, outcome)).refuses(errors.QuorumNotMet)
    assert isinstance(a_record().when(evaluate(team, "inconclusive")).answer, GateEvaluated)


@pytest.mark.parametrize("outcome", sorted(SETTLED))
def test_a_red_team_without_a_named_rule_settles_nothing(outcome: str) -> None:
    team = attacks("9.0", "8.0", "8.0", aggregation=None)
    a_record().when(evaluate(team, outcome)).refuses(errors.AggregationMissing)
    assert isinstance(a_record().when(evaluate(team, "inconclusive")).answer, GateEvaluated)


def test_a_falsifying_attacker_says_what_was_found() -> None:
    team = attacks("9.0", "8.0", None)
    del team["attacks"][1]["finding"]
    a_record().when(evaluate(team, "failed")).refuses(
        errors.FalsifiedWithoutEvidence, missing=["finding of CITATION_AUDITOR"]
    )


# ---------------------------------------------------------------- artifacts

SCRIPT_ONLY = (ArtifactRole.REPRO_SCRIPT,)
RESULTS_ONLY = (ArtifactRole.REPRO_RESULTS,)
PROOF_ONLY = (ArtifactRole.PROOF_SOURCE,)
WITHOUT = [
    # what is attached, the evidence, what is missing
    (RESULTS_ONLY, sandbox(), ["repro-script"]),
    (SCRIPT_ONLY, sandbox(), ["repro-results"]),
    (PROOF_ONLY, sandbox(), ["repro-script", "repro-results"]),
    ((*SCRIPT_ONLY, *RESULTS_ONLY), lean(), ["proof-source"]),
    ((*SCRIPT_ONLY, *RESULTS_ONLY), sandbox(script_digest=None), ["repro-script"]),
    ((*SCRIPT_ONLY, *RESULTS_ONLY), sandbox(results_digest=None), ["repro-results"]),
    ((*SCRIPT_ONLY, *RESULTS_ONLY), sandbox(script_digest=RESULTS), ["repro-script"]),
    (PROOF_ONLY, lean(source_digest=None), ["proof-source"]),
    (PROOF_ONLY, lean(source_digest=SCRIPT), ["proof-source"]),
]


@pytest.mark.parametrize(("roles", "evidence", "missing"), WITHOUT)
def test_nothing_passes_without_the_artifact_that_was_run(
    roles: tuple[ArtifactRole, ...], evidence: dict[str, Any], missing: list[str]
) -> None:
    asked = given(submitted(), *bundle(*roles)).when(evaluate(evidence))
    asked.refuses(errors.VerifiedWithoutArtifact, missing=missing)


@pytest.mark.parametrize(("gate", "method"), [("gate-2", "sandbox"), ("gate-3", "red-team")])
def test_nothing_is_settled_without_evidence(gate: str, method: str) -> None:
    named = {"gate": gate, "method": method}
    a_record().when(evaluate(None, "passed", **named)).refuses(errors.VerifiedWithoutArtifact)
    a_record().when(evaluate(None, "failed", **named)).refuses(errors.FalsifiedWithoutEvidence)


@pytest.mark.parametrize(
    ("evidence", "missing"),
    [
        (sandbox("1.0"), ["repro-script", "repro-results"]),
        (lean(1), ["proof-source"]),
        ({"kind": "counterexample", "digest": CASE}, ["counterexample"]),
        ({"kind": "counterexample"}, ["counterexample"]),
    ],
)
def test_nothing_fails_while_its_evidence_is_not_attached(
    evidence: dict[str, Any], missing: list[str]
) -> None:
    asked = given(submitted()).when(evaluate(evidence, "failed"))
    asked.refuses(errors.FalsifiedWithoutEvidence, missing=missing)


# ---------------------------------------------------------------- gate, method, subject

ALLOWED = {
    "gate-2": {"lean4", "sandbox", "counterexample"},
    "gate-3": {"red-team", "counterexample"},
}
METHODS = ("lean4", "sandbox", "red-team", "counterexample")


@pytest.mark.parametrize(("gate", "method"), list(product(ALLOWED, METHODS)))
def test_a_gate_has_its_own_methods(gate: str, method: str) -> None:
    asked = a_record().when(evaluate(None, "evaluator-error", gate=gate, method=method))
    if method in ALLOWED[gate]:
        assert isinstance(asked.answer, GateEvaluated)
    else:
        asked.refuses(errors.MethodNotOfGate)


def test_evidence_of_another_method_is_refused() -> None:
    a_record().when(evaluate(lean(), method="sandbox")).refuses(errors.EvidenceOfAnotherMethod)


def test_a_gate_that_is_not_live_evaluates_nothing() -> None:
    silent = a_record().under(gates={})
    silent.when(evaluate(sandbox())).refuses(errors.GateNotActive)
    other = {Gate.RED_TEAM: GATES[Gate.RED_TEAM]}
    a_record().under(gates=other).when(evaluate(sandbox())).refuses(errors.GateNotActive)


def test_a_gate_evaluates_from_its_first_day_on() -> None:
    live = {Gate.VERIFICATION: Activation(NOW.date(), "Gate")}
    assert isinstance(a_record().under(gates=live).when(evaluate(sandbox())).answer, GateEvaluated)
    tomorrow = {Gate.VERIFICATION: Activation(date(2026, 7, 11), "Gate")}
    a_record().under(gates=tomorrow).when(evaluate(sandbox())).refuses(errors.GateNotActive)


@pytest.mark.parametrize(
    "subject", [{"submission": 2}, {"digest": SCRIPT}, {"submission": 3, "digest": SCRIPT}]
)
def test_an_evaluation_is_about_a_submission_that_exists(subject: dict[str, Any]) -> None:
    asked = a_record().when(evaluate(sandbox(), subject=SUBJECT | subject))
    asked.refuses(errors.SubjectMismatch, current_submission=1, current_digest=SUBJECT["digest"])


def test_an_evaluation_of_an_earlier_submission_is_still_recorded() -> None:
    asked = a_record(resubmitted()).when(evaluate(sandbox()))
    assert isinstance(asked.answer, GateEvaluated)
    assert asked.answer.subject.submission == 1


def test_an_evaluation_is_recorded_once() -> None:
    history = a_record(evaluated(number=100))
    history.when(evaluate(sandbox(), evaluation_id=uuid(100))).refuses(errors.EvaluationExists)


def test_a_superseded_record_is_still_evaluated() -> None:
    assert isinstance(a_record(superseded()).when(evaluate(sandbox())).answer, GateEvaluated)


# ---------------------------------------------------------------- time

SKEW = timedelta(seconds=5)
TICK = timedelta(microseconds=1)


def test_an_evaluation_may_be_as_far_ahead_as_clocks_differ() -> None:
    at_the_edge = (NOW + SKEW).isoformat()
    asked = a_record().when(evaluate(sandbox(), evaluated_at=at_the_edge))
    assert isinstance(asked.answer, GateEvaluated)
    beyond = (NOW + SKEW + TICK).isoformat()
    a_record().when(evaluate(sandbox(), evaluated_at=beyond)).refuses(errors.EvaluatedInTheFuture)


def test_an_evaluation_is_not_older_than_its_submission() -> None:
    eve = datetime(2026, 6, 30, 23, 59, 59, 999999, tzinfo=UTC)
    a_record().when(evaluate(sandbox(), evaluated_at=eve.isoformat())).refuses(
        errors.EvaluatedBeforeSubmission, submitted_on="2026-07-01"
    )
    asked = a_record().when(evaluate(sandbox(), evaluated_at=(eve + TICK).isoformat()))
    assert isinstance(asked.answer, GateEvaluated)


def test_an_evaluation_is_measured_by_the_submission_that_it_is_about() -> None:
    history = a_record(resubmitted(on=date(2026, 7, 6)))
    early = {"evaluated_at": "2026-07-05T00:00:00Z"}
    assert isinstance(history.when(evaluate(sandbox(), **early)).answer, GateEvaluated)
    history.when(evaluate(sandbox(), **early, subject=SECOND)).refuses(
        errors.EvaluatedBeforeSubmission, submitted_on="2026-07-06"
    )


# ---------------------------------------------------------------- withdrawals


def test_an_invalid_check_withdraws_the_evaluation_that_it_names() -> None:
    record = a_record(evaluated(number=100)).when(withdraw(100)).answer
    assert isinstance(record, GateEvaluated)
    assert record.withdraws == uuid(100)


def test_an_invalid_check_names_its_target_and_nothing_else_does() -> None:
    history = a_record(evaluated(number=100))
    history.when(evaluate(None, "invalid-check")).refuses(errors.WithdrawalWithoutTarget)
    for outcome in ("passed", "failed", "inconclusive", "evaluator-error", "not-applicable"):
        history.when(evaluate(None, outcome, withdraws=uuid(100))).refuses(
            errors.WithdrawalWithoutTarget
        )


def test_an_invalid_check_of_nothing_is_refused() -> None:
    a_record().when(withdraw(100)).refuses(errors.EvaluationUnknown)
    a_record(evaluated(number=100, gate=Gate.RED_TEAM)).when(withdraw(100)).refuses(
        errors.EvaluationUnknown
    )


def test_an_evaluation_is_withdrawn_once() -> None:
    gone = evaluated(Outcome.INVALID_CHECK, number=101, withdraws=uuid(100))
    history = a_record(evaluated(number=100), gone)
    history.when(withdraw(100)).refuses(errors.EvaluationAlreadyWithdrawn)


def test_a_withdrawal_is_not_withdrawn() -> None:
    gone = evaluated(Outcome.INVALID_CHECK, number=101, withdraws=uuid(100))
    history = a_record(evaluated(number=100), gone)
    history.when(withdraw(101)).refuses(errors.WithdrawalStands)


def test_a_withdrawal_is_about_the_submission_of_its_target() -> None:
    history = a_record(evaluated(number=100), resubmitted())
    later = withdraw(100, subject=SECOND, evaluated_at="2026-07-07T00:00:00Z")
    history.when(later).refuses(errors.SubjectMismatch, submission=1)
    assert isinstance(history.when(withdraw(100)).answer, GateEvaluated)
