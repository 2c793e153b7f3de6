"""Does the catalogue list, filter, count, search and page as it says?"""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from given_views import Place, place
from ledger.vocabulary import Kind, Nature, Outcome
from projections import catalogue
from projections.catalogue import FILTERS, Catalogue, Query
from projections.table import Checkpoint
from projections.views import Views
from projections.words import Search
from view_facts import (
    OTHER,
    PAGE,
    RECORD,
    Fact,
    HandLog,
    corrected,
    evaluated,
    live,
    registered,
    sandbox,
    submitted,
    superseded,
    uuid,
)

__all__ = ["place"]


class Shelf:
    """A catalogue, the log behind it, and a way to put records in."""

    def __init__(self, views: Views) -> None:
        self.views = views
        self.log = HandLog(live())
        self.catalogue = Catalogue(views)

    def put(self, number: int, *facts: Fact) -> None:
        self.log.add(uuid(number), *facts)
        record = self.log.folded(uuid(number))
        reached = Checkpoint(len(self.log.logged), self.log.in_force.version)
        self.views.apply(Catalogue, [record], reached)

    def titles(self, query: Query) -> list[str]:
        return [entry.title for entry in self.catalogue.page(query).items]


@pytest.fixture
def shelf(place: Place) -> Shelf:
    return Shelf(place.open(Catalogue))


@pytest.fixture
def varied(shelf: Shelf) -> Shelf:
    shelf.put(1, submitted("Alpha", publisher="P", kind=Kind.SYNTHESIS))
    shelf.put(2, submitted("Beta", publisher="Q", kind=Kind.EMPIRICAL))
    shelf.put(2, evaluated(Outcome.PASSED, sandbox()))
    shelf.put(3, submitted("Gamma", publisher="P", kind=Kind.EMPIRICAL, score="4.0"))
    shelf.put(3, corrected(nature=Nature.RETRACTION))
    shelf.put(4, submitted("Delta", publisher="Q", basis=PAGE), superseded(RECORD))
    return shelf


def test_an_entry_tells_where_the_record_stands(shelf: Shelf) -> None:
    shelf.put(1, submitted("Alpha", on=date(2026, 7, 1)), registered())
    entry = shelf.catalogue.of(RECORD)
    assert entry is not None
    assert (entry.title, entry.submitted_on, entry.score) == ("Alpha", "2026-07-01", "8.00")
    assert (entry.status, entry.state, entry.standing) == ("UNVERIFIED", "CURRENT", "clear")
    assert (entry.doi, entry.basis, entry.policy) == ("10.5281/zenodo.1", "checked", "v2")
    assert (entry.version, entry.position) == (2, 3)
    assert entry.recorded_at == "2026-07-01T12:00:03.000000Z"
    assert shelf.catalogue.of(OTHER) is None


def test_the_newest_record_comes_first_and_keeps_its_place_when_it_changes(varied: Shelf) -> None:
    assert varied.titles(Query()) == ["Delta", "Gamma", "Beta", "Alpha"]
    varied.put(1, registered())
    assert varied.titles(Query()) == ["Delta", "Gamma", "Beta", "Alpha"]


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        (Query(status=("VERIFIED",)), ["Beta"]),
        (Query(status=("VERIFIED", "UNVERIFIED")), ["Delta", "Gamma", "Beta", "Alpha"]),
        (Query(kind=("empirical",), publisher=("P",)), ["Gamma"]),
        (Query(tier=("QUARANTINE_CANDIDATE",)), ["Gamma"]),
        (Query(level=(5,)), ["Beta"]),
        (Query(state=("SUPERSEDED", "CORRECTED")), ["Delta", "Gamma"]),
        (Query(standing=("retracted",)), ["Gamma"]),
        (Query(basis=("stated",)), ["Delta"]),
        (Query(publisher=("'; DROP TABLE catalogue; --",)), []),
        (Query(text="alpha"), ["Alpha"]),
        (Query(text="Gam"), ["Gamma"]),
        (Query(text="benchmark", kind=("empirical",)), ["Gamma", "Beta"]),
        (Query(text="srch:00000002"), ["Beta"]),
    ],
)
def test_filters_hold_any_value_of_a_field_and_all_fields(
    varied: Shelf, query: Query, titles: list[str]
) -> None:
    page = varied.catalogue.page(query)
    assert [entry.title for entry in page.items] == titles
    assert page.total == len(titles)


def test_facets_count_given_the_other_filters(varied: Shelf) -> None:
    page = varied.catalogue.page(Query(kind=("empirical",), publisher=("P",)))
    assert page.facets["kind"] == {"empirical": 1, "synthesis": 1}
    assert page.facets["publisher"] == {"P": 1, "Q": 1}
    assert page.facets["status"] == {"UNVERIFIED": 1}
    assert set(page.facets) == set(FILTERS)
    whole = varied.catalogue.counts()
    assert whole["publisher"] == {"P": 2, "Q": 2}
    assert sum(whole["level"].values()) == 4


def test_counts_follow_the_view(varied: Shelf) -> None:
    assert varied.catalogue.counts()["status"] == {"UNVERIFIED": 3, "VERIFIED": 1}
    varied.put(1, evaluated(Outcome.PASSED, sandbox()))
    assert varied.catalogue.counts()["status"] == {"UNVERIFIED": 2, "VERIFIED": 2}


def test_search_looks_at_the_texts_as_they_now_are(shelf: Shelf) -> None:
    shelf.put(1, submitted("Étude", abstract="On retrieval.", question="Which one — and why?"))
    assert shelf.titles(Query(text="etude")) == ["Étude"]
    assert shelf.titles(Query(text="retrieval — which")) == ["Étude"]
    assert shelf.titles(Query(text="retrieval absent")) == []
    shelf.put(1, registered("10.5281/zenodo.77"))
    assert shelf.titles(Query(text="zenodo.77")) == ["Étude"]
    assert shelf.titles(Query(text="!!! ---")) == []
    assert shelf.titles(Query(text="  ")) == ["Étude"]


HOSTILE = st.one_of(
    st.text(st.characters(), max_size=60),
    st.text(st.sampled_from("\"'*()^:{}+-~,.;\\\0% ANDORNEAR\tab\ud800é漢"), max_size=60),
    st.lists(st.sampled_from(["AND", "OR", "NOT", "NEAR(", '"', "*", "title:", "x"])).map(" ".join),
)


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(text=HOSTILE)
def test_no_input_is_a_syntax_error(varied: Shelf, text: str) -> None:
    page = varied.catalogue.page(Query(text=text))
    assert page.total == len(page.items)


def test_what_finds_very_many_is_counted_up_to_a_bound_newest_first(
    varied: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = varied.catalogue.page(Query(text="benchmark"))
    assert (whole.total, whole.exact) == (4, True)
    monkeypatch.setattr(catalogue, "MATCHES_MAX", 3)
    varied.put(1, evaluated(Outcome.PASSED, sandbox()))
    page = varied.catalogue.page(Query(text="benchmark"))
    assert (page.total, page.exact) == (3, False)
    assert sum(page.facets["kind"].values()) == 3
    assert page.facets["status"] == {"UNVERIFIED": 2, "VERIFIED": 1}
    assert [entry.title for entry in page.items] == [entry.title for entry in whole.items]
    filtered = varied.catalogue.page(Query(text="benchmark", status=("VERIFIED",)))
    assert (filtered.total, filtered.exact) == (1, False)
    assert len(filtered.items) == 2
    assert varied.catalogue.page(Query()).exact


def test_very_long_input_is_taken_in_part() -> None:
    search = Search.read("word " * 10_000)
    assert search is not None
    assert len(search.phrases) == 32


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(cursor=st.text(max_size=40))
def test_a_cursor_is_good_or_refused(varied: Shelf, cursor: str) -> None:
    try:
        varied.catalogue.page(Query(cursor=cursor))
    except ValueError as refused:
        assert "cursor" in str(refused)  # noqa: PT017 - good cursors are not refused


@pytest.mark.parametrize("text", ["", "benchmark"])
def test_walking_by_cursor_meets_every_record_once_while_others_come_in(
    shelf: Shelf, text: str
) -> None:
    for number in range(1, 24):
        shelf.put(number, submitted(f"Title {number}"))
    met: list[str] = []
    cursor, number = None, 23
    while True:
        page = shelf.catalogue.page(Query(text=text, limit=5, cursor=cursor))
        met.extend(entry.title for entry in page.items)
        number += 1
        shelf.put(number, submitted(f"Title {number}"))
        if page.next is None:
            break
        cursor = page.next
    assert met == [f"Title {n}" for n in range(23, 0, -1)]


def test_pages_lead_back_to_where_they_came_from(shelf: Shelf) -> None:
    for number in range(1, 8):
        shelf.put(number, submitted(f"{number}"))
    first = shelf.catalogue.page(Query(limit=3))
    second = shelf.catalogue.page(Query(limit=3, cursor=first.next))
    third = shelf.catalogue.page(Query(limit=3, cursor=second.next))
    assert [e.title for e in third.items] == ["1"]
    assert (first.previous, third.next) == (None, None)
    assert shelf.catalogue.page(Query(limit=3, cursor=third.previous)).items == second.items
    again = shelf.catalogue.page(Query(limit=3, cursor=second.previous))
    assert again.items == first.items
    assert again.previous is None
    assert shelf.catalogue.page(Query(limit=3, cursor=again.next)).items == second.items


@pytest.mark.parametrize(("asked", "given_"), [(0, 1), (-5, 1), (100, 100), (10_000, 100)])
def test_a_page_has_one_to_a_hundred_rows(shelf: Shelf, asked: int, given_: int) -> None:
    for number in range(1, 103):
        shelf.put(number, submitted(f"{number}"))
    assert len(shelf.catalogue.page(Query(limit=asked)).items) == given_
