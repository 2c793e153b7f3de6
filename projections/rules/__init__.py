"""Which contradictions can be detected?  The table of rules, in the order in which they are told.

A rule is a pure function of one record; its id is public and never reused for something else.
"""

from __future__ import annotations

from typing import Final

from projections.rules import derived, gates, pages
from projections.rules.case import Rule

RULES: Final = (
    Rule(
        "reason-predates-activation",
        1,
        "A missing evaluation is excused by a date that the submission date refutes.",
        gates.reason_predates_activation,
    ),
    Rule(
        "verified-count-repeats-grounded",
        2,
        "One printed number stands for both the grounded and the verified claims.",
        pages.verified_count_repeats_grounded,
    ),
    Rule(
        "gate-mislabelled",
        3,
        "The verdict is shown under another gate than the one that decided it.",
        gates.gate_mislabelled,
    ),
    Rule(
        "check-attacked-not-claim",
        4,
        "A falsification rests on findings about the check, not about the claim.",
        gates.check_attacked_not_claim,
    ),
    Rule(
        "attacker-crash-averaged",
        6,
        "An attacker that did not finish is averaged in as a score of 0.",
        gates.attacker_crash_averaged,
    ),
    Rule(
        "mean-contradicts-scores",
        6,
        "The mean attack score is not the mean of the attack scores.",
        gates.mean_contradicts_scores,
    ),
    Rule(
        "dissent-under-falsified",
        7,
        "The record is falsified although an attacker did not fault it.",
        gates.dissent_under_falsified,
    ),
    Rule(
        "no-test-power",
        9,
        "A reproduction computed exactly what was expected, and so tested nothing.",
        gates.no_test_power,
    ),
    Rule(
        "level-below-verdict",
        10,
        "The record is verified, but its level is below that of an executed check.",
        derived.level_below_verdict,
    ),
    Rule(
        "tier-ignores-falsification",
        11,
        "The record is falsified, but its tier is as if it were not.",
        derived.tier_ignores_falsification,
    ),
    Rule(
        "reproducibility-from-doi",
        12,
        "Reproducibility is rated high without anything that reproduces the record.",
        derived.reproducibility_from_doi,
    ),
    Rule(
        "evaluated-without-evaluation",
        14,
        "A moment of evaluation is stated where nothing was attempted.",
        gates.evaluated_without_evaluation,
    ),
    Rule(
        "evaluated-before-submission",
        14,
        "An evaluation is dated before the submission that it is about.",
        gates.evaluated_before_submission,
    ),
    Rule(
        "verdict-undated",
        14,
        "A settled verdict does not say when it was reached.",
        gates.verdict_undated,
    ),
    Rule(
        "publication-rule-broken",
        15,
        "The record is published although the stated publication rule forbids it.",
        derived.publication_rule_broken,
    ),
    Rule(
        "abstract-source-unnamed",
        18,
        "The abstract looks like another work's, and that work is not named.",
        pages.abstract_source_unnamed,
    ),
    Rule(
        "text-cut",
        18,
        "The abstract ends in the middle of a sentence, at its limit.",
        pages.text_cut,
    ),
    Rule(
        "findings-cut",
        7,
        "The findings behind a verdict end in the middle of a sentence.",
        gates.findings_cut,
    ),
    Rule(
        "title-question-disagree",
        19,
        "The title names a benchmark or model that the research question does not.",
        pages.title_question_disagree,
    ),
    Rule(
        "contract-version-disagrees",
        20,
        "The page names a contract that the ledger does not know.",
        pages.contract_version_disagrees,
    ),
    Rule(
        "earlier-submission-falsified",
        None,
        "An earlier submission was falsified, and nothing has settled the current one.",
        gates.earlier_submission_falsified,
    ),
    Rule(
        "corrected-since-evaluation",
        None,
        "What the record claims was corrected, but its verdict is about what was submitted.",
        gates.corrected_since_evaluation,
    ),
    Rule(
        "evidence-says-nothing",
        None,
        "The artifacts that a verdict rests on are empty, or one and the same.",
        gates.evidence_says_nothing,
    ),
    Rule(
        "level-not-counted",
        None,
        "Claims are counted for a level that no checked evaluation bears out.",
        derived.level_not_counted,
    ),
    Rule(
        "artifact-missing",
        None,
        "A settled verdict is stated without the artifacts that it needs.",
        derived.artifact_missing,
    ),
    Rule(
        "stated-value-differs",
        None,
        "The page states another value than the one that its own facts give.",
        derived.stated_value_differs,
    ),
    Rule(
        "input-missing",
        None,
        "A tier is stated without the review score that it is derived from.",
        derived.input_missing,
    ),
)
"""Every rule, by the number of its defect, the ledger's own at the end."""
