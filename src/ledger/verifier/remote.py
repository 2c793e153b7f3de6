"""What does a running ledger show?  Asked over HTTP, with a limit to every answer.

An answer that is too long, too slow, or leads elsewhere ends the verification: a server that does
that to one reader cannot be read.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlsplit

from ledger.verifier import static
from ledger.verifier.lines import LINE_BYTES_MAX
from ledger.verifier.log import Mark, Row
from ledger.verifier.report import BadOption, Report, Unchecked
from ledger.verifier.signatures import NOTE_BYTES_MAX, BadNote, Key, checkpoint, note, unbase64
from ledger.verifier.tree import HASH_BYTES, PROOF_MAX

PAGE: Final = 1_000
SILENCE_S: Final = 20
"""How long a server may say nothing."""
ANSWER_S: Final = 120
"""How long one answer may take in all."""
PAGE_BYTES_MAX: Final = 512 * 1024 * 1024
DOCUMENT_BYTES_MAX: Final = 64 * 1024 * 1024
PROOF_BYTES_MAX: Final = 65_536
CHUNK: Final = 1 << 16


class Remote:
    """A running ledger at a URL."""

    def __init__(self, url: str) -> None:
        """Ask nothing yet; raises BadOption for what is no URL of a ledger."""
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError as trouble:
            raise BadOption("The port of the URL is none.") from trouble
        if not parts.hostname or parts.query or parts.fragment or parts.username:
            raise BadOption("The URL of a ledger is http(s)://HOST[:PORT][/PATH], and no more.")
        host = parts.hostname
        self._connection = http.client.HTTPConnection(host, port, timeout=SILENCE_S)
        if parts.scheme == "https":
            context = ssl.create_default_context()
            self._connection = http.client.HTTPSConnection(
                host, port, timeout=SILENCE_S, context=context
            )
        self._path = parts.path.rstrip("/")
        self._report: Report | None = None
        self._note: bytes | None = None
        self.size = 0

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def begin(self, report: Report) -> None:
        """Read the checkpoint once: everything else is held against that one."""
        self._report = report
        self._note = self._ask(static.CHECKPOINT, NOTE_BYTES_MAX)
        if self._note is not None:
            with suppress(BadNote):  # which is told where it is read again
                self.size = checkpoint(note(self._note)).size

    def note(self) -> bytes | None:
        """Return the checkpoint."""
        return self._note

    def vkey(self) -> str | None:
        """Return the key that the server says is its own."""
        raw = self._ask(static.VKEY, NOTE_BYTES_MAX)
        return raw.decode(errors="replace").strip() if raw else None

    def tile(self, level: int, index: int, width: int) -> bytes | None:
        """Return a tile."""
        return self._ask(static.place(level, index, width), width * HASH_BYTES)

    def entries(self, index: int, width: int) -> list[bytes] | None:
        """Return a bundle of entries; an empty one where there is none."""
        data = self._ask(static.place(None, index, width), static.bundle_bytes_max(width))
        return static.unbundled(data or b"", width)

    def marks(self, _report: Report, _key: Key | None) -> Iterator[Mark]:
        """Yield nothing: a server shows one checkpoint."""
        yield from ()

    def rows(self) -> Iterator[Row]:
        """Yield the events, page after page."""
        assert self._report is not None  # noqa: S101 - begin() has set it
        yield from static.read(self._lines(), self._report)

    def _lines(self) -> Iterator[tuple[str, bytes]]:
        after = 0
        while True:
            path = f"v1/events?after={after}&limit={PAGE}"
            page = self._ask(path, PAGE_BYTES_MAX, "application/x-ndjson")
            if page is None:
                raise Unchecked(self._none_there(path.partition("?")[0]))
            lines = page.split(b"\n")
            if lines.pop():
                raise Unchecked("A page of events does not end with a line break.")
            if len(lines) > PAGE or any(len(line) > LINE_BYTES_MAX for line in lines):
                raise Unchecked("A page of events is longer than was asked for.")
            for number, line in enumerate(lines, 1):
                yield f"event {after + number} of the feed", line
            after += len(lines)
            if len(lines) < PAGE:
                return

    def _none_there(self, path: str) -> str:
        """Return what a server is that is no running ledger."""
        if self._ask(static.MANIFEST, PAGE_BYTES_MAX) is None:
            return f"The server has no {path}."
        return (
            "The server shows the files of an archive, and is no running ledger: download the "
            "folder, and name it as the target."
        )

    def record(self, record_id: str) -> Any:
        """Return the public document of a record, None where the server has none."""
        path = f"v1/records/{quote(record_id, safe='')}"
        raw = self._ask(path, DOCUMENT_BYTES_MAX, "application/json")
        try:
            return None if raw is None else json.loads(raw)
        except (ValueError, RecursionError):
            return None

    def proof(self, old: int, new: int) -> list[bytes]:
        """Return the hashes of a consistency proof, none where the server gives no such proof."""
        path = f"v1/log/consistency?from={old}&to={new}"
        raw = self._ask(path, PROOF_BYTES_MAX, "application/json")
        try:
            steps = json.loads(raw or b"{}")["proof"]
            return [unbase64(step) for step in steps] if len(steps) <= PROOF_MAX else []
        except (ValueError, KeyError, TypeError, RecursionError):
            return []

    # ------------------------------------------------------------ HTTP

    def _ask(self, path: str, bytes_max: int, accept: str = "*/*") -> bytes | None:
        """Return an answer, one byte more of it if it is longer; None for 404. Raises Unchecked."""
        for last in (False, True):
            try:
                return self._asked(f"{self._path}/{path}", bytes_max, accept)
            except (http.client.HTTPException, OSError) as trouble:
                self._connection.close()
                # A server may have closed a connection that rested; nothing else is tried again.
                fresh = isinstance(trouble, (http.client.RemoteDisconnected, BrokenPipeError))
                if last or not fresh:
                    why = str(trouble) or type(trouble).__name__
                    raise Unchecked(f"The server cannot be read: {why}.") from trouble
        return None

    def _asked(self, path: str, bytes_max: int, accept: str) -> bytes | None:
        with self._hurried():
            return self._answer(path, bytes_max, accept)

    @contextmanager
    def _hurried(self) -> Iterator[None]:
        """Hang up on an answer that takes too long, however it is drawn out."""
        timer = threading.Timer(ANSWER_S, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _cut(self) -> None:
        with suppress(OSError, AttributeError):
            self._connection.sock.shutdown(socket.SHUT_RDWR)

    def _answer(self, path: str, bytes_max: int, accept: str) -> bytes | None:
        self._connection.request("GET", path, headers={"Accept": accept})
        answer = self._connection.getresponse()
        if answer.status not in (HTTPStatus.OK, HTTPStatus.NOT_FOUND):
            self._connection.close()
            raise Unchecked(f"The server answered {answer.status} to {path}.")
        zipped = answer.headers.get("Content-Encoding", "identity").lower()
        if zipped not in ("identity", "gzip"):
            self._connection.close()
            raise Unchecked(f"The server encodes {path} in a way that nobody asked for.")
        unpack = zlib.decompressobj(wbits=31) if zipped == "gzip" else None
        told = bytearray()
        while chunk := answer.read1(CHUNK):
            try:
                told += unpack.decompress(chunk, bytes_max + 1) if unpack else chunk
            except zlib.error as trouble:
                raise Unchecked(f"The answer to {path} is not gzip as it says.") from trouble
            if len(told) > bytes_max:
                self._connection.close()
                raise Unchecked(f"The answer to {path} is longer than {bytes_max} bytes.")
        answer.close()
        return bytes(told) if answer.status == HTTPStatus.OK else None
