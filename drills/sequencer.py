"""The sequencer drill: processes that grow and sign the tree are struck at every call and moment.

    just drill-sequencer [--every N] [--rounds N] [--only faults,kills]

Faults: on SQLite, ``ledger log step`` runs under strace, which lets one system call after the other
fail with EIO or ENOSPC, or kills the process there.  Kills: on both databases, two sequencers with
the same key and a writer are killed at random moments, some rounds with the clock set back.  After
each strike the log is brought up to date and audited, and every checkpoint that was ever on the
disk has to be one of the same history.  Exits 1 if anything else is found.  Needs strace.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import processes
from machine import DrillFailed

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from eventsourcing.persistence import StoredEvent  # noqa: E402

import given_postgres  # noqa: E402 - the tests' server, found by the line above
from ledger import errors  # noqa: E402
from ledger.service import Service, create  # noqa: E402
from ledger.settings import Settings  # noqa: E402
from ledger.store import Append, Store, adapters  # noqa: E402
from ledger.transparency import merkle  # noqa: E402
from ledger.transparency.auditing import Audit  # noqa: E402
from ledger.transparency.key_file import KeyFile  # noqa: E402
from ledger.transparency.notes import Checkpoint, open_checkpoint  # noqa: E402
from ledger.transparency.reading import TreeReader  # noqa: E402

CALLS = ("pwrite64", "pread64", "fdatasync", "fsync", "ftruncate", "unlink", "rename", "write")
STRIKES = ("error=EIO", "error=ENOSPC", "signal=KILL")
STEP = """
from ledger.service import Service
from ledger.settings import Settings
with Service(Settings()) as service:
    service.log.catch_up()
"""
KEEP = """
import sys, threading
from ledger.service import Service
from ledger.settings import Settings
with Service(Settings(projector="apart")) as service:
    service.log._cycle_s = 0.01
    service.log.start(yielding=0.0)
    threading.Event().wait()
"""
WRITE = """
import random, sys, uuid
from eventsourcing.persistence import StoredEvent
from ledger.settings import Settings
from ledger.service import _open_store
from ledger.store import Append
with _open_store(Settings()) as store:
    while True:
        count = random.choice([1, 1, 7, 300])
        stream = str(uuid.uuid4())
        events = (StoredEvent(stream, n + 1, "drill.noted:1", b"{}") for n in range(count))
        store.append(Append(tuple(events))).result()
"""


@dataclass
class Watched:
    """A ledger that is struck, and every checkpoint that was seen of it."""

    settings: Settings
    seen: dict[int, Checkpoint] = field(default_factory=dict)
    strikes: int = 0

    @property
    def env(self) -> dict[str, str]:
        """The environment of a process of the ledger."""
        return os.environ | {
            "LEDGER_DATABASE_URL": self.settings.database_url,
            "LEDGER_DATA_DIR": str(self.settings.data_dir),
        }

    def store(self) -> Store:
        """Open the store."""
        return adapters.open_store(
            self.settings.database_url, queue_max=1_000, idempotency_days=30, timeout_s=10
        )

    def look(self) -> None:
        """Take note of the checkpoints that are on the disk, as whoever fetched them would have."""
        files = KeyFile(self.settings.log_key)
        key = files.read()
        if key is None:
            raise DrillFailed("the key is gone")
        with self.store() as store:
            notes = [published.note for published in store.tree.checkpoints()]
            remembered = files.remembered()
            notes += [remembered[1]] if remembered else []
            for note in notes:
                checkpoint, _ = open_checkpoint(note, key.verifier)
                before = self.seen.setdefault(checkpoint.size, checkpoint)
                if before != checkpoint:
                    raise DrillFailed(f"two checkpoints of size {checkpoint.size} were signed")

    def judge(self) -> int:
        """Bring the log up to date, audit it, and hold every checkpoint against it."""
        self.look()
        with Service(self.settings.model_copy(update={"projector": "apart"})) as service:
            latest = service.log.catch_up()
            if latest is None or latest.size != service.store.head():
                raise DrillFailed("the log does not cover every event")
            Audit(service.store.tree).run(pages(service.store))
            reader = TreeReader(service.store.tree)
            for size, checkpoint in self.seen.items():
                merkle.verify_consistency(
                    size,
                    latest.size,
                    checkpoint.root,
                    latest.root,
                    reader.consistency(size, latest.size),
                )
        self.look()
        return latest.size


def pages(store: Store) -> Iterator[list[tuple[int, int, str, int, str, bytes, bytes, bytes]]]:
    """Yield the rows of a log."""
    after = 0
    with asyncio.Runner() as runner:
        while page := runner.run(store.raw.log(after, 2**53, 5_000)):
            yield page
            after = page[-1][0]


@contextlib.contextmanager
def watched(kind: str) -> Iterator[Watched]:
    """Give a new ledger."""
    folder = Path(tempfile.mkdtemp(prefix=f"drill-sequencer-{kind}-"))
    try:
        if kind == "sqlite":
            settings = Settings(database_url=f"sqlite:///{folder}/ledger.db", data_dir=folder)
            create(settings)
        else:
            database = given_postgres.fresh_database()
            settings = Settings(database_url=database.app_url, data_dir=folder)
            create(settings.model_copy(update={"database_url": database.owner_url}))
            KeyFile(settings.log_key).make("drill.example/log")
        yield Watched(settings)
    finally:
        shutil.rmtree(folder)


# ------------------------------------------------------------ faults


def append(ledger: Watched, count: int) -> None:
    """Append events, so that there is something to take in."""
    with ledger.store() as store:
        stream = f"faults-{store.head()}"
        events = (StoredEvent(stream, n + 1, "drill.noted:1", b"{}") for n in range(count))
        store.append(Append(tuple(events))).result()


def traced(ledger: Watched, *options: str) -> str:
    """Run one step under strace; returns what strace wrote."""
    told = ledger.settings.data_dir / "strace.txt"
    strace = shutil.which("strace") or "strace"
    subprocess.run(
        [strace, "-f", "-qq", "-o", told, *options, sys.executable, "-c", STEP],
        env=ledger.env,
        capture_output=True,
        timeout=120,
        check=False,
    )
    return told.read_text(errors="replace")


def counted(ledger: Watched) -> dict[str, int]:
    """Return for each call how often one thread makes it at most: strace counts them so."""
    append(ledger, 300)
    found: dict[str, Counter[str]] = {call: Counter() for call in CALLS}
    for line in traced(ledger, "-e", f"trace={','.join(CALLS)}").splitlines():
        thread, _, rest = line.partition(" ")
        call = rest.strip().partition("(")[0]
        if call in found:
            found[call][thread] += 1
    return {call: max(each.values()) for call, each in found.items() if each}


def faults(every: int) -> None:
    """Let every ``every``-th call of one step fail in three ways, one at a time."""
    with watched("sqlite") as ledger:
        calls = counted(ledger)
        told = ", ".join(f"{call} {count}" for call, count in calls.items())
        print(f"sqlite: calls of one step, by thread: {told}", flush=True)
        began, hits, tried = time.monotonic(), 0, 0
        for call, count in calls.items():
            for nth, strike in product(range(1, count + 1, every), STRIKES):
                append(ledger, 300)
                told = traced(
                    ledger, "-e", f"trace={call}", "-e", f"inject={call}:{strike}:when={nth}"
                )
                tried += 1
                hits += "(INJECTED)" in told or "killed by SIGKILL" in told
                whole(ledger.settings)
                ledger.look()
                if tried % 20 == 0:
                    ledger.judge()
        size = ledger.judge()
        seconds = time.monotonic() - began
        print(
            f"sqlite: {hits} faults in {tried} runs, {seconds:.0f} s: {size} leaves, "
            f"{len(ledger.seen)} checkpoints, all of one history",
            flush=True,
        )


def whole(settings: Settings) -> None:
    """Fail unless SQLite finds its file in order."""
    with contextlib.closing(sqlite3.connect(settings.database_path)) as file:
        found = file.execute("PRAGMA integrity_check").fetchone()[0]
    if found != "ok":
        raise DrillFailed(f"the database is damaged: {found}")


# ------------------------------------------------------------ kills


def kills(kind: str, rounds: int) -> None:
    """Kill two sequencers and a writer at random moments, some with the clock set back."""
    with watched(kind) as ledger:
        faketime = shutil.which("faketime")
        for n in range(rounds):
            clock = [faketime, "-f", "-3h"] if faketime and n % 4 == 3 else []  # noqa: PLR2004
            children = [
                subprocess.Popen(
                    [*clock, sys.executable, "-c", program],
                    env=ledger.env,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
                for program in (KEEP, KEEP, WRITE)
            ]
            time.sleep(random.uniform(1.5, 4.0))
            for child in random.sample(children, len(children)):
                # The whole group is our own: faketime is only the parent of what it starts.
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
                ledger.strikes += 1
                time.sleep(random.uniform(0, 0.2))
            size = ledger.judge()
        print(
            f"{kind}: {rounds} rounds, {ledger.strikes} processes killed: {size} leaves, "
            f"{len(ledger.seen)} checkpoints, all of one history",
            flush=True,
        )


def main() -> None:
    """Strike what was asked for."""
    processes.without_ledger_settings()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--only", default="faults,kills")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    random.seed(asked.seed)
    try:
        if "faults" in asked.only:
            if shutil.which("strace") is None:
                raise DrillFailed("strace is not installed")
            faults(asked.every)
        if "kills" in asked.only:
            kills("sqlite", asked.rounds)
            kills("postgres", asked.rounds)
    except (errors.Refusal, ValueError) as found:
        raise DrillFailed(f"after a strike: {found}") from found


if __name__ == "__main__":
    main()
