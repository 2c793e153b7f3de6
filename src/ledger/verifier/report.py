"""What was found?  Differences, each named by where it is; what was counted; what is left open.

Only so many differences are kept: a log that differs everywhere says so in a number.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

KEPT_MAX: Final = 1_000
"""How many differences are told one by one."""
SHOWN_MAX: Final = 200
"""How many characters of a value are shown."""


class Outcome(IntEnum):
    """What the exit code says."""

    VERIFIED = 0
    DIFFERS = 1
    USAGE = 2
    UNCHECKED = 3


class Unchecked(Exception):
    """It could not be checked: the target cannot be reached, read, or held against anything."""


class BadOption(ValueError):
    """What was asked for cannot be understood."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it follows: where it lies, and both values as text."""

    table: str
    key: str
    field: str
    expected: str
    found: str

    def line(self) -> str:
        """Return it as one line for people."""
        place = ", ".join(part for part in (self.table, self.key, self.field) if part)
        return f"{place}: expected {self.expected}, found {self.found}"


def shown(value: object) -> str:
    """Return a value as text of bounded length; bytes that are no text in hexadecimal."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        raw = bytes(value[: SHOWN_MAX + 1])
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            text = raw.hex()
    else:
        text = str(value)
    text = printable(text[: SHOWN_MAX + 1])
    return text if len(text) <= SHOWN_MAX else text[:SHOWN_MAX] + "…"


def printable(text: str) -> str:
    """Return a text without what a terminal would obey."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


@dataclass(slots=True)
class Report:
    """Everything that a verification has to say; it is written to while the target is read."""

    target: str
    origin: str | None = None
    size: int = 0
    root: str | None = None
    key: str | None = None
    pinned: bool = False
    signed: bool = False
    """Whether there was a signed checkpoint against which everything else was held."""
    witnesses: list[str] = field(default_factory=list)
    rows: int = 0
    streams: int = 0
    seconds: float = 0.0
    checked: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    unchecked: str | None = None
    differences: list[Difference] = field(default_factory=list)
    found: int = 0

    def differs(self, table: str, key: object, name: str, expected: object, found: object) -> None:
        """Tell a difference."""
        self.found += 1
        if len(self.differences) < KEPT_MAX:
            told = Difference(table, shown(key), name, shown(expected), shown(found))
            self.differences.append(told)

    def expect(self, table: str, key: object, name: str, expected: object, found: object) -> bool:
        """Tell a difference if there is one; return whether there is none."""
        if type(expected) is type(found) and expected == found:
            return True
        self.differs(table, key, name, expected, found)
        return False

    def note(self, sentence: str) -> None:
        """Say what a reader should know beside the result."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def count(self, what: str, number: int = 1) -> None:
        """Count what was checked."""
        self.checked[what] = self.checked.get(what, 0) + number

    @property
    def uncovered(self) -> int:
        """How many rows lie behind the checkpoint."""
        return max(0, self.rows - self.size) if self.signed else self.rows

    @property
    def outcome(self) -> Outcome:
        """What the exit code says; a difference outweighs what could not be checked."""
        if self.found:
            return Outcome.DIFFERS
        return Outcome.UNCHECKED if self.unchecked else Outcome.VERIFIED

    def document(self) -> dict[str, Any]:
        """Return the report for programs."""
        return {
            "format": "research-ledger-verification/1",
            "target": self.target,
            "outcome": self.outcome.name.lower(),
            "exit": int(self.outcome),
            "origin": self.origin,
            "size": self.size,
            "root": self.root,
            "key": {"vkey": self.key, "pinned": self.pinned},
            "witnesses": self.witnesses,
            "rows": self.rows,
            "not_yet_covered": self.uncovered,
            "streams": self.streams,
            "checked": self.checked,
            "seconds": round(self.seconds, 3),
            "rows_per_second": round(self.rows / self.seconds) if self.seconds else None,
            "notes": self.notes,
            "unchecked": self.unchecked,
            "differences_found": self.found,
            "differences": [
                {name: getattr(each, name) for name in Difference.__slots__}
                for each in self.differences
            ],
        }

    def json(self) -> str:
        """Return the report as JSON."""
        return json.dumps(self.document(), ensure_ascii=False, indent=2)

    def lines(self) -> Iterator[str]:
        """Yield the report for people."""
        yield from map(printable, self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"target: {self.target}"
        if self.signed:
            yield f"origin: {self.origin}"
            yield f"checkpoint: {self.size} events, root {self.root}"
            yield f"signed by: {self.key or 'nobody known'}{'' if self.pinned else ' (NOT PINNED)'}"
        if self.witnesses:
            yield f"cosigned by: {', '.join(self.witnesses)}"
        rate = f", {self.rows / self.seconds:,.0f} rows/s" if self.seconds else ""
        yield f"read: {self.rows} events in {self.streams} streams, {self.seconds:.2f} s{rate}"
        for what, number in self.checked.items():
            yield f"checked: {number} {what}"
        if self.uncovered:
            yield f"not yet covered by the checkpoint: {self.uncovered} events"
        yield from (f"note: {sentence}" for sentence in self.notes)
        yield from (f"DIFFERENCE: {each.line()}" for each in self.differences)
        if self.found > len(self.differences):
            yield f"… and {self.found - len(self.differences)} more differences"
        match self.outcome:
            case Outcome.DIFFERS:
                yield f"result: DIFFERS, {self.found} differences"
            case Outcome.UNCHECKED:
                yield f"result: NOT CHECKED: {self.unchecked}"
            case _:
                yield "result: verified"
