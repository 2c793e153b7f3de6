"""The databases that views are tested on: a file of their own, or tables of a real server."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

import given_postgres
from given_patience import PATIENCE_S
from projections.catalogue import Catalogue
from projections.opening import open_views
from projections.table import Checkpoint
from projections.views import Views
from view_facts import HandLog, live, submitted, uuid

T = TypeVar("T")
DATABASES = ("sqlite", "postgresql")


@functools.cache
def _database() -> given_postgres.Database:
    return given_postgres.fresh_database()


def empty_database() -> given_postgres.Database:
    """Return this process' database for views, without any, and without whoever had them open."""
    database = _database()
    cut(database)
    drop_tables(database)
    return database


def cut(database: given_postgres.Database) -> None:
    """Cut every connection to a database, and wait until they are gone."""
    database.server.execute(
        "SELECT pg_terminate_backend(pid, 300000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
        database.name,
    )


def drop_tables(database: given_postgres.Database) -> None:
    """Drop all views of a database."""
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'ledger_views'"
    for (name,) in database.server.execute(tables, database.name):
        database.server.execute(f"DROP TABLE ledger_views.{name} CASCADE", database.name)


@dataclass
class Place:
    """Where views may be opened, as often as wanted; left with the test."""

    address: str
    opened: ExitStack = field(default_factory=ExitStack)

    def open(self, *projections: Any) -> Views:
        return self.opened.enter_context(open_views(self.address, projections, PATIENCE_S))


@pytest.fixture(params=DATABASES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "sqlite":
        place = Place(str(tmp_path / "ledger.views"))
    else:
        place = Place(empty_database().app_url)
    with place.opened:
        yield place


def eventually(holds: Callable[[], T | None]) -> T:
    """Wait until something holds; return what it gave."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := holds()):
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.02)
    return found


def shelf(count: int, before: str = "") -> HandLog:
    """Return a log of so many records, whose titles are their numbers."""
    log = HandLog(live())
    for number in range(1, count + 1):
        log.add(uuid(number), submitted(f"{before}{number}"))
    return log


def fill(views: Views, log: HandLog, after: int = 0) -> None:
    """Bring a catalogue to the end of a log."""
    assert views.apply(Catalogue, log.all(), Checkpoint(len(log.logged), 1), after)
