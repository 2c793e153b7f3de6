"""The arms over HTTP: real servers on this machine, loaded by wrk, one after the other."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from figures import Measured
from payload import BODY

HERE = Path(__file__).resolve().parent
CONNECTIONS = 32
SEEDED = 1_000
STARTUP_S_MAX = 30
CATCH_UP_S_MAX = 120


@dataclass
class Server:
    """A running server: where it listens, where it takes a POST, what a GET may ask for."""

    name: str
    url: str
    post: str
    key: str = ""
    paths: tuple[str, ...] = ()

    def send(self, idempotency: str) -> tuple[str, int]:
        """Submit once; returns the path of the record and its position (0 if unknown)."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": f'"{idempotency}"'}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(self.url + self.post, BODY, headers)  # noqa: S310 - our own
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - our own
            position = int(answer.headers.get("Ledger-Position", 0))
            name = json.load(answer).get("record_id", "")
        return f"{self.post}/{name}", position

    def caught_up(self) -> float:
        """Wait until the views have everything that was appended; returns the seconds it took."""
        start = time.perf_counter()
        if not self.key:
            return 0
        _path, position = self.send(f"catch-up-{time.time_ns()}")
        headers = {"Ledger-Position": str(position)}
        for view in ("records", "corrections", "findings"):
            request = urllib.request.Request(f"{self.url}/v1/{view}?limit=1", headers=headers)  # noqa: S310 - our own
            while time.perf_counter() - start < CATCH_UP_S_MAX:
                try:
                    urllib.request.urlopen(request).close()  # noqa: S310 - our own
                    break
                except urllib.error.HTTPError as behind:
                    if behind.code != 503:
                        raise
        return time.perf_counter() - start


@contextlib.contextmanager
def ledger(folder: Path) -> Iterator[Server]:
    """Serve a new ledger on SQLite, with a key that may submit."""
    env = os.environ | {
        "LEDGER_DATABASE_URL": f"sqlite:///{folder / 'ledger.db'}",
        "LEDGER_DATA_DIR": str(folder / "data"),
    }
    command = [sys.executable, "-m", "ledger"]
    keys = [*command, "keys", "create", "--name", "benchmark", "--scope", "submit"]
    _run([*command, "init"], env)
    key = _run(keys, env).split()[-1]
    with _serving([*command, "serve", "--port", "0"], env) as url:
        yield _seeded(Server("ledger serve", url, "/v1/records", key))


@contextlib.contextmanager
def baseline(folder: Path, application: str, name: str) -> Iterator[Server]:
    """Serve one of the applications of ``baseline.py``."""
    env = os.environ | {"BASELINE_DATABASE": str(folder / "baseline.db")}
    command = [
        sys.executable, "-m", "uvicorn", "--factory", f"baseline:{application}",
        "--app-dir", str(HERE), "--port", "0", "--no-access-log",
    ]  # fmt: skip
    with _serving(command, env) as url:
        server = Server(name, url, "/records")
        if application == "hello":
            server.paths = ("/",)
            yield server
        else:
            yield _seeded(server)


def load(server: Server, method: str, folder: Path, seconds: float) -> Measured:
    """Load a server with one method for a while."""
    given = folder / "given"
    given.write_bytes(BODY if method == "POST" else "\n".join(server.paths).encode())
    command = [
        "wrk", "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds:.0f}s",
        "--timeout", "30s", "--script", str(HERE / "load.lua"),
        server.url + (server.post if method == "POST" else ""), "--",
        method, str(given), str(time.time_ns()), *([server.key] if server.key else []),
    ]  # fmt: skip
    told = _run(command, dict(os.environ))
    found = json.loads(told.rpartition("RESULT ")[2])
    return Measured(
        rate=(found["requests"] - found["failed"]) / found["microseconds"] * 1_000_000,
        p50_ms=found["p50"] / 1_000,
        p99_ms=found["p99"] / 1_000,
        failed=found["failed"],
    )


def _run(command: list[str], env: dict[str, str]) -> str:
    """Run a program to its end and return what it printed; what it complained of ends the run."""
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _seeded(server: Server) -> Server:
    server.paths = tuple(server.send(f"seed-{n}")[0] for n in range(SEEDED))
    return server


@contextlib.contextmanager
def _serving(command: list[str], env: dict[str, str]) -> Iterator[str]:
    """Start a server on a port of its own choosing and give its address; stop it at the end."""
    process = subprocess.Popen(  # noqa: S603 - our own
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    said: list[str] = []
    try:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        for line in process.stdout:
            said.append(line)
            if found := re.search(r"http://[\d.]+:\d+", line):
                yield found[0]
                break
        else:
            raise SystemExit(f"{' '.join(command)} did not start:\n{''.join(said)}")
    finally:
        process.terminate()
        process.wait(STARTUP_S_MAX)
