"""Do views on a PostgreSQL server outlive cut connections, restarts and silence?"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any, Self, TypeVar

import psycopg
import pytest

import given_postgres
from given_patience import PATIENCE_S
from given_views import cut, drop_tables, empty_database, eventually, fill, shelf
from projections.catalogue import Catalogue, Query
from projections.opening import open_views
from projections.table import Checkpoint
from projections.views import Views, ViewsClosed, ViewsUnavailable

T = TypeVar("T")
SHORT_S = 1
"""The patience of views whose server will be away, in seconds: it may run out at any time."""


@pytest.fixture
def database() -> given_postgres.Database:
    return empty_database()


def opened(database: given_postgres.Database, *projections: Any) -> Views:
    return open_views(database.app_url, projections, PATIENCE_S)


def test_a_leader_notices_that_its_connection_has_died(database: given_postgres.Database) -> None:
    with opened(database) as first, opened(database) as second:
        assert first.try_lead()
        cut(database)
        eventually(second.try_lead)
        assert not first.leads()
        assert not first.try_lead()


def test_connections_that_were_cut_are_replaced_unseen(database: given_postgres.Database) -> None:
    with opened(database, Catalogue) as views:
        fill(views, shelf(2))
        at_once(views, 4)
        cut(database)
        at_once(views, 4)
        views.report("catalogue", "stopped")


def test_a_server_that_restarts_is_away_and_back(database: given_postgres.Database) -> None:
    with open_views(database.app_url, [Catalogue], SHORT_S) as views:
        at_last(lambda: fill(views, shelf(2)))
        at_last(lambda: leading(views))
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
        # The last moment may be lost, but rows and checkpoint are lost together.
        position = at_last(lambda: views.checkpoint("catalogue").position)
        assert position in (0, 3)
        total = at_last(lambda: Catalogue(views).page(Query()).total)
        assert total == max(0, position - 1)
        at_last(lambda: leading(views))


def test_views_may_be_opened_before_the_server(database: given_postgres.Database) -> None:
    database.server.stop()
    try:
        views = open_views(database.app_url, [Catalogue], SHORT_S)
        with pytest.raises(ViewsUnavailable):
            views.checkpoint("catalogue")
    finally:
        database.server.start()
    with closing(views):
        at_last(lambda: fill(views, shelf(1)))


def test_a_silent_server_is_not_waited_for(database: given_postgres.Database) -> None:
    with Wire(database.server.port) as wire:
        address = database.app_url.replace(f":{database.server.port}/", f":{wire.port}/")
        with open_views(address, [Catalogue], SHORT_S) as views:
            at_last(lambda: fill(views, shelf(1)))
            at_last(lambda: leading(views))
            wire.silent.set()
            with pytest.raises(ViewsUnavailable):
                views.standings()
            assert not views.leads()
            wire.silent.clear()
            at_last(views.standings)


def test_dropped_tables_are_made_anew(database: given_postgres.Database) -> None:
    with opened(database, Catalogue) as views:
        fill(views, shelf(1))
        drop_tables(database)
        with pytest.raises(ViewsUnavailable, match="anew"):
            views.standings()
        assert views.checkpoint("catalogue") == Checkpoint(0, 0)


def test_a_role_that_may_not_is_told_what_to_do() -> None:
    server = given_postgres.session_server()
    database = server.create_database("ledger_barred")
    with opened(database, Catalogue) as views, pytest.raises(ViewsUnavailable, match="ledger init"):
        views.standings()
    server.execute("CREATE SCHEMA ledger_views", database.name)
    with opened(database, Catalogue) as views, pytest.raises(ViewsUnavailable, match="ledger init"):
        views.standings()
    with open_views(server.url(database.name), [Catalogue], PATIENCE_S) as views:
        assert views.standings()


def test_a_schema_is_made_where_that_is_allowed() -> None:
    database = given_postgres.session_server().create_database("ledger_bare")
    with open_views(database.owner_url, [Catalogue], PATIENCE_S) as views:
        fill(views, shelf(1))


def test_the_words_of_a_refused_row_pass_unchanged(database: given_postgres.Database) -> None:
    with opened(database, Catalogue) as views:
        with pytest.raises(psycopg.DataError), views.writing() as writer:
            writer.insert("catalogue", ("place", "level"), [(1, "no number")])
        with pytest.raises(psycopg.errors.UniqueViolation), views.writing() as writer:
            writer.execute("INSERT INTO standing (name) VALUES ('catalogue')")
        assert views.standings()


def test_closed_views_refuse(database: given_postgres.Database) -> None:
    views = opened(database, Catalogue)
    views.close()
    for call in (views.standings, lambda: views.fresh(Catalogue)):
        with pytest.raises(ViewsClosed):
            call()


def at_last(ask: Callable[[], T]) -> T:
    """Return what is answered, however often the server seems to be away before."""
    answered: list[T] = []

    def asked() -> bool:
        with suppress(ViewsUnavailable):
            answered.append(ask())
        return bool(answered)

    eventually(asked)
    return answered[0]


def leading(views: Views) -> None:
    """Lead; until the server has ended a connection that was given up, that one still leads."""
    if not views.try_lead():
        raise ViewsUnavailable


def at_once(views: Views, count: int) -> None:
    """Read in so many connections at once."""
    together = threading.Barrier(count, timeout=PATIENCE_S)
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
