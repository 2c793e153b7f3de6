"""Does the correction history tell every correction, once, as it was recorded?"""

from __future__ import annotations

import pytest

from given_views import Place, place
from ledger.content import PublicField
from ledger.vocabulary import CorrectionType, Nature
from projections.corrections import SUPERSEDED, Corrections, FieldChange, Query
from projections.table import Checkpoint
from view_facts import OTHER, RECORD, HandLog, corrected, live, submitted, superseded, uuid

__all__ = ["place"]


@pytest.fixture
def corrections(place: Place) -> Corrections:
    log = HandLog(live())
    log.add(RECORD, submitted("Old"))
    log.add(OTHER, submitted("Other"))
    log.add(RECORD, corrected((PublicField.TITLE, "Old", "New"), number=200))
    log.add(
        OTHER,
        corrected(nature=Nature.RETRACTION, type_=CorrectionType.CLAIM, number=201),
        superseded(RECORD),
    )
    log.add(RECORD, corrected((PublicField.CLAIMS_VERIFIED, 6, None), number=202))
    views = place.open(Corrections)
    views.apply(Corrections, log.all(), Checkpoint(len(log.logged), 1))
    return Corrections(views)


def test_the_history_of_a_record_is_in_the_order_of_recording(corrections: Corrections) -> None:
    first, second = corrections.of(RECORD)
    assert first.changes == (FieldChange("title", "Old", "New"),)
    assert (first.title, second.title) == ("Old", "New")
    assert second.changes == (FieldChange("claims-verified", 6, None),)
    assert (first.correction_id, first.type, first.nature) == (uuid(200), "METADATA", "correction")
    assert (first.public_note, first.asserted_by) == ("The field was wrong.", "The publisher")
    assert (first.effective_on, first.actor, first.reasons) == (
        "2026-07-05",
        "editor",
        ("Typing error",),
    )
    assert (first.version, first.position) == (2, 4)
    assert first.recorded_at == "2026-07-01T12:00:04.000000Z"
    assert corrections.of(uuid(9)) == ()


def test_a_supersession_is_listed_with_what_took_the_place(corrections: Corrections) -> None:
    retraction, supersession = corrections.of(OTHER)
    assert retraction.superseded_by is None
    assert (supersession.nature, supersession.superseded_by) == (SUPERSEDED, RECORD)
    assert (supersession.correction_id, supersession.type) == (None, None)


def test_the_latest_come_first_over_all_records(corrections: Corrections) -> None:
    page = corrections.page(Query())
    assert [c.position for c in page.items] == [7, 6, 5, 4]
    assert page.total == 4


@pytest.mark.parametrize(
    ("query", "positions"),
    [
        (Query(nature=("retraction",)), [5]),
        (Query(nature=("retraction", "superseded")), [6, 5]),
        (Query(type=("METADATA",)), [7, 4]),
        (Query(type=("METADATA", "CLAIM"), nature=("retraction",)), [5]),
        (Query(type=("ARTIFACT",)), []),
    ],
)
def test_filters_hold_together(
    corrections: Corrections, query: Query, positions: list[int]
) -> None:
    page = corrections.page(query)
    assert [c.position for c in page.items] == positions
    assert page.total == len(positions)


def test_pages_go_on_and_back(corrections: Corrections) -> None:
    first = corrections.page(Query(limit=3))
    last = corrections.page(Query(limit=3, cursor=first.next))
    assert [c.position for c in last.items] == [4]
    assert (first.previous, last.next) == (None, None)
    assert corrections.page(Query(limit=3, cursor=last.previous)).items == first.items


def test_natures_and_types_are_counted(corrections: Corrections) -> None:
    assert corrections.counts() == {
        "nature": {"correction": 2, "retraction": 1, "superseded": 1},
        "type": {"METADATA": 2, "CLAIM": 1},
    }
