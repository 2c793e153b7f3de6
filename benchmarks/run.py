#!/usr/bin/env python3
"""How fast is the ledger, and against what?  One command measures every figure and its target.

    python benchmarks/run.py [--quick] [--only W1,R1,gates] [--rounds 5] [--seconds 3] [--out FILE]

The arms of a figure take turns in every round.  The table is written anew after every arm, so that
a run that was cut short has told what it saw.  Compare ratios; rates belong to one machine and day.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import gates
import growth
import payload
import projecting
import reads
import servers
import writes
from bench import STORES, Bench
from figures import told

HERE = Path(__file__).resolve().parent
IDS = frozenset(
    {
        "W1",
        "W2",
        "W3",
        "W4",
        "W5",
        "W6",
        "W7",
        "R1",
        "R2",
        "R3",
        "P1",
        "P2",
        "P3",
        "H1",
        "L1",
        "gates",
    }
)
ROUNDS_MIN = 5

PARTS: tuple[Callable[[Bench], None], ...] = (
    writes.on_postgresql,
    writes.on_a_slow_disk,
    writes.alone,
    writes.on_sqlite,
    gates.measure,
    reads.measure,
    projecting.measure,
    projecting.rebuild_many,
)


def main() -> None:
    """Measure what was asked for, and tell it."""
    asked = _asked()
    if not payload.present():
        raise SystemExit(
            f"The real data is not here: payloads are made from {payload.SHARED}/data and "
            f"{payload.SHARED}/seeds, the folder beside the project."
        )
    if missing := servers.needed():
        raise SystemExit(f"Missing: {', '.join(missing)}.")
    bench = Bench(
        out=asked.out,
        rounds=asked.rounds or (2 if asked.quick else ROUNDS_MIN),
        seconds=asked.seconds or (2 if asked.quick else 3),
        records=asked.records or (5_000 if asked.quick else 100_000),
        events=asked.events or (10_000 if asked.quick else 15_000),
        many=asked.many or (100_000 if asked.quick else 1_000_000),
        wanted=frozenset(asked.only),
    )
    began = time.monotonic()
    with bench.stack:
        if asked.growth:
            growth.measure(bench, asked.growth, asked.stores, views=not asked.log_only)
        else:
            for part in PARTS:
                part(bench)
        bench.report.note(f"The run took {(time.monotonic() - began) / 60:.1f} minutes.")
    print(asked.out.read_text(encoding="utf-8"))
    told(f"written to {asked.out}")
    if bench.report.failed:
        sys.exit(f"{bench.report.failed} requests failed: this is no measurement.")


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="A short look at everything.")
    parser.add_argument(
        "--only", type=_ids, default=(), metavar="IDS", help=f"Any of {', '.join(sorted(IDS))}."
    )
    parser.add_argument("--rounds", type=int, help=f"Rounds ({ROUNDS_MIN}).")
    parser.add_argument("--seconds", type=float, help="Seconds of each arm in a round (3).")
    parser.add_argument("--records", type=int, help="Records to read from (100,000).")
    parser.add_argument("--events", type=int, help="Events to project, in rounds (15,000).")
    parser.add_argument("--many", type=int, help="Events of the one long rebuild (1,000,000).")
    parser.add_argument(
        "--growth", type=int, nargs="+", metavar="EVENTS", help="Only this: the same at each size."
    )
    parser.add_argument(
        "--stores", nargs="+", choices=STORES, default=list(STORES), help="For --growth."
    )
    parser.add_argument("--log-only", action="store_true", help="For --growth: no views.")
    parser.add_argument("--out", type=Path, default=HERE / "results.md")
    return parser.parse_args()


def _ids(text: str) -> tuple[str, ...]:
    asked = tuple(text.split(","))
    if unknown := set(asked) - IDS:
        raise argparse.ArgumentTypeError(f"there is no {', '.join(sorted(unknown))}")
    return asked


if __name__ == "__main__":
    main()
