"""The stores that the contract is tested on: an adapter makes an empty ledger and opens it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
from eventsourcing.persistence import StoredEvent

import given_postgres
from given_patience import PATIENCE_S
from ledger.store import Append, Store
from ledger.store import postgres as postgres_store
from ledger.store import sqlite as sqlite_store


class Adapter(Protocol):
    """One kind of store."""

    def create(self, folder: Path) -> str:
        """Make an empty ledger and return where it is."""

    def open(self, place: str, queue_max: int = 1_000, idempotency_days: int = 30) -> Store:
        """Open the ledger at a place."""


class SQLite:
    """A file in the test's folder."""

    def create(self, folder: Path) -> str:
        sqlite_store.create(folder / "ledger.db")
        return str(folder / "ledger.db")

    def open(self, place: str, queue_max: int = 1_000, idempotency_days: int = 30) -> Store:
        return sqlite_store.open_store(Path(place), queue_max, idempotency_days=idempotency_days)


class PostgreSQL:
    """A database of its own on the session's server, used by the application's role."""

    def create(self, folder: Path) -> str:  # noqa: ARG002 - every adapter is given one
        return given_postgres.fresh_database().app_url

    def open(self, place: str, queue_max: int = 1_000, idempotency_days: int = 30) -> Store:
        return postgres_store.open_store(
            place,
            queue_max=queue_max,
            idempotency_days=idempotency_days,
            timeout_s=PATIENCE_S,
        )


ADAPTERS: dict[str, Adapter] = {"sqlite": SQLite(), "postgres": PostgreSQL()}


@dataclass(frozen=True)
class Place:
    """An empty ledger of one adapter, by names that another process understands."""

    adapter: str
    place: str

    def open(self, queue_max: int = 1_000, idempotency_days: int = 30) -> Store:
        return ADAPTERS[self.adapter].open(self.place, queue_max, idempotency_days)


@pytest.fixture(params=sorted(ADAPTERS))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(request.param, ADAPTERS[request.param].create(tmp_path))


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    with place.open() as opened:
        yield opened


def event(stream: str, version: int, state: bytes = b"{}") -> StoredEvent:
    """Return an event of no particular type."""
    return StoredEvent(stream, version, "test.happened:1", state)


def one(stream: str, version: int = 1, **more: Any) -> Append:
    """Return an append of one event."""
    return Append((event(stream, version),), **more)


def positions(store: Store) -> list[int]:
    return [row.position for row in store.rows()]
