"""What the ledger is compared with: two plain FastAPI applications, served by uvicorn.

``library`` is the event-sourcing library as it comes: its default SQLite recorder, an aggregate,
synchronous endpoints in the thread pool, and a GET that loads the aggregate.  ``hello`` validates
and answers without a database.  Both validate a POST with the ledger's own model.
"""

from __future__ import annotations

import json
import os
from typing import Annotated
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from fastapi import Depends, FastAPI, Request
from fastapi.responses import Response

from ledger.commands import Submit


class Research(Aggregate):
    """A record that keeps the body it was submitted with."""

    @event("Submitted")
    def __init__(self, body: str) -> None:
        self.body = body


class Records(Application[UUID]):
    """The library's application with everything at its default."""


async def submitted(request: Request) -> Submit:
    """Return the body, validated as the ledger validates it."""
    return Submit.model_validate_json(await request.body())


Submitted = Annotated[Submit, Depends(submitted)]


def library() -> FastAPI:
    """Return the application on the library's default SQLite recorder."""
    records = Records(
        env={
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": os.environ["BASELINE_DATABASE"],
        }
    )
    app = FastAPI()

    @app.post("/records", status_code=201)
    def submit(command: Submitted) -> dict[str, str]:
        record = Research(command.model_dump_json())
        records.save(record)
        return {"record_id": str(record.id)}

    @app.get("/records/{record_id}")
    def show(record_id: UUID) -> Response:
        record: Research = records.repository.get(record_id)
        body = {"record_id": str(record.id), "version": record.version} | json.loads(record.body)
        return Response(json.dumps(body), media_type="application/json")

    return app


def hello() -> FastAPI:
    """Return the application that does nothing: the framework's own ceiling."""
    app = FastAPI()

    @app.post("/records", status_code=201)
    async def submit(command: Submitted) -> dict[str, str]:
        return {"title": command.content.title}

    @app.get("/")
    async def show() -> dict[str, str]:
        return {"hello": "world"}

    return app
