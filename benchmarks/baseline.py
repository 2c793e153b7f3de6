"""What the ledger is compared with: plain FastAPI applications, and the library's projection.

``library`` is the event-sourcing library as it comes: its default recorder on SQLite or PostgreSQL,
an aggregate, synchronous endpoints in the thread pool, and a GET that loads the aggregate.
``hello`` validates and answers without a database.  Both validate a POST with the ledger's model.
"""

from __future__ import annotations

import json
import os
from typing import Annotated, Any
from urllib.parse import urlsplit
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from fastapi import Depends, FastAPI, Request
from fastapi.responses import Response
from psycopg.sql import SQL

from ledger.commands import Submit

SAVED_TOGETHER = 100
RUNNER_S_MAX = 600


class Research(Aggregate):
    """A record that keeps the body it was submitted with, and what was noted last."""

    @event("Submitted")
    def __init__(self, body: str) -> None:
        self.body = body
        self.noted = ""

    @event("Noted")
    def note(self, body: str) -> None:
        """Take in a later event of the record."""
        self.noted = body


class Records(Application[UUID]):
    """The library's application with everything at its default."""


def environment(database: str) -> dict[str, str]:
    """Return the library's settings for a SQLite file or a PostgreSQL URL; nothing else is set."""
    if not database.startswith("postgresql://"):
        return {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": database}
    parts = urlsplit(database)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": parts.path[1:],
        "POSTGRES_HOST": parts.hostname or "",
        "POSTGRES_PORT": str(parts.port),
        "POSTGRES_USER": parts.username or "",
        "POSTGRES_PASSWORD": "none is asked for",
    }


async def submitted(request: Request) -> Submit:
    """Return the body, validated as the ledger validates it."""
    return Submit.model_validate_json(await request.body())


Submitted = Annotated[Submit, Depends(submitted)]


def library() -> FastAPI:
    """Return the application on the library's default recorder."""
    records = Records(env=environment(os.environ["BASELINE_DATABASE"]))
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


def filled(database: str, histories: list[list[str]]) -> list[str]:
    """Save records with the given event bodies and return their ids."""
    application = Records(env=environment(database))
    records = []
    for opened, *later in histories:
        record = Research(opened)
        for body in later:
            record.note(body)
        records.append(record)
    for n in range(0, len(records), SAVED_TOGETHER):
        application.save(*records[n : n + SAVED_TOGETHER])
    application.close()
    return [str(record.id) for record in records]


# ---------------------------------------------------------------- its projection


class Shown(PostgresTrackingRecorder):
    """The least that a view can be: one row for each record, in one transaction with its place."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Have a table."""
        super().__init__(*args, **kwargs)
        self.sql_create_statements.append(
            SQL(
                "CREATE TABLE IF NOT EXISTS shown (id uuid PRIMARY KEY, version int, body text)"
            ).format()
        )

    def put(self, record_id: UUID, version: int, body: str, tracking: Tracking) -> None:
        """Write a record's row and how far the view is."""
        with self.datastore.transaction(commit=True) as cursor:
            cursor.execute(
                "INSERT INTO shown VALUES (%s, %s, %s) ON CONFLICT (id) DO UPDATE "
                "SET version = excluded.version, body = excluded.body",
                (record_id, version, body),
            )
            self._insert_tracking(cursor, tracking)


class Showing(Projection[Shown]):
    """Shows each event's body as it comes."""

    name = "showing"

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        """Take in one event."""
        self.view.put(
            domain_event.originator_id, domain_event.originator_version, domain_event.body, tracking
        )


def project(database: str, upto: int) -> None:
    """Let the library's ProjectionRunner take a whole log in, at its defaults."""
    runner = ProjectionRunner(
        application_class=Records,
        projection_class=Showing,
        view_class=Shown,
        env=environment(database),
    )
    with runner:
        runner.wait(upto, timeout=RUNNER_S_MAX)
