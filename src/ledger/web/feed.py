"""What has happened in the whole ledger since?  The log as a feed: pages, lines, or a live stream.

A reader keeps a cursor of a position and the root over all events up to there; whoever comes back
with it is told if this log is not the one that it has read.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ledger import errors
from ledger.transparency.cursors import Cursor, Cursors, diverged
from ledger.transparency.lines import raw_line
from ledger.web import problems, requests, urls
from ledger.web.pulse import Pulse

if TYPE_CHECKING:
    from ledger.service import Service
    from ledger.store.raw import RawRow

LIMIT_DEFAULT: Final = 100
LIMIT_MAX: Final = 1_000
POSITION_MAX: Final = 2**53
STREAMS_MAX: Final = 500
"""Live streams of one process."""
CHUNK: Final = 100
"""Events that a live stream reads at a time, and that wait at most for a slow reader."""
HEARTBEAT_S: Final = 15.0
SEND_S_MAX: Final = 30.0
"""How long a reader of a live stream may take nothing before it is let go."""
RETRY_MS: Final = 2_000

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
STREAM: Final = "text/event-stream"
_ROOT: Final = re.compile(r"[0-9a-f]{64}\Z")

PARAMETERS: Final[tuple[dict[str, Any], ...]] = tuple(
    {"name": name, "in": place, "required": False, "schema": schema, "description": says}
    for name, place, schema, says in (
        (
            "after",
            "query",
            {"type": "integer", "minimum": 0, "maximum": POSITION_MAX},
            "The last position that you have.",
        ),
        (
            "limit",
            "query",
            {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX},
            "Events in a page; a live stream takes none.",
        ),
        (
            "size",
            "query",
            {"type": "integer", "minimum": 0, "maximum": POSITION_MAX},
            "The size of your cursor; goes with root.",
        ),
        (
            "root",
            "query",
            {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            "The root of your cursor: over the first `size` events.",
        ),
        (
            "Last-Event-ID",
            "header",
            {"type": "string", "pattern": "^[0-9]{1,15}$"},
            "For a live stream: the last position that you have, in place of after.",
        ),
    )
)


def router(feed: Feed) -> APIRouter:
    """Return the route of the feed."""
    routes = APIRouter()
    lines = {"schema": {"type": "string"}}
    found = {
        "description": "As of now, or from now on.",
        "content": {JSON: {"schema": {"type": "object"}}, NDJSON: lines, STREAM: lines},
    }
    refusals = (
        errors.InvalidParameter,
        errors.HistoryDiverged,
        errors.ProjectionBehind,
        errors.TooManyStreams,
        errors.StoreUnavailable,
    )
    routes.add_api_route(
        urls.EVENTS,
        feed.events,
        methods=["GET"],
        operation_id="events",
        summary="Return the events of the whole ledger in order, as a page or as a live stream.",
        tags=["reads"],
        response_class=Response,
        responses={HTTPStatus.OK: found, **problems.documented(refusals)},
        openapi_extra={"parameters": list(PARAMETERS)},
    )
    return routes


class Feed:
    """The handler, over one service, and the live streams of this process."""

    def __init__(self, service: Service) -> None:
        """Keep the service."""
        self.pulse = Pulse()
        self.streams = 0
        self._service = service

    async def events(self, request: Request) -> Response:
        """Return events of the log behind a position, by what the reader accepts."""
        known = dict.fromkeys(("after", "limit", "size", "root"), False)
        given = {name: values[0] for name, values in requests.query(request, known).items()}
        accepted = request.headers.get("accept", "").lower()
        live = STREAM in accepted
        last = request.headers.get("last-event-id") if live else None
        after = requests.whole(given.get("after", "0"), "after", 0, POSITION_MAX)
        if last is not None:
            after = requests.whole(last, "Last-Event-ID", 0, POSITION_MAX)
        limit = requests.whole(given.get("limit", str(LIMIT_DEFAULT)), "limit", 1, LIMIT_MAX)
        if live and "limit" in given:
            message = "A live stream has no end, so it takes no limit."
            raise errors.InvalidParameter(message, parameter="limit")
        seen = _seen(given)
        head = await self._service.store.position()
        if after > head:
            raise diverged(after, head)
        cursors = Cursors(self._service.store, self._service.log.publisher.reader)
        if seen is not None:
            await self._service.aside(cursors.check, *seen)
        if live:
            if self.streams >= STREAMS_MAX:
                raise errors.TooManyStreams
            return _Live(self, self._service, cursors, after)
        rows = await self._service.store.raw.log(after, head, limit)
        reached = rows[-1][0] if rows else after
        cursor = await self._service.aside(cursors.at, reached)
        shape = NDJSON if NDJSON in accepted else JSON
        return _page(rows, cursor, limit, shape, more=reached < head)


def _seen(given: dict[str, str]) -> tuple[int, bytes] | None:
    """Return the size and root that a reader names, None for neither; refuses one without both."""
    size, root = given.get("size"), given.get("root")
    if size is None and root is None:
        return None
    if size is None or root is None:
        missing = "size" if size is None else "root"
        message = "A cursor has a size and a root: give both or neither."
        raise errors.InvalidParameter(message, parameter=missing)
    if not _ROOT.match(root):
        message = "root is 64 hexadecimal digits, in lower case."
        raise errors.InvalidParameter(message, parameter="root")
    return requests.whole(size, "size", 0, POSITION_MAX), bytes.fromhex(root)


def _told(cursor: Cursor) -> dict[str, Any]:
    root = cursor.root.hex() if cursor.root is not None else None
    return {"position": cursor.position, "size": cursor.position, "root": root}


def _page(rows: list[RawRow], cursor: Cursor, limit: int, shape: str, *, more: bool) -> Response:
    told = _told(cursor)
    headers = {"Cache-Control": "no-cache", "Vary": "Accept", "Ledger-Position": str(told["size"])}
    following = {"after": cursor.position, "limit": limit}
    if cursor.root is not None:
        headers |= {"Ledger-Log-Size": str(told["size"]), "Ledger-Log-Root": told["root"]}
        following |= {"size": told["size"], "root": told["root"]}
    if more:
        headers["Link"] = f'<{urls.EVENTS}?{urlencode(following)}>; rel="next"'
    if shape == NDJSON:
        body = b"".join([raw_line(row) + b"\n" for row in rows])
        return Response(body, media_type=NDJSON, headers=headers)
    text = json.dumps(told, separators=(",", ":")).encode()
    body = b'{"items":[%b],"next":%b}' % (b",".join(map(raw_line, rows)), text)
    return Response(body, media_type=JSON, headers=headers)


class _Live(Response):
    """Server-sent events: one for each event of the log, its position as the id, without an end.

    It reads on from the last position whenever it is told of a commit, or has waited a while, so
    that no event is missed whichever process wrote it.  Only what a slow reader has taken is
    followed by more.
    """

    media_type = STREAM

    def __init__(self, feed: Feed, service: Service, cursors: Cursors, after: int) -> None:
        headers = {"Cache-Control": "no-store", "Vary": "Accept", "X-Accel-Buffering": "no"}
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._feed = feed
        self._service = service
        self._cursors = cursors
        self._after = after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the reader goes away, takes nothing for long, or the server stops."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        self._feed.streams += 1
        gone = asyncio.ensure_future(_gone(receive))
        sending = asyncio.ensure_future(self._send(send))
        try:
            await asyncio.wait([gone, sending], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._feed.streams -= 1
            gone.cancel()
            sending.cancel()
            await asyncio.gather(gone, sending, return_exceptions=True)

    async def _send(self, send: Send) -> None:
        # A database that goes away ends the stream: the reader comes back, and begins where it was.
        with contextlib.suppress(errors.Unavailable):
            async for chunk in self._chunks():
                async with asyncio.timeout(SEND_S_MAX):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _chunks(self) -> AsyncIterator[bytes]:
        yield b"retry: %d\n\n" % RETRY_MS
        store, pulse = self._service.store, self._feed.pulse
        beat, told = time.monotonic(), self._after
        while not pulse.ended:
            following = pulse.next(store)
            rows = await store.raw.log(self._after, POSITION_MAX, CHUNK)
            if rows:
                self._after = rows[-1][0]
                yield b"".join([b"id: %d\ndata: %b\n\n" % (row[0], raw_line(row)) for row in rows])
                continue
            left = beat + HEARTBEAT_S - time.monotonic()
            if left > 0:
                await pulse.wait(following, left)
                continue
            beat = time.monotonic()
            if told == self._after:
                yield b": nothing new\n\n"
                continue
            cursor = await self._service.aside(self._cursors.at, self._after)
            told = self._after
            text = json.dumps(_told(cursor), separators=(",", ":")).encode()
            yield b"event: cursor\ndata: %b\n\n" % text


async def _gone(receive: Receive) -> None:
    """Wait until the reader has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass
