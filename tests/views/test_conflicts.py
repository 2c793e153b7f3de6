"""Is evidence that passes on one record and fails on another always found, and nothing else?"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from given_views import Place, place
from ledger.evidence import (
    CounterexampleEvidence,
    Evidence,
    LeanEvidence,
    SandboxEvidence,
    Tolerance,
)
from ledger.vocabulary import Gate, Outcome
from projections.conflicts import Conflicts, Query, digest
from projections.table import Checkpoint
from projections.views import Views
from view_facts import HandLog, evaluated, live, red_team, sandbox, submitted, uuid

__all__ = ["place"]

PASSED, FAILED, WITHDRAWN = Outcome.PASSED, Outcome.FAILED, Outcome.INVALID_CHECK
A, B = (f"sha256:{letter * 64}" for letter in "ab")


def proof(source: str = A) -> LeanEvidence:
    return LeanEvidence(source_digest=source, toolchain="leanprover/lean4:v4.9.0", exit_code=0)


class Shelf:
    """The conflicts, and the log behind them."""

    def __init__(self, views: Views) -> None:
        self.views = views
        self.log = HandLog(live())
        self.conflicts = Conflicts(views)
        self.evaluations = 100

    def put(self, number: int, *judged: tuple[Outcome, Evidence | None]) -> int:
        """Evaluate a record, which comes in if it is not there; return the last evaluation."""
        known = any(e.event.originator_id == uuid(number) for e in self.log.logged)
        if not known:
            self.log.add(uuid(number), submitted(f"Record {number}"))
        for outcome, evidence in judged:
            self.evaluations += 1
            self.log.add(uuid(number), evaluated(outcome, evidence, number=self.evaluations))
        self.apply(number)
        return self.evaluations

    def withdraw(self, number: int, evaluation: int) -> None:
        self.evaluations += 1
        fact = evaluated(
            WITHDRAWN,
            number=self.evaluations,
            withdraws=uuid(evaluation),
            at=datetime(2026, 7, 3, tzinfo=UTC),
        )
        self.log.add(uuid(number), fact)
        self.apply(number)

    def apply(self, number: int) -> None:
        reached = Checkpoint(len(self.log.logged), self.log.in_force.version)
        self.views.apply(Conflicts, [self.log.folded(uuid(number))], reached)

    def found(self, record: int | None = None) -> list[str]:
        asked = Query(uuid(record) if record else None)
        page = self.conflicts.page(asked)
        assert page.total == len(page.items)
        return [each.evidence for each in page.items]


@pytest.fixture
def shelf(place: Place) -> Shelf:
    return Shelf(place.open(Conflicts))


def test_the_same_proof_with_opposite_outcomes_on_two_records_is_a_conflict(shelf: Shelf) -> None:
    shelf.put(1, (PASSED, proof()))
    assert shelf.found() == []
    shelf.put(2, (FAILED, proof()))
    (conflict,) = shelf.conflicts.page(Query()).items
    assert (conflict.evidence, conflict.records) == (A, 2)
    assert [(e.record_id, e.outcome, e.gate) for e in conflict.passed] == [
        (uuid(1), "passed", Gate.VERIFICATION.value)
    ]
    assert [(e.record_id, e.version) for e in conflict.failed] == [(uuid(2), 2)]
    assert shelf.conflicts.count(uuid(1)) == shelf.conflicts.count(uuid(2)) == 1


def test_no_conflict_on_one_record_alone_or_of_other_evidence(shelf: Shelf) -> None:
    shelf.put(1, (FAILED, proof()), (PASSED, proof()))
    shelf.put(2, (FAILED, proof(B)))
    shelf.put(3, (Outcome.INCONCLUSIVE, proof()), (FAILED, None))
    assert shelf.found() == []
    assert shelf.conflicts.count(uuid(1)) == 0


def test_a_withdrawn_evaluation_ends_the_conflict(shelf: Shelf) -> None:
    shelf.put(1, (PASSED, proof()))
    number = shelf.put(2, (FAILED, proof()))
    assert shelf.found() == [A]
    shelf.withdraw(2, number)
    assert shelf.found() == []


def test_those_of_one_record_are_told_apart(shelf: Shelf) -> None:
    shelf.put(1, (PASSED, proof(A)))
    shelf.put(2, (FAILED, proof(A)), (PASSED, proof(B)))
    shelf.put(3, (FAILED, proof(B)))
    assert shelf.found() == [B, A]
    assert shelf.found(1) == [A]
    assert shelf.found(2) == [B, A]
    assert shelf.found(3) == [B]


def test_pages_go_on_and_back(shelf: Shelf) -> None:
    sources = [f"sha256:{number:064x}" for number in range(5)]
    shelf.put(1, *[(PASSED, proof(source)) for source in sources])
    shelf.put(2, *[(FAILED, proof(source)) for source in sources])
    first = shelf.conflicts.page(Query(limit=2))
    assert [each.evidence for each in first.items] == [sources[4], sources[3]]
    second = shelf.conflicts.page(Query(limit=2, cursor=first.next))
    assert [each.evidence for each in second.items] == [sources[2], sources[1]]
    back = shelf.conflicts.page(Query(limit=2, cursor=second.previous))
    assert (back.items, second.total) == (first.items, 5)
    with pytest.raises(ValueError, match="cursor"):
        shelf.conflicts.page(Query(cursor="no"))


def test_evidence_is_named_by_the_artifacts_it_rests_on() -> None:
    both = SandboxEvidence(
        computed=Decimal(1),
        expected=Decimal(1),
        tolerance=Tolerance(value=Decimal("0.05")),
        script_digest=A,
        results_digest=B,
    )
    assert digest(CounterexampleEvidence(digest=A)) == digest(proof(A)) == A
    assert digest(both) == digest(both.model_copy(update={"computed": Decimal(2)}))
    assert digest(both) not in {A, B}
    assert digest(both) != digest(both.model_copy(update={"results_digest": A}))
    assert digest(sandbox("1", "1")) != digest(sandbox("2", "1"))
    assert digest(red_team(("8.0", "One."))) != digest(red_team(("8.0", "Another.")))


JUDGED = st.lists(
    st.tuples(
        st.integers(1, 4), st.sampled_from([PASSED, FAILED]), st.sampled_from([A, B]), st.booleans()
    ),
    max_size=12,
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(judged=JUDGED)
def test_conflicts_are_what_a_look_at_every_pair_finds(
    place: Place, judged: list[tuple[int, Outcome, str, bool]]
) -> None:
    with place.open(Conflicts) as views:
        with views.writing() as writer:
            writer.execute("DELETE FROM evidence")
            writer.execute("UPDATE standing SET position = 0")
        shelf, standing = Shelf(views), set[tuple[int, Outcome, str]]()
        for place_, (record, outcome, source, withdrawn) in enumerate(judged):
            number = shelf.put(record, (outcome, proof(source)))
            if withdrawn:
                shelf.withdraw(record, number)
            else:
                standing.add((record, outcome, f"{source}#{place_}"))
        pairs = {
            one[2].partition("#")[0]
            for one in standing
            for other in standing
            if one[0] != other[0]
            and (one[1], other[1]) == (PASSED, FAILED)
            and one[2].partition("#")[0] == other[2].partition("#")[0]
        }
        assert set(shelf.found()) == pairs
