"""What a crash drill breaks: processes, the disk, the clock, the line to the database.

Every strike does its damage, mends what an operator would mend, and says what it was.  It marks
the moment from which the clients' recovery is counted: that of the damage; for a disk and a stalled
line that of the repair.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import random
import subprocess
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import machine
import processes
from clients import Kept
from crash_line import Line

if TYPE_CHECKING:
    from given_postgres import Server

RESTARTED_AFTER_S_MAX = 1.0
"""How long a supervisor takes to start again what was killed, at most."""
STALL_S = 8.0
"""Longer than the ledger's own patience with its server."""
FULL_S = 2.0
"""How long a disk stays full once that was felt."""
FELT_S_MAX = 30.0
STEPS_S = (3_600, -3_600, 86_400, -86_400, 0)
"""What the clock is set to, in seconds beside the true time; from a day ahead to a day behind."""
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
BLOCK = bytes(1 << 16)


class NotRun(Exception):
    """This machine does not allow the scenario; the sentence says why."""


@dataclass
class Strike:
    """One strike: what was struck, the moment from which recovery counts, what was known then."""

    what: str
    at: float
    acknowledged: int


@dataclass
class Stage:
    """Everything that a scenario can strike."""

    ledger: processes.Processes
    folder: Path
    server: Server | None = None
    line: Line | None = None
    disk: Path | None = None
    kept: Kept = field(default_factory=Kept)
    done: list[Strike] = field(default_factory=list)
    felt: bool = True
    """Whether each strike so far was felt, where that can be told."""

    def mark(self, what: str) -> None:
        """Note a strike now."""
        self.done.append(Strike(what, time.monotonic(), len(self.kept.acknowledged)))

    @property
    def refused(self) -> int:
        """How often clients were told that the store is not there."""
        return self.kept.answers["503 store-unavailable"]


Strikes = Callable[[Stage, int], Coroutine[Any, Any, None]]
"""Strikes a stage for the n-th time, from 0."""


async def kill(stage: Stage, number: int) -> None:
    """SIGKILL an API process, the projector or PostgreSQL by turns; start it again soon."""
    targets: list[machine.Program | Server] = [*stage.ledger.all]
    if stage.server:
        targets.insert(1, stage.server)
    target = targets[number % len(targets)]
    if isinstance(target, machine.Program):
        stage.mark(target.name)
        await asyncio.to_thread(target.kill)
    else:
        stage.mark("PostgreSQL")
        await asyncio.to_thread(_kill_server, target)
    await asyncio.sleep(random.uniform(0, RESTARTED_AFTER_S_MAX))
    await asyncio.to_thread(target.start)


def _kill_server(server: Server) -> None:
    machine.kill_tree(server.pid)
    server.kill()


async def cut(stage: Stage, number: int) -> None:
    """Cut all connections to PostgreSQL, lose its answers to appends, or stall the line."""
    if stage.line is None:
        raise machine.DrillFailed("there is no line to cut")
    how = ("cut", "answers lost", "stalled")[number % 3]
    if how == "stalled":
        await asyncio.to_thread(stage.line.stall, STALL_S)
    elif how == "cut":
        stage.line.cut()
    else:
        stage.line.lose_answers(random.randint(2, 5))
    stage.mark(how)


async def step_clock(stage: Stage, number: int) -> None:
    """Set the clock of all processes of the ledger, and of its server, forth and back."""
    step = STEPS_S[number % len(STEPS_S)]
    set_clock(stage.folder, step)
    stage.mark(f"clock {step:+d} s")


def set_clock(folder: Path, seconds: int) -> None:
    """Set the clock that processes started with ``faked_clock`` see, beside the true time."""
    fresh = folder / "clock.new"
    fresh.write_text(f"{seconds:+d}\n")
    fresh.chmod(0o644)
    fresh.replace(folder / "clock")


def faked_clock(folder: Path) -> dict[str, str]:
    """Return the environment in which a process sees the clock of a folder; may raise NotRun."""
    if not FAKETIME.exists():
        raise NotRun("libfaketime is not installed (apt-get install faketime)")
    set_clock(folder, 0)
    return {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(folder / "clock"),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }


async def fill_disk(stage: Stage, number: int) -> None:
    """Fill the disk until appends are refused, and make room; start PostgreSQL if it ended."""
    if stage.disk is None:
        raise machine.DrillFailed("there is no disk to fill")
    ballast = stage.disk / "ballast"
    before, deadline = stage.refused, time.monotonic() + FELT_S_MAX
    while stage.refused == before and time.monotonic() < deadline:
        await asyncio.to_thread(_fill, ballast)
        await asyncio.sleep(0.1)
    stage.felt &= stage.refused > before
    until = time.monotonic() + FULL_S
    while time.monotonic() < until:
        await asyncio.to_thread(_fill, ballast)
        await asyncio.sleep(0.1)
    ballast.unlink()
    stage.mark(f"disk full {number + 1}")
    if stage.server and not await asyncio.to_thread(_answers, stage.server):
        stage.done[-1].what += ", PostgreSQL started again"
        await asyncio.to_thread(_kill_server, stage.server)
        await asyncio.to_thread(stage.server.start)


def _fill(ballast: Path) -> None:
    with ballast.open("ab", buffering=0) as file:
        try:
            while file.write(BLOCK) == len(BLOCK):
                pass
        except OSError as trouble:
            if trouble.errno != errno.ENOSPC:
                raise


def _answers(server: Server) -> bool:
    """Whether a server takes connections within some seconds, by itself."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            server.execute("SELECT 1")
        except Exception:  # noqa: BLE001 - whatever it is, the server did not answer
            time.sleep(0.2)
        else:
            return True
    return False


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Give a disk of some size in memory, mounted in a folder; may raise NotRun."""
    if os.geteuid() != 0:
        raise NotRun("mounting a small tmpfs needs root")
    folder.mkdir()
    asked = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", str(folder)]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotRun(f"mount was refused: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S607 - wherever it is
