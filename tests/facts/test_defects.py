"""Twenty defects of real record pages, and the rule or fold that makes each one impossible here.

Numbered as they were found.  Those that can only be made visible, because an import keeps what its
source printed, are held by the tests of the findings (9, 18, 19, 20) and the conflicts (8) instead.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from given import GATES, Given, given
from ledger import errors
from ledger.content import PublicField
from ledger.events import GateEvaluated
from ledger.evidence import RedTeamEvidence
from ledger.in_force import InForce
from ledger.vocabulary import AttackerRole, Gate, Outcome, PolicyVersion
from projections import public_view
from projections.policy import Inputs, Tier, derive
from view_facts import (
    PAGE,
    RECORD,
    Fact,
    corrected,
    evaluated,
    imported,
    red_team,
    registered,
    sandbox,
    submitted,
    uuid,
)
from wishes import attacks, bundle, correct, evaluate, resubmitted, submit, withdraw

FOUND = red_team(("9.0", "It leaks."), ("6.0", "Found no flaws."), (None, "Crashed."))
FALSIFIED = evaluated(Outcome.FAILED, FOUND, gate=Gate.RED_TEAM, number=101)
VERIFIED = evaluated(Outcome.PASSED, sandbox(), number=100)
WITHDRAWN = evaluated(Outcome.INVALID_CHECK, number=102, withdraws=uuid(100))


def shown(*facts: Fact, policy: PolicyVersion = PolicyVersion.V2) -> dict[str, Any]:
    in_force = InForce(gates=GATES, policies={"checked": policy})
    return public_view.fold((f(RECORD, n) for n, f in enumerate(facts, 1)), in_force)


def a_record(*facts: Fact) -> Given:
    return given(submitted(), *bundle(), *facts)


def test_defect_1_a_record_from_after_the_gate_is_not_excused_by_it() -> None:
    after = shown(submitted(on=date(2026, 6, 11)))["verdict"]["reason"]
    assert after["code"] == "not-attempted"
    assert "2026-06-10" not in after["text"]
    before = shown(submitted(on=date(2026, 6, 9)))["verdict"]["reason"]
    assert before["code"] == "predates-activation"
    moved = corrected((PublicField.SUBMITTED_ON, "2026-06-09", "2026-06-10"))
    assert shown(submitted(on=date(2026, 6, 9)), moved)["verdict"]["reason"] == after


def test_defect_2_three_counters_are_never_one() -> None:
    claims = {"extracted": 18, "grounded": 7, "verified": 0}
    event = given().when(submit(claims=claims)).answer
    assert not isinstance(event, errors.Refusal)
    document = public_view.fold([event], InForce())
    assert {name: document["claims"][name] for name in claims} == claims


def test_defect_3_the_gate_shown_is_the_gate_that_decided() -> None:
    verdict = shown(submitted(), VERIFIED, FALSIFIED)["verdict"]
    assert (verdict["status"], verdict["gate"]) == ("FALSIFIED", "gate-3")
    assert verdict["decided_by"] == verdict["gate"]


def test_defect_4_a_worthless_check_is_withdrawn_and_falsifies_nothing() -> None:
    failed = evaluated(Outcome.FAILED, sandbox("1.0"), number=100)
    verdict = shown(submitted(), failed, WITHDRAWN)["verdict"]
    assert (verdict["status"], verdict["reason"]["code"]) == ("UNVERIFIED", "withdrawn")
    a_record(failed).when(evaluate(None, "invalid-check")).refuses(errors.WithdrawalWithoutTarget)


def test_defect_5_an_earlier_verdict_stays_in_the_history() -> None:
    evaluations = shown(submitted(), VERIFIED, WITHDRAWN, FALSIFIED)["evaluations"]
    assert [e["outcome"] for e in evaluations] == ["passed", "invalid-check", "failed"]
    assert [e["state"] for e in evaluations] == ["withdrawn", "counting", "counting"]


def test_defect_6_a_crashed_attacker_is_missing_and_not_zero() -> None:
    averaged = attacks("9.0", "6.0", None, mean="5.0")
    a_record().when(evaluate(averaged, "passed")).refuses(errors.CrashedAttackerAveraged)
    alone = attacks("9.0", None, None)
    a_record().when(evaluate(alone, "failed")).refuses(errors.QuorumNotMet)


def test_defect_7_dissent_is_shown_with_the_rule_that_overruled_it() -> None:
    team = attacks("10", "6.9", "7.0", mean="8.0")
    event = a_record().when(evaluate(team, "failed")).answer
    assert isinstance(event, GateEvaluated)
    assert isinstance(event.evidence, RedTeamEvidence)
    assert event.evidence.dissent == (AttackerRole.CITATION_AUDITOR,)
    told = event.model_dump(mode="json")["evidence"]
    assert told["aggregation"] == team["aggregation"]
    for before, after in zip(team["attacks"], told["attacks"], strict=True):
        assert before.items() <= after.items()


def test_defect_10_the_level_follows_the_verdict_up_and_down() -> None:
    assert shown(submitted())["level"]["level"] == 2
    assert shown(submitted(), VERIFIED)["level"]["level"] == 5
    assert shown(submitted(), VERIFIED, WITHDRAWN)["level"]["level"] == 2
    assert shown(submitted(), VERIFIED, resubmitted())["level"]["level"] == 2


def test_defect_11_a_falsification_caps_the_tier_under_the_second_policy() -> None:
    history = (submitted(score="9.0"), FALSIFIED, registered())
    document = shown(*history)
    assert document["tier"]["tier"] == "WATCHLIST"
    assert document["dimensions"]["reproducibility_status"]["level"] == "LOW"
    # The first policy is kept as it was published, and the page says which one it is under.
    assert document["policy"]["version"] == "v2"
    assert document["policy"]["others"]["v1"]["tier"] == "FLAGSHIP_CANDIDATE"
    assert shown(*history, policy=PolicyVersion.V1)["policy"]["version"] == "v1"


def test_defect_12_a_doi_makes_nothing_reproducible() -> None:
    history = (submitted(score="9.0"),)
    assert shown(*history, registered())["tier"] == shown(*history)["tier"]
    grade = {
        facts: shown(*history, *facts)["dimensions"]["reproducibility_status"]["level"]
        for facts in ((), (registered(),), bundle(), (VERIFIED,), (*bundle(), VERIFIED))
    }
    assert list(grade.values()) == ["UNASSESSED", "UNASSESSED", "MEDIUM", "UNASSESSED", "HIGH"]


def test_defect_13_no_public_text_changes_without_a_correction() -> None:
    before = shown(submitted())
    after = shown(submitted(), corrected((PublicField.TITLE, before["title"], "New")))
    assert (after["title"], after["corrections"]["count"]) == ("New", 1)
    assert after["corrections"]["state"] == "CORRECTED"
    stale = correct(("title", "What nobody saw", "New"))
    given(submitted()).when(stale).refuses(errors.StaleCorrection, current=before["title"])


def test_defect_14_there_is_no_moment_of_evaluation_without_an_evaluation() -> None:
    assert shown(submitted())["verdict"]["evaluated_at"] is None
    assert shown(submitted(), VERIFIED, resubmitted())["verdict"]["evaluated_at"] is None
    assert shown(submitted(), VERIFIED)["verdict"]["evaluated_at"] is not None
    other_kind = shown(submitted(), evaluated(Outcome.NOT_APPLICABLE, number=100))["verdict"]
    # An evaluator looked, and found that the gate does not apply: that is not nothing.
    assert other_kind["reason"]["code"] == "not-applicable"
    assert other_kind["evaluated_at"] is not None
    eve = datetime(2026, 6, 30, tzinfo=UTC).isoformat()
    a_record().when(evaluate(None, "inconclusive", evaluated_at=eve)).refuses(
        errors.EvaluatedBeforeSubmission
    )
    later = correct(("submitted-on", "2026-07-01", "2026-07-03"))
    a_record(VERIFIED).when(later).refuses(errors.EvaluatedBeforeSubmission)


def test_defect_15_a_broken_publication_rule_is_recorded_with_the_submission() -> None:
    scores = dict.fromkeys(("challenger", "confirmer", "integrator"), "9.0")
    claims = {"extracted": 9, "grounded": 9, "verified": 4}
    event = given().when(submit(review={"scores": scores}, claims=claims)).answer
    assert not isinstance(event, errors.Refusal)
    assert event.model_dump()["publication_rule"]["kept"] is False


@pytest.mark.parametrize("score", ["5.0", "6.49", "6.5", "7.49", "7.495", "7.5"])
def test_defects_16_and_17_no_score_falls_between_two_tiers(score: str) -> None:
    tier = derive(PolicyVersion.V2, Inputs(score=Decimal(score), verified=5)).tier
    expected = {"5.0": Tier.WATCHLIST, "6.49": Tier.WATCHLIST, "7.5": Tier.DOI_GRADE}
    assert tier is expected.get(score, Tier.PUBLIC_RECORD)


def test_a_verdict_never_follows_from_score_or_claims() -> None:
    document = shown(submitted(score="10", grounded=99, verified=99), *bundle(), registered())
    assert document["verdict"]["status"] == "UNVERIFIED"
    given(submitted()).when(evaluate(None)).refuses(errors.VerifiedWithoutArtifact)


def test_an_invalid_check_of_another_version_is_no_news_about_this_one() -> None:
    history = given(submitted(), *bundle(), VERIFIED, resubmitted())
    subject = {"submission": 2, "digest": resubmitted()("", 2).model_dump()["content_digest"]}
    about_the_wrong_one = withdraw(100, subject=subject, evaluated_at="2026-07-07T00:00:00Z")
    history.when(about_the_wrong_one).refuses(errors.SubjectMismatch)


def test_a_stated_verdict_counts_for_nothing_under_the_second_policy() -> None:
    stated = (
        submitted(basis=PAGE),
        evaluated(Outcome.PASSED, sandbox(), basis=PAGE),
        imported(),
    )
    document = public_view.fold((f(RECORD, n) for n, f in enumerate(stated, 1)), InForce())
    assert (document["verdict"]["status"], document["verdict"]["basis"]) == ("VERIFIED", "stated")
    assert document["policy"]["others"]["v2"]["status"] == "UNVERIFIED"
