"""Figures of a run and how they are told: medians with their range, ratios taken round by round."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Kind = Literal["rate", "p50_ms"]


@dataclass(frozen=True)
class Measured:
    """One arm in one round."""

    rate: float
    """Per second."""
    p50_ms: float | None = None
    p99_ms: float | None = None
    failed: int = 0
    cpu_us: float | None = None
    """Processor time of the server's own processes for each request, without the database's."""


Arm = Callable[[], Measured]


@dataclass(frozen=True)
class Goal:
    """A figure of the table: its id, what it compares, and the bound that it is held against.

    Without a bound it is only told.
    """

    id: str
    says: str
    bound: float | None
    at_most: bool = False
    unit: str = "x"

    def met(self, value: float) -> bool:
        """Whether a value keeps the bound."""
        if self.bound is None:
            return True
        return value <= self.bound if self.at_most else value >= self.bound


@dataclass
class Report:
    """Everything that was measured so far, written anew after each arm: a cut run counts."""

    out: Path
    header: str
    goals: list[tuple[str, str]] = field(default_factory=list)
    tables: dict[str, dict[str, list[Measured]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    extra: str = ""

    def interleaved(
        self, title: str, arms: Mapping[str, Arm], rounds: int
    ) -> dict[str, list[Measured]]:
        """Run every arm once per round, in another order each round, and keep what it gave."""
        found: dict[str, list[Measured]] = {name: [] for name in arms}
        self.tables[title] = found
        names = list(arms)
        for n in range(rounds):
            start = n % len(names)
            for name in names[start:] + names[:start]:
                measured = arms[name]()
                found[name].append(measured)
                failed = f", {measured.failed} FAILED" if measured.failed else ""
                told(f"{title}, round {n + 1} of {rounds}: {name}: {measured.rate:,.1f}/s{failed}")
                self.write()
        return found

    def ratio(
        self, goal: Goal, ours: Sequence[Measured], base: Sequence[Measured], kind: Kind = "rate"
    ) -> None:
        """Judge the ratio of two arms, round by round."""
        pairs = zip(ours, base, strict=True)
        self.judge(goal, [getattr(a, kind) / getattr(b, kind) for a, b in pairs])

    def judge(self, goal: Goal, values: Sequence[float]) -> None:
        """Hold the median of some values against its bound."""
        bound = f"{'≤' if goal.at_most else '≥'} {goal.bound:.4g}" if goal.bound else "0"
        verdict = "hit" if goal.met(statistics.median(values)) else "**missed**"
        if goal.bound is None:
            bound, verdict = "none", "told"
        shown = f"{ranged(values)}{f' {goal.unit}' if goal.unit else ''}"
        line = f"| {goal.id} | {goal.says} | {shown} | {bound} | {verdict} |"
        self.goals.append((goal.id, line))
        told(f"{goal.id}: {shown} (target {bound}: {verdict})")
        self.write()

    def note(self, text: str) -> None:
        """Keep a sentence for below the tables."""
        self.notes.append(text)
        told(text)
        self.write()

    @property
    def failed(self) -> int:
        """How many requests failed in all arms; a run with one is no measurement."""
        every = (m for arms in self.tables.values() for found in arms.values() for m in found)
        return sum(m.failed for m in every)

    def write(self) -> None:
        """Write the table as far as it goes."""
        clean = "**missed**" if self.failed else "hit"
        parts = [
            "# Benchmarks, measured",
            self.header,
            "\n".join(
                [
                    "| id | what | median (range) | target | |",
                    "|---|---|---|---|---|",
                    *(line for _id, line in sorted(self.goals, key=lambda goal: _place(goal[0]))),
                    f"| - | failed requests, all arms | {self.failed} | 0 | {clean} |",
                ]
            ),
        ]
        for title, found in self.tables.items():
            if any(found.values()):
                parts += [f"## {title}", _table(found)]
        if self.extra:
            parts.append(self.extra)
        parts.append("\n".join(f"- {note}" for note in self.notes))
        self.out.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _place(goal: str) -> int:
    """Return where a figure stands in the table, whenever it was measured."""
    return ("W", "R", "P", "H", "L", "g", "-").index(goal[0])


def told(text: str) -> None:
    """Say how it goes."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def ranged(values: Sequence[float]) -> str:
    """Return a median with its range."""
    middle = statistics.median(values)
    if not any(values):
        return "0"
    shape = "{:,.0f}" if middle >= 100 else "{:,.1f}" if middle >= 20 else "{:,.2f}"
    shown = shape.format(middle)
    if len(values) == 1:
        return f"{shown} (one run)"
    return f"{shown} ({shape.format(min(values))} to {shape.format(max(values))})"


def _table(rounds: Mapping[str, Sequence[Measured]]) -> str:
    lines = [
        "| arm | per second, median (range) | p50 ms | p99 ms | CPU us | failed |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {ranged([m.rate for m in found])} | {_middle([m.p50_ms for m in found])} "
        f"| {_middle([m.p99_ms for m in found])} | {_middle([m.cpu_us for m in found], 0)} "
        f"| {sum(m.failed for m in found)} |"
        for name, found in rounds.items()
        if found
    ]
    return "\n".join(lines)


def _middle(values: Sequence[float | None], digits: int = 2) -> str:
    known = [value for value in values if value is not None]
    return f"{statistics.median(known):,.{digits}f}" if known else "-"
