"""What does every projection promise, whichever question it answers?"""

from __future__ import annotations

import sqlite3
import threading
from typing import Any

import psycopg
import pytest

from given_views import Place, eventually, place
from ledger.content import PublicField
from ledger.vocabulary import Gate, Nature, Outcome, Status
from projections import ROLL_CALL, public_view
from projections import table as tables
from projections.folded import Folded
from projections.table import Checkpoint
from projections.views import Overtaken, Views, ViewsClosed
from view_facts import (
    OTHER,
    PAGE,
    RECORD,
    HandLog,
    corrected,
    evaluated,
    imported,
    live,
    red_team,
    registered,
    sandbox,
    submitted,
    superseded,
    uuid,
)

__all__ = ["place"]

BEHIND = [projection for projection in ROLL_CALL.values() if projection is not public_view]


def eventful() -> HandLog:
    """Return a log in which every projection finds something to tell."""
    log = HandLog(live())
    log.add(RECORD, submitted("One", basis=PAGE))
    log.add(OTHER, submitted("Two on XNLI", question="Why?"))
    log.add(RECORD, imported(status=Status.UNVERIFIED, excuse=True))
    log.add(OTHER, evaluated(Outcome.PASSED, sandbox("100.0")))
    log.add(RECORD, corrected((PublicField.TITLE, "One", "One more"), number=200))
    log.add(OTHER, corrected(nature=Nature.RETRACTION, number=201), superseded(RECORD))
    attacks = red_team(("8.0", "A stub."), ("7.0", "It fails."))
    log.add(RECORD, evaluated(Outcome.FAILED, attacks, gate=Gate.RED_TEAM, number=101))
    log.add(RECORD, evaluated(Outcome.FAILED, sandbox("100.0"), number=102))
    log.add(uuid(3), submitted("Three", score="4.0"), registered())
    return log


def dump(views: Views, projection: Any) -> dict[str, list[tuple[Any, ...]]]:
    with views.reading() as reader:
        return {
            table.name: sorted(reader.execute(f"SELECT {fields} FROM {table.name}"), key=repr)  # noqa: S608
            for table in projection.TABLES
            for fields in [", ".join(table.fields)]
        }


def feed(views: Views, projection: Any, log: HandLog) -> None:
    """Apply the log one event at a time, as a projection that follows closely would see it."""
    seen = HandLog()
    for entry in log.logged:
        seen.logged.append(entry)
        stream = entry.event.originator_id
        touched = [] if stream == "ledger" else [seen.folded(stream)]
        assert views.apply(projection, touched, Checkpoint(entry.position, seen.in_force.version))


@pytest.fixture(params=BEHIND, ids=lambda projection: projection.NAME)
def projection(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def views(place: Place, projection: Any) -> Views:
    return place.open(projection)


class TestEveryProjection:
    def test_starts_empty_at_the_start_of_the_log(self, views: Views, projection: Any) -> None:
        assert views.checkpoint(projection.NAME) == Checkpoint(0, 0)
        assert not any(dump(views, projection).values())
        assert projection(views).of(RECORD) in (None, ())

    def test_tells_of_a_record_once_it_has_been_applied(
        self, views: Views, projection: Any
    ) -> None:
        log = eventful()
        feed(views, projection, log)
        assert views.checkpoint(projection.NAME) == Checkpoint(len(log.logged), 1)
        assert projection(views).of(RECORD)
        assert projection(views).page(_query(projection)).total > 0

    def test_is_not_harmed_by_a_replay(self, views: Views, projection: Any) -> None:
        log = eventful()
        feed(views, projection, log)
        before = dump(views, projection)
        early = HandLog()
        early.logged = log.logged[:2]
        assert not views.apply(projection, [early.folded()], Checkpoint(2, 1))
        assert not views.apply(projection, log.all(), Checkpoint(len(log.logged), 1))
        assert dump(views, projection) == before

    def test_is_not_written_past_a_gap(self, views: Views, projection: Any) -> None:
        log = eventful()
        reached = Checkpoint(len(log.logged), 1)
        assert not views.apply(projection, log.all(), reached, after=3)
        assert views.checkpoint(projection.NAME) == Checkpoint(0, 0)

    def test_is_the_same_rebuilt_as_live(self, views: Views, projection: Any) -> None:
        log = eventful()
        feed(views, projection, log)
        live_rows = dump(views, projection)
        assert any(live_rows.values())
        for _again in range(2):
            views.rebuild(projection, log.all(), Checkpoint(len(log.logged), 1))
            assert dump(views, projection) == live_rows

    def test_rebuilt_goes_on_following(self, views: Views, projection: Any) -> None:
        log = eventful()
        early = HandLog()
        early.logged = log.logged[:3]
        views.rebuild(projection, early.all(), Checkpoint(3, 1))
        views.apply(projection, log.all(), Checkpoint(len(log.logged), 1))
        whole = dump(views, projection)
        views.rebuild(projection, log.all(), Checkpoint(len(log.logged), 1))
        assert dump(views, projection) == whole

    def test_is_unchanged_for_readers_until_the_swap(self, views: Views, projection: Any) -> None:
        log = eventful()
        feed(views, projection, log)
        before = dump(views, projection)
        fresh = views.fresh(projection)
        fresh.load(log.all()[:1])
        assert dump(views, projection) == before
        fresh.index()
        assert fresh.swap(Checkpoint(len(log.logged), 1))
        assert dump(views, projection) != before

    def test_is_never_seen_half_built(self, views: Views, projection: Any) -> None:
        log = eventful()
        feed(views, projection, log)
        before = dump(views, projection)
        seen: list[object] = []
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                seen.append(dump(views, projection))

        reader = threading.Thread(target=read)
        reader.start()
        eventually(lambda: seen)
        for _again in range(15):
            views.rebuild(projection, log.all(), Checkpoint(len(log.logged), 1))
        done.set()
        reader.join()
        assert all(found == before for found in seen)

    def test_is_not_swapped_for_an_older_one(self, views: Views, projection: Any) -> None:
        log = eventful()
        feed(views, projection, log)
        before = dump(views, projection)
        with pytest.raises(Overtaken):
            views.rebuild(projection, [], Checkpoint(2, 1))
        assert dump(views, projection) == before

    def test_clears_away_a_rebuild_that_it_overtook(self, views: Views, projection: Any) -> None:
        log = eventful()
        slow = views.fresh(projection)
        views.rebuild(projection, log.all(), Checkpoint(len(log.logged), 1))
        with pytest.raises(Overtaken):
            slow.load(log.all())
        with views.reading() as reader:
            names = tables.names(reader, views.dialect)
        assert not any("__new" in name for name in names)

    def test_survives_being_closed_and_opened(self, place: Place, projection: Any) -> None:
        log = eventful()
        with place.open(projection) as views:
            feed(views, projection, log)
            before = dump(views, projection)
        views = place.open(projection)
        assert dump(views, projection) == before
        assert views.checkpoint(projection.NAME).position == len(log.logged)

    def test_starts_anew_when_a_table_is_gone(self, place: Place, projection: Any) -> None:
        log = eventful()
        with place.open(projection) as views:
            feed(views, projection, log)
            with views.writing() as writer:
                writer.execute(f"DROP TABLE {projection.TABLES[0].name}")
        views = place.open(projection)
        assert views.checkpoint(projection.NAME) == Checkpoint(0, 0)
        assert not any(dump(views, projection).values())

    def test_leaves_nothing_behind_when_a_row_is_refused(
        self, views: Views, projection: Any
    ) -> None:
        log = eventful()
        feed(views, projection, log)
        before = dump(views, projection)
        broken = Folded(uuid(9), log.logged[:0], {}, log.in_force)  # type: ignore[arg-type]
        with pytest.raises((KeyError, IndexError, sqlite3.Error, psycopg.Error)):
            views.apply(projection, [log.folded(), broken], Checkpoint(99, 1))
        assert dump(views, projection) == before
        assert views.checkpoint(projection.NAME).position == len(log.logged)

    @pytest.mark.parametrize(
        "cursor", ["", "x", "bm90IGpzb24", "WzAsMSwyLDMsNCw1XQ", "é", "W" * 999]
    )
    def test_refuses_a_cursor_that_it_did_not_give(
        self, views: Views, projection: Any, cursor: str
    ) -> None:
        with pytest.raises(ValueError, match="cursor"):
            projection(views).page(_query(projection, cursor=cursor))


def _query(projection: Any, **asked: Any) -> Any:
    module = __import__(projection.__module__, fromlist=["Query"])
    return module.Query(**asked)


def test_closed_views_say_so(place: Place) -> None:
    views = place.open()
    views.close()
    with pytest.raises(ViewsClosed), views.reading():
        pass
    with pytest.raises(ViewsClosed), views.writing():
        pass


def test_a_running_read_outlives_the_closing(place: Place) -> None:
    views = place.open()
    reading, go_on = threading.Event(), threading.Event()
    found: list[object] = []

    def read() -> None:
        with views.reading() as reader:
            reading.set()
            go_on.wait(60)
            found.append(reader.execute("SELECT 1").fetchone())

    reader = threading.Thread(target=read)
    reader.start()
    assert reading.wait(60)
    closer = threading.Thread(target=views.close)
    closer.start()
    go_on.set()
    closer.join(60)
    reader.join(60)
    assert found == [(1,)]
