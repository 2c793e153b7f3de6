"""The crash drill: processes, disk, clock and lines struck at random moments under load.

    just drill-crash [--seconds N] [--clients N] [--only WORD,WORD] [--seed N] [--keep]

Each scenario is a ledger of its own: API processes, a projector, clients over HTTP and a reader
that follows the log.  Prints a table of the strikes and of what was found afterwards; exits 1 if
anything was lost, doubled, missed or wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import re
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import clients
import crash_faults as faults
import found
import machine
import processes
from clients import Acknowledged
from crash_faults import NotRun, Stage, Strikes
from crash_line import Line
from crash_tail import Seen, written

from ledger.settings import Settings
from ledger.store import adapters

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import given_postgres  # noqa: E402 - the tests' server, found by the line above

SECONDS = 20.0
CLIENTS = 32
QUIET_S_MAX = 2.0
"""The longest pause between two strikes."""
RECOVERY_S_MAX = 30.0
"""How soon after a strike an append must succeed."""
CAUGHT_UP_S_MAX = 30.0
SQLITE_DISK, POSTGRES_DISK = "192m", "512m"
SMALL_WAL = {"max_wal_size": "64MB", "min_wal_size": "32MB"}
HEADINGS = (
    "scenario", "database", "struck", "acknowledged", "found", "duplicates", "lost",
    "double winners", "missed by the tail", "first append after, s",
    "all clients after, s",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is struck, and the ledger that it happens to."""

    name: str
    database: str
    strikes: Strikes
    servers: int = 2

    @property
    def title(self) -> str:
        """The scenario's name for ``--only`` and for messages."""
        return f"{self.name} {self.database} {self.servers}"


SCENARIOS = (
    Scenario("kill", "SQLite", faults.kill, servers=1),
    Scenario("kill", "SQLite", faults.kill),
    Scenario("clock", "SQLite", faults.step_clock),
    Scenario("disk", "SQLite", faults.fill_disk),
    Scenario("kill", "PostgreSQL", faults.kill),
    Scenario("clock", "PostgreSQL", faults.step_clock),
    Scenario("disk", "PostgreSQL", faults.fill_disk),
    Scenario("cut", "PostgreSQL", faults.cut),
)


@dataclass
class Outcome:
    """A scenario's row of the table, and everything that is not as promised."""

    cells: list[object]
    notes: list[str] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)


class Drill:
    """One scenario on a ledger of its own, in a folder of its own."""

    def __init__(self, scenario: Scenario, folder: Path, seconds: float, count: int) -> None:
        """Start nothing yet; ``count`` is how many clients append."""
        self._scenario, self._folder = scenario, folder
        self._seconds, self._count = seconds, count
        self._breaches: list[str] = []
        self._tail = folder / "tail.jsonl"

    def run(self) -> Outcome:
        """Run the scenario; raises NotRun where this machine does not allow it."""
        with contextlib.ExitStack() as held:
            disk = self._disk(held)
            clock = faults.faked_clock(self._folder) if self._scenario.name == "clock" else {}
            server, line, env = self._database(held, disk, clock)
            settings = _settings(env)
            through = dict(env)
            if server and line:
                through["LEDGER_DATABASE_URL"] = env["LEDGER_DATABASE_URL"].replace(
                    f":{server.port}/", f":{line.port}/"
                )
            with processes.running(self._folder, through | clock, self._scenario.servers) as ledger:
                stage = Stage(ledger, self._folder, server, line, disk)
                with self._tailing(through) as tail:
                    asyncio.run(self._struck(stage, settings))
                    self._calm(stage, settings)
                    ended = [p.name for p in (*ledger.all, tail) if not _runs(p)]
            self._breaches += [f"{name} has ended by itself" for name in ended]
            for program in (*ledger.all, tail):
                self._breaches += [f"{program.name}: {s}" for s in processes.complaints(program)]
            return self._judged(stage, found.looked_at(settings, stage.kept))

    def _disk(self, held: contextlib.ExitStack) -> Path | None:
        if self._scenario.name != "disk":
            return None
        size = SQLITE_DISK if self._scenario.database == "SQLite" else POSTGRES_DISK
        return held.enter_context(faults.small_disk(self._folder / "disk", size))

    def _database(
        self, held: contextlib.ExitStack, disk: Path | None, clock: Mapping[str, str]
    ) -> tuple[given_postgres.Server | None, Line | None, dict[str, str]]:
        """Make the ledger; returns its server and the line to it, if any, and its settings."""
        if self._scenario.database == "SQLite":
            env = processes.environment(self._folder, f"sqlite:///{disk or self._folder}/ledger.db")
            processes.made(env)
            return None, None, env
        server = given_postgres.Server((disk or self._folder) / "postgres", SMALL_WAL)
        server.create()
        # The server inherits the clock of whoever starts it, whenever it is started.
        held.enter_context(_inherited(clock))
        server.start()
        held.callback(server.stop)
        database = server.create_database("ledger")
        processes.made(processes.environment(self._folder, database.owner_url))
        line = Line(server.port) if self._scenario.name == "cut" else None
        if line:
            held.callback(line.close)
        return server, line, processes.environment(self._folder, database.app_url)

    @contextlib.contextmanager
    def _tailing(self, env: Mapping[str, str]) -> Iterator[machine.Program]:
        command = [sys.executable, ROOT / "drills" / "crash_tail.py", self._tail]
        tail = machine.Program("tail", command, self._folder / "tail.log", env)
        tail.start()
        try:
            yield tail
        finally:
            tail.stop()

    async def _struck(self, stage: Stage, settings: Settings) -> None:
        """Have all clients append, and strike again and again."""
        urls, key = stage.ledger.urls, stage.ledger.api_key
        async with clients.at_work(urls, key, self._count) as stage.kept:
            end, number = time.monotonic() + self._seconds, 0
            while time.monotonic() < end:
                await asyncio.sleep(random.uniform(QUIET_S_MAX / 4, QUIET_S_MAX))
                await self._scenario.strikes(stage, number)
                number += 1
                await self._recovered(stage)
                told = list(stage.kept.acknowledged)
                lost = await asyncio.to_thread(_lost_now, settings, told)
                self._breaches += [f"gone after {stage.done[-1].what}: {one}" for one in lost]
            await asyncio.sleep(QUIET_S_MAX / 2)

    async def _recovered(self, stage: Stage) -> None:
        strike = stage.done[-1]
        deadline = time.monotonic() + RECOVERY_S_MAX
        while not stage.kept.recovered(strike.at):
            if time.monotonic() > deadline:
                self._breaches.append(f"no append within {RECOVERY_S_MAX:.0f} s of {strike.what}")
                return
            await asyncio.sleep(0.05)

    def _calm(self, stage: Stage, settings: Settings) -> None:
        """Wait until the views and the reader have caught up by themselves."""
        deadline = time.monotonic() + CAUGHT_UP_S_MAX
        with _opened(settings) as store:
            head = store.head()
        while time.monotonic() < deadline:
            seen = written(self._tail)
            if seen and seen[-1].position >= head and all(map(processes.ready, stage.ledger.urls)):
                return
            time.sleep(0.2)
        self._breaches.append(f"not caught up and ready {CAUGHT_UP_S_MAX:.0f} s after the load")

    def _judged(self, stage: Stage, seen: found.Found) -> Outcome:
        """Hold everything against everything."""
        kept, rows = stage.kept, [Seen.of(row) for row in seen.rows]
        tail = written(self._tail)
        missed = len(set(rows) - set(tail))
        told, there, twice, lost = seen.counted(kept.acknowledged)
        self._breaches += [*kept.wrong, *seen.faults]
        self._breaches += [f"carried out {n} times: {k}" for k, n in seen.marked.items() if n > 1]
        for what, count in (("lost", lost), ("double winners", seen.double_winners)):
            self._breaches += [f"{count} {what}"] if count else []
        if tail != rows:
            self._breaches.append(
                f"the reader missed {missed} of {len(rows)} events, and saw "
                f"{len(set(tail) - set(rows))} that are not there, {len(tail)} in all"
            )
        if not stage.felt:
            self._breaches.append("the disk was full and no append was refused")
        if self._scenario.name == "clock" and _span_s(seen) < faults.STEPS_S[0]:
            self._breaches.append("the steps of the clock did not reach the log")
        recovered = [kept.recovered(strike.at) for strike in stage.done]
        first = max(min(each.values(), default=float("inf")) for each in recovered)
        whole = [max(each.values()) for each in recovered if len(each) == self._count]
        struck = ", ".join(_summed([strike.what for strike in stage.done]))
        if stage.line and not stage.line.answers_lost:
            self._breaches.append("no answer to an append was lost on the line")
        database = f"{self._scenario.database}, {self._scenario.servers} API"
        cells = [
            self._scenario.name, database, f"{len(stage.done)}: {struck}", told, there, twice,
            lost, seen.double_winners, missed, f"{first:.1f}",
            f"{max(whole, default=float('nan')):.1f}",
        ]  # fmt: skip
        answers = ", ".join(f"{n} x {what}" for what, n in kept.answers.most_common())
        notes = [
            f"{len(rows)} events; {kept.repeated} answered appends repeated; answers: {answers}",
            f"{len(seen.views)} of {len(found.ROLL_CALL)} views equal their fold",
        ]
        if stage.line:
            lost_there = f"{stage.line.answers_lost} answers to committed batches lost on the line"
            notes.append(lost_there)
        return Outcome(cells, notes, self._breaches)


def _settings(env: Mapping[str, str]) -> Settings:
    return Settings(database_url=env["LEDGER_DATABASE_URL"], data_dir=Path(env["LEDGER_DATA_DIR"]))


def _opened(settings: Settings) -> Any:
    return adapters.open_store(
        settings.database_url,
        queue_max=settings.queue_max,
        idempotency_days=settings.idempotency_days,
        timeout_s=settings.timeout_s,
    )


def _lost_now(settings: Settings, acknowledged: list[Acknowledged]) -> list[Acknowledged]:
    """Return what was acknowledged and is not in the log at its place now."""
    with _opened(settings) as store:
        there = {(row.position, row.originator_id, row.originator_version) for row in store.rows()}
    return [one for one in acknowledged if (one.position, one.record, one.version) not in there]


def _span_s(seen: found.Found) -> float:
    """Return the longest step between two events that follow each other, in seconds."""
    moments: list[datetime] = [row.recorded_at for row in seen.rows]
    return max(((b - a).total_seconds() for a, b in pairwise(moments)), default=0.0)


def _summed(struck: list[str]) -> Iterator[str]:
    """Yield each kind of strike once, with how often it happened where that was more than once."""
    kinds = [re.sub(r" full \d+", " full", what) for what in struck]
    for kind in dict.fromkeys(kinds):
        count = kinds.count(kind)
        yield f"{count} x {kind}" if count > 1 else kind


def _runs(program: machine.Program) -> bool:
    return program.process is not None and program.process.poll() is None


@contextlib.contextmanager
def _inherited(env: Mapping[str, str]) -> Iterator[None]:
    """Let every process that is started meanwhile see some variables."""
    os.environ.update(env)
    try:
        yield
    finally:
        for name in env:
            del os.environ[name]


def _ended(_signal: int, _frame: object) -> None:
    raise SystemExit("The drill was told to stop.")


def main() -> int:
    """Run the drill; returns the exit code."""
    asked = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    asked.add_argument("--seconds", type=float, default=SECONDS, help="of load for each scenario")
    asked.add_argument("--clients", type=int, default=CLIENTS, help="how many append at a time")
    asked.add_argument("--only", default="", help="words of scenarios, such as kill,PostgreSQL")
    asked.add_argument("--seed", type=int, default=random.randrange(10_000), help="of the moments")
    asked.add_argument("--keep", action="store_true", help="keep the folders with logs and data")
    given = asked.parse_args()
    signal.signal(signal.SIGTERM, _ended)
    processes.without_ledger_settings()
    random.seed(given.seed)
    print(f"{given.clients} clients, {given.seconds:.0f} s for each scenario, seed {given.seed}\n")
    words = [word for word in given.only.split(",") if word]
    chosen = [s for s in SCENARIOS if all(word in s.title.split() for word in words)]
    rows, notes, failed = [], [], not chosen
    for scenario in chosen:
        print(f"{scenario.title}: running", file=sys.stderr)
        try:
            with machine.workplace("crash", keep=given.keep) as folder:
                outcome = Drill(scenario, folder, given.seconds, given.clients).run()
        except NotRun as why:
            rows.append([scenario.name, scenario.database, f"not run: {why}", *("-" * 8)])
            continue
        rows.append(outcome.cells)
        notes += [f"{scenario.title}: {note}." for note in outcome.notes]
        for breach in outcome.breaches[:20]:
            print(f"FAILED: {scenario.title}: {breach}", file=sys.stderr)
        failed |= bool(outcome.breaches)
    for cells in (HEADINGS, ["---"] * len(HEADINGS), *rows):
        print(f"| {' | '.join(map(str, cells))} |")
    print("\n" + "\n".join(notes))
    print("FAILED" if failed else "\nEverything is as promised.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
