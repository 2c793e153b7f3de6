"""Whether a reported mean agrees is decided exactly, however long or small the scores are."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.evidence import RedTeamEvidence
from ledger.vocabulary import AttackerRole

scores = st.one_of(
    st.decimals("0", "10", places=1),
    st.decimals("0", "10", places=2),
    st.decimals("0", "10", places=40),
    st.sampled_from(["1E+1", "9E-400", f"0.{'3' * 59}", "0E-400", "0E+400"]).map(Decimal),
)


def reported(mean: Decimal, attacks: list[Decimal | None]) -> RedTeamEvidence:
    shown = [
        {"role": role.value, **({"error": "crashed"} if score is None else {"score": str(score)})}
        for role, score in zip(AttackerRole, attacks, strict=False)
    ]
    return RedTeamEvidence.model_validate(
        {"attacks": tuple(shown), "mean": str(mean)}, strict=False
    )


def agrees(mean: Decimal, counted: tuple[Decimal, ...]) -> bool:
    exact = sum(map(Fraction, counted)) / Fraction(len(counted))
    exponent = mean.as_tuple().exponent
    assert isinstance(exponent, int)
    return abs(Fraction(mean) - exact) <= Fraction(1, 2 * 10 ** max(-exponent, 0))


@given(scores, st.lists(st.none() | scores, min_size=1, max_size=3))
def test_a_mean_agrees_as_fractions_say(mean: Decimal, attacks: list[Decimal | None]) -> None:
    evidence = reported(mean, attacks)
    if evidence.valid_scores:
        assert evidence.mean_agrees() is agrees(mean, evidence.valid_scores)
    with_crashes = evidence.scores_with_crashes_as_zero
    assert evidence.mean_agrees(with_crashes) is agrees(mean, with_crashes)


@given(st.lists(st.decimals("0", "10", places=2), min_size=1, max_size=3), st.integers(0, 50))
def test_a_mean_agrees_up_to_half_of_its_last_decimal(counted: list[Decimal], places: int) -> None:
    # Rounded by whole numbers, so that nothing here depends on a context of decimals.
    exact = sum(map(Fraction, counted)) / len(counted) * 10**places
    for number in (exact.__floor__(), exact.__ceil__()):
        mean = Decimal(f"{number}E-{places}")
        near = abs(number - exact) <= Fraction(1, 2)
        assert reported(mean, list(counted)).mean_agrees() is near


@pytest.mark.parametrize("mean", ["7.6", "7.7"])
def test_half_of_the_last_decimal_agrees_on_both_sides(mean: str) -> None:
    evidence = reported(Decimal(mean), [Decimal("7.6"), Decimal("7.7")])
    assert evidence.mean_agrees()
    assert not reported(Decimal(f"{mean}000"), [Decimal("7.6"), Decimal("7.7")]).mean_agrees()
