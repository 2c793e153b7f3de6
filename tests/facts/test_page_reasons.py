"""What a verdict's reason says was done is read exactly, or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.evidence import RedTeamEvidence, SandboxEvidence
from ledger.importing.reason import read, says_before_activation
from ledger.vocabulary import AttackerRole, Gate, Method, Outcome
from projections.rules.gates import says_nothing_attempted

HUNTER, AUDITOR, REPLICATOR = AttackerRole


def red_team(text: str) -> RedTeamEvidence:
    reading = read(text)
    assert reading.gate is Gate.RED_TEAM
    assert reading.method is Method.RED_TEAM
    assert isinstance(reading.evidence, RedTeamEvidence)
    assert reading.unread == ()
    return reading.evidence


def test_three_attackers_are_read_in_order_with_findings_to_the_last_space() -> None:
    evidence = red_team(
        "[Gate 3 RED-TEAM FALSIFIED] avg_attack_score=7.7/10. COUNTEREXAMPLE_HUNTER(8.5):One; or "
        "two (of them): cut rig; CITATION_AUDITOR(7.2):rather than ; REPLICATION_ATTACKER(7.5):th "
    )
    assert [(a.role, str(a.score), a.finding, a.error) for a in evidence.attacks] == [
        (HUNTER, "8.5", "One; or two (of them): cut rig", None),
        (AUDITOR, "7.2", "rather than ", None),
        (REPLICATOR, "7.5", "th ", None),
    ]
    assert str(evidence.mean) == "7.7"
    assert evidence.aggregation is None


@pytest.mark.parametrize(
    ("printed", "error"),
    [
        ("CITATION_AUDITOR(error):model timed out", "model timed out"),
        ("CITATION_AUDITOR(error):", "error"),
        ("CITATION_AUDITOR(0.0):crashed while reading", "crashed while reading"),
        ("CITATION_AUDITOR(0.0):Attacker crashed: no JSON", "Attacker crashed: no JSON"),
        ("CITATION_AUDITOR(0.0):TimeoutError: 120 s", "TimeoutError: 120 s"),
        ("CITATION_AUDITOR(0.0):ERROR: no reply", "ERROR: no reply"),
        ("CITATION_AUDITOR(n/a):", "n/a"),
    ],
)
def test_an_attacker_that_crashed_is_missing_and_not_zero(printed: str, error: str) -> None:
    evidence = red_team(
        "[Gate 3 RED-TEAM FALSIFIED] avg_attack_score=5.0/10. COUNTEREXAMPLE_HUNTER(8.0):Bad; "
        f"{printed}; REPLICATION_ATTACKER(7.0):Worse"
    )
    crashed = evidence.attacks[1]
    assert (crashed.role, crashed.score, crashed.error) == (AUDITOR, None, error)
    assert evidence.valid_scores == (Decimal("8.0"), Decimal("7.0"))
    assert not evidence.mean_agrees()
    assert evidence.mean_agrees(evidence.scores_with_crashes_as_zero)


@pytest.mark.parametrize("finding", ["found no flaws", "Error handling is sound", "no flaws found"])
def test_a_zero_that_was_given_stays_a_zero(finding: str) -> None:
    evidence = red_team(
        f"[Gate 3 RED-TEAM SURVIVED] avg_attack_score=0.0/10. CITATION_AUDITOR(0.0):{finding}"
    )
    assert (str(evidence.attacks[0].score), evidence.attacks[0].finding) == ("0.0", finding)


@pytest.mark.parametrize(
    "told",
    [
        "avg_attack_score=11/10. CITATION_AUDITOR(7.0):x",
        "avg_attack_score=7.0/10. CITATION_AUDITOR(70):x",
        "avg_attack_score=7.0/10. CITATION_AUDITOR(high):x",
        "avg_attack_score=7.0/10. NEW_ATTACKER(7.0):x",
        "avg_attack_score=7.0/10. CITATION_AUDITOR(7.0):x; CITATION_AUDITOR(7.0):x",
        "avg_attack_score=7.0/10. Prose first. CITATION_AUDITOR(7.0):x",
        "avg_attack_score=7.0/10.",
        "",
    ],
)
def test_a_red_team_that_does_not_fit_is_left_unread(told: str) -> None:
    reading = read(f"[Gate 3 RED-TEAM FALSIFIED] {told}")
    assert reading.gate is Gate.RED_TEAM
    assert reading.evidence is None
    assert reading.unread == ("red-team attackers",)


def test_a_matching_reproduction_keeps_every_digit() -> None:
    reading = read(
        "Sealed-sandbox formula repro: Computed 0.10 matches expected 1e-1 (tolerance=5.0%)."
    )
    assert reading.method is Method.SANDBOX
    evidence = reading.evidence
    assert isinstance(evidence, SandboxEvidence)
    assert (str(evidence.computed), str(evidence.expected)) == ("0.10", "0.1")
    assert (evidence.tolerance.kind, str(evidence.tolerance.value)) == ("relative", "0.050")
    assert reading.difference is None
    assert evidence.implied() is Outcome.PASSED


@pytest.mark.parametrize("sign", ["≠", "!="])
def test_a_failed_reproduction_keeps_the_printed_difference(sign: str) -> None:
    reading = read(
        f"Sealed-sandbox formula repro FAILED: Computed -3.50 {sign} expected 2 "
        "(diff=275.0%, tolerance=5.0%)"
    )
    evidence = reading.evidence
    assert isinstance(evidence, SandboxEvidence)
    assert (str(evidence.computed), str(evidence.expected)) == ("-3.50", "2")
    assert str(reading.difference) == "275.0"
    assert evidence.implied() is Outcome.FAILED


@pytest.mark.parametrize(
    "figures",
    [
        "Computed nan ≠ expected 2 (diff=nan%, tolerance=5.0%)",
        "Computed 1,000 matches expected 1000 (tolerance=5.0%)",
        f"Computed {'9' * 61} matches expected 1 (tolerance=5.0%)",
        "Computed 1e999 matches expected 1 (tolerance=5.0%)",
        "Computed 1 matches expected 1 (tolerance=-5.0%)",
        "the run did not end",
    ],
)
def test_figures_that_do_not_fit_are_left_unread(figures: str) -> None:
    reading = read(f"Sealed-sandbox formula repro: {figures}")
    assert reading.method is Method.SANDBOX
    assert reading.evidence is None
    assert reading.unread == ("sandbox figures",)


def test_a_formal_proof_is_a_method_without_readable_evidence() -> None:
    reading = read("The Lean 4 source type-checks.")
    assert (reading.method, reading.evidence) == (Method.LEAN4, None)
    assert reading.unread == ("Lean 4 run",)


@pytest.mark.parametrize(
    ("text", "predates"),
    [
        ("Published before the Gate 2 pipeline was activated (2026-06-10).", True),
        ("It came out before the gate went live; no sandbox run was tried.", True),
        ("No formal proof or sandbox reproduction has been attempted.", False),
        ("Evaluated later. The gate was activated earlier.", False),
    ],
)
def test_a_reason_for_no_attempt_names_no_method(text: str, predates: bool) -> None:  # noqa: FBT001
    reading = read(text)
    assert (reading.method, reading.evidence, reading.unread) == (None, None, ())
    assert reading.predates_activation is predates


WORDS = (
    *("no", "not", "nothing", "know", "attempted", "Attempted", "unattempted", "before", "Before"),
    *("activated", "activation", "reactivated", "went live", "going live", "live", "gone", "é"),
    *(".", ";", ",", "_", "-", "\n", " "),
)
READERS: list[tuple[Callable[[str], bool], str]] = [
    (says_nothing_attempted, r"\b(?:no|not|nothing)\b[^.;]*\battempted\b"),
    (
        says_before_activation,
        r"\bbefore\b[^.;]*\b(?:activat(?:ed|ion)|(?:went|go(?:es|ing)?) live)\b",
    ),
]


@pytest.mark.parametrize(("reader", "meaning"), READERS)
@given(st.lists(st.sampled_from(WORDS), max_size=12), st.sampled_from(["", " "]))
@example(["no", " ", "attempted"], "")
@example(["before", ".", "activation"], " ")
def test_a_clause_says_what_its_words_say(
    reader: Callable[[str], bool], meaning: str, words: list[str], between: str
) -> None:
    text = between.join(words)
    assert reader(text) == bool(re.search(meaning, text, re.IGNORECASE))


@pytest.mark.parametrize("word", ["no ", "before ", "nothing", "no.", "before;"])
def test_a_clause_of_any_length_is_read(word: str) -> None:
    # So long that whoever looks from each word to the end of the text never gets done.
    hostile = word * 1_000_000
    assert not says_nothing_attempted(hostile)
    assert not says_before_activation(hostile)
    assert read(hostile[:50_000]).evidence is None
