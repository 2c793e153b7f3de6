"""Ledgers of both kinds to export from and import into, and everything that can be seen of one."""

from __future__ import annotations

import hashlib
import itertools
import shutil
import sqlite3
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import psycopg
from eventsourcing.persistence import StoredEvent

import given_postgres
import view_facts
from given_patience import PATIENCE_S
from ledger import actors, codec, governance, moving
from ledger.archive.exporting import Report
from ledger.archive.names import reserved, telling
from ledger.content import PublicField
from ledger.events import Event
from ledger.service import ASYNCHRONOUS, Service
from ledger.settings import ProjectorPlace, Settings
from ledger.store import Append, LogRow, adapters
from ledger.store.restoring import Restored
from ledger.store.sealing import COMMITMENT_PREFIX, SALT_BYTES
from ledger.transparency.lines import event_line, leaf_of
from ledger.transparency.merkle import Frontier
from ledger.vocabulary import Scope
from projections import public_view
from view_facts import Fact, corrected, submitted

BEGAN = datetime(2026, 7, 20, 9, 0, tzinfo=UTC)
TABLES = {
    "reservations": "kind, value, owner",
    "artifacts": "digest, size_bytes, position",
    "log_tiles": "level, idx, data",
    "log_checkpoints": "size, root, note",
}


@dataclass(frozen=True)
class Place:
    """Where a ledger is or may come to be: settings for the owner and for who serves."""

    owner: Settings
    app: Settings

    @property
    def url(self) -> str:
        return self.owner.database_url


def somewhere(kind: Literal["sqlite", "postgres"], folder: Path) -> Place:
    """Return a place for a ledger; there is none yet."""
    data = folder / f"data-{uuid.uuid4().hex[:8]}"
    apart = ProjectorPlace.APART
    if kind == "sqlite":
        url = f"sqlite:///{data / 'ledger.db'}"
        settings = Settings(database_url=url, data_dir=data, projector=apart)
        return Place(settings, settings)
    database = given_postgres.session_server().create_database(f"moved_{uuid.uuid4().hex}")
    owner, app = (
        Settings(database_url=url, data_dir=data, projector=apart, timeout_s=PATIENCE_S)
        for url in (database.owner_url, database.app_url)
    )
    return Place(owner, app)


def unseen(_done: int, _total: int) -> None:
    """Hear of progress and show nothing."""


def exported(settings: Settings, folder: Path) -> Report:
    report, trouble = moving.export_archive(settings, folder, unseen)
    assert not trouble
    return report


def imported(folder: Path, place: Place, vkey: str | None = None) -> bool:
    return moving.import_archive(place.owner, folder, vkey, unseen)[1]


def bring_key(live: Place, place: Place) -> None:
    """Move the log's key and its memory by hand, as the guide says."""
    for file in live.app.data_dir.glob("log.key*"):
        shutil.copy(file, place.app.data_dir)


def equal(one: Path, other: Path) -> bool:
    """Whether two folders hold the same files with the same bytes."""
    return subprocess.run(["diff", "-r", one, other], check=False).returncode == 0


def files(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder by its name."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def written(place: Place) -> dict[str, Any]:
    """Return what lies in the store, before any projector has looked at it."""
    settings = place.app
    with adapters.open_store(
        settings.database_url, queue_max=10, idempotency_days=30, timeout_s=PATIENCE_S
    ) as store:
        rows = list(store.rows())
        tree = Frontier()
        tree.extend(map(leaf_of, rows))
        seen: dict[str, Any] = {
            "lines": [event_line(row) for row in rows],
            "root": tree.root(),
            public_view.NAME: list(store.documents(public_view.NAME)),
            actors.VIEW: list(store.documents(actors.VIEW)),
        }
    seen |= {table: sorted(_table(place, table)) for table in TABLES}
    # Of all checkpoints that were published, the last one goes on.
    return seen | {"log_checkpoints": seen["log_checkpoints"][-1:]}


def views(place: Place) -> dict[str, Any]:
    """Return every row of the views that follow the log, once they have reached its end."""
    with Service(place.app) as service:
        service.projector.catch_up()
        with service.views.reading() as reader:
            return {
                table.name: sorted(
                    reader.execute(f"SELECT {', '.join(table.fields)} FROM {table.name}"),  # noqa: S608
                    key=repr,
                )
                for projection in ASYNCHRONOUS
                for table in projection.TABLES
            }


def _table(place: Place, table: str) -> list[tuple[Any, ...]]:
    if place.owner.is_sqlite:
        connection = sqlite3.connect(place.owner.database_path)
        try:
            return connection.execute(f"SELECT {TABLES[table]} FROM {table}").fetchall()  # noqa: S608
        finally:
            connection.close()
    with psycopg.connect(place.url) as server:
        return server.execute(f"SELECT {TABLES[table]} FROM ledger.{table}".encode()).fetchall()  # noqa: S608


# ------------------------------------------------------------ many events


def grown(place: Place, count: int) -> None:
    """Make a ledger of so many events: five to a record, with the founding ones before them."""
    facts = [submitted("A study"), *(corrected((PublicField.TITLE, a, b)) for a, b in RETITLED)]
    rows = ((row, telling(row)) for row in _sealed(_events(facts), count))
    with adapters.restored(place.url, (Restored(row, reserved(event)) for row, event in rows)):
        pass


RETITLED = (("A study", "One"), ("One", "Two"), ("Two", "Three"), ("Three", "Four"))


def _events(facts: list[Fact]) -> Iterator[Event]:
    yield from governance.founding("operator", BEGAN.date())
    for number in itertools.count(1):
        stream = view_facts.uuid(number)
        for version, fact in enumerate(facts, 1):
            event = fact(stream, version)
            if version == 1:
                event = event.model_copy(update={"handle": f"SRCH:{number:08X}"})
            yield event


def _sealed(events: Iterator[Event], count: int) -> Iterator[LogRow]:
    for position, event in enumerate(itertools.islice(events, count), 1):
        state, salt = codec.encode(event), position.to_bytes(SALT_BYTES, "big")
        yield LogRow(
            position,
            BEGAN + timedelta(microseconds=100 * position),
            event.originator_id,
            event.originator_version,
            codec.topic_of(event),
            state,
            salt,
            hashlib.sha256(COMMITMENT_PREFIX + salt + state).digest(),
        )


def grow_on(place: Place, count: int) -> None:
    """Append so many events, each of which needs nothing before it."""
    with adapters.open_store(
        place.app.database_url, queue_max=count + 1, idempotency_days=1, timeout_s=PATIENCE_S
    ) as store:
        wishes = [store.append(_key_issued(f"robot-{uuid.uuid4().hex}")) for _ in range(count)]
        for wish in wishes:
            wish.result(2 * PATIENCE_S)


def _key_issued(holder: str) -> Append:
    _key, event = actors.issue_key(holder, (Scope.SUBMIT,), 0, "operator")
    stored = StoredEvent(event.originator_id, 1, codec.topic_of(event), codec.encode(event))
    return Append((stored,))
