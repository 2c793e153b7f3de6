"""How does a witness answer over HTTP?  Its own small application, apart from the ledger's.

Two routes of C2SP tlog-witness, under any prefix that a proxy puts before them.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ledger.transparency.witness import REQUEST_BYTES_MAX, Reply, Witness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_TOO_LARGE: Final = Reply(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the request is too large\n")


def create_app(witness: Witness) -> Starlette:
    """Return the application of one witness."""

    async def add_checkpoint(request: Request) -> Response:
        body = await _body(request.stream())
        # The disk is waited for in a thread.
        reply = (
            _TOO_LARGE if body is None else await run_in_threadpool(witness.add_checkpoint, body)
        )
        headers = {"Content-Type": reply.media_type, "Cache-Control": "no-store"}
        return Response(reply.body, reply.status, headers)

    async def checkpoint(request: Request) -> Response:
        note = await run_in_threadpool(witness.checkpoint, request.path_params["log"])
        headers = {"Cache-Control": "no-store", "Access-Control-Allow-Origin": "*"}
        if note is None:
            return PlainTextResponse("no such log\n", HTTPStatus.NOT_FOUND, headers)
        return PlainTextResponse(note, headers=headers)

    return Starlette(
        routes=[
            Route("/add-checkpoint", add_checkpoint, methods=["POST"]),
            Route("/{log}/checkpoint", checkpoint),
        ]
    )


async def _body(chunks: AsyncIterator[bytes]) -> bytes | None:
    """Return a whole body, None for one that is larger than any checkpoint."""
    body = b""
    async for chunk in chunks:
        body += chunk
        if len(body) > REQUEST_BYTES_MAX:
            return None
    return body
