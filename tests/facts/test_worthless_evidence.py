"""Evidence that could not have failed settles nothing; at the bounds it still does."""

from __future__ import annotations

from typing import Any

import pytest

from given import given
from ledger import errors
from ledger.events import GateEvaluated
from view_facts import submitted
from wishes import attacks, bundle, evaluate, lean, sandbox


@pytest.mark.parametrize(
    "evidence",
    [
        lean(0, "propext", "My.cheat"),
        lean(0, "Lean.ofReduceBool"),
        lean(0, "sorryAx"),
        lean(0, "Classical.Choice"),
        attacks("1.0", "2.0", quorum=1),
        attacks("1.0", "2.0", aggregation={"rule": "mean", "threshold": "0", "quorum": 2}),
        sandbox("0", "100.0", "1.01"),
        sandbox("99.0", "100.0", "1e300"),
    ],
)
@pytest.mark.parametrize("outcome", ["passed", "failed"])
def test_evidence_that_excludes_nothing_settles_nothing(
    evidence: dict[str, Any], outcome: str
) -> None:
    record = given(submitted(), *bundle())
    record.when(evaluate(evidence, outcome)).refuses(
        errors.OutcomeContradictsEvidence, implied=None
    )
    assert isinstance(record.when(evaluate(evidence, "inconclusive")).answer, GateEvaluated)


@pytest.mark.parametrize(
    "evidence",
    [
        lean(0),
        lean(0, "propext", "Classical.choice", "Quot.sound"),
        attacks("1.0", "2.0", quorum=2),
        sandbox("100.0", "100.0", "1"),
    ],
)
def test_evidence_at_the_bounds_still_settles(evidence: dict[str, Any]) -> None:
    record = given(submitted(), *bundle())
    assert isinstance(record.when(evaluate(evidence, "passed")).answer, GateEvaluated)
