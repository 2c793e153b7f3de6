"""What a policy derives from any input that there is: total, monotone, and as it was published."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.vocabulary import PolicyVersion, Status
from projections.policy import DIMENSIONS, LEVEL_LABELS, Grade, Inputs, Level, Tier, derive

V1, V2 = PolicyVersion.V1, PolicyVersion.V2
LADDER = [
    Tier.QUARANTINE_CANDIDATE,
    Tier.WATCHLIST,
    Tier.PUBLIC_RECORD,
    Tier.DOI_GRADE,
    Tier.FLAGSHIP_CANDIDATE,
]
COUNTERS = ("corroborated", "inspected", "reproduced")
FLAGS = ("formal", "sandbox", "bundled")

scores = st.none() | st.decimals(0, 10, places=2) | st.decimals(0, 10, allow_nan=False)
counts = st.none() | st.integers(0, 20) | st.integers(0, 10_000_000)
policies = st.sampled_from(PolicyVersion)
inputs = st.builds(
    Inputs,
    score=scores,
    grounded=counts,
    verified=counts,
    **dict.fromkeys(COUNTERS, counts),
    registered=st.booleans(),
    status=st.sampled_from(Status),
    **dict.fromkeys(FLAGS, st.booleans()),
)


def rank(policy: PolicyVersion, given: Inputs) -> int:
    return LADDER.index(derive(policy, given).tier)


def grid() -> Iterator[Inputs]:
    """Every score of two decimals with every claim count up to the bars and beyond."""
    flags = (False, True)
    for cents, claims, status, flag in product(range(1001), range(7), Status, flags):
        score = Decimal(cents) / 100
        yield Inputs(
            score=score,
            grounded=claims,
            verified=claims,
            status=status,
            bundled=flag,
            registered=flag,
        )


@settings(max_examples=400)
@given(inputs, policies)
def test_a_policy_has_an_answer_for_everything(given: Inputs, policy: PolicyVersion) -> None:
    derived = derive(policy, given)
    assert derived.tier in LADDER
    assert derived.level in LEVEL_LABELS
    assert set(derived.dimensions) == set(DIMENSIONS)
    assert all(isinstance(grade, Grade) for grade in derived.dimensions.values())
    assert derived.basis.endswith(".")
    assert derive(policy, given) == derived


PUBLISHED = [
    ("8.50", 5, True, Tier.FLAGSHIP_CANDIDATE),
    ("8.50", 5, False, Tier.DOI_GRADE),
    ("8.50", 4, True, Tier.DOI_GRADE),
    ("8.49", 5, True, Tier.DOI_GRADE),
    ("8.40", 5, True, Tier.DOI_GRADE),
    ("7.50", 1, False, Tier.DOI_GRADE),
    ("7.50", 0, False, Tier.WATCHLIST),
    ("7.495", 5, True, Tier.WATCHLIST),
    ("7.40", 9, True, Tier.WATCHLIST),
    ("5.00", 0, False, Tier.WATCHLIST),
    ("4.99", 9, True, Tier.QUARANTINE_CANDIDATE),
    ("4.50", 9, True, Tier.QUARANTINE_CANDIDATE),
]


@pytest.mark.parametrize(("score", "claims", "doi", "tier"), PUBLISHED)
def test_the_first_policy_keeps_the_published_boundaries(
    score: str, claims: int, tier: Tier, *, doi: bool
) -> None:
    given = Inputs(score=Decimal(score), grounded=claims, registered=doi)
    derived = derive(V1, given)
    assert derived.tier is tier
    assert derived.dimensions["reproducibility_status"] is (Grade.HIGH if doi else Grade.MEDIUM)
    strong = Decimal(score) >= Decimal("7.5")
    assert derived.dimensions["evidence_strength"] is (Grade.MEDIUM if strong else Grade.LOW)
    assert derived.level == (Level.SOURCE_GROUNDED if claims else Level.LITERATURE_SYNTHESIS)


SECOND = [
    # score, verified claims, whether a verified run is attached, the tier
    ("8.50", 5, True, Tier.FLAGSHIP_CANDIDATE),
    ("8.49", 5, True, Tier.DOI_GRADE),
    ("8.50", 4, True, Tier.DOI_GRADE),
    ("8.50", 5, False, Tier.DOI_GRADE),
    ("7.50", 1, False, Tier.DOI_GRADE),
    ("7.50", 0, True, Tier.WATCHLIST),
    ("7.49", 5, True, Tier.PUBLIC_RECORD),
    ("6.50", 5, False, Tier.PUBLIC_RECORD),
    ("6.50", 4, True, Tier.WATCHLIST),
    ("6.49", 5, True, Tier.WATCHLIST),
    ("5.00", 9, True, Tier.WATCHLIST),
    ("4.99", 9, True, Tier.QUARANTINE_CANDIDATE),
]


@pytest.mark.parametrize(("score", "claims", "attached", "tier"), SECOND)
def test_the_second_policy_has_its_boundaries(
    score: str, claims: int, tier: Tier, *, attached: bool
) -> None:
    status = Status.VERIFIED if attached else Status.UNVERIFIED
    given = Inputs(score=Decimal(score), verified=claims, status=status, bundled=attached)
    assert derive(V2, given).tier is tier


@pytest.mark.parametrize(
    ("held", "dimension", "grade"),
    [
        ({}, "numerical_consistency", Grade.UNASSESSED),
        ({"sandbox": True}, "numerical_consistency", Grade.MEDIUM),
        ({"status": Status.FALSIFIED}, "numerical_consistency", Grade.LOW),
        ({"sandbox": True, "status": Status.FALSIFIED}, "numerical_consistency", Grade.LOW),
        ({}, "evidence_strength", Grade.UNASSESSED),
        ({"score": Decimal("7.49")}, "evidence_strength", Grade.LOW),
        ({"score": Decimal("7.5")}, "evidence_strength", Grade.MEDIUM),
        ({"score": Decimal(9), "status": Status.FALSIFIED}, "evidence_strength", Grade.LOW),
        ({"grounded": 0}, "citation_grounding", Grade.UNASSESSED),
        ({"grounded": 1}, "citation_grounding", Grade.MEDIUM),
        ({"bundled": True}, "reproducibility_status", Grade.MEDIUM),
        ({"status": Status.VERIFIED}, "reproducibility_status", Grade.UNASSESSED),
        ({"bundled": True, "status": Status.VERIFIED}, "reproducibility_status", Grade.HIGH),
    ],
)
def test_a_dimension_has_the_grade_of_its_evidence(
    held: dict[str, Any], dimension: str, grade: Grade
) -> None:
    assert derive(V2, Inputs(**held)).dimensions[dimension] is grade


@pytest.mark.parametrize("held", [{"grounded": 1}, {"verified": 1}])
def test_under_the_first_policy_any_claim_grounds_the_citations(held: dict[str, Any]) -> None:
    assert derive(V1, Inputs(**held)).dimensions["citation_grounding"] is Grade.MEDIUM
    assert (
        derive(V1, Inputs(grounded=0, verified=0)).dimensions["citation_grounding"]
        is Grade.UNASSESSED
    )


@given(inputs, st.sampled_from(Status))
def test_the_first_policy_does_not_look_at_the_verdict(given: Inputs, status: Status) -> None:
    assert derive(V1, given) == derive(V1, given._replace(status=status))


@given(inputs)
def test_a_doi_proves_nothing_under_the_second_policy(given: Inputs) -> None:
    assert derive(V2, given) == derive(V2, given._replace(registered=not given.registered))


@given(inputs)
def test_a_falsified_record_is_never_above_the_watchlist(given: Inputs) -> None:
    fallen = given._replace(status=Status.FALSIFIED)
    derived = derive(V2, fallen)
    assert derived.tier in {Tier.WATCHLIST, Tier.QUARANTINE_CANDIDATE}
    assert derived.dimensions["reproducibility_status"] is Grade.LOW
    assert derived.level <= Level.SOURCE_GROUNDED
    assert rank(V2, fallen) <= rank(V2, given._replace(status=Status.UNVERIFIED))


@settings(max_examples=400)
@given(inputs, st.decimals(0, 10, places=2), st.decimals(0, 10, places=2), policies)
def test_a_higher_score_never_lowers_the_tier(
    given: Inputs, one: Decimal, other: Decimal, policy: PolicyVersion
) -> None:
    low, high = sorted((one, other))
    assert rank(policy, given._replace(score=low)) <= rank(policy, given._replace(score=high))


@settings(max_examples=400)
@given(inputs, st.data(), policies)
def test_less_evidence_never_raises_the_level(
    given: Inputs, data: st.DataObject, policy: PolicyVersion
) -> None:
    held: dict[str, Any] = {}
    for name in ("grounded", *COUNTERS):
        count = getattr(given, name)
        held[name] = data.draw(st.none() | st.integers(0, count)) if count is not None else None
    for name in FLAGS:
        held[name] = getattr(given, name) and data.draw(st.booleans())
    if given.status is Status.VERIFIED and data.draw(st.booleans()):
        held["status"] = Status.UNVERIFIED
    less = given._replace(**held)
    assert derive(policy, less).level <= derive(policy, given).level


RUNGS: list[tuple[dict[str, Any], Level]] = [
    ({}, Level.LITERATURE_SYNTHESIS),
    ({"grounded": 1}, Level.SOURCE_GROUNDED),
    ({"corroborated": 1}, Level.CROSS_SOURCE_CORROBORATED),
    ({"inspected": 1}, Level.ARTIFACT_INSPECTED),
    ({"sandbox": True}, Level.SANDBOX_EXECUTED),
    ({"reproduced": 1}, Level.LITERATURE_SYNTHESIS),
    ({"reproduced": 1, "sandbox": True}, Level.INDEPENDENTLY_REPRODUCED),
    ({"formal": True}, Level.EXTERNALLY_REVIEWED_OR_FORMALLY_VERIFIED),
]


@pytest.mark.parametrize(("held", "level"), RUNGS)
def test_each_rung_of_the_ladder_has_its_evidence(held: dict[str, Any], level: Level) -> None:
    assert derive(V2, Inputs(**held)).level is level


def test_every_tier_is_reached_and_nothing_falls_between() -> None:
    reached: dict[PolicyVersion, set[Tier]] = {V1: set(), V2: set()}
    for point in grid():
        for policy, tiers in reached.items():
            tiers.add(derive(policy, point).tier)
    assert reached[V2] == set(Tier)
    # The published rules name a tier between that no record can have.
    assert reached[V1] == set(Tier) - {Tier.PUBLIC_RECORD}


@given(inputs)
def test_without_a_score_nothing_is_ranked(given: Inputs) -> None:
    for policy in PolicyVersion:
        assert derive(policy, given._replace(score=None)).tier is Tier.WATCHLIST
