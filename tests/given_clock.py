"""A clock that a test sets: whatever the program records is recorded at that moment."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Clock:
    """What the program takes for now."""

    at: datetime

    def nanoseconds(self) -> int:
        return (self.at - EPOCH) // timedelta(microseconds=1) * 1_000


@contextmanager
def set_clock(at: datetime) -> Iterator[Clock]:
    """Give the program's clock; only wall time is set, nothing waits longer or shorter."""
    clock = Clock(at)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time_ns", clock.nanoseconds)
        yield clock
