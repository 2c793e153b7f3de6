"""Figures of a run and how they are told: medians with their range, and ratios round by round."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """One arm in one round."""

    rate: float
    """Per second."""
    p50_ms: float
    p99_ms: float
    failed: int = 0


def table(rounds: Mapping[str, Sequence[Measured]], base: str) -> str:
    """Return a Markdown table of all arms; a ratio is taken within a round, then its median."""
    lines = [
        f"| arm | per second, median (range) | p50 ms | p99 ms | failed | ratio to “{base}” |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in rounds.items():
        ratios = [m.rate / b.rate for m, b in zip(found, rounds[base], strict=True)]
        lines.append(
            f"| {name} | {_told([m.rate for m in found], '{:,.0f}')} "
            f"| {statistics.median(m.p50_ms for m in found):.2f} "
            f"| {statistics.median(m.p99_ms for m in found):.1f} "
            f"| {sum(m.failed for m in found)} | {_told(ratios, '{:.2f}')} |"
        )
    return "\n".join(lines)


def _told(values: Sequence[float], shape: str) -> str:
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{shape.format(middle)} ({shape.format(low)} to {shape.format(high)})"
