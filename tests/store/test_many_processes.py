"""Two processes append at once while a third follows: nothing missed, nobody wins twice."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import given_stores
from given_stores import Place
from ledger.store import Store

place, store = given_stores.place, given_stores.store

PROCESSES, WRITERS, APPENDS, STREAMS = 2, 16, 40, 8

WRITER = """
import itertools, sys
from concurrent.futures import ThreadPoolExecutor
from given_stores import Place, one
from ledger.store import VersionConflict
adapter, place, writers, appends, streams = sys.argv[1:]
store = Place(adapter, place).open()
seen = [0] * int(streams)

def write(writer):
    won = []
    # From stream to stream with each attempt, so that some meet everywhere, and never all.
    for n in itertools.cycle(range(writer, writer + len(seen))):
        n %= len(seen)
        try:
            receipt = store.append(one(f"s{n}", seen[n] + 1)).result(60)
        except VersionConflict:
            # What there is, and never more than that, whichever of the threads says so last.
            seen[n] = len(store.rows_of(f"s{n}"))
        else:
            won.append((receipt.originator_id, receipt.version, receipt.position))
            if len(won) == int(appends):
                return won

with ThreadPoolExecutor(int(writers)) as pool:
    for won in pool.map(write, range(int(writers))):
        for stream, version, position in won:
            print(stream, version, position)
store.close()
"""


def test_a_reader_that_follows_misses_nothing_and_no_version_is_won_twice(
    store: Store, place: Place
) -> None:
    followed: list[tuple[str, int, int]] = []
    woken, done = threading.Event(), threading.Event()
    store.subscribe_commits(lambda _position: woken.set())

    def follow() -> None:
        last = False
        while not last:
            last = done.is_set()  # one more look after everybody has gone home
            after = followed[-1][2] if followed else 0
            followed.extend(
                (r.originator_id, r.originator_version, r.position) for r in store.rows(after)
            )
            # The writers are other processes: SQLite has nothing that wakes for those.
            woken.wait(0.01)
            woken.clear()

    reader = threading.Thread(target=follow)
    reader.start()
    arguments = map(str, (place.adapter, place.place, WRITERS, APPENDS, STREAMS))
    command = [sys.executable, "-c", WRITER, *arguments]
    environment = os.environ | {"PYTHONPATH": str(Path(given_stores.__file__).parent)}
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        for _process in range(PROCESSES)
    ]
    won: list[tuple[str, int, int]] = []
    for process in processes:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0
        lines = [line.split() for line in output.splitlines()]
        won += [(stream, int(version), int(position)) for stream, version, position in lines]
    done.set()
    reader.join(120)
    assert [position for _s, _v, position in followed] == list(range(1, len(won) + 1))
    assert len(won) == PROCESSES * WRITERS * APPENDS
    assert max(Counter((stream, version) for stream, version, _p in won).values()) == 1
    assert sorted(won) == sorted(followed)
