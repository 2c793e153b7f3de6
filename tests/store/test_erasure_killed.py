"""A process that is killed while it erases leaves each erasure done or not begun, never a half."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import given_stores
from given_stores import Place
from ledger.store import Store

place, store = given_stores.place, given_stores.store

ROUNDS = 6
ERASER = """
import hashlib, json, sys
from eventsourcing.persistence import StoredEvent
from given_stores import Place
from ledger.store import Append, Document, Erasure

adapter, place, name = sys.argv[1:]
with Place(adapter, place).open() as store:
    for n in range(100_000):
        stream = f"{name}-{n}"
        body = json.dumps({"text": "secret " * 200, "n": n}).encode()
        first = store.append(Append((StoredEvent(stream, 1, "test.happened:1", body),))).result(60)
        left = json.dumps({"text": "[erased]", "n": n}).encode()
        told = {"position": first.position,
                "redacted_digest": "sha256:" + hashlib.sha256(left).hexdigest()}
        fact = StoredEvent(stream, 2, "payload.erased:1", json.dumps(told).encode())
        erasure = Append((fact,), (Document("v", stream, 2, left),),
                         erasure=Erasure(first.position, left))
        print(stream, store.append(erasure).result(60).position, flush=True)
"""


def test_an_erasure_is_whole_or_not_there_after_a_kill(store: Store, place: Place) -> None:
    acknowledged: dict[str, int] = {}
    for n in range(ROUNDS):
        arguments = [sys.executable, "-c", ERASER, place.adapter, place.place, f"run{n}"]
        environment = os.environ | {"PYTHONPATH": str(Path(given_stores.__file__).parent)}
        process = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, text=True, env=environment
        )  # fmt: skip
        assert process.stdout is not None
        lines = [process.stdout.readline() for _line in range(3 + 7 * n)]
        os.kill(process.pid, signal.SIGKILL)
        lines += process.stdout.read().splitlines(keepends=True)
        process.wait(60)
        process.stdout.close()
        whole = [line.split() for line in lines if line.endswith("\n")]
        acknowledged |= {stream: int(position) for stream, position in whole}
    # In one snapshot: a server may go on for a moment with what a killed process has sent it.
    rows = list(store.rows(page=1_000_000))
    assert [row.position for row in rows] == list(range(1, len(rows) + 1))
    erasures = {json.loads(r.state)["position"]: r for r in rows if r.topic == "payload.erased:1"}
    for row in rows:
        if row.topic == "payload.erased:1":
            continue
        by = erasures.get(row.position)
        if by is None:
            assert (len(row.salt), b"secret" in row.state) == (32, True)
        else:
            digest = "sha256:" + hashlib.sha256(row.state).hexdigest()
            assert (row.salt, digest) == (b"", json.loads(by.state)["redacted_digest"])
    found = {row.originator_id: row.position for row in erasures.values()}
    assert acknowledged.items() <= found.items()
    documents = {one.id: one.position for one in store.documents("v") if one.position <= len(rows)}
    assert documents == found
