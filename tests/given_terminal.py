"""A terminal session for a test: the ``ledger`` command in processes of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from given_patience import PATIENCE_S

COMMAND = (sys.executable, "-m", "ledger")
START_S_MAX = 240


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """Return the environment of a user whose ledger lies in ``folder``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LEDGER_")}
    # Whatever path this process has, its children have too: source tree and wheel alike.
    kept["PYTHONPATH"] = os.pathsep.join(place for place in sys.path if place)
    own = {
        "LEDGER_DATABASE_URL": f"sqlite:///{folder / 'ledger.db'}",
        "LEDGER_DATA_DIR": str(folder / "data"),
        "LEDGER_WAIT_S": str(PATIENCE_S),
        "LEDGER_TIMEOUT_S": str(PATIENCE_S),
        "LEDGER_WITNESS_TIMEOUT_S": str(PATIENCE_S),
    }
    return kept | {"COLUMNS": "120", "NO_COLOR": "1"} | own | settings


def ledger(folder: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end; a traceback is never an answer."""
    done = subprocess.run(
        [*COMMAND, *words],
        cwd=folder,
        env=environment(folder, **settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    return done


def done(folder: Path, *words: str, **settings: str) -> str:
    """Run one command that has to succeed; return what it printed."""
    ended = ledger(folder, *words, **settings)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def refused(folder: Path, *words: str, **settings: str) -> str:
    """Run one command that has to be refused; return its one sentence."""
    ended = ledger(folder, *words, **settings)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    lines = ended.stderr.splitlines()
    assert len(lines) == 1, ended.stderr
    assert lines[0].startswith("ledger: ")
    return lines[0]


class Server:
    """A served ledger: where it answers, and its process."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process = process
        self.address = address

    def stop(self, by: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Tell the server to stop; return its exit code and what it wrote to stderr."""
        self.process.send_signal(by)
        _out, err = self.process.communicate(timeout=240)
        return self.process.returncode, err


@contextmanager
def serving(folder: Path, port: int = 0, *words: str, **settings: str) -> Iterator[Server]:
    """Give a real ``ledger serve`` over the ledger in ``folder``, and end it."""
    with listening(folder, "serve", "--port", str(port), *words, **settings) as server:
        yield server


@contextmanager
def listening(folder: Path, *words: str, **settings: str) -> Iterator[Server]:
    """Give a real command that listens and says where, and end it."""
    process = subprocess.Popen(
        [*COMMAND, *words],
        cwd=folder,
        env=environment(folder, **settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # A server that never says that it is ready is ended, so that reading below ends too.
    guard = threading.Timer(START_S_MAX, process.kill)
    guard.start()
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, line
        guard.cancel()
        yield Server(process, found[0])
    finally:
        guard.cancel()
        if process.poll() is None:
            process.kill()
        process.communicate()
