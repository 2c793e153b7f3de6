"""A page becomes one group of stated facts, and no more than the page states."""

from __future__ import annotations

from datetime import date
from typing import TypeVar

import pytest

from ledger.codec import decode, encode, topic_of
from ledger.events import (
    ArtifactAttached,
    Event,
    ExternalRecordRegistered,
    GateEvaluated,
    PageImported,
    RecordSubmitted,
    Stated,
)
from ledger.evidence import RedTeamEvidence, SandboxEvidence
from ledger.importing.facts import PUBLISHER_NOT_STATED, to_events
from ledger.importing.page import StatedPage, parse
from ledger.record import project
from ledger.vocabulary import ArtifactRole, Gate, Method, Outcome
from page_texts import PLAIN, TABLE, changed

Fact = TypeVar("Fact", bound=Event)
RECORD = "01980f5e-6c1a-7cc3-9d3f-0a4f5b6c7d8e"
EVALUATION = "01980f5e-6c1a-7cc3-9d3f-0a4f5b6c7d8f"


def facts_of(page: StatedPage) -> tuple[Event, ...]:
    return to_events(
        page,
        record_id=RECORD,
        handle="SRCH:12345678",
        actor="importer",
        evaluation_id=EVALUATION,
    )


def facts(source: bytes | str) -> dict[type[Event], Event]:
    text = source.encode() if isinstance(source, str) else source
    group = facts_of(parse(text, "page.txt"))
    assert len({type(event) for event in group}) == len(group)
    return {type(event): event for event in group}


def one(group: dict[type[Event], Event], kind: type[Fact]) -> Fact:
    event = group[kind]
    assert isinstance(event, kind)
    return event


@pytest.mark.parametrize("text", [PLAIN, TABLE])
def test_the_group_is_one_stream_of_stated_facts_that_folds_and_is_stored(text: str) -> None:
    page = parse(text.encode(), "page.txt")
    group = facts_of(page)
    assert [event.originator_version for event in group] == list(range(1, len(group) + 1))
    assert isinstance(group[0], RecordSubmitted)
    assert isinstance(group[-1], PageImported)
    for event in group:
        assert isinstance(event.basis, Stated)
        assert (event.basis.source, event.basis.name) == (page.source, "page.txt")
        stored = encode(event)
        assert decode(RECORD, event.originator_version, topic_of(event), stored) == event
    folded = project(None, group)
    assert folded is not None
    assert folded.version == len(group)


def test_the_lines_of_the_basis_are_the_lines_of_the_page() -> None:
    lines = PLAIN.split("\n")
    starts: dict[type[Event], str] = {
        RecordSubmitted: "On Counting",
        ExternalRecordRegistered: "External record",
        ArtifactAttached: "Report artifact",
        GateEvaluated: "Reason",
    }
    group = facts(PLAIN)
    for kind, start in starts.items():
        basis = group[kind].basis
        assert isinstance(basis, Stated)
        assert basis.line is not None
        assert lines[basis.line - 1].startswith(start)


def test_the_submission_says_what_the_page_says() -> None:
    submitted = one(facts(PLAIN), RecordSubmitted)
    assert submitted.handle == "SRCH:00C0FFEE"
    assert submitted.submitted_on == date(2026, 6, 9)
    assert submitted.content.kind == "synthesis"
    assert submitted.content.publisher == "Some Publisher"
    assert submitted.content.note == "Written by a program."
    assert submitted.content_digest == submitted.content.digest()
    assert submitted.review is not None
    assert (str(submitted.review.mean), submitted.review.method) == ("8.50", "Three programs")
    assert submitted.review.scores is None


def test_two_printed_counters_stay_two_counters() -> None:
    claims = one(facts(PLAIN), RecordSubmitted).claims
    assert claims is not None
    assert (claims.extracted, claims.grounded, claims.verified) == (None, 7, 12)
    alone = one(facts(TABLE), RecordSubmitted).claims
    assert alone is not None
    assert (alone.extracted, alone.grounded, alone.verified) == (None, 7, None)


def test_a_page_without_handle_takes_the_given_one() -> None:
    submitted = one(facts(TABLE), RecordSubmitted)
    assert submitted.handle == "SRCH:12345678"
    assert submitted.submitted_on is None


def test_a_registration_without_a_printed_doi_has_no_value() -> None:
    assert one(facts(TABLE), ExternalRecordRegistered).value is None
    assert one(facts(PLAIN), ExternalRecordRegistered).value == "10.5281/zenodo.123"


def test_the_report_is_attached_without_a_digest() -> None:
    artifact = one(facts(PLAIN), ArtifactAttached)
    assert (artifact.role, artifact.digest) == (ArtifactRole.REPORT, None)


def test_a_red_team_verdict_is_bound_to_its_own_gate_and_to_the_first_submission() -> None:
    group = facts(PLAIN)
    evaluated = one(group, GateEvaluated)
    assert (evaluated.gate, evaluated.method) == (Gate.RED_TEAM, Method.RED_TEAM)
    assert (evaluated.outcome, evaluated.evaluation_id) == (Outcome.FAILED, EVALUATION)
    assert isinstance(evaluated.evidence, RedTeamEvidence)
    assert evaluated.subject.submission == 1
    assert evaluated.subject.digest == one(group, RecordSubmitted).content_digest
    assert evaluated.note is None


def test_a_sandbox_verdict_belongs_to_the_printed_gate() -> None:
    evaluated = one(facts(TABLE), GateEvaluated)
    assert (evaluated.gate, evaluated.method) == (Gate.VERIFICATION, Method.SANDBOX)
    assert evaluated.outcome is Outcome.PASSED
    assert isinstance(evaluated.evidence, SandboxEvidence)


def test_nothing_evaluated_means_no_evaluation() -> None:
    reason = PLAIN[PLAIN.index("Reason[") : PLAIN.index("Evaluated")]
    source = changed(
        PLAIN,
        ("StatusFalsified", "StatusUnverified"),
        (reason, "ReasonPublished before the gate was activated (2026-06-10).\n"),
        ("Evaluated2026-06-11T03:48:27.951721+00:00\n", ""),
    )
    group = facts(source)
    assert GateEvaluated not in group
    verdict = one(group, PageImported).verdict
    assert verdict is not None
    assert verdict.claims_predates_activation


def test_a_moment_without_a_verdict_is_an_evaluation_without_a_conclusion() -> None:
    evaluated = one(facts(changed(PLAIN, ("StatusF", "StatusUnverified\nX F"))), GateEvaluated)
    assert evaluated.outcome is Outcome.INCONCLUSIVE
    assert evaluated.evaluated_at is not None
    assert evaluated.note is not None


def test_a_verdict_of_no_gate_stays_a_stated_one() -> None:
    gate = next(line for line in PLAIN.split("\n") if line.startswith("GateGate"))
    source = changed(PLAIN, (gate + "\n", ""), ("[Gate 3 RED-TEAM FALSIFIED]", "It failed:"))
    group = facts(source)
    assert GateEvaluated not in group
    imported = one(group, PageImported)
    assert imported.verdict is not None
    assert imported.verdict.gate is None
    assert "unread: evaluation (the page names no gate for it)" in imported.missing


def test_a_page_that_breaks_off_before_its_publisher_says_so() -> None:
    group = facts(PLAIN[: PLAIN.index("Provenance\n\n")])
    assert one(group, RecordSubmitted).content.publisher == PUBLISHER_NOT_STATED
    assert "section: Provenance" in one(group, PageImported).missing
    assert ArtifactAttached not in group


def test_corrections_of_the_source_stay_in_what_it_stated() -> None:
    source = changed(PLAIN, ("StatusCURRENT", "StatusCORRECTED"), ("count0", "count2"))
    stated = {(f.section, f.label): f.value for f in one(facts(source), PageImported).stated}
    assert stated["Correction Record", "Status"] == "CORRECTED"
    assert stated["Correction Record", "Correction count"] == "2"
