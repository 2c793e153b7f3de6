"""Witnesses for a test, in processes of their own: ours, and the one of aics-witness."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from given_log import LOG, WITNESS
from given_outside import installed, run
from given_terminal import START_S_MAX, Server, listening
from ledger.transparency.notes import VerifierKey
from ledger.transparency.policy import Policy, parse_policy
from ledger.transparency.witness import make_memory

MEMORY = "memory.db"


@contextmanager
def witness_in(folder: Path, log: VerifierKey = LOG.verifier) -> Iterator[Server]:
    """Give our witness with the key of the tests; it remembers what it did in that folder."""
    folder.mkdir(exist_ok=True)
    (folder / "key").touch(0o600)
    (folder / "key").write_text(f"{WITNESS.secret()}\n")
    (folder / "logs").write_text(f"log {log}\nquorum none\n")
    if not (folder / MEMORY).exists():
        make_memory(folder / MEMORY, WITNESS.verifier)
    words = ("--key", "key", "--memory", MEMORY, "--logs", "logs", "--port", "0")
    with listening(folder, "witness", "serve", *words) as server:
        yield server


@contextmanager
def aics_witness_in(
    folder: Path, log: VerifierKey = LOG.verifier
) -> Iterator[tuple[str, VerifierKey]]:
    """Give a witness of others that watches a log: its address and key."""
    folder.mkdir(exist_ok=True)
    tool, config = installed("bin", "aics-witness"), folder / "witness.json"
    init = run(tool, "init", "--config", config, "--name", "witness.example.org/aics")
    assert init.returncode == 0, init.stderr
    (vkey,) = re.findall(r"witness\.example\.org/aics\+[0-9a-f]{8}\+\S+", init.stdout)
    added = run(tool, "add-log", "--config", config, "--origin", log.name, "--vkey", str(log))
    assert added.returncode == 0, added.stderr
    process = subprocess.Popen(
        [tool, "serve", "--config", config, "--listen", "127.0.0.1:0"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    guard = threading.Timer(START_S_MAX, process.kill)
    guard.start()
    try:
        assert process.stderr is not None
        found = None
        for line in process.stderr:
            if found := re.search(r"listening on (http://\S+)", line):
                break
        assert found, "the witness never listened"
        guard.cancel()
        yield found[1], VerifierKey.parse(vkey)
    finally:
        guard.cancel()
        process.terminate()
        process.communicate()


def policy_of(
    *witnesses: tuple[VerifierKey, str], need: int = 1, log: VerifierKey = LOG.verifier
) -> str:
    """Return a policy that needs some of these witnesses, w0, w1 and so on, in the order given."""
    lines = [f"log {log}"]
    lines += [f"witness w{n} {key} {url}" for n, (key, url) in enumerate(witnesses)]
    names = " ".join(f"w{n}" for n in range(len(witnesses)))
    return "\n".join([*lines, f"group them {need} {names}", "quorum them", ""])


def policy(*witnesses: tuple[VerifierKey, str], need: int = 1) -> Policy:
    """Return such a policy, read."""
    return parse_policy(policy_of(*witnesses, need=need).encode())
