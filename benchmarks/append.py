#!/usr/bin/env python3
"""How fast are appends and reads?  One command, one run, every arm in turn in every round.

    python benchmarks/append.py [--rounds 5] [--seconds 4] [--only store|http] [--out FILE]

Prints Markdown tables, and writes them to a file.  Compare ratios; the figures themselves belong
to one machine on one day.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import in_process
import over_http
from figures import Measured, table

HERE = Path(__file__).resolve().parent
ROUNDS_MIN = 5

RAW = "SQLite, one connection, one commit per event"
LIBRARY = "library's default recorder, 32 threads"
SERVED = "FastAPI on the library's default recorder"
HELLO = "FastAPI without a database"

Arm = Callable[[Path, float], Measured]


def interleaved(arms: Mapping[str, Arm], rounds: int, seconds: float) -> dict[str, list[Measured]]:
    """Run every arm once per round, in another order each round."""
    found: dict[str, list[Measured]] = {name: [] for name in arms}
    names = list(arms)
    for n in range(rounds):
        start = n % len(names)
        for name in names[start:] + names[:start]:
            with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
                found[name].append(arms[name](Path(folder), seconds))
            print(f"round {n + 1}: {name}: {found[name][-1].rate:,.0f}/s", file=sys.stderr)
    return found


def store_tables(rounds: int, seconds: float) -> list[str]:
    """Return the tables of the arms without HTTP."""
    arms: dict[str, Arm] = {
        RAW: in_process.raw,
        LIBRARY: in_process.library,
        "our store, 32 threads": in_process.ours,
        "our store, 32 tasks of one loop": in_process.ours_from_a_loop,
    }
    found = interleaved(arms, rounds, seconds)
    return ["## Store alone, events of about 1 KB", table(found, LIBRARY)]


def http_tables(rounds: int, seconds: float) -> list[str]:
    """Return the tables of the arms over HTTP."""
    behind: list[float] = []
    with contextlib.ExitStack() as stack:
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _n in range(3)]
        servers = [
            stack.enter_context(over_http.ledger(folders[0])),
            stack.enter_context(over_http.baseline(folders[1], "library", SERVED)),
            stack.enter_context(over_http.baseline(folders[2], "hello", HELLO)),
        ]

        def arm(server: over_http.Server, method: str) -> Arm:
            def run(folder: Path, seconds: float) -> Measured:
                measured = over_http.load(server, method, folder, seconds)
                # What an append leaves to do must not be paid by the next arm.
                behind.append(server.caught_up() if method == "POST" else 0)
                return measured

            return run

        for server in servers:
            server.caught_up()
            over_http.load(server, "POST", folders[0], 1)
            server.caught_up()
        tables = []
        for method in ("POST", "GET"):
            arms = {server.name: arm(server, method) for server in servers}
            found = interleaved(arms, rounds, seconds)
            tables += [
                f"## {method} over HTTP, {over_http.CONNECTIONS} connections",
                table(found, SERVED),
                table({k: v for k, v in found.items() if k != SERVED}, HELLO),
            ]
    tables.append(f"Longest wait for the ledger's views after a POST round: {max(behind):.2f} s.")
    return tables


def main() -> None:
    """Run what was asked for, and tell it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS_MIN)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--only", choices=("store", "http"))
    parser.add_argument("--out", type=Path, default=HERE / "results.md")
    asked = parser.parse_args()
    where = (
        f"{time.strftime('%Y-%m-%d')}; {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}; {asked.rounds} rounds of {asked.seconds:g} s per arm, "
        f"interleaved; load average before: {os.getloadavg()[0]:.1f}."
    )
    parts = ["# Appends and reads, measured", where]
    if asked.only != "http":
        parts += store_tables(asked.rounds, asked.seconds)
    if asked.only != "store":
        if shutil.which("wrk") is None:
            raise SystemExit("The arms over HTTP need wrk (Debian: apt-get install wrk).")
        parts += http_tables(asked.rounds, asked.seconds)
    text = "\n\n".join(parts) + "\n"
    asked.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
