"""What may happen to a record and what may not: each rule, each refusal, each boundary."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from given import NOW, Given, given
from ledger import errors
from ledger.commands import Command
from ledger.content import ClaimCounts, Content, PublicField, Review, ReviewerScores
from ledger.events import (
    ArtifactAttached,
    ClaimsCounted,
    CorrectionIssued,
    Event,
    ExternalRecordRegistered,
    PublicationRule,
    RecordResubmitted,
    RecordSubmitted,
    RecordSuperseded,
    ReviewAssessed,
)
from ledger.record import evolve
from ledger.rules import RESERVED_WORDS, publication_rule
from ledger.vocabulary import ClaimSource, Nature
from view_facts import (
    OTHER,
    PAGE,
    RECORD,
    corrected,
    evaluated,
    registered,
    submitted,
    superseded,
    uuid,
)
from wishes import (
    CONTENT,
    SCRIPT,
    assess,
    attach,
    bundle,
    correct,
    count,
    read,
    register,
    resubmit,
    resubmitted,
    submit,
    supersede,
)

LATE = datetime(2026, 7, 10, 23, 59, 55, tzinfo=UTC)
"""Five seconds before the next day begins, which is how far clocks may differ."""
TICK = timedelta(microseconds=1)
TITLE, PUBLISHER = CONTENT["title"], CONTENT["publisher"]

# ---------------------------------------------------------------- submissions


def test_a_submission_opens_a_record() -> None:
    opened = given().when(submit()).answer
    assert isinstance(opened, RecordSubmitted)
    assert opened.content == read(Content, CONTENT)
    assert opened.content_digest == opened.content.digest()
    assert (opened.handle, opened.submitted_on) == ("SRCH:00000001", date(2026, 7, 1))
    assert opened.publication_rule == PublicationRule(kept=None)


def test_a_submission_without_a_day_is_of_today() -> None:
    opened = given().when(submit(submitted_on=None)).answer
    assert isinstance(opened, RecordSubmitted)
    assert opened.submitted_on == NOW.date()


def test_a_submission_may_be_as_far_ahead_as_clocks_differ() -> None:
    tomorrow = submit(submitted_on="2026-07-11")
    assert isinstance(given().when(tomorrow, LATE).answer, RecordSubmitted)
    given().when(tomorrow, LATE - TICK).refuses(errors.SubmittedInTheFuture, given="2026-07-11")


@pytest.mark.parametrize(
    "claims",
    [
        {"extracted": 1, "grounded": 2},
        {"grounded": 1, "verified": 2},
        {"extracted": 1, "verified": 2},
        {"extracted": 0, "grounded": 0, "verified": 1},
    ],
)
def test_claims_that_are_out_of_order_are_refused(claims: dict[str, int]) -> None:
    given().when(submit(claims=claims)).refuses(errors.ClaimsOutOfOrder)
    given(submitted()).when(count().model_copy(update={"claims": ClaimCounts(**claims)})).refuses(
        errors.ClaimsOutOfOrder
    )


def test_claims_may_be_equal_and_unknown() -> None:
    for claims in ({"extracted": 5, "grounded": 5, "verified": 5}, {"verified": 5}, {}):
        assert isinstance(given().when(submit(claims=claims)).answer, RecordSubmitted)


@pytest.mark.parametrize(
    ("scores", "verified", "kept"),
    [
        (("6.5", "6.5", "6.5"), 5, True),
        (("6.5", "6.5", "6.4"), 5, False),
        (("6.5", "6.5", "6.5"), 4, False),
        (None, 5, None),
        (("6.5", "6.5", "6.5"), None, None),
    ],
)
def test_the_publication_rule_is_recorded_with_the_submission(
    scores: tuple[str, str, str] | None, verified: int | None, *, kept: bool | None
) -> None:
    review = None
    if scores:
        names = ("challenger", "confirmer", "integrator")
        review = Review(scores=read(ReviewerScores, dict(zip(names, scores, strict=True))))
    assert publication_rule(review, ClaimCounts(verified=verified)).kept is kept


def test_a_new_submission_is_the_next_one() -> None:
    command = resubmit(submitted_on="2026-07-06")
    record = given(submitted()).when(command).then(resubmitted())
    assert len(record.submissions) == 2
    assert record.facts.content.title == "A second survey"


def test_unchanged_content_is_not_submitted_again() -> None:
    given(submitted()).when(resubmit(content=CONTENT)).refuses(errors.UnchangedContent)
    spaced = CONTENT | {"title": f" {CONTENT['title'].replace(' ', '  ')}\u00a0"}
    given(submitted()).when(resubmit(content=spaced)).refuses(errors.UnchangedContent)


def test_what_a_correction_made_of_the_content_is_what_may_not_be_submitted_again() -> None:
    renamed = corrected((PublicField.PUBLISHER, "A publisher", "Another publisher"))
    history = given(submitted(), renamed)
    shown = CONTENT | {"publisher": "Another publisher"}
    history.when(resubmit(content=shown)).refuses(errors.UnchangedContent)
    first = history.when(resubmit(content=CONTENT)).answer
    assert isinstance(first, RecordResubmitted)


@pytest.mark.parametrize("word", sorted(RESERVED_WORDS))
def test_a_doi_that_names_a_part_of_a_record_is_refused(word: str) -> None:
    history = given(submitted())
    for doi in (f"10.5281/{word}", f"10.5281/a/{word.upper()}", "10.5281/artifacts/b"):
        history.when(register(doi)).refuses(errors.DoiNotAddressable)
    history.when(register("10.5281/a/../b")).refuses(errors.DoiNotAddressable)
    assert isinstance(history.when(register(f"10.5281/{word}.1")).answer, ExternalRecordRegistered)


def test_a_new_submission_is_not_older_than_the_one_before() -> None:
    given(submitted()).when(resubmit(submitted_on="2026-06-30")).refuses(
        errors.DatedBeforeSubmission, submitted_on="2026-07-01"
    )
    same_day = given(submitted()).when(resubmit(submitted_on="2026-07-01"))
    assert isinstance(same_day.answer, RecordResubmitted)


def test_a_new_submission_is_not_of_the_future() -> None:
    given(submitted()).when(resubmit(submitted_on="2026-07-11")).refuses(
        errors.SubmittedInTheFuture
    )


# ---------------------------------------------------------------- artifacts and registrations


def test_an_artifact_is_attached_once_in_a_role() -> None:
    history = given(submitted(), *bundle())
    history.when(attach()).refuses(errors.ArtifactAlreadyAttached)
    again = history.when(attach("dataset", SCRIPT)).answer
    assert isinstance(again, ArtifactAttached)
    assert again.size_bytes == 100


def test_a_record_has_one_doi() -> None:
    answer = given(submitted()).when(register("10.5281/ZENODO.7")).answer
    assert isinstance(answer, ExternalRecordRegistered)
    assert answer.value == "10.5281/zenodo.7"
    taken = given(submitted(), registered())
    taken.when(register("10.5281/zenodo.2")).refuses(errors.DoiAlreadyRegistered)
    taken.when(register()).refuses(errors.DoiAlreadyRegistered)


# ---------------------------------------------------------------- days

DATED: dict[str, Any] = {
    "review": lambda day: assess(assessed_on=day),
    "claims": lambda day: count(counted_on=day),
    "correction": lambda day: correct(effective_on=day),
    "supersession": lambda day: supersede(effective_on=day),
}


@pytest.mark.parametrize("fact", DATED)
def test_a_fact_lies_between_its_submission_and_now(fact: str) -> None:
    history, command = given(submitted()), DATED[fact]
    history.when(command("2026-06-30")).refuses(
        errors.DatedBeforeSubmission, given="2026-06-30", submitted_on="2026-07-01"
    )
    history.when(command("2026-07-11")).refuses(errors.DatedInTheFuture, given="2026-07-11")
    history.when(command("2026-07-11"), LATE - TICK).refuses(errors.DatedInTheFuture)
    for day, at in (("2026-07-01", NOW), ("2026-07-10", NOW), ("2026-07-11", LATE), (None, NOW)):
        assert not isinstance(history.when(command(day), at).answer, errors.Refusal)


def test_a_registration_may_be_older_than_the_record_but_not_of_the_future() -> None:
    history = given(submitted())
    history.when(register(registered_on="2026-07-11")).refuses(errors.DatedInTheFuture)
    old = history.when(register(registered_on="2020-01-01")).answer
    assert isinstance(old, ExternalRecordRegistered)


# ---------------------------------------------------------------- later figures


def test_the_latest_review_and_the_latest_counts_are_the_current_ones() -> None:
    history = given(submitted())
    review = history.when(assess()).answer
    assert isinstance(review, ReviewAssessed)
    assert str(review.review.mean) == "6.50"
    counts = history.when(count(9, 8, 7)).answer
    assert isinstance(counts, ClaimsCounted)
    assert counts.claim_source is ClaimSource.PARSED


# ---------------------------------------------------------------- corrections


def test_a_correction_changes_what_it_saw() -> None:
    record = given(submitted()).when(correct(("title", TITLE, "New"))).answer
    assert isinstance(record, CorrectionIssued)
    assert record.changes[0].to == "New"


@pytest.mark.parametrize(
    ("field", "seen", "current"),
    [
        ("title", "Another title", TITLE),
        ("title", None, TITLE),
        ("title", TITLE + " ", TITLE),
        ("title", 6, TITLE),
        ("note", "A note", None),
        ("note", "", None),
        ("claims-grounded", 7, 6),
        ("claims-grounded", "6", 6),
        ("claims-grounded", None, 6),
        ("submitted-on", "2026-07-02", "2026-07-01"),
        ("kind", "empirical", "synthesis"),
    ],
)
def test_a_stale_correction_is_refused(field: str, seen: Any, current: Any) -> None:
    given(submitted()).when(correct((field, seen, "New"))).refuses(
        errors.StaleCorrection, field=field, current=current
    )


def test_a_correction_sees_the_corrections_before_it() -> None:
    history = given(submitted(), corrected((PublicField.TITLE, TITLE, "New")))
    history.when(correct(("title", TITLE, "Newer"))).refuses(errors.StaleCorrection, current="New")
    assert isinstance(history.when(correct(("title", "New", TITLE))).answer, CorrectionIssued)


def test_a_correction_without_effect_is_refused() -> None:
    for same in (("title", TITLE, TITLE), ("note", None, None), ("title", "Unseen", "Unseen")):
        given(submitted()).when(correct(same)).refuses(
            errors.CorrectionWithoutEffect, field=same[0]
        )


def test_a_field_is_corrected_once_in_a_correction() -> None:
    twice = correct(("title", TITLE, "New"), ("title", "New", "Newer"))
    given(submitted()).when(twice).refuses(errors.CorrectionWithoutEffect, field="title")
    back = correct(("title", TITLE, "New"), ("title", TITLE, "Newer"))
    given(submitted()).when(back).refuses(errors.CorrectionWithoutEffect, field="title")


@pytest.mark.parametrize(
    ("field", "seen", "misfit"),
    [
        ("title", TITLE, None),
        ("title", TITLE, "  "),
        ("title", TITLE, "two\nlines"),
        ("title", TITLE, "x" * 1001),
        ("title", TITLE, 7),
        ("kind", "synthesis", "poem"),
        ("publisher", PUBLISHER, None),
        ("note", None, "a\x00b"),
        ("claims-grounded", 6, "5"),
        ("claim-source", "parsed-source-sections", "hearsay"),
        ("submitted-on", "2026-07-01", "July"),
        ("submitted-on", "2026-07-01", "1599-12-31"),
        ("submitted-on", "2026-07-01", None),
        ("abstract", CONTENT["abstract"]["text"], None),
    ],
)
def test_a_value_that_does_not_fit_its_field_is_refused(field: str, seen: Any, misfit: Any) -> None:
    given(submitted()).when(correct((field, seen, misfit))).refuses(
        errors.CorrectionDoesNotFit, field=field
    )


def test_corrected_claims_stay_in_order() -> None:
    history = given(submitted(grounded=6, verified=6))
    history.when(correct(("claims-verified", 6, 7))).refuses(errors.ClaimsOutOfOrder)
    both = correct(("claims-verified", 6, 7), ("claims-grounded", 6, 7), ("claims-extracted", 6, 9))
    assert isinstance(history.when(both).answer, CorrectionIssued)


def test_imported_counts_that_are_out_of_order_do_not_block_other_corrections() -> None:
    history = given(submitted(basis=PAGE, grounded=0, verified=18))
    assert isinstance(history.when(correct(("title", TITLE, "New"))).answer, CorrectionIssued)
    history.when(correct(("claims-verified", 18, 17))).refuses(errors.ClaimsOutOfOrder)
    assert isinstance(history.when(correct(("claims-verified", 18, 0))).answer, CorrectionIssued)


def test_a_corrected_submission_day_lies_before_every_evaluation_of_it() -> None:
    history = given(submitted(), evaluated())
    day = ("submitted-on", "2026-07-01")
    history.when(correct((*day, "2026-07-03"))).refuses(errors.EvaluatedBeforeSubmission)
    assert isinstance(history.when(correct((*day, "2026-07-02"))).answer, CorrectionIssued)
    given(submitted()).when(correct((*day, "2026-07-11"))).refuses(errors.SubmittedInTheFuture)


def test_a_corrected_submission_day_keeps_the_submissions_in_order() -> None:
    history = given(submitted(), evaluated(), resubmitted(on=date(2026, 7, 6)))
    day = ("submitted-on", "2026-07-06")
    history.when(correct((*day, "2026-06-30"))).refuses(errors.DatedBeforeSubmission)
    for fitting in ("2026-07-01", "2026-07-08"):
        assert isinstance(history.when(correct((*day, fitting))).answer, CorrectionIssued)


def test_a_corrected_submission_day_is_the_one_that_counts() -> None:
    history = given(submitted(), corrected((PublicField.SUBMITTED_ON, "2026-07-01", "2026-06-01")))
    assert isinstance(history.when(correct(effective_on="2026-06-02")).answer, CorrectionIssued)


def test_a_correction_is_recorded_once() -> None:
    history = given(submitted(), corrected(number=200))
    history.when(correct(correction_id=uuid(200))).refuses(errors.CorrectionExists)


def test_a_correction_of_a_correction_names_one_that_exists() -> None:
    history = given(submitted(), corrected(number=200))
    assert isinstance(history.when(correct(corrects=uuid(200))).answer, CorrectionIssued)
    history.when(correct(corrects=uuid(201))).refuses(errors.CorrectionUnknown)
    history.when(correct(correction_id=uuid(201), corrects=uuid(201))).refuses(
        errors.CorrectionUnknown
    )


DOUBTS = [n for n in Nature if n.value in {
    "expression_of_concern", "partial_retraction", "removal", "retraction", "withdrawal"
}]  # fmt: skip


@pytest.mark.parametrize("nature", Nature)
def test_only_doubt_can_be_lifted(nature: Nature) -> None:
    history = given(submitted(), corrected(nature=nature))
    lifting = history.when(correct(nature="reinstatement"))
    if nature in DOUBTS:
        assert isinstance(lifting.answer, CorrectionIssued)
    else:
        lifting.refuses(errors.NothingToReinstate)


def test_doubt_is_lifted_once() -> None:
    lifted = corrected(nature=Nature.REINSTATEMENT, number=201)
    history = given(submitted(), corrected(nature=Nature.RETRACTION), lifted)
    history.when(correct(nature="reinstatement")).refuses(errors.NothingToReinstate)


# ---------------------------------------------------------------- supersession


def test_a_record_is_superseded_by_another() -> None:
    record = given(submitted()).when(supersede(effective_on="2026-07-06")).then(superseded())
    assert record.superseded_by == OTHER


def test_a_record_does_not_supersede_itself() -> None:
    history = given(submitted())
    history.when(supersede(RECORD)).refuses(errors.SupersedesItself)


def test_a_successor_is_in_the_ledger() -> None:
    given(submitted()).under(successors=()).when(supersede()).refuses(errors.SuccessorUnknown)


@pytest.mark.parametrize("chain", [(OTHER, RECORD), (OTHER, uuid(3), RECORD)])
def test_supersession_does_not_go_in_a_circle(chain: tuple[str, ...]) -> None:
    given(submitted()).under(successors=chain).when(supersede()).refuses(errors.SupersedingCycle)
    straight = given(submitted()).under(successors=chain[:-1])
    assert isinstance(straight.when(supersede()).answer, RecordSuperseded)


@pytest.mark.parametrize(
    "command",
    [
        resubmit(),
        attach("dataset"),
        register(),
        assess(),
        count(),
        correct(("title", TITLE, "New")),
        supersede(),
    ],
    ids=lambda command: type(command).__name__,
)
def test_nothing_on_a_superseded_record_is_edited(command: Any) -> None:
    given(submitted(), superseded()).when(command).refuses(errors.SupersededRecord, by=OTHER)


def test_a_superseded_record_still_takes_a_notice() -> None:
    asked = given(submitted(), superseded()).when(correct(nature="retraction"))
    assert isinstance(asked.answer, CorrectionIssued)


def test_a_submission_day_is_not_corrected_past_what_happened_since() -> None:
    def later(day: str, **changes: Any) -> Command:
        return correct(("submitted-on", "2026-07-01", day), **changes)

    history = given(submitted())
    own = later("2026-07-04", effective_on="2026-07-03")
    history.when(own).refuses(errors.DatedBeforeSubmission, given="2026-07-03")
    assert isinstance(history.when(later("2026-07-04")).answer, CorrectionIssued)
    fine = later("2026-07-04", effective_on="2026-07-04")
    assert isinstance(history.when(fine).answer, CorrectionIssued)
    review = assess(assessed_on="2026-07-02")
    counted = count(counted_on="2026-07-02")
    notice = correct(("publisher", "A publisher", "Another"), effective_on="2026-07-02")
    for command in (review, counted, notice):
        fact = history.when(command).answer
        assert isinstance(fact, Event)
        since = Given(evolve(history.record, fact), history.gates)
        since.when(later("2026-07-03")).refuses(errors.DatedBeforeSubmission, given="2026-07-02")
        assert isinstance(since.when(later("2026-07-02")).answer, CorrectionIssued)
