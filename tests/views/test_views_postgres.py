"""Do views on a PostgreSQL server outlive cut connections, restarts and silence?"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Self

import psycopg
import pytest

import given_postgres
from given_views import empty_database, eventually, fill, shelf
from projections.catalogue import Catalogue, Query
from projections.opening import open_views
from projections.table import Checkpoint
from projections.views import Views, ViewsClosed, ViewsUnavailable


@pytest.fixture
def address() -> str:
    return empty_database().app_url


def test_a_leader_notices_that_its_connection_has_died(address: str) -> None:
    with open_views(address) as first, open_views(address) as second:
        assert first.try_lead()
        cut(address)
        eventually(second.try_lead)
        assert not first.leads()
        assert not first.try_lead()


def test_connections_that_were_cut_are_replaced_unseen(address: str) -> None:
    with open_views(address, [Catalogue]) as views:
        fill(views, shelf(2))
        at_once(views, 4)
        cut(address)
        at_once(views, 4)
        views.report("catalogue", "stopped")


def test_a_server_that_restarts_is_away_and_back() -> None:
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


def test_views_may_be_opened_before_the_server() -> None:
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


def test_a_silent_server_is_not_waited_for() -> None:
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


def test_dropped_tables_are_made_anew(address: str) -> None:
    with open_views(address, [Catalogue]) as views:
        fill(views, shelf(1))
        empty_database()
        with pytest.raises(ViewsUnavailable, match="anew"):
            views.standings()
        assert views.checkpoint("catalogue") == Checkpoint(0, 0)


def test_a_role_that_may_not_is_told_what_to_do() -> None:
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


def test_a_schema_is_made_where_that_is_allowed() -> None:
    database = given_postgres.session_server().create_database("ledger_bare")
    with open_views(database.owner_url, [Catalogue]) as views:
        fill(views, shelf(1))


def test_the_words_of_a_refused_row_pass_unchanged(address: str) -> None:
    with open_views(address, [Catalogue]) as views:
        with pytest.raises(psycopg.DataError), views.writing() as writer:
            writer.insert("catalogue", ("place", "level"), [(1, "no number")])
        with pytest.raises(psycopg.errors.UniqueViolation), views.writing() as writer:
            writer.execute("INSERT INTO standing (name) VALUES ('catalogue')")
        assert works(views)


def test_closed_views_refuse(address: str) -> None:
    views = open_views(address, [Catalogue])
    views.close()
    for call in (views.standings, lambda: views.fresh(Catalogue)):
        with pytest.raises(ViewsClosed):
            call()


def cut(address: str) -> None:
    """Cut every connection that views have to a database, and wait until they are gone."""
    with psycopg.connect(address.replace("ledger_api@", "postgres@"), autocommit=True) as server:
        server.execute(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity "
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
