"""A line between the ledger and its PostgreSQL server that can be cut, deafened and stalled."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: closing tells the other end at once, by a reset."""
APPENDS = b"ledger.append("
"""What a connection that appends has asked at least once."""


class Line:
    """Passes bytes on between a free port of this machine and the server's."""

    def __init__(self, port: int) -> None:
        """Start to listen; ``port`` is the server's."""
        self._server = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._appending: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        self._flowing = threading.Event()
        self._flowing.set()
        self._to_lose = 0
        self.answers_lost = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> int:
        """Cut all connections in both directions; returns how many there were."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            _reset(*pair)
        return len(pairs)

    def lose_answers(self, count: int) -> None:
        """Pass the next appends on, and cut the connection where each answer comes back."""
        with self._lock:
            self._to_lose = count

    def stall(self, seconds: float) -> None:
        """Keep every connection open and pass nothing on for a while, then go on."""
        self._flowing.clear()
        time.sleep(seconds)
        self._flowing.set()

    def close(self) -> None:
        """Take no more connections and cut those that are there."""
        self._flowing.set()
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _address = self._listener.accept()
                try:
                    server = socket.create_connection(self._server)
                except OSError:
                    _reset(client)
                    continue
                pair = (client, server)
                with self._lock:
                    self._pairs.add(pair)
                for answers in (False, True):
                    threading.Thread(
                        target=self._pass_on, args=(pair, answers), daemon=True
                    ).start()

    def _pass_on(self, pair: tuple[socket.socket, socket.socket], answers: bool) -> None:  # noqa: FBT001 - which way
        source, target = reversed(pair) if answers else pair
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                self._flowing.wait()
                if not answers and APPENDS in data:
                    self._appending.add(pair)
                if answers and pair in self._appending and self._loses_this():
                    break
                target.sendall(data)
        with self._lock:
            self._pairs.discard(pair)
            self._appending.discard(pair)
        _reset(*pair)

    def _loses_this(self) -> bool:
        with self._lock:
            lost = self._to_lose > 0
            self._to_lose -= lost
            self.answers_lost += lost
        return lost


def _reset(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        # Shutting down first wakes the thread that waits for this end.
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
