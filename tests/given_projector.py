"""A store, its views and a projector that takes steps when a test tells it to; a little to tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from eventsourcing.persistence import StoredEvent

from ledger import codec
from ledger.content import PublicField
from ledger.store import Append, Document, Receipt
from ledger.store.sqlite import SQLiteStore, create, open_store
from ledger.vocabulary import Gate, Outcome, PolicyVersion
from ledger.worker import Projector
from ledger.worker.history import Reader
from projections import ROLL_CALL, public_view
from projections.folded import Folded
from projections.sqlite import Views
from projections.table import Rows, Table
from view_facts import (
    OTHER,
    PAGE,
    RECORD,
    Fact,
    adopted,
    corrected,
    evaluated,
    imported,
    live,
    red_team,
    sandbox,
    submitted,
)

BEHIND: list[Any] = [p for p in ROLL_CALL.values() if p is not public_view]
ADOPT = adopted(PolicyVersion.V2, "stated")


class Scene:
    """A store, its views and a projector that takes steps only when it is told to."""

    def __init__(self, folder: Path, roll_call: dict[str, Any]) -> None:
        self.folder = folder
        self.roll_call = roll_call
        self.views_path = folder / "ledger.views"
        if not (folder / "ledger").exists():
            create(folder / "ledger")
        self.store: SQLiteStore = open_store(folder / "ledger")
        self.views = Views(self.views_path, [p for p in roll_call.values() if p is not public_view])
        self.projector = Projector(self.store, self.views, roll_call, poll_s=0.05)
        self.reader = Reader(self.store)
        self.versions: dict[str, int] = {}
        self.pages: dict[str, public_view.Page | None] = {}

    def append(self, stream: str, *facts: Fact) -> Receipt:
        """Append facts as the write side does: with the folded document of a record."""
        events, documents = [], []
        version = self.versions.get(stream, 0)
        for fact in facts:
            version += 1
            event = fact(stream, version)
            topic, body = codec.topic_of(event), codec.encode(event)
            events.append(StoredEvent(stream, version, topic, body))
            if stream != "ledger":
                self.pages[stream] = public_view.evolve(self.pages.get(stream), event)
        page = self.pages.get(stream)
        if page is not None:
            body = public_view.body(page, self.reader.in_force(10**9))
            documents.append(Document(public_view.NAME, stream, version, body))
        self.versions[stream] = version
        return self.store.append(Append(tuple(events), tuple(documents))).result()

    def dump(self) -> dict[str, list[Any]]:
        with self.views.reading() as reader:
            return {
                table.name: sorted(
                    reader.execute(f"SELECT {', '.join(table.fields)} FROM {table.name}"),  # noqa: S608
                    key=repr,
                )
                for projection in BEHIND
                for table in projection.TABLES
            }

    def documents(self) -> list[tuple[str, int, int, bytes]]:
        shown = self.store.documents(public_view.NAME)
        return [(d.id, d.version, d.position, d.body) for d in shown]

    def close(self) -> None:
        self.projector.stop()
        self.views.close()
        self.store.close()


@contextmanager
def opened(folder: Path, roll_call: dict[str, Any] | None = None) -> Iterator[Scene]:
    scene = Scene(folder, roll_call or dict(ROLL_CALL))
    try:
        yield scene
    finally:
        scene.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with opened(tmp_path) as found:
        yield found


def tell(scene: Scene) -> None:
    """Append a little of everything, several records interleaved."""
    scene.append("ledger", live())
    scene.append(
        RECORD, submitted("One", basis=PAGE), imported(("Quality Tier", "Tier", "Watchlist"))
    )
    scene.append(OTHER, submitted("Two on XNLI", question="Why?"))
    scene.append(RECORD, corrected((PublicField.TITLE, "One", "One more")))
    scene.append(OTHER, evaluated(Outcome.PASSED, sandbox("100.0")))
    attacks = red_team(("8.0", "A stub."), ("7.0", "It fails."))
    scene.append(RECORD, evaluated(Outcome.FAILED, attacks, gate=Gate.RED_TEAM))


class Fragile:
    """A projection that cannot take in one title."""

    NAME: ClassVar[str] = "fragile"
    TABLES: ClassVar[tuple[Table, ...]] = (
        Table(
            "fragile",
            "CREATE TABLE {table} (record_id TEXT PRIMARY KEY)",
            ("record_id",),
            "record_id",
            "record_id",
        ),
    )
    poisonous: ClassVar[bool] = True

    @staticmethod
    def rows(record: Folded) -> Rows:
        if Fragile.poisonous and record.document["title"] == "Poison":
            message = "this title is too much"
            raise ValueError(message)
        return {"fragile": [(record.record_id,)]}
