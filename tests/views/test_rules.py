"""Does each rule find its contradiction, and nothing where there is none?"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import pytest

from ledger.content import PublicField
from ledger.evidence import SandboxEvidence
from ledger.vocabulary import ArtifactRole, Gate, Outcome, Status
from projections.findings import Finding, Findings, Query
from projections.rules import RULES
from projections.rules.pages import names
from projections.sqlite import SQLiteViews
from projections.table import Checkpoint
from view_facts import (
    DIGEST,
    PAGE,
    Fact,
    attached,
    corrected,
    evaluated,
    imported,
    one_record,
    red_team,
    registered,
    sandbox,
    submitted,
)
from wishes import recounted, resubmitted

OTHER_DIGEST = "sha256:" + "f" * 64
HARDCODED = "The formula script computes the maximum from a hardcoded dictionary."
CUT = "The formula script computes the maximum value from a hardcoded dictionary of cla"
EARLY = datetime(2026, 6, 30, 9, tzinfo=UTC)
LONG = "Words of an abstract, one after the other, " * 14

stated = submitted(basis=PAGE)


def failed(
    *attacks: tuple[str | None, str], mean: str | None = None, bar: str | None = None
) -> Fact:
    return evaluated(
        Outcome.FAILED,
        red_team(*attacks, mean=mean, threshold=bar),
        gate=Gate.RED_TEAM,
        basis=PAGE,
    )


def resting_on(script: str, results: str) -> SandboxEvidence:
    digests = {"script_digest": script, "results_digest": results}
    return sandbox().model_copy(update=digests)


def page(*printed: tuple[str, str, str]) -> Fact:
    return imported(*printed)


ATTACKED: Final = (("8.0", "It fails for n = 3."), ("7.0", "It fails for n = 4."))
CRASHED: Final = (("8.0", "It fails."), ("7.0", "It fails."), (None, "timed out"))
GATE: Final = "Truth-Engine Gate Verdict"
TIER: Final = ("Quality Tier", "Tier", "DOI grade")
BUNDLE: Final = (attached(ArtifactRole.REPRO_SCRIPT), attached(ArtifactRole.REPRO_RESULTS))

VERIFIED: Final = (submitted(), evaluated(Outcome.PASSED, sandbox()))
RETITLED: Final = corrected((PublicField.TITLE, "A survey of XTREME", "A survey of FLORES"))

# rule -> facts of a record that it finds, facts of a close neighbour on which it is silent
CASES: Final[dict[str, tuple[tuple[Fact, ...], tuple[Fact, ...]]]] = {
    "reason-predates-activation": (
        (stated, imported(status=Status.UNVERIFIED, excuse=True)),
        (
            submitted(basis=PAGE, on=date(2026, 6, 9)),
            imported(status=Status.UNVERIFIED, excuse=True),
        ),
    ),
    "verified-count-repeats-grounded": (
        (stated,),
        (submitted(basis=PAGE, verified=5),),
    ),
    "gate-mislabelled": (
        (stated, failed(*ATTACKED), imported(status=Status.FALSIFIED)),
        (stated, failed(*ATTACKED), imported(status=Status.FALSIFIED, gate=Gate.RED_TEAM)),
    ),
    "check-attacked-not-claim": (
        (stated, failed(("8.0", HARDCODED), *ATTACKED)),
        (stated, failed(*ATTACKED)),
    ),
    "attacker-crash-averaged": (
        (stated, failed(*CRASHED, mean="5.0")),
        (stated, failed(*CRASHED, mean="7.5")),
    ),
    "mean-contradicts-scores": (
        (stated, failed(*CRASHED, mean="7.9")),
        (stated, failed(*CRASHED, mean="5.0")),
    ),
    "dissent-under-falsified": (
        (stated, failed(*ATTACKED, ("2.0", "It holds."), bar="5.0")),
        (stated, failed(*ATTACKED, ("6.0", "It does not hold."), bar="5.0")),
    ),
    "no-test-power": (
        (stated, evaluated(Outcome.PASSED, sandbox("100.0", "100"))),
        (stated, evaluated(Outcome.PASSED, sandbox("99.9", "100"))),
    ),
    "level-below-verdict": (
        (stated, evaluated(Outcome.PASSED, sandbox(), basis=PAGE)),
        (submitted(), evaluated(Outcome.PASSED, sandbox())),
    ),
    "tier-ignores-falsification": (
        (stated, failed(*ATTACKED)),
        (submitted(), failed(*ATTACKED), evaluated(Outcome.FAILED, sandbox("1.0"), number=101)),
    ),
    "reproducibility-from-doi": (
        (stated, registered()),
        (stated, registered(), *BUNDLE),
    ),
    "evaluated-without-evaluation": (
        (stated, page((GATE, "Evaluated", "2026-06-21T09:30:12.774601+00:00"))),
        (
            stated,
            evaluated(Outcome.PASSED, sandbox(), basis=PAGE),
            page((GATE, "Evaluated", "2026-06-21T09:30:12.774601+00:00")),
        ),
    ),
    "evaluated-before-submission": (
        (stated, evaluated(Outcome.PASSED, sandbox(), at=EARLY, basis=PAGE)),
        (stated, evaluated(Outcome.PASSED, sandbox(), at=None, basis=PAGE)),
    ),
    "verdict-undated": (
        (stated, evaluated(Outcome.PASSED, sandbox(), at=None, basis=PAGE)),
        (stated, evaluated(Outcome.PASSED, sandbox(), basis=PAGE)),
    ),
    "publication-rule-broken": (
        (submitted(score="6.4"),),
        (submitted(score="6.5", verified=5),),
    ),
    "abstract-source-unnamed": (
        (submitted(basis=PAGE, abstract="Abstract: We show something."),),
        (submitted(basis=PAGE, abstract="Abstract: We show.", quoted_from="doi:10.1000/1"),),
    ),
    "text-cut": (
        (submitted(abstract=LONG + "and th"),),
        (submitted(abstract=LONG + "and then it ends."),),
    ),
    "findings-cut": (
        (stated, failed(("8.0", CUT))),
        (stated, failed(("8.0", CUT[:-1] + "."))),
    ),
    "title-question-disagree": (
        (submitted("XNLI and mBERT", question="How good is mBERT on FLORES?"),),
        (submitted("Zero-Shot XTREME with LLMs", question="How good is an LLM on XTREME-R?"),),
    ),
    "contract-version-disagrees": (
        (stated, page(("Correction Record", "Manifest contract", "paper-manifest-v1"))),
        (stated, page(("Correction Record", "Manifest contract", "paper-manifest-v1.1"))),
    ),
    "earlier-submission-falsified": (
        (submitted(), evaluated(Outcome.FAILED, sandbox("1.0")), resubmitted()),
        (submitted(), evaluated(Outcome.INCONCLUSIVE), resubmitted()),
    ),
    "corrected-since-evaluation": (
        (*VERIFIED, RETITLED),
        (*VERIFIED, corrected((PublicField.PUBLISHER, "A publisher", "Another"))),
    ),
    "evidence-says-nothing": (
        (submitted(), evaluated(Outcome.PASSED, resting_on(DIGEST, DIGEST))),
        (submitted(), evaluated(Outcome.PASSED, resting_on(DIGEST, OTHER_DIGEST))),
    ),
    "level-not-counted": (
        (submitted(), recounted(sandbox_executed=3)),
        (submitted(), recounted(sandbox_executed=3), evaluated(Outcome.PASSED, sandbox())),
    ),
    "artifact-missing": (
        (stated, evaluated(Outcome.PASSED, sandbox(), basis=PAGE)),
        (stated, *BUNDLE, evaluated(Outcome.PASSED, sandbox(), basis=PAGE)),
    ),
    "stated-value-differs": (
        (stated, page(("Quality Tier", "Tier", "Watchlist"))),
        (stated, page(TIER)),
    ),
    "input-missing": (
        (submitted(basis=PAGE, score=None), page(TIER)),
        (stated, page(TIER)),
    ),
}


def found(rule: str, *facts: Fact) -> list[Finding]:
    rows = Findings.rows(one_record(*facts))["finding"]
    findings = [Finding(**json.loads(row[-1])) for row in rows]
    return [finding for finding in findings if finding.rule == rule]


def test_every_rule_has_a_case_and_an_id_of_its_own() -> None:
    assert list(CASES) == [rule.id for rule in RULES]


@pytest.mark.parametrize("rule", CASES)
def test_a_rule_finds_its_contradiction_once(rule: str) -> None:
    (finding,) = found(rule, *CASES[rule][0])
    assert finding.sentence.endswith(".")
    assert finding.evidence
    assert finding.title


@pytest.mark.parametrize("rule", CASES)
def test_a_rule_is_silent_on_the_neighbour(rule: str) -> None:
    assert found(rule, *CASES[rule][1]) == []


def test_the_evidence_of_an_excuse_gives_both_dates() -> None:
    (finding,) = found("reason-predates-activation", *CASES["reason-predates-activation"][0])
    assert finding.evidence["submitted_on"] == "2026-07-01"
    assert finding.evidence["activated_on"] == "2026-06-10"
    assert finding.version == 2


def test_a_moment_of_evaluation_is_doubted_by_the_words_of_the_page_too() -> None:
    facts = (
        stated,
        evaluated(Outcome.INCONCLUSIVE, basis=PAGE),
        imported(
            (GATE, "Evaluated", "2026-07-02T09:00:00+00:00"),
            status=Status.UNVERIFIED,
            reason="No formal proof or sandbox reproduction has been attempted.",
        ),
    )
    assert found("evaluated-without-evaluation", *facts)


def test_the_day_of_activation_itself_is_not_before_it() -> None:
    facts = (
        submitted(basis=PAGE, on=date(2026, 6, 10)),
        imported(status=Status.UNVERIFIED, excuse=True),
    )
    assert found("reason-predates-activation", *facts)


def test_findings_about_the_check_are_quoted_with_the_words_that_told() -> None:
    (finding,) = found("check-attacked-not-claim", *CASES["check-attacked-not-claim"][0])
    assert finding.evidence["findings"] == {"COUNTEREXAMPLE_HUNTER": HARDCODED}
    assert finding.evidence["words"] == ["formula script", "hardcoded"]


@pytest.mark.parametrize("words", ["No flaws were found.", "I could find no serious issue here"])
def test_an_attacker_dissents_by_its_words_where_no_threshold_is_known(words: str) -> None:
    (finding,) = found("dissent-under-falsified", stated, failed(*ATTACKED, ("7.0", words)))
    assert list(finding.evidence["dissent"]) == ["REPLICATION_ATTACKER"]


def test_a_withdrawn_falsification_is_no_longer_held_against_the_record() -> None:
    withdrawal = evaluated(
        Outcome.INVALID_CHECK,
        gate=Gate.RED_TEAM,
        number=101,
        withdraws="01980f5e-0000-7000-8000-000000000064",
    )
    facts = (stated, failed(("8.0", HARDCODED)), withdrawal)
    assert found("check-attacked-not-claim", *facts) == []
    assert found("tier-ignores-falsification", *facts) == []


def test_what_is_missing_is_named() -> None:
    facts = (
        stated,
        attached(ArtifactRole.REPRO_SCRIPT),
        attached(ArtifactRole.REPRO_RESULTS, digest=None),
        evaluated(Outcome.PASSED, sandbox(), basis=PAGE),
    )
    (finding,) = found("artifact-missing", *facts)
    assert finding.evidence["missing"] == ["repro-results"]


def test_a_verdict_without_any_evidence_misses_it() -> None:
    (passed,) = found("artifact-missing", stated, evaluated(Outcome.PASSED, basis=PAGE))
    assert passed.evidence["missing"] == ["proof-source, or repro-script and repro-results"]
    (fell,) = found("artifact-missing", stated, evaluated(Outcome.FAILED, basis=PAGE))
    assert fell.evidence["missing"] == ["evidence of the failure"]


@pytest.mark.parametrize(
    ("printed", "field", "derived"),
    [
        (("Quality Tier", "Tier", "Watchlist"), "tier", "DOI grade"),
        (("Verification Level", "Paper level", "L3, Other"), "level", 2),
        (("Quality Dimensions", "Evidence strength", "LOW"), "evidence strength", "MEDIUM"),
        (("Correction Record", "Status", "CORRECTED"), "correction state", "CURRENT"),
        (("Correction Record", "Correction count", "2"), "correction count", 0),
        (("Provenance", "Claim lineage", "9 aggregate claims"), "claim lineage", 6),
    ],
)
def test_each_stated_value_is_compared(
    printed: tuple[str, str, str], field: str, derived: str | int
) -> None:
    (finding,) = found("stated-value-differs", stated, page(printed))
    assert (finding.evidence["field"], finding.evidence["derived"]) == (field, derived)
    assert finding.evidence["stated"] == printed[2]


def test_a_page_is_compared_with_the_record_as_it_was_imported() -> None:
    agreed = page(
        ("Correction Record", "Status", "CURRENT"), ("Correction Record", "Correction count", "0")
    )
    change = corrected((PublicField.TITLE, "A survey of XTREME", "A survey"))
    assert found("stated-value-differs", stated, agreed, change) == []


def test_a_sound_checked_record_has_no_findings() -> None:
    record = one_record(submitted(), *BUNDLE, evaluated(Outcome.PASSED, sandbox()), registered())
    assert Findings.rows(record)["finding"] == []


def test_names_of_benchmarks_are_told_from_words_with_hyphens() -> None:
    text = "Zero-Shot Cross-Lingual Transfer of mBERT, XLM-R and Llama-2 on WikiAnn in 2024"
    assert names(text) == ["mBERT", "XLM-R", "Llama-2", "WikiAnn"]


def test_findings_are_read_back_as_they_were_found(tmp_path: Path) -> None:
    record = one_record(*CASES["check-attacked-not-claim"][0])
    with SQLiteViews(tmp_path / "views", [Findings]) as views:
        views.apply(Findings, [record], Checkpoint(9, 1))
        findings = Findings(views)
        of_record = findings.of(record.record_id)
        page_of = findings.page(Query(rule=("check-attacked-not-claim", "no-test-power")))
        counts = {count.rule: (count.findings, count.records) for count in findings.counts()}
    order = [rule.id for rule in RULES]
    assert [f.rule for f in of_record] == sorted((f.rule for f in of_record), key=order.index)
    assert page_of.total == 1
    assert asdict(page_of.items[0]) == asdict(
        next(f for f in of_record if f.rule == "check-attacked-not-claim")
    )
    assert list(counts) == order
    assert counts["check-attacked-not-claim"] == (1, 1)
    assert counts["no-test-power"] == (0, 0)


def test_findings_are_paged_latest_first_and_back(tmp_path: Path) -> None:
    record = one_record(*CASES["check-attacked-not-claim"][0])
    with SQLiteViews(tmp_path / "views", [Findings]) as views:
        views.apply(Findings, [record], Checkpoint(9, 1))
        findings = Findings(views)
        whole = findings.page(Query())
        walked: list[Finding] = []
        cursor = None
        while True:
            one = findings.page(Query(limit=1, cursor=cursor))
            walked.extend(one.items)
            if one.next is None:
                break
            cursor = one.next
        back = findings.page(Query(limit=100, cursor=one.previous))
    assert [f.position for f in whole.items] == sorted(
        (f.position for f in whole.items), reverse=True
    )
    assert tuple(walked) == whole.items
    assert back.items == whole.items[:-1]
