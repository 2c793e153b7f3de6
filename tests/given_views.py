"""The databases that views are tested on: a file of their own, or tables of a real server."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import given_postgres
from projections.opening import open_views
from projections.views import Views

DATABASES = ("sqlite", "postgresql")


@functools.cache
def _database() -> given_postgres.Database:
    return given_postgres.fresh_database()


def empty_database() -> given_postgres.Database:
    """Return this process' database for views, without any."""
    database = _database()
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'ledger_views'"
    for (name,) in database.server.execute(tables, database.name):
        database.server.execute(f"DROP TABLE ledger_views.{name} CASCADE", database.name)
    return database


@dataclass
class Place:
    """Where views may be opened, as often as wanted; left with the test."""

    address: str
    opened: ExitStack = field(default_factory=ExitStack)

    def open(self, *projections: Any) -> Views:
        return self.opened.enter_context(open_views(self.address, projections))


@pytest.fixture(params=DATABASES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "sqlite":
        place = Place(str(tmp_path / "ledger.views"))
    else:
        place = Place(empty_database().app_url)
    with place.opened:
        yield place
