"""How facts become state: what a fold refuses, and what stands until it is lifted."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from golden_events import GOLDEN
from ledger.codec import encode
from ledger.content import PublicField
from ledger.events import Event
from ledger.in_force import InForce
from ledger.record import evolve, project
from ledger.vocabulary import Gate, Nature
from projections import entries, public_view
from view_facts import RECORD, Fact, corrected, live, registered, submitted

Fold = Callable[[Any, Event], Any]
FOLDS: list[Fold] = [evolve, public_view.evolve]


def events(*facts: Fact) -> list[Event]:
    return [fact(RECORD, version) for version, fact in enumerate(facts, 1)]


@pytest.mark.parametrize("fold", FOLDS, ids=["record", "page"])
def test_a_record_opens_with_its_submission(fold: Fold) -> None:
    for wrong in (registered()(RECORD, 1), live()(RECORD, 1), submitted()(RECORD, 2)):
        with pytest.raises(ValueError, match="does not open with"):
            fold(None, wrong)


@pytest.mark.parametrize("fold", FOLDS, ids=["record", "page"])
def test_no_version_is_skipped_or_folded_twice(fold: Fold) -> None:
    opened = fold(None, submitted()(RECORD, 1))
    for version in (1, 3):
        with pytest.raises(ValueError, match=f"{RECORD} .* version"):
            fold(opened, registered()(RECORD, version))


@pytest.mark.parametrize("fold", FOLDS, ids=["record", "page"])
@pytest.mark.parametrize("name", ["gate.activated.1.json", "actor.key-issued.1.json"])
def test_a_fact_of_another_stream_does_not_belong(fold: Fold, name: str) -> None:
    opened = fold(None, submitted()(RECORD, 1))
    with pytest.raises(ValueError, match="cannot hold"):
        fold(opened, GOLDEN[name])


def test_an_empty_stream_is_no_record() -> None:
    assert project(None, []) is None
    with pytest.raises(ValueError, match="empty"):
        public_view.folded([])


STANDINGS = [
    # notices in their order, and the standing that they lead to
    ((), "clear"),
    ((Nature.CORRECTION, Nature.ERRATUM), "clear"),
    ((Nature.EXPRESSION_OF_CONCERN,), "under-concern"),
    ((Nature.EXPRESSION_OF_CONCERN, Nature.RETRACTION), "retracted"),
    ((Nature.RETRACTION, Nature.EXPRESSION_OF_CONCERN), "retracted"),
    ((Nature.RETRACTION, Nature.CORRECTION, Nature.PARTIAL_RETRACTION), "retracted"),
    ((Nature.WITHDRAWAL, Nature.RETRACTION), "retracted"),
    ((Nature.RETRACTION, Nature.REMOVAL), "removed"),
    ((Nature.REMOVAL, Nature.WITHDRAWAL), "removed"),
    ((Nature.RETRACTION, Nature.REINSTATEMENT), "clear"),
    ((Nature.REMOVAL, Nature.REINSTATEMENT, Nature.PARTIAL_RETRACTION), "partially-retracted"),
]


@pytest.mark.parametrize(("natures", "standing"), STANDINGS)
def test_doubt_stands_until_a_reinstatement_lifts_it(
    natures: tuple[Nature, ...], standing: str
) -> None:
    notices = [corrected(nature=nature, number=200 + n) for n, nature in enumerate(natures)]
    history = events(submitted(), *notices)
    record = project(None, history)
    assert record is not None
    assert public_view.folded(history).standing == standing
    assert record.in_doubt == (standing != "clear")


def test_a_page_depends_on_what_is_in_force() -> None:
    history = events(submitted(on=date(2026, 6, 1)))
    silent = public_view.fold(history, InForce())
    gated = public_view.fold(history, InForce().after(live()("ledger", 1)))
    assert silent["verdict"]["reason"]["code"] == "not-attempted"
    assert gated["verdict"]["reason"]["code"] == "predates-activation"
    assert gated["verdict"]["gate"] == Gate.VERIFICATION


def test_a_page_tells_its_corrections_in_the_words_of_the_events() -> None:
    wrong = (PublicField.TITLE, "A survey of XTREME", "A survey")
    history = events(submitted(), corrected(wrong), corrected(nature=Nature.ERRATUM, number=201))
    told = public_view.fold(history, InForce())["corrections"]
    assert [entry["version"] for entry in told["entries"]] == [2, 3]
    assert told["count"] == len(told["entries"])
    first = told["entries"][0]
    assert first["changes"] == [{"field": "title", "from": wrong[1], "to": wrong[2]}]
    assert first["notice"] == {"in_situ": True, "doi": None, "url": None}
    stored = json.loads(encode(history[1]))
    assert first.pop("basis") == stored.pop("basis")["kind"]
    assert {member: first[member] for member in first if member != "version"} == {
        member: stored[member] for member in stored if member not in entries.ENVELOPE
    }
