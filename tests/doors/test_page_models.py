"""What the pages say, before any HTML: view models from documents, without a server."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from given_pages import load_samples
from ledger.codec import encode
from ledger.content import Content, ReviewerScores
from ledger.content import Review as ReviewValue
from ledger.events import (
    CorrectionIssued,
    Event,
    GateActivated,
    GateEvaluated,
    RecordSubmitted,
    ReviewAssessed,
    Subject,
)
from ledger.evidence import (
    Aggregation,
    Attack,
    CounterexampleEvidence,
    LeanEvidence,
    RedTeamEvidence,
    SandboxEvidence,
    Tolerance,
)
from ledger.importing.facts import to_events
from ledger.in_force import InForce
from ledger.vocabulary import (
    AttackerRole,
    CorrectionType,
    Gate,
    Nature,
    Outcome,
    moment_text,
)
from ledger.web import (
    evaluation_rows,
    record_head,
    record_page,
    timeline,
)
from projections import public_view

RECORD = "01980f5e-6c1a-7cc3-9d3f-0a4f5b6c7d8e"
SUCCESSOR = "01980f5e-6c1a-7cc3-9d3f-0a4f5b6c7d8f"
IN_FORCE = InForce().after(
    GateActivated(
        originator_id="ledger",
        originator_version=1,
        actor="operator",
        gate=Gate.VERIFICATION,
        activated_on=date(2026, 6, 10),
        label="Gate 2 — Verification",
    )
)
CONTENT = Content(title="A small study", publisher="Example Research")


def submission() -> RecordSubmitted:
    return RecordSubmitted(
        originator_id=RECORD,
        originator_version=1,
        actor="pipeline",
        handle="SRCH:B0E046B6",
        content=CONTENT,
        content_digest=CONTENT.digest(),
    )


def evaluation(version: int, evidence: Any, outcome: Outcome, gate: Gate) -> GateEvaluated:
    return GateEvaluated(
        originator_id=RECORD,
        originator_version=version,
        actor="sandbox",
        evaluation_id=f"01980f5e-6c1a-7cc3-9d3f-0000000000{version:02d}",
        gate=gate,
        outcome=outcome,
        subject=Subject(submission=1, digest=CONTENT.digest()),
        evidence=evidence,
        evaluated_at=datetime(2026, 7, 2, 3, 48, 27, 951721, tzinfo=UTC),
    )


def correction(version: int, nature: Nature) -> CorrectionIssued:
    return CorrectionIssued(
        originator_id=RECORD,
        originator_version=version,
        actor="editor",
        correction_id=SUCCESSOR,
        correction_type=CorrectionType.CLAIM,
        nature=nature,
        public_note="The test set leaked.",
        asserted_by="The authors",
        effective_on=date(2026, 7, 9),
    )


def document_of(events: tuple[Event, ...]) -> dict[str, Any]:
    shown = public_view.fold(events, IN_FORCE)
    whole: dict[str, Any] = json.loads(json.dumps(shown))
    return whole | {"position": 9, "recorded_at": "2026-07-10T00:00:00.000000Z"}


def history_of(events: tuple[Event, ...]) -> list[dict[str, Any]]:
    return [
        {
            "version": event.originator_version,
            "position": event.originator_version + 4,
            "recorded_at": moment_text(datetime(2026, 7, 10, 12, 0, 0, 5, tzinfo=UTC)),
            "type": event.TYPE,
            "schema_version": event.VERSION,
            "event": json.loads(encode(event)),
        }
        for event in events
    ]


def page_of(*events: Event) -> record_page.RecordPage:
    given = record_page.Given(document_of(events), history_of(events), (), IN_FORCE)
    return record_page.build(given)


def sample(number: int) -> tuple[Event, ...]:
    """Return the events of one of the sample pages, 0 to 4."""
    return to_events(
        load_samples()[number],
        record_id=RECORD,
        handle="SRCH:AAAAAAAA",
        actor="operator",
        evaluation_id=SUCCESSOR,
    )


def told(facts: tuple[Any, ...], label: str) -> Any:
    return next(fact for fact in facts if fact.label == label)


# ---------------------------------------------------------------- the record's page


def test_an_imported_falsification_shows_the_gate_as_printed_and_the_gate_that_decided() -> None:
    page = page_of(*sample(2))
    assert page.verdict.status == "FALSIFIED"
    assert told(page.verdict.facts, "Gate").text.startswith("Gate 2")
    assert told(page.verdict.facts, "Decided by").text.startswith("Gate 3")
    assert page.verdict.remark is not None
    assert page.verdict.basis == "stated"
    evaluated = told(page.verdict.facts, "Evaluated")
    assert evaluated.text == evaluated.when == "2026-07-02T03:48:27.951721+00:00"


def test_the_head_shows_what_the_source_page_shows() -> None:
    head = page_of(*sample(2)).head
    shown = {fact.label: fact.text for fact in head.facts}
    assert shown == {
        "Submitted": "2 July 2026",
        "Review score": "9.33/10",
        "Verification": "L2, Source-grounded claims",
        "Gate status": "Falsified",
        "Quality tier": "Flagship candidate",
        "Verified claims": "9",
        "Grounded claims": "9",
        "DOI": "10.5281/zenodo.21122311",
    }
    assert told(head.facts, "Submitted").when == "2026-07-02"
    assert head.doi_href == "https://doi.org/10.5281/zenodo.21122311"


def test_an_unverified_import_keeps_its_source_and_has_no_moment_of_evaluation() -> None:
    page = page_of(*sample(0))
    assert page.verdict.status == "UNVERIFIED"
    assert told(page.verdict.facts, "Evaluated").when is None
    assert page.evaluations == ()
    assert page.source is not None
    assert {section.heading for section in page.source.sections} >= {"Quality Tier", "Provenance"}
    assert told(page.quality.tier, "Policy").text == "v1"
    assert told(page.quality.tier, "Policy v2 would say").text


def test_every_shipped_sample_has_a_page() -> None:
    for number in range(len(load_samples())):
        page = page_of(*sample(number))
        assert page.bases["content"] == "stated"
        assert page.timeline[-1].type == "page.imported"


def test_a_count_that_nobody_knows_is_not_zero() -> None:
    counters = page_of(submission()).counters
    assert [(fact.label, fact.text) for fact in counters] == [
        ("Extracted claims", "not known"),
        ("Source-grounded claims", "not known"),
        ("Independently verified claims", "not known"),
    ]


def test_unassessed_dimensions_are_named_apart() -> None:
    quality = page_of(submission()).quality
    assert len(quality.dimensions) + len(quality.unassessed) == 8
    assert "Novelty" in quality.unassessed


@pytest.mark.parametrize(
    ("nature", "prefix"),
    [
        (Nature.RETRACTION, "RETRACTED: "),
        (Nature.PARTIAL_RETRACTION, "PARTIALLY RETRACTED: "),
        (Nature.WITHDRAWAL, "WITHDRAWN: "),
        (Nature.REMOVAL, "REMOVED: "),
        (Nature.EXPRESSION_OF_CONCERN, "EXPRESSION OF CONCERN: "),
        (Nature.ERRATUM, ""),
    ],
)
def test_a_doubtful_standing_is_put_before_the_title_and_in_a_banner(
    nature: Nature, prefix: str
) -> None:
    head = page_of(submission(), correction(2, nature)).head
    assert (head.prefix, head.title) == (prefix, "A small study")
    assert [banner.kind for banner in head.banners] == (["standing"] if prefix else [])


def test_a_reinstated_record_has_no_prefix() -> None:
    issued = (submission(), correction(2, Nature.RETRACTION), correction(3, Nature.REINSTATEMENT))
    head = page_of(*issued).head
    assert (head.prefix, head.banners) == ("", ())


def test_a_superseded_record_leads_to_its_successor_by_name() -> None:
    document = document_of((submission(),)) | {"superseded_by": SUCCESSOR}
    successor = {"handle": "SRCH:0000CAFE", "title": "A larger study"}
    (banner,) = record_head.banners(document, successor)
    assert banner.href == f"/records/{SUCCESSOR}"
    assert banner.link_text == "SRCH:0000CAFE: A larger study"
    (alone,) = record_head.banners(document)
    assert alone.link_text == "Go to that record"


def test_a_view_that_is_behind_says_so() -> None:
    (banner,) = record_head.banners(document_of((submission(),)), behind=12)
    assert (banner.kind, "12" in banner.sentence) == ("behind", True)


def test_the_registration_of_an_unnamed_doi_is_not_shown_as_none() -> None:
    document = document_of((submission(),))
    document["provenance"]["external_record"] = True
    head = record_head.build(document)
    assert told(head.facts, "DOI").text == "registered, but not named by the source"


def test_a_checked_review_of_an_imported_record_is_no_longer_stated() -> None:
    events = sample(0)
    scores = ReviewerScores(
        challenger=Decimal("5.0"), confirmer=Decimal("6.0"), integrator=Decimal("7.0")
    )
    review = ReviewAssessed(
        originator_id=RECORD,
        originator_version=len(events) + 1,
        actor="reviewers",
        review=ReviewValue(scores=scores),
        assessed_on=date(2026, 7, 11),
    )
    assert timeline.bases(history_of(events))["review"] == "stated"
    bases = timeline.bases(history_of((*events, review)))
    assert (bases["review"], bases["content"]) == ("checked", "stated")


def test_view_models_cannot_be_changed() -> None:
    head = page_of(submission()).head
    with pytest.raises(FrozenInstanceError):
        head.title = "Another"  # type: ignore[misc]


# ---------------------------------------------------------------- evaluations and timeline


def evidence_facts(evidence: Any) -> dict[str, str]:
    found = evaluation_rows.shown(json.loads(evidence.model_dump_json()))
    return {fact.label: fact.text for fact in found.facts}


def test_a_reproduction_shows_its_figures_digit_by_digit() -> None:
    run = SandboxEvidence(
        computed=Decimal("100.0"),
        expected=Decimal("99.50"),
        tolerance=Tolerance(value=Decimal("0.050")),
    )
    assert evidence_facts(run) == {
        "Computed": "100.0",
        "Expected": "99.50",
        "Tolerance": "0.050 (5% of expected)",
        "Difference": "0.5",
        "Script": "digest not stated",
        "Results": "digest not stated",
    }


def test_an_absolute_tolerance_is_not_shown_as_a_share() -> None:
    tolerance = Tolerance(kind="absolute", value=Decimal("0.5"))
    run = SandboxEvidence(computed=Decimal(0), expected=Decimal(0), tolerance=tolerance)
    assert evidence_facts(run)["Tolerance"] == "0.5 (absolute)"


def test_a_red_team_shows_every_attacker_with_the_finding_in_full_and_dissent() -> None:
    finding = "x" * 5_000
    attack = RedTeamEvidence(
        attacks=(
            Attack(role=AttackerRole.COUNTEREXAMPLE_HUNTER, score=Decimal("8.5"), finding=finding),
            Attack(role=AttackerRole.CITATION_AUDITOR, score=Decimal("6.0"), finding="Sound."),
            Attack(role=AttackerRole.REPLICATION_ATTACKER, error="Out of memory."),
        ),
        aggregation=Aggregation(threshold=Decimal("7.0"), quorum=2),
        mean=Decimal("7.25"),
    )
    shown = evaluation_rows.shown(json.loads(attack.model_dump_json()))
    assert [(a.role, a.score, a.dissents) for a in shown.attacks] == [
        ("Counterexample hunter", "8.5", False),
        ("Citation auditor", "6.0", True),
        ("Replication attacker", None, False),
    ]
    assert shown.attacks[0].finding == finding
    assert told(shown.facts, "Attackers that finished").text == "2 of 3"
    assert told(shown.facts, "Mean of valid scores").text == "7.25"


def test_a_mean_that_does_not_end_is_rounded_and_a_missing_rule_is_said() -> None:
    scores = ("8.5", "7.2", "7.5")
    attacks = tuple(
        Attack(role=role, score=Decimal(score))
        for role, score in zip(AttackerRole, scores, strict=True)
    )
    facts = evidence_facts(RedTeamEvidence(attacks=attacks, mean=Decimal("7.7")))
    assert facts["Mean of valid scores"] == "7.7333"
    assert facts["Aggregation"] == "rule and threshold not stated"


def test_proofs_and_counterexamples_show_what_they_rest_on() -> None:
    proof = LeanEvidence(toolchain="leanprover/lean4:v4.9.0", exit_code=0, axioms=("propext",))
    assert evidence_facts(proof)["Axioms used"] == "propext"
    digest = "sha256:" + "0123456789abcdef" * 4
    found = CounterexampleEvidence(digest=digest, cases_tried=12_000)
    assert evidence_facts(found) == {"Counterexample": digest, "Cases tried": "12,000"}


def test_the_deciding_evaluation_is_marked_and_withdrawn_ones_say_by_what() -> None:
    run = SandboxEvidence(
        computed=Decimal(1), expected=Decimal(1), tolerance=Tolerance(value=Decimal("0.05"))
    )
    passed = evaluation(2, run, Outcome.PASSED, Gate.VERIFICATION)
    invalid = evaluation(3, None, Outcome.INVALID_CHECK, Gate.VERIFICATION)
    invalid = invalid.model_copy(update={"withdraws": passed.evaluation_id})
    failed = evaluation(4, CounterexampleEvidence(cases_tried=1), Outcome.FAILED, Gate.VERIFICATION)
    page = page_of(submission(), passed, invalid, failed)
    assert [(row.state, row.decides) for row in page.evaluations] == [
        ("withdrawn", False),
        ("counting", False),
        ("counting", True),
    ]
    assert page.evaluations[0].state_note == "Withdrawn by version 3."
    withdraws = told(page.evaluations[1].details, "Withdraws")
    assert withdraws.href == f"#{page.evaluations[0].anchor}"
    decided = told(page.verdict.facts, "Decided by")
    assert decided.href == f"#{page.evaluations[2].anchor}"


def test_the_timeline_keeps_both_times_and_ends_with_the_newest() -> None:
    page = page_of(submission(), correction(2, Nature.RETRACTION))
    assert [entry.version for entry in page.timeline] == [1, 2]
    last = page.timeline[-1]
    assert (last.effective.when, last.recorded.when) == (
        "2026-07-09",
        "2026-07-10T12:00:00.000005+00:00",
    )
    assert last.note == "The test set leaked."
    assert "asserted by The authors" in last.summary


def test_an_event_without_words_or_body_is_still_listed() -> None:
    (entry,) = timeline.entries(
        [
            {
                "version": 3,
                "position": 8,
                "recorded_at": "2026-07-10T12:00:00.000005Z",
                "type": "record.sung-about",
                "schema_version": 1,
                "event": {},
            }
        ],
        "SRCH:B0E046B6",
        3,
        {},
    )
    assert (entry.label, entry.actor) == ("Record.sung about", "not known")
