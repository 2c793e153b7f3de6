"""What the parts of a run share: what was asked for, a folder, one PostgreSQL, and the report."""

from __future__ import annotations

import contextlib
import itertools
import os
import platform
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import payload
from figures import Report
from servers import Ledger, Postgres, on_postgres, on_sqlite

STORES = ("SQLite", "PostgreSQL")


@dataclass
class Bench:
    """One run.  Sizes: records to read from, events to project, events of the long rebuild."""

    out: Path
    rounds: int
    seconds: float
    records: int
    events: int
    many: int
    wanted: frozenset[str]
    folder: Path = field(init=False)
    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _count: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        """Have a folder that is gone at the end."""
        # PostgreSQL runs as another user when we are root: every folder above has to let it in.
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        self.folder.chmod(0o711)

    def wants(self, *ids: str) -> bool:
        """Whether one of these figures was asked for; everything is, when nothing was named."""
        return not self.wanted or not self.wanted.isdisjoint(ids)

    @cached_property
    def report(self) -> Report:
        """What was found so far."""
        return Report(self.out, self._header())

    @cached_property
    def postgres(self) -> Postgres:
        """A PostgreSQL with the durability and the memory that it has by default."""
        server = Postgres(self.folder / "postgres")
        server.create()
        server.start()
        self.stack.callback(server.stop)
        found = server.execute(
            "SELECT name, setting FROM pg_settings WHERE source = 'command line' "
            "AND name NOT IN ('port', 'data_directory', 'listen_addresses') ORDER BY name"
        )
        (says,) = server.execute("SELECT current_setting('server_version')")[0]
        durable = ", ".join(
            f"{name} {server.execute(f'SHOW {name}')[0][0]}"
            for name in ("fsync", "synchronous_commit", "shared_buffers")
        )
        others = ", ".join(f"{name} = {value or 'none'}" for name, value in found)
        self.report.note(f"PostgreSQL {says}: {durable}; set otherwise than by default: {others}.")
        return server

    def database(self) -> str:
        """Return the URL of a new empty database, for the superuser."""
        name = f"plain_{next(self._count)}"
        self.postgres.create_database(name)
        return self.postgres.url(name)

    def ledger(self, store: str) -> Ledger:
        """Make a new ledger on one of the STORES."""
        name = f"ledger_{next(self._count)}"
        if store == "SQLite":
            return on_sqlite(self.folder / name)
        return on_postgres(self.postgres, name)

    def drop(self, ledger: Ledger) -> None:
        """Give a ledger's disk back."""
        if isinstance(ledger.where, Path):
            shutil.rmtree(ledger.where.parent)
        else:
            self.postgres.drop_database(ledger.where.rpartition("/")[2])

    def file(self, lines: list[str] | list[bytes]) -> Path:
        """Return a file with these lines, for the load generator."""
        given = self.folder / f"given-{next(self._count)}"
        given.write_bytes(b"\n".join(x if isinstance(x, bytes) else x.encode() for x in lines))
        return given

    @cached_property
    def bodies(self) -> Path:
        """The submissions that every POST arm goes round."""
        return self.file(payload.bodies())

    def _header(self) -> str:
        packages = ("eventsourcing", "fastapi", "uvicorn", "pydantic", "psycopg")
        versions = ", ".join(f"{name} {version(name)}" for name in packages)
        with contextlib.suppress(OSError, StopIteration):
            lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            model = next(line for line in lines if line.startswith("model name")).partition(": ")[2]
            return (
                f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC; {os.cpu_count()} cores "
                f"({model}), {platform.system()} {platform.release()}, Python "
                f"{platform.python_version()}, SQLite {sqlite3.sqlite_version}, {versions}. "
                f"{self.rounds} rounds of {self.seconds:g} s per arm, interleaved; medians with "
                f"their range; load average before: {os.getloadavg()[0]:.1f}."
            )
        return f"{os.cpu_count()} cores"
