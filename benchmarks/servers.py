"""The programs under load: PostgreSQL, ledgers with their processes, and the plain applications."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from given_postgres import APP, OWNER, Server as Postgres  # noqa: E402, I001 - found by the line above

__all__ = ["Ledger", "Postgres", "Server", "baseline", "on_postgres", "on_sqlite", "run"]

LEDGER = (sys.executable, "-m", "ledger")
START_S_MAX = 60
CATCH_UP_S_MAX = 600
FOLLOWING = ("corrections", "catalogue", "findings", "conflicts")
"""The views that are kept by the projector, behind the log."""
VIEWS_RIGHTS = "GRANT USAGE, CREATE ON SCHEMA ledger_views TO ledger_app"


@dataclass
class Server:
    """Running servers of one application: where they listen and where they take a POST."""

    urls: tuple[str, ...]
    post: str
    key: str = ""
    pids: tuple[int, ...] = ()

    def cpu_s(self) -> float:
        """Return the processor time that its processes have used, in seconds."""
        return cpu_s(*self.pids)

    def send(self, body: bytes, idempotency: str) -> dict[str, str]:
        """Submit once and return the answer."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": f'"{idempotency}"'}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(self.urls[0] + self.post, body, headers)  # noqa: S310 - our own
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own
            found: dict[str, str] = json.load(answer)
        return found


@dataclass
class Ledger:
    """A ledger that was made: its settings, and who may read its tables directly."""

    env: Mapping[str, str]
    key: str
    where: Path | str
    """The SQLite file, or the URL of the PostgreSQL database as its superuser."""

    @property
    def is_sqlite(self) -> bool:
        """Whether it is kept in a file."""
        return isinstance(self.where, Path)

    @contextlib.contextmanager
    def serving(self, processes: int = 1) -> Iterator[Server]:
        """Serve the ledger with some processes; they never project."""
        with contextlib.ExitStack() as stack:
            command = [*LEDGER, "serve", "--port", "0"]
            started = [stack.enter_context(_serving(command, self.env)) for _n in range(processes)]
            urls, pids = zip(*started, strict=True)
            yield Server(tuple(urls), "/v1/records", self.key, tuple(pids))

    @contextlib.contextmanager
    def projecting(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run ``ledger project`` beside it."""
        with _running([*LEDGER, "project"], self.env) as (process, _said):
            yield process

    def run(self, *arguments: str) -> str:
        """Run one of the ledger's commands and return what it printed."""
        return run([*LEDGER, *arguments], **self.env)

    def head(self) -> int:
        """Return the position of the last event."""
        if isinstance(self.where, Path):
            with contextlib.closing(sqlite3.connect(self.where)) as connection:
                return int(connection.execute("SELECT max(position) FROM events").fetchone()[0])
        with psycopg.connect(self.where) as server:
            found = server.execute("SELECT position FROM ledger.head").fetchone()
        return int(found[0]) if found else 0

    def standing(self) -> int:
        """Return the position that all following views have reached."""
        wanted = "SELECT name, position FROM {}standing"
        found: dict[str, int] = {}
        # Before the projector has made its tables there is nothing to read.
        with contextlib.suppress(sqlite3.OperationalError, psycopg.errors.UndefinedTable):
            if isinstance(self.where, Path):
                views = f"file:{self.where}.views?mode=ro"
                with contextlib.closing(sqlite3.connect(views, uri=True, timeout=30)) as connection:
                    found = dict(connection.execute(wanted.format("")).fetchall())
            else:
                with psycopg.connect(self.where) as server:
                    statement = wanted.format("ledger_views.").encode()
                    found = dict(server.execute(statement).fetchall())
        return min(found.get(name, 0) for name in FOLLOWING)

    def caught_up(self, projector: subprocess.Popen[bytes]) -> list[tuple[float, int]]:
        """Wait until the views are where the log is; returns (seconds, position) on the way."""
        head, way = self.head(), [(time.perf_counter(), 0)]
        while way[-1][1] < head:
            if projector.poll() is not None or time.perf_counter() - way[0][0] > CATCH_UP_S_MAX:
                raise SystemExit(f"The projector stopped at {way[-1][1]} of {head}.")
            time.sleep(0.05)
            way.append((time.perf_counter(), self.standing()))
        return way

    def without_views(self) -> None:
        """Throw the following views away, as an operator may at any time."""
        if isinstance(self.where, Path):
            for file in self.where.parent.glob(f"{self.where.name}.views*"):
                file.unlink()
            return
        with psycopg.connect(self.where, autocommit=True) as server:
            server.execute("DROP SCHEMA ledger_views CASCADE")
            server.execute(f"CREATE SCHEMA ledger_views AUTHORIZATION {OWNER}".encode())
            server.execute(VIEWS_RIGHTS)


def on_sqlite(folder: Path) -> Ledger:
    """Make a ledger in a file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "ledger.db"
    env = _settings(folder, f"sqlite:///{file}")
    run([*LEDGER, "init"], **env)
    return Ledger(env, _key(env), file)


def on_postgres(server: Postgres, name: str) -> Ledger:
    """Make a ledger in a database of its own, owned by one role and used by another."""
    database = server.create_database(name)
    if not server.execute("SELECT 1 FROM pg_roles WHERE rolname = 'ledger_app'"):
        server.execute("CREATE ROLE ledger_app NOLOGIN")
    server.execute(f"GRANT ledger_app TO {APP}")
    folder = server.folder / name
    run([*LEDGER, "init"], **_settings(folder, database.owner_url))
    env = _settings(folder, database.app_url)
    return Ledger(env, _key(env), server.url(name))


@contextlib.contextmanager
def baseline(application: str, database: str = "") -> Iterator[Server]:
    """Serve one of the applications of ``baseline.py``."""
    command = [
        sys.executable, "-m", "uvicorn", "--factory", f"baseline:{application}",
        "--app-dir", str(HERE), "--port", "0", "--no-access-log",
    ]  # fmt: skip
    with _serving(command, {"BASELINE_DATABASE": database}) as (url, pid):
        yield Server((url,), "/records", pids=(pid,))


def cpu_s(*pids: int) -> float:
    """Return the processor time that processes have used, in seconds; 0 where nothing tells it."""
    used = 0
    for pid in pids:
        # Behind the program's name, which may hold anything: its own time, its dead children's.
        with contextlib.suppress(OSError):
            after = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
            used += sum(map(int, after[11:15]))
    return used / os.sysconf("SC_CLK_TCK")


def family(parent: int) -> list[int]:
    """Return a process and those that it started: a database server, by its first one."""
    found = [parent]
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text("utf-8").rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
    return found


def run(command: list[str], **env: str) -> str:
    """Run a program to its end and return what it printed; what it complained of ends the run."""
    done = subprocess.run(  # noqa: S603 - our own
        command, env=os.environ | env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def needed() -> list[str]:
    """Return what is missing on this machine and how to get it."""
    missing = []
    if shutil.which("wrk") is None:
        missing.append("wrk (Debian: apt-get install wrk)")
    return missing


def _settings(folder: Path, url: str) -> dict[str, str]:
    return {
        "LEDGER_DATABASE_URL": url,
        "LEDGER_DATA_DIR": str(folder / "artifacts"),
        "LEDGER_PROJECTOR": "apart",
    }


def _key(env: Mapping[str, str]) -> str:
    scopes = ("--scope", "submit", "--scope", "correct")
    return run([*LEDGER, "keys", "create", "--name", "benchmark", *scopes], **env).split()[-1]


@contextlib.contextmanager
def _serving(command: list[str], env: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """Start a server on a port of its own choosing; give its address and process id."""
    with _running(command, env) as (process, said):
        deadline = time.monotonic() + START_S_MAX
        while not (found := re.search(r"http://[\d.]+:[1-9]\d*", said.read_text("utf-8"))):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{' '.join(command)} did not start:\n{said.read_text('utf-8')}")
            time.sleep(0.05)
        yield found[0], process.pid


@contextlib.contextmanager
def _running(
    command: list[str], env: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Start a program that writes into a file, so that it never waits for a reader."""
    with tempfile.NamedTemporaryFile(suffix=".log") as output:
        process = subprocess.Popen(  # noqa: S603 - our own
            command,
            env=os.environ | dict(env) | {"PYTHONUNBUFFERED": "1"},
            stdout=output,
            stderr=output,
        )
        try:
            yield process, Path(output.name)
        finally:
            process.terminate()
            try:
                process.wait(START_S_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
