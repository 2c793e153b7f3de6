"""Do the views of many processes stay one: one leader, one writer, no half view, no long wait?"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Self

import psycopg
import pytest

import given_postgres
from given_views import Place, empty_database, place
from projections import ROLL_CALL, public_view
from projections import table as tables
from projections.catalogue import Catalogue, Query
from projections.opening import open_views
from projections.table import Checkpoint, Standing
from projections.views import Views, ViewsClosed, ViewsDamaged, ViewsUnavailable
from view_facts import HandLog, live, submitted, uuid

__all__ = ["place"]

BEHIND = [projection for projection in ROLL_CALL.values() if projection is not public_view]
OPEN = (
    "import sys; from projections import ROLL_CALL, public_view;"
    "from projections.opening import open_views;"
    "views = open_views(sys.argv[1], [p for p in ROLL_CALL.values() if p is not public_view]);"
)


def started(place: str, script: str) -> subprocess.Popen[str]:
    """Start another process that has the views open."""
    return subprocess.Popen(
        [sys.executable, "-c", OPEN + script, place],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def line(pipe: IO[str] | None) -> str:
    assert pipe is not None
    return pipe.readline().strip()


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.02)


def shelf(count: int, before: str = "") -> HandLog:
    log = HandLog(live())
    for number in range(1, count + 1):
        log.add(uuid(number), submitted(f"{before}{number}"))
    return log


def fill(views: Views, log: HandLog, after: int = 0) -> None:
    assert views.apply(Catalogue, log.all(), Checkpoint(len(log.logged), 1), after)


class TestLeading:
    def test_one_of_two_processes_leads_until_it_is_killed(self, place: Place) -> None:
        views = place.open()
        with started(place.address, "print(views.try_lead(), flush=True); input()") as other:
            try:
                assert line(other.stdout) == "True"
                assert not views.try_lead()
                assert not views.leads()
            finally:
                other.send_signal(signal.SIGKILL)
        eventually(views.try_lead)
        assert views.leads()
        assert views.try_lead()

    def test_who_resigns_or_closes_leads_no_more(self, place: Place) -> None:
        first, second = place.open(), place.open()
        assert first.try_lead()
        assert not second.try_lead()
        first.resign()
        assert not first.leads()
        eventually(second.try_lead)
        second.close()
        assert not second.leads()
        eventually(first.try_lead)

    def test_leading_does_not_hold_others_up(self, place: Place) -> None:
        first, second = place.open(Catalogue), place.open(Catalogue)
        assert first.try_lead()
        fill(second, shelf(1))
        assert Catalogue(first).page(Query()).total == 1

    def test_closed_views_do_not_lead(self, place: Place) -> None:
        views = place.open()
        views.close()
        assert not views.try_lead()


class TestStandings:
    def test_another_process_reads_what_stopped_a_view(self, place: Place) -> None:
        script = "views.report('catalogue', 'position 7: bad'); print('told', flush=True); input()"
        views = place.open(Catalogue)
        fill(views, shelf(2))
        with started(place.address, script) as other:
            try:
                assert line(other.stdout) == "told"
                assert views.standings()["catalogue"] == Standing(
                    Checkpoint(3, 1), "position 7: bad"
                )
            finally:
                other.kill()

    def test_what_moves_is_not_stopped(self, place: Place) -> None:
        views = place.open(*BEHIND)
        for name in ("catalogue", "findings", public_view.NAME):
            views.report(name, "stopped")
        assert {s.error for s in views.standings().values()} == {"stopped", None}
        fill(views, shelf(1))
        views.move(public_view.NAME, Checkpoint(2, 1))
        views.rebuild(ROLL_CALL["findings"], [], Checkpoint(2, 1))
        assert {s.error for s in views.standings().values()} == {None}
        views.report("catalogue", "again")
        views.report("catalogue", None)
        assert views.standings()["catalogue"] == Standing(Checkpoint(2, 1), None)

    def test_a_report_moves_nothing(self, place: Place) -> None:
        views = place.open(Catalogue)
        fill(views, shelf(1))
        views.report("catalogue", "stopped")
        assert views.checkpoint("catalogue") == Checkpoint(2, 1)
        assert Catalogue(views).page(Query()).total == 1


class TestManyProcesses:
    def test_may_start_at_the_same_moment(self, place: Place) -> None:
        script = "input(); views.close(); print('well')"
        others = [started(place.address, script) for _ in range(6)]
        answers = [other.communicate("\n")[0].strip() for other in others]
        assert answers == ["well"] * 6
        assert set(place.open().standings()) == {p.NAME for p in BEHIND}

    def test_take_turns_in_writing(self, place: Place) -> None:
        views = [place.open(Catalogue) for _ in range(3)]
        log = shelf(30)
        applied: list[int] = []

        def follow(own: Views) -> None:
            for position in range(1, len(log.logged) + 1):
                stream = log.logged[position - 1].event.originator_id
                touched = [] if stream == "ledger" else [log.folded(stream)]
                if own.apply(Catalogue, touched, Checkpoint(position, 1), position - 1):
                    applied.append(position)

        threads = [threading.Thread(target=follow, args=(own,)) for own in views]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert applied == list(range(1, 32))

    def test_read_while_tables_are_swapped_by_another(self, place: Place) -> None:
        """Every page is whole: the old titles with the old total, or the new with the new."""
        views, other = place.open(Catalogue), place.open(Catalogue)
        old, new = shelf(40, "old "), shelf(60, "new ")
        fill(views, old)
        done = threading.Event()
        seen: set[tuple[str, int, int]] = set()
        troubles: list[Exception] = []

        def read() -> None:
            while not done.is_set():
                try:
                    page = Catalogue(views).page(Query(limit=100))
                except Exception as trouble:  # noqa: BLE001 - whatever it is, it fails the test
                    troubles.append(trouble)
                    return
                titles = "/".join(sorted({entry.title.split()[0] for entry in page.items}))
                seen.add((titles, page.total, len(page.items)))

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        for again in range(12):
            log = (new, old)[again % 2]
            other.rebuild(Catalogue, log.all(), Checkpoint(1_000 + again, 1))
        done.set()
        for reader in readers:
            reader.join()
        assert not troubles
        assert seen <= {("old", 40, 40), ("new", 60, 60)}
        assert seen

    def test_a_read_that_has_begun_sees_nothing_of_a_swap(self, place: Place) -> None:
        views, other = place.open(Catalogue), place.open(Catalogue)
        fill(views, shelf(3))
        swap = threading.Thread(
            target=other.rebuild, args=(Catalogue, shelf(5).all(), Checkpoint(99, 1))
        )
        with views.reading() as reader:
            before = tables.checkpoint(reader, "catalogue")
            swap.start()
            time.sleep(0.3)  # so that the swap stands before the tables, or has happened
            (count,) = reader.execute("SELECT count(*) FROM catalogue").fetchone()
            assert (before, count) == (Checkpoint(4, 1), 3)
            assert tables.checkpoint(reader, "catalogue") == before
        swap.join()
        assert Catalogue(views).page(Query()).total == 5

    def test_a_view_goes_on_while_it_is_rebuilt(self, place: Place) -> None:
        views = place.open(Catalogue)
        log = shelf(4)
        fill(views, log)

        fresh = views.fresh(Catalogue)
        fresh.load(log.all())
        upto = len(log.logged)
        log.add(uuid(9), submitted("9"))
        assert views.apply(Catalogue, [log.folded(uuid(9))], Checkpoint(upto + 1, 1), upto)
        fresh.index()
        assert not fresh.swap(Checkpoint(upto, 1))
        fresh.put([log.folded(uuid(9))])
        assert fresh.swap(Checkpoint(upto + 1, 1))
        assert Catalogue(views).page(Query()).total == 5


@pytest.fixture
def address() -> str:
    return empty_database().app_url


class TestPostgreSQL:
    def test_a_leader_notices_that_its_connection_has_died(self, address: str) -> None:
        with open_views(address) as first, open_views(address) as second:
            assert first.try_lead()
            cut(address)
            eventually(second.try_lead)
            assert not first.leads()
            assert not first.try_lead()

    def test_connections_that_were_cut_are_replaced_unseen(self, address: str) -> None:
        with open_views(address, [Catalogue]) as views:
            fill(views, shelf(2))
            at_once(views, 4)
            cut(address)
            at_once(views, 4)
            views.report("catalogue", "stopped")

    def test_a_server_that_restarts_is_away_and_back(self) -> None:
        database = empty_database()
        with open_views(database.app_url, [Catalogue], timeout_s=1) as views:
            fill(views, shelf(2))
            assert views.try_lead()
            database.server.kill()
            try:
                for call in (views.standings, lambda: views.report("catalogue", "x")):
                    with pytest.raises(ViewsUnavailable):
                        call()
                assert not views.leads()
                with pytest.raises(ViewsUnavailable):
                    views.try_lead()
            finally:
                database.server.start()
            eventually(lambda: works(views))
            # The last moment may be lost, but rows and checkpoint are lost together.
            position = views.checkpoint("catalogue").position
            assert position in (0, 3)
            assert Catalogue(views).page(Query()).total == max(0, position - 1)
            eventually(views.try_lead)

    def test_views_may_be_opened_before_the_server(self) -> None:
        database = empty_database()
        database.server.stop()
        try:
            views = open_views(database.app_url, [Catalogue], timeout_s=1)
            with pytest.raises(ViewsUnavailable):
                views.checkpoint("catalogue")
        finally:
            database.server.start()
        with closing(views):
            eventually(lambda: works(views))
            fill(views, shelf(1))

    def test_a_silent_server_is_not_waited_for(self) -> None:
        database = empty_database()
        with Wire(database.server.port) as wire:
            address = database.app_url.replace(f":{database.server.port}/", f":{wire.port}/")
            with open_views(address, [Catalogue], timeout_s=1) as views:
                fill(views, shelf(1))
                assert views.try_lead()
                wire.silent.set()
                with pytest.raises(ViewsUnavailable):
                    views.standings()
                assert not views.leads()
                wire.silent.clear()
                eventually(lambda: works(views))

    def test_dropped_tables_are_made_anew(self, address: str) -> None:
        with open_views(address, [Catalogue]) as views:
            fill(views, shelf(1))
            empty_database()
            with pytest.raises(ViewsUnavailable, match="anew"):
                views.standings()
            assert views.checkpoint("catalogue") == Checkpoint(0, 0)

    def test_a_role_that_may_not_is_told_what_to_do(self) -> None:
        server = given_postgres.session_server()
        database = server.create_database("ledger_barred")
        with (
            open_views(database.app_url, [Catalogue]) as views,
            pytest.raises(ViewsUnavailable, match="ledger init"),
        ):
            views.standings()
        server.execute("CREATE SCHEMA ledger_views", database.name)
        with (
            open_views(database.app_url, [Catalogue]) as views,
            pytest.raises(ViewsUnavailable, match="ledger init"),
        ):
            views.standings()
        with open_views(database.server.url(database.name), [Catalogue]) as views:
            assert works(views)

    def test_a_schema_is_made_where_that_is_allowed(self) -> None:
        database = given_postgres.session_server().create_database("ledger_bare")
        with open_views(database.owner_url, [Catalogue]) as views:
            fill(views, shelf(1))

    def test_the_words_of_a_refused_row_pass_unchanged(self, address: str) -> None:
        with open_views(address, [Catalogue]) as views:
            with pytest.raises(psycopg.DataError), views.writing() as writer:
                writer.insert("catalogue", ("place", "level"), [(1, "no number")])
            with pytest.raises(psycopg.errors.UniqueViolation), views.writing() as writer:
                writer.execute("INSERT INTO standing (name) VALUES ('catalogue')")
            assert works(views)

    def test_closed_views_refuse(self, address: str) -> None:
        views = open_views(address, [Catalogue])
        views.close()
        for call in (views.standings, lambda: views.fresh(Catalogue)):
            with pytest.raises(ViewsClosed):
                call()


def test_a_file_of_something_else_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "ledger.views"
    path.write_bytes(b"no database at all" * 1_000)
    with pytest.raises(ViewsDamaged):
        open_views(path)


def cut(address: str) -> None:
    """Cut every connection that views have to a database."""
    with psycopg.connect(address.replace("ledger_api@", "postgres@"), autocommit=True) as server:
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def works(views: Views) -> bool:
    try:
        views.standings()
    except ViewsUnavailable:
        return False
    return True


def at_once(views: Views, count: int) -> None:
    """Read in so many connections at once."""
    together = threading.Barrier(count, timeout=20)
    troubles: list[BaseException] = []

    def read() -> None:
        try:
            with views.reading() as reader:
                together.wait()
                reader.execute("SELECT count(*) FROM catalogue").fetchone()
        except BaseException as trouble:  # noqa: BLE001 - whatever it is, it fails the test
            troubles.append(trouble)

    threads = [threading.Thread(target=read) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not troubles


class Wire:
    """A way to a server that can fall silent: connections stay, and nothing comes through."""

    def __init__(self, port: int) -> None:
        self._server = port
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self.silent = threading.Event()
        self._ends: list[socket.socket] = [self._door]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        for end in self._ends:
            end.close()

    def _accept(self) -> None:
        for here in self._accepted():
            there = socket.create_connection(("127.0.0.1", self._server))
            self._ends += [here, there]
            for ends in ((here, there), (there, here)):
                threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _accepted(self) -> Iterator[socket.socket]:
        while True:
            try:
                yield self._door.accept()[0]
            except OSError:
                return

    def _carry(self, from_: socket.socket, to: socket.socket) -> None:
        try:
            while taken := from_.recv(65_536):
                while self.silent.is_set():
                    time.sleep(0.01)
                to.sendall(taken)
        except OSError:
            pass
        to.close()
