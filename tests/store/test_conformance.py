"""Our store passes the engine's own test cases for an application recorder."""

from __future__ import annotations

import tempfile
from pathlib import Path
from uuid import uuid4

import eventsourcing.tests.persistence as engine

from ledger.store.sqlite import SQLiteStore, create, open_store


class TestSQLite(engine.ApplicationRecorderTestCase[SQLiteStore]):
    """Every case of the library, unchanged; stream ids are text."""

    def new_originator_id(self) -> str:
        return str(uuid4())

    def create_recorder(self) -> SQLiteStore:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name) / "ledger.db"
        create(path)
        store = open_store(path)
        self.addCleanup(store.close)
        return store
