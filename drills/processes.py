"""The ledger's own processes in a drill: made, served, its views followed by a third.

Everything is done through the command line, as an operator does it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from machine import DrillFailed, Program, free_ports, ran, until

LEDGER = (sys.executable, "-m", "ledger")
SCOPES = ("submit", "correct", "evaluate:gate-3")
SERVERS = 2
START_S_MAX = 30.0


@dataclass
class Processes:
    """API processes and a projector over one ledger, and a key that may append."""

    servers: list[Program]
    urls: list[str]
    projectors: list[Program]
    api_key: str

    @property
    def all(self) -> list[Program]:
        """Every process of the ledger."""
        return [*self.servers, *self.projectors]


def environment(folder: Path, database_url: str) -> dict[str, str]:
    """Return the settings of a ledger whose views are kept by ``ledger project`` alone."""
    return {
        "LEDGER_DATABASE_URL": database_url,
        "LEDGER_DATA_DIR": str(folder / "artifacts"),
        "LEDGER_PROJECTOR": "apart",
        "PYTHONUNBUFFERED": "1",
    }


def made(env: Mapping[str, str]) -> None:
    """Create the ledger that the settings name, as its owner."""
    ran([*LEDGER, "init"], **env)


@contextlib.contextmanager
def running(folder: Path, env: Mapping[str, str], count: int = SERVERS) -> Iterator[Processes]:
    """Give the running processes of a ledger; they are stopped at the end, whatever happened."""
    scopes = [part for scope in SCOPES for part in ("--scope", scope)]
    api_key = ran([*LEDGER, "keys", "create", "--name", "drill", *scopes], **env)
    ports = free_ports(count)
    servers = [
        Program(f"api {n}", [*LEDGER, "serve", "--port", str(port)], folder / f"api-{n}.log", env)
        for n, port in enumerate(ports, start=1)
    ]
    projector = Program("projector", [*LEDGER, "project"], folder / "projector.log", env)
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    found = Processes(servers, urls, [projector], api_key.split()[-1])
    try:
        for program in found.all:
            program.start()
        for program, url in zip(servers, urls, strict=True):
            until(f"{program.name} ready", START_S_MAX, lambda: program.pid and ready(url))  # noqa: B023 - asked at once
        yield found
    finally:
        for program in found.all:
            program.stop()


def ready(url: str) -> bool:
    """Whether a server says that it is ready."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:  # noqa: S310 - ours
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


def complaints(program: Program) -> list[str]:
    """Return the lines of a log that no process should write: tracebacks."""
    if not program.log.exists():
        raise DrillFailed(f"{program.name} wrote no log at {program.log}")
    said = program.log.read_text(errors="replace").splitlines()
    return [line for line in said if "Traceback (most recent call last)" in line]


def without_ledger_settings() -> None:
    """Forget the settings of whoever started the drill: it must not touch their ledger."""
    for name in [name for name in os.environ if name.startswith("LEDGER_")]:
        del os.environ[name]
