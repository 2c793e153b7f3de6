"""A ledger in the hands of whoever may write to its database: copies of it, and triggers off."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx
import psycopg

import given_postgres
from given_patience import PATIENCE_S
from given_records import stock, submitted, told_of
from given_service import ANSWER_S, Api, served
from given_terminal import done
from ledger.service import Service, create
from ledger.settings import Settings
from ledger.transparency.key_file import KeyFile
from ledger.verifier.report import Report
from ledger.verifier.verify import Options, verify
from ledger.vocabulary import PolicyVersion, Scope

SUBMITTED = 270
"""Enough records for a full tile and some behind it."""
ORIGIN = "ledger.example.org/log"
WITNESS = "witness.example.org/w1+6d7ef907+BIE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOU"
"""A witness that has cosigned nothing."""


class Hand(Protocol):
    """Somebody who writes to the tables as they please; ``{s}`` and ``{v}`` name the schemas."""

    kind: str

    def run(self, statement: str, *given: Any) -> list[Any]:
        """Run a statement with ``?`` for values."""


class _SQLite:
    kind = "sqlite"

    def __init__(self, path: Path) -> None:
        self._log = self._free(path)
        self._views = self._free(Path(f"{path}.views"))

    @staticmethod
    def _free(path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None)
        triggers = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
        for (name,) in triggers.fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        return connection

    def run(self, statement: str, *given: Any) -> list[Any]:
        where = self._views if "{v}" in statement else self._log
        return where.execute(statement.format(s="", v=""), given).fetchall()

    def close(self) -> None:
        self._log.close()
        self._views.close()


class _PostgreSQL:
    kind = "postgres"

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._connection.execute("SET session_replication_role = replica")

    def run(self, statement: str, *given: Any) -> list[Any]:
        told = statement.replace("%", "%%").replace("?", "%s")
        cursor = self._connection.execute(
            told.format(s="ledger.", v="ledger_views.").encode(), given, binary=True
        )
        return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        self._connection.close()


@dataclass(frozen=True)
class Ledger:
    """A ledger at rest, on one of the databases; ``folder`` holds its key."""

    folder: Path
    database: given_postgres.Database | None = None

    @property
    def file(self) -> Path:
        return self.folder / "ledger.db"

    @property
    def url(self) -> str:
        """The address that a verifier is given."""
        if self.database is None:
            return f"sqlite:///{self.file}"
        return self.database.server.url(self.database.name)

    def settings(self) -> Settings:
        url = self.database.app_url if self.database else self.url
        return Settings(
            database_url=url,
            data_dir=self.folder / "data",
            base_url=f"http://{ORIGIN[:-4]}",
            wait_s=PATIENCE_S,
            timeout_s=PATIENCE_S,
        )

    def create(self) -> None:
        settings = self.settings()
        owner = self.database.owner_url if self.database else settings.database_url
        create(settings.model_copy(update={"database_url": owner}))
        if self.database is not None:
            KeyFile(settings.log_key).make(settings.log_name)

    def copy(self, folder: Path) -> Ledger:
        """Return a ledger of its own with the same rows, and without what lies beside them."""
        folder.mkdir(parents=True)
        if self.database is None:
            for name in ("ledger.db", "ledger.db.views"):
                shutil.copy(self.folder / name, folder)
            return Ledger(folder)
        server = self.database.server
        name = f"tampered_{time.monotonic_ns()}"
        return Ledger(folder, server.create_database(name, self.database.name))

    def discard(self) -> None:
        if self.database is not None:
            self.database.server.drop_database(self.database.name)
        shutil.rmtree(self.folder)

    @contextmanager
    def hand(self) -> Iterator[Hand]:
        """Give somebody who writes past the ledger."""
        given = _PostgreSQL(self.url) if self.database else _SQLite(self.file)
        with closing(given):
            yield given

    @contextmanager
    def api(self) -> Iterator[Api]:
        """Serve it for a while; when the block ends, all is published and the views are there."""
        service = Service(self.settings())
        with served(service) as address, httpx.Client(base_url=address, timeout=ANSWER_S) as client:
            yield Api(client, service)
            position = asyncio.run(service.store.position())
            assert asyncio.run(service.caught_up(position))
            deadline = time.monotonic() + 120
            while True:
                published = service.store.tree.published()
                if published and published.size == position:
                    return
                assert time.monotonic() < deadline, "the log was not published"
                time.sleep(0.05)


@dataclass
class Stand:
    """A ledger, an older copy of it, and what somebody outside knows of it."""

    ledger: Ledger
    older: Ledger
    vkey: str
    state: Path
    copies: int = field(default=0)

    def verified(self, ledger: Ledger, **options: Any) -> Report:
        return verify(ledger.url, Options(**{"vkey": self.vkey} | options))

    @contextmanager
    def changed(self, change: Callable[[Hand], None]) -> Iterator[Ledger]:
        """Give a copy of the ledger after somebody changed it."""
        self.copies += 1
        copy = self.ledger.copy(self.ledger.folder.parent / f"copy{self.copies}")
        try:
            with copy.hand() as hand:
                change(hand)
            yield copy
        finally:
            copy.discard()


def stand(folder: Path, kind: str) -> Stand:
    """Make a ledger with something of everything in every table, and verify it once."""
    database = given_postgres.fresh_database() if kind == "postgres" else None
    (folder / "live").mkdir(parents=True)
    ledger = Ledger(folder / "live", database)
    ledger.create()
    with ledger.api() as api:
        stock(api)
        told_of(api)
        first = submitted(api, title="The first of many", publisher="P")
        asyncio.run(
            api.service.ledger.adopt_policy(PolicyVersion.V2, "stated", "A try.", "operator")
        )
    older = ledger.copy(folder / "older")
    with ledger.api() as api:
        for number in range(SUBMITTED):
            assert api.submit(content={"title": f"Study {number}", "publisher": "P"}).is_success
        answer = api.post(first, "claims", {
            "claims": {"extracted": 9, "grounded": 8, "verified": 7},
            "claim_source": "parsed-source-sections", "counted_on": "2026-07-03",
        })  # fmt: skip
        assert answer.is_success, answer.text
        leaver = api.issue("leaver", Scope.SUBMIT)
        revoke = api.service.ledger.revoke_key("leaver", leaver.split("_")[1], "operator", "Left.")
        asyncio.run(revoke)
        erased(api)
        vkey = api.client.get("/log/vkey").text.strip()
    made = Stand(ledger, older, vkey, folder / "verified.json")
    report = made.verified(ledger, state=made.state)
    assert not report.found, "\n".join(report.lines())
    return made


def erased(api: Api) -> None:
    """Submit a record and erase its title."""
    record = api.submit(content={"title": "Of a person", "publisher": "P"}).json()["handle"]
    position = api.client.get(f"/v1/records/{record}/history").json()["items"][0]["position"]
    body = {"members": ["/content/title"], "reason": "They asked.", "asked_by": "data-subject"}
    answer = api.client.post(
        f"/v1/events/{position}/erase", json=body, headers=api.headers(api.etag(record))
    )
    assert answer.status_code == 201, answer.text


def flipped(raw: bytes, at: int = -20) -> bytes:
    """Return bytes with one letter or hash of them changed."""
    changed = bytearray(raw)
    changed[at] = changed[at] ^ 1
    return bytes(changed)


def resigned(note: bytes, at: int = -20) -> bytes:
    """Return a note with one letter of its last signature another letter of base64."""
    letter = b"B" if note[at] == ord("A") else b"A"
    return b"".join((note[:at], letter, note[at + 1 :]))


def unreadable(note: bytes, at: int = -20) -> bytes:
    """Return a note whose last signature has a sign that base64 does not know."""
    return b"".join((note[:at], b"@", note[at + 1 :]))


def rows(hand: Hand, table: str, columns: str, order: str) -> Sequence[Any]:
    return hand.run(f"SELECT {columns} FROM {table} ORDER BY {order}")  # noqa: S608


def bring_key(original: Ledger, copy: Ledger) -> None:
    """Give a copy the key of the original, but not what that remembers."""
    data = copy.folder / "data"
    data.mkdir()
    shutil.copy(original.folder / "data" / "log.key", data)


def signed_anew(original: Ledger, copy: Ledger) -> None:
    """Let a ledger derive its views anew and sign what it now holds, with the original's own key.

    What the original remembers of its last checkpoint is left behind, as whoever lies would.
    """
    bring_key(original, copy)
    settings = copy.settings()
    done(
        copy.folder, "rebuild",
        LEDGER_DATABASE_URL=settings.database_url, LEDGER_BASE_URL=settings.base_url,
    )  # fmt: skip
    with copy.api():
        pass
