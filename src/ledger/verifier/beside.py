"""Do the tables beside the log follow from it?  Names, keys, answers and bytes, row by row.

While the log is read, what follows from each event is written down; afterwards it is held against
what the tables hold, both in order of their keys.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ledger.verifier.database import Database, PostgreSQL
from ledger.verifier.log import Handler, Row
from ledger.verifier.notebook import Notebook
from ledger.verifier.report import Report
from ledger.verifier.tree import LEVELS, TILE, tile_width

API_KEYS: Final = "api_keys"
FINGERPRINT: Final = re.compile(r"(sha256:)?[0-9a-f]{64}")

Found = Iterator[tuple[Any, ...]]


class Beside:
    """What the tables beside the log have to hold."""

    def __init__(self, database: Database, notebook: Notebook, report: Report) -> None:
        """Begin before the first event."""
        self._database = database
        self._notebook = notebook
        self._report = report
        self._last = (0, 0)

    def handlers(self) -> Mapping[str, Handler]:
        """Return what has to see the events of a topic."""
        return {
            "record.submitted:1": self._submitted,
            "external-record.registered:1": self._registered,
            "page.imported:1": self._imported,
            "artifact.attached:1": self._attached,
            "actor.key-issued:1": self._issued,
            "actor.key-revoked:1": self._revoked,
        }

    # ------------------------------------------------------------ what follows

    def _submitted(self, row: Row, body: dict[str, Any]) -> None:
        self._reserve("handle", body["handle"], row)
        if body["basis"]["kind"] == "stated" and body["correlation_id"] is not None:
            self._reserve("source", f"work:{body['correlation_id']}", row)

    def _registered(self, row: Row, body: dict[str, Any]) -> None:
        if body["value"] is not None:
            self._reserve("doi", body["value"], row)

    def _imported(self, row: Row, body: dict[str, Any]) -> None:
        self._reserve("source", body["source"], row)

    def _reserve(self, kind: str, value: str, row: Row) -> None:
        self._notebook.write("reservation", kind, value, row.stream, row.position)

    def _attached(self, row: Row, body: dict[str, Any]) -> None:
        checked = body["basis"]["kind"] == "checked"
        if checked and body["visibility"] == "public" and body["digest"] is not None:
            self._notebook.write("artifact", body["digest"], body["size_bytes"], row.position)

    def _issued(self, row: Row, body: dict[str, Any]) -> None:
        self._key(row, body["key_digest"], {
            "holder": body["holder"], "key_id": body["key_id"], "scopes": body["scopes"],
            "revoked": False,
        })  # fmt: skip

    def _revoked(self, row: Row, body: dict[str, Any]) -> None:
        sql = "SELECT body FROM api_key WHERE digest = ?"
        for (issued,) in tuple(self._notebook.read(sql, (body["key_digest"],))):
            self._key(row, body["key_digest"], json.loads(issued) | {"revoked": True})

    def _key(self, row: Row, digest: str, state: dict[str, Any]) -> None:
        told = json.dumps(state).encode()
        self._notebook.write("api_key", digest, row.version, row.position, row.at, told)

    # ------------------------------------------------------------ what is there

    def compare(self, rows: int) -> None:
        """Hold the tables against what follows from ``rows`` events."""
        read, noted = self._database.read, self._notebook.read
        self._tables(
            "reservations",
            ("kind", "value", "owner"),
            2,
            noted(
                "SELECT kind, value, owner FROM (SELECT kind, value, owner, min(position) "
                "FROM reservation GROUP BY kind, value) ORDER BY kind, value"
            ),
            read("SELECT kind, value, owner FROM {s}reservations ORDER BY kind, value"),
        )
        self._tables(
            "artifacts",
            ("digest", "size_bytes", "position"),
            1,
            noted("SELECT digest, size, min(position) FROM artifact GROUP BY digest ORDER BY 1"),
            read("SELECT digest, size_bytes, position FROM {s}artifacts ORDER BY digest"),
        )
        self._tables(
            f"documents ({API_KEYS})",
            ("id", "version", "position", "recorded_at", "body"),
            1,
            noted("SELECT digest, version, position, at, body FROM api_key ORDER BY digest"),
            read(
                "SELECT id, version, position, recorded_at, body FROM {s}documents "
                "WHERE view = ? ORDER BY id",
                (API_KEYS,),
            ),
        )
        self._answers()
        self._tiles()
        if isinstance(self._database, PostgreSQL):
            self._head(rows)

    def _tables(
        self, table: str, names: Sequence[str], keys: int, expected: Found, found: Found
    ) -> None:
        for key, wanted, there in merged(expected, found, keys):
            self._report.count(f"rows of {table}")
            told = " ".join(map(str, key))
            if there is None:
                self._report.differs(table, told, "", wanted[keys:] if wanted else "a row", "none")
            elif wanted is None:
                self._report.differs(table, told, "", "none", there[keys:])
            else:
                for name, mine, other in zip(names, wanted, there, strict=True):
                    self._report.expect(table, told, name, mine, other)

    def _answers(self) -> None:
        """Hold each idempotency key against the event to which it answers."""
        sql = (
            "SELECT i.actor, i.key, i.fingerprint, i.position, i.originator_id, i.version, "
            "i.recorded_at, e.originator_id, e.originator_version, e.recorded_at, e.state "
            "FROM {s}idempotency AS i LEFT JOIN {s}events AS e ON e.position = i.position "
            "ORDER BY i.position"
        )
        before = 0
        for actor, key, fingerprint, position, *there in self._database.read(sql):
            told, found, wanted = f"{actor} {key}", there[:3], there[3:6]
            self._report.count("rows of idempotency")
            if wanted[0] is None:
                self._report.differs("idempotency", told, "position", "of an event", position)
                continue
            names = ("originator_id", "version", "recorded_at")
            for name, mine, other in zip(names, wanted, found, strict=True):
                self._report.expect("idempotency", told, name, mine, other)
            self._report.expect("idempotency", told, "actor", _actor(bytes(there[6])), actor)
            if position == before:
                only = "one key for each append"
                self._report.differs("idempotency", told, "position", only, position)
            if not FINGERPRINT.fullmatch(fingerprint):
                digest = "a SHA-256 in hexadecimal"
                self._report.differs("idempotency", told, "fingerprint", digest, fingerprint)
            before = position

    def _tiles(self) -> None:
        """Tell tiles that a tree of this size does not have."""
        size = self._database.size
        for level, index in self._database.read(
            "SELECT level, idx FROM {s}log_tiles ORDER BY level, idx"
        ):
            within = 0 <= level < LEVELS and index >= 0
            if not within or tile_width(size, level, index) < TILE:
                key = f"level {level}, idx {index}"
                self._report.differs("log_tiles", key, "", "no full tile here", "one")

    def _head(self, rows: int) -> None:
        last = next(
            self._database.read("SELECT recorded_at FROM {s}events ORDER BY position DESC LIMIT 1"),
            (0,),
        )
        heads = list(self._database.read("SELECT position, recorded_at FROM {s}head LIMIT 2"))
        self._report.expect("head", "", "rows", 1, len(heads))
        for position, at in heads[:1]:
            self._report.expect("head", "one", "position", rows, position)
            self._report.expect("head", "one", "recorded_at", last[0], at)


def _actor(state: bytes) -> object:
    try:
        return json.loads(state)["actor"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def merged(
    expected: Found, found: Found, keys: int
) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...] | None, tuple[Any, ...] | None]]:
    """Yield each key of two ordered tables with its row in either, None where it has none."""
    mine, other = next(expected, None), next(found, None)
    while mine is not None or other is not None:
        left, right = (row[:keys] if row is not None else None for row in (mine, other))
        if left == right:
            yield left or (), mine, other
            mine, other = next(expected, None), next(found, None)
        elif right is None or (left is not None and left < right):
            yield left or (), mine, None
            mine = next(expected, None)
        else:
            yield right, None, other
            other = next(found, None)
