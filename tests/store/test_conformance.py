"""Our stores pass the engine's own test cases for an application recorder."""

from __future__ import annotations

import tempfile
from pathlib import Path
from uuid import uuid4

import eventsourcing.tests.persistence as engine

import given_postgres
from given_patience import PATIENCE_S
from ledger.store import postgres, sqlite
from ledger.store.postgres import PostgresStore
from ledger.store.sqlite import SQLiteStore


class TestSQLite(engine.ApplicationRecorderTestCase[SQLiteStore]):
    """Every case of the library, unchanged; stream ids are text."""

    def new_originator_id(self) -> str:
        return str(uuid4())

    def create_recorder(self) -> SQLiteStore:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name) / "ledger.db"
        sqlite.create(path)
        store = sqlite.open_store(path)
        self.addCleanup(store.close)
        return store


class TestPostgreSQL(engine.ApplicationRecorderTestCase[PostgresStore]):
    """Every case of the library, unchanged, as the application's role."""

    def new_originator_id(self) -> str:
        return str(uuid4())

    def create_recorder(self) -> PostgresStore:
        store = postgres.open_store(given_postgres.fresh_database().app_url, timeout_s=PATIENCE_S)
        self.addCleanup(store.close)
        return store
