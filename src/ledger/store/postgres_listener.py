"""Who hears that another process has appended?  One thread that listens to the database."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

import psycopg

from ledger.store.postgres_connections import Connection, sentence
from ledger.store.postgres_patience import Patient

CHANNEL: Final = "ledger_log"
LOOK_S: Final = 0.5
PAUSE_S_MAX: Final = 5.0
_log = logging.getLogger("ledger.store")


class Listener:
    """Calls everybody in ``woken`` with each position that it hears of, once and upwards."""

    def __init__(self, conninfo: str, place: str, timeout_s: float) -> None:
        """Start nothing yet."""
        self._timeout_s = timeout_s
        self.woken: list[Callable[[int], None]] = []
        self._conninfo = conninfo
        self._place = place
        self._heard = 0
        self._hearing = threading.Lock()
        self._stopping = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen from now on, if nobody has asked for it before."""
        with self._starting:
            if self._thread is None and not self._stopping.is_set():
                self._thread = threading.Thread(
                    target=self._work, name="ledger-listener", daemon=True
                )
                self._thread.start()

    def close(self) -> None:
        """End the thread."""
        with self._starting:
            self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        pause = 0.1
        while not self._stopping.is_set():
            try:
                with Patient.to(self._conninfo, self._timeout_s) as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    # What was committed while nobody listened.
                    row = connection.execute("SELECT position FROM ledger.head").fetchone()
                    self.hear(row[0] if row else 0)
                    if pause > 0.1:  # noqa: PLR2004 - the first pause
                        # As loud as the trouble was, whose end it is.
                        _log.warning("Listening to the database at %s again.", self._place)
                    pause = 0.1
                    self._listen(connection)
            except psycopg.Error as trouble:
                if pause == 0.1:  # noqa: PLR2004 - once for each time it is away
                    _log.warning(
                        "Nobody listens to the database at %s: %s.", self._place, sentence(trouble)
                    )
                self._stopping.wait(pause)
                pause = min(2 * pause, PAUSE_S_MAX)

    def _listen(self, connection: Connection) -> None:
        while not self._stopping.is_set():
            for notice in connection.notifies(timeout=LOOK_S, stop_after=1):
                self.hear(int(notice.payload))

    def hear(self, position: int) -> None:
        """Hear of a commit, from the database or from the writer of this process."""
        with self._hearing:
            if position <= self._heard:
                return
            self._heard = position
            for wake in tuple(self.woken):
                try:
                    wake(position)
                except Exception:  # noqa: BLE001 - the others want to hear of it too
                    _log.exception("a subscriber to commits failed")
