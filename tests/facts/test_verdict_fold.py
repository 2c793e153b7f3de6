"""What evaluations add up to, for any sequence of them that the rules let through."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.events import GateEvaluated, Subject
from ledger.evidence import Evidence, LeanEvidence, SandboxEvidence, Tolerance
from ledger.in_force import Activation, InForce
from ledger.vocabulary import Gate, Outcome, Status
from projections.verdict import CONCLUSIVE, Verdict, states, verdict
from view_facts import RECORD, evaluated, red_team, sandbox, uuid

CURRENT = 2
SUBMITTED = date(2026, 7, 1)
LIVE = InForce(gates={Gate.VERIFICATION: Activation(date(2026, 6, 10), "Gate 2")})
START = datetime(2026, 7, 2, tzinfo=UTC)
INCONCLUSIVE = [Outcome.INCONCLUSIVE, Outcome.EVALUATOR_ERROR, Outcome.NOT_APPLICABLE]

FALSIFIED_BEFORE = "Submission 1 of this record was falsified."

Evaluations = tuple[GateEvaluated, ...]


def one(
    number: int, gate: Gate, outcome: Outcome, submission: int, withdraws: str | None = None
) -> GateEvaluated:
    at = START + timedelta(minutes=number)
    fact = evaluated(outcome, gate=gate, at=at, number=number, withdraws=withdraws)
    event = fact(RECORD, number + 2)
    assert isinstance(event, GateEvaluated)
    subject = Subject(submission=submission, digest=event.subject.digest)
    return event.model_copy(update={"subject": subject})


@st.composite
def sequences(draw: st.DrawFn) -> Evaluations:
    """Draw evaluations of two submissions at both gates, with withdrawals of what may be."""
    found: list[GateEvaluated] = []
    gone: set[str] = set()
    for number in range(draw(st.integers(0, 9))):
        open_ones = [
            e
            for e in found
            if e.outcome is not Outcome.INVALID_CHECK and e.evaluation_id not in gone
        ]
        if open_ones and draw(st.integers(0, 3)) == 0:
            target = draw(st.sampled_from(open_ones))
            gone.add(target.evaluation_id)
            about = (target.gate, Outcome.INVALID_CHECK, target.subject.submission)
            found.append(one(number, *about, target.evaluation_id))
        else:
            gate = draw(st.sampled_from(Gate))
            outcome = draw(st.sampled_from([*CONCLUSIVE, *INCONCLUSIVE]))
            found.append(one(number, gate, outcome, draw(st.sampled_from([1, 2, 2, 2]))))
    return tuple(found)


def ruling(evaluations: Evaluations) -> Verdict:
    return verdict(evaluations, CURRENT, SUBMITTED, LIVE)


def untold(shown: Verdict) -> Verdict:
    """Return a verdict without its words."""
    return shown._replace(text="")


def stale_and_conclusive(e: GateEvaluated, gone: set[str | None]) -> bool:
    stale = e.subject.submission < CURRENT and e.evaluation_id not in gone
    return stale and e.outcome in CONCLUSIVE


def counting(evaluations: Evaluations) -> list[GateEvaluated]:
    said = zip(evaluations, states(evaluations, CURRENT), strict=True)
    return [e for e, state in said if state == "counting"]


@settings(max_examples=300)
@given(sequences())
def test_the_latest_conclusive_evaluation_of_each_gate_decides(evaluations: Evaluations) -> None:
    latest: dict[Gate, Outcome] = {}
    withdrawn = {e.withdraws for e in evaluations}
    for e in reversed(evaluations):
        counts = e.evaluation_id not in withdrawn and e.subject.submission == CURRENT
        if counts and e.outcome in CONCLUSIVE and e.gate not in latest:
            latest[e.gate] = e.outcome
    shown = ruling(evaluations)
    if Outcome.FAILED in latest.values():
        first = min(gate for gate, outcome in latest.items() if outcome is Outcome.FAILED)
        assert (shown.status, shown.gate) == (Status.FALSIFIED, first)
    elif latest.get(Gate.VERIFICATION) is Outcome.PASSED:
        assert (shown.status, shown.gate) == (Status.VERIFIED, Gate.VERIFICATION)
    else:
        assert shown.status is Status.UNVERIFIED
    assert (shown.decided_by is None) == (shown.status is Status.UNVERIFIED)
    assert shown.decided_by is None or shown.decided_by.gate is shown.gate


@settings(max_examples=300)
@given(sequences())
def test_what_is_withdrawn_or_stale_never_counts(evaluations: Evaluations) -> None:
    alone, shown = ruling(tuple(counting(evaluations))), ruling(evaluations)
    assert untold(shown) == untold(alone)
    told = shown.text.removeprefix(alone.text).strip()
    assert told in ("", FALSIFIED_BEFORE)
    gone = {e.withdraws for e in evaluations}
    before = [
        e.outcome is Outcome.FAILED
        for e in {e.gate: e for e in evaluations if stale_and_conclusive(e, gone)}.values()
    ]
    assert bool(told) == (any(before) and shown.status is Status.UNVERIFIED)


@settings(max_examples=300)
@given(sequences(), st.sampled_from(Gate), st.sampled_from(INCONCLUSIVE))
def test_what_found_nothing_changes_nothing_that_is_settled(
    evaluations: Evaluations, gate: Gate, outcome: Outcome
) -> None:
    before = ruling(evaluations)
    after = ruling((*evaluations, one(50, gate, outcome, CURRENT)))
    assert after.status is before.status
    assert after.decided_by == before.decided_by
    if before.decided_by is not None:
        assert after == before


@settings(max_examples=300)
@given(sequences())
def test_there_is_a_moment_of_evaluation_if_and_only_if_something_was_evaluated(
    evaluations: Evaluations,
) -> None:
    shown, counted = ruling(evaluations), counting(evaluations)
    assert (shown.evaluated_at is None) == (not counted)
    if counted:
        assert shown.evaluated_at in {e.evaluated_at for e in counted}
    else:
        assert shown.reason == "not-attempted"


@settings(max_examples=200)
@given(sequences(), sequences())
def test_evaluations_of_another_submission_change_nothing(
    mine: Evaluations, others: Evaluations
) -> None:
    moved = tuple(
        e.model_copy(
            update={
                "evaluation_id": uuid(1000 + n),
                "withdraws": None,
                "subject": Subject(submission=1, digest=e.subject.digest),
            }
        )
        for n, e in enumerate(others)
    )
    assert untold(ruling((*moved, *mine))) == untold(ruling(mine))


@settings(max_examples=200)
@given(sequences())
def test_withdrawing_everything_leaves_nothing_settled(evaluations: Evaluations) -> None:
    open_ones = [e for e in counting(evaluations) if e.outcome is not Outcome.INVALID_CHECK]
    gone = tuple(
        one(100 + n, e.gate, Outcome.INVALID_CHECK, CURRENT, e.evaluation_id)
        for n, e in enumerate(open_ones)
    )
    shown = ruling((*evaluations, *gone))
    assert shown.status is Status.UNVERIFIED
    if gone:
        assert shown.reason == "withdrawn"


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (Outcome.INCONCLUSIVE, "inconclusive"),
        (Outcome.EVALUATOR_ERROR, "evaluator-error"),
        (Outcome.NOT_APPLICABLE, "not-applicable"),
    ],
)
def test_an_unsettled_outcome_is_the_reason(outcome: Outcome, reason: str) -> None:
    shown = ruling((one(1, Gate.VERIFICATION, outcome, CURRENT),))
    assert (shown.status, shown.reason) == (Status.UNVERIFIED, reason)


SENTENCES: list[tuple[Evidence | None, str]] = [
    (
        sandbox("99.0", "100.0"),
        "Sandbox reproduction computed 99.0 where 100.0 was expected (relative tolerance 0.05)",
    ),
    (
        SandboxEvidence(
            computed=Decimal("0.10"),
            expected=Decimal(0),
            tolerance=Tolerance(kind="absolute", value=Decimal("0.2")),
        ),
        "Sandbox reproduction computed 0.10 where 0 was expected (absolute tolerance 0.2)",
    ),
    (
        LeanEvidence(toolchain="lean4:v4.9.0", exit_code=0),
        "Lean 4 run with lean4:v4.9.0 ended with exit code 0",
    ),
    (
        red_team(("6.5", "Sound."), (None, "Crashed.")),
        "Red team of 2 attackers (COUNTEREXAMPLE_HUNTER 6.5, CITATION_AUDITOR did not finish)",
    ),
    (None, "Evaluated without published evidence"),
]


@pytest.mark.parametrize(("evidence", "text"), SENTENCES)
def test_a_verdict_says_its_own_figures(evidence: Evidence | None, text: str) -> None:
    passed = one(1, Gate.VERIFICATION, Outcome.PASSED, CURRENT)
    assert ruling((passed.model_copy(update={"evidence": evidence}),)).text == f"{text}: passed."


def test_a_record_that_the_red_team_left_standing_is_not_verified_by_that() -> None:
    survived = one(1, Gate.RED_TEAM, Outcome.PASSED, CURRENT)
    shown = ruling((survived,))
    assert (shown.status, shown.gate, shown.reason) == (
        Status.UNVERIFIED,
        Gate.RED_TEAM,
        "passed",
    )
    assert shown.evaluated_at == survived.evaluated_at
    assert "No proof or reproduction has been attempted" in shown.text
    broke_down = one(2, Gate.RED_TEAM, Outcome.EVALUATOR_ERROR, CURRENT)
    assert ruling((survived, broke_down)) == shown
    tried = one(3, Gate.VERIFICATION, Outcome.INCONCLUSIVE, CURRENT)
    assert ruling((tried, survived)).reason == "inconclusive"


def test_the_gate_that_goes_first_names_a_double_failure() -> None:
    both = tuple(one(n, gate, Outcome.FAILED, CURRENT) for n, gate in enumerate(reversed(Gate)))
    assert ruling(both).gate is Gate.VERIFICATION


@given(st.dates(date(2026, 5, 1), date(2026, 8, 1)), st.booleans())
def test_only_a_record_from_before_the_gate_predates_it(day: date, live: bool) -> None:  # noqa: FBT001
    in_force = LIVE if live else replace(LIVE, gates={})
    shown = verdict((), CURRENT, day, in_force)
    predates = live and day < date(2026, 6, 10)
    assert shown.reason == ("predates-activation" if predates else "not-attempted")
    assert (day.isoformat() in shown.text) == predates


def test_a_record_without_a_day_predates_nothing() -> None:
    assert verdict((), CURRENT, None, LIVE).reason == "not-attempted"
