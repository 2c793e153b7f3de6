"""How long does the writer wait for a commit?  Not for ever, and never for half a commit.

With synchronous replication a commit waits until a standby has it.  While there is none the server
waits without an end: its own time limits are off by then.  Cancelling would be worse than waiting,
because PostgreSQL answers a cancelled wait with success.  So the connection is given up, which
leaves the outcome open; a retry under the same idempotency key learns it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from typing import Any, Final, Self, TypeVar

import psycopg
from psycopg import waiting
from psycopg.errors import Diagnostic

Answer = TypeVar("Answer")

_WAITING: Final = "SyncRepWaitForLSN"
"""The function of the server that warns of a commit that no standby was waited for."""


class Patient(psycopg.Connection[tuple[Any, ...]]):
    """A connection whose calls end within ``limit_s``, and never with an unreplicated success."""

    limit_s: float = 60.0
    unreplicated: bool = False

    @classmethod
    def to(cls, conninfo: str, limit_s: float) -> Self:
        """Connect; every statement is its own transaction.  Raises psycopg.Error."""
        connection = cls.connect(conninfo, autocommit=True, prepare_threshold=1)
        connection.limit_s = limit_s
        connection.add_notice_handler(connection.hear)
        return connection

    def wait(self, gen: Generator[Any, Any, Answer], *given: Any, **named: Any) -> Answer:
        """Do as psycopg does; raises OperationalError, closed, when the outcome is left open."""
        answer: Answer = super().wait(self._limited(gen), *given, **named)
        if self.unreplicated:
            self.close()
            raise psycopg.OperationalError("a commit was not waited for by any standby")
        return answer

    def _limited(self, gen: Generator[Any, Any, Answer]) -> Generator[Any, Any, Answer]:
        """Pass on what the driver and the server say to each other, until it takes too long."""
        deadline = time.monotonic() + self.limit_s
        try:
            wanted = next(gen)
            while True:
                # Nothing is ready: the driver looks in ten times a second.
                ready = yield wanted
                if not ready and time.monotonic() > deadline:
                    self.pgconn.finish()
                    raise psycopg.OperationalError("the server did not answer in time")
                wanted = gen.send(ready)
        except StopIteration as done:
            answer: Answer = done.value
            return answer

    def hear(self, notice: Diagnostic) -> None:
        """Note a commit that no standby was waited for."""
        if notice.source_function == _WAITING:
            self.unreplicated = True


class PatientAsync(psycopg.AsyncConnection[tuple[Any, ...]]):
    """A connection of an event loop for reads, given up as soon as nobody waits for its answer."""

    async def wait(
        self,
        gen: Generator[Any, Any, Answer],
        interval: float = 0.1,
        timeout: float | None = None,  # noqa: ASYNC109 - the driver's own signature
    ) -> Answer:
        """Do as psycopg does, but close at once where it would cancel and wait for the end."""
        try:
            return await waiting.wait_async(
                gen, self.pgconn.socket, interval=interval, timeout=timeout
            )
        except asyncio.CancelledError:
            self.pgconn.finish()
            raise
