"""A real ledger for a test: SQLite in its own folder, the real application, a client."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from given_patience import PATIENCE_S
from ledger.service import Service, create
from ledger.settings import Settings
from ledger.vocabulary import Scope
from ledger.web import create_app, urls

SCRIPT = b"print(40 + 2)\n"
RESULTS = b'{"answer": 42}\n'

ANSWER_S = 180.0
"""How long a client waits for an answer: longer than the ledger does, in seconds."""


def settings_in(folder: Path, **changes: Any) -> Settings:
    """Return settings whose files all lie in ``folder``, a SQLite database among them."""
    given: dict[str, Any] = {
        "database_url": f"sqlite:///{folder / 'ledger.db'}",
        "data_dir": folder / "data",
        "wait_s": PATIENCE_S,
        "timeout_s": PATIENCE_S,
    }
    return Settings(**given | changes)


def founded(folder: Path, **changes: Any) -> Service:
    """Return the service of a new ledger in ``folder``, not yet opened."""
    settings = settings_in(folder, **changes)
    create(settings)
    return Service(settings)


def digest_of(raw: bytes) -> str:
    """Return the digest in the ledger's form."""
    return "sha256:" + hashlib.sha256(raw).hexdigest()


class Api:
    """A client that appends like a well-behaved pipeline: key, idempotency key, If-Match."""

    def __init__(self, client: httpx.Client, service: Service) -> None:
        self.client = client
        self.service = service
        self.key = self.issue("pipeline", Scope.ADMIN)

    def issue(self, holder: str, *scopes: Scope) -> str:
        """Return a fresh API key."""

        async def issue() -> str:
            key, _receipt = await self.service.ledger.issue_key(holder, scopes, "operator")
            return key

        return asyncio.run(issue())

    def headers(self, etag: str | None = None, key: str | None = None) -> dict[str, str]:
        """Return the headers of a fresh append."""
        sent = {
            "Authorization": f"Bearer {key or self.key}",
            "Idempotency-Key": f'"{uuid.uuid4()}"',
        }
        return sent | ({"If-Match": etag} if etag else {})

    def submit(self, **changes: Any) -> httpx.Response:
        """Submit a record; ``changes`` replace parts of the body."""
        body = {
            "content": {"title": "A small study", "publisher": "Example Research"},
            "submitted_on": "2026-07-01",
            "claims": {"extracted": 9, "grounded": 8, "verified": 6},
            "claim_source": "parsed-source-sections",
            "review": {"scores": {"challenger": "8.1", "confirmer": "8.0", "integrator": "7.9"}},
        }
        return self.client.post("/v1/records", json=body | changes, headers=self.headers())

    def post(self, record: str, part: str, body: Any, etag: str | None = None) -> httpx.Response:
        """Append to a record, by default to the version that it has now."""
        etag = etag or self.etag(record)
        return self.client.post(
            f"/v1/records/{record}/{part}", json=body, headers=self.headers(etag)
        )

    def upload(self, record: str, role: str, raw: bytes, **headers: str) -> httpx.Response:
        """Upload and attach an artifact."""
        sent = self.headers(self.etag(record)) | {"Content-Type": "application/octet-stream"}
        return self.client.post(
            f"/v1/records/{record}/artifacts?role={role}", content=raw, headers=sent | headers
        )

    def etag(self, record: str) -> str:
        """Return the ETag of a record's current view."""
        return self.client.get(f"/v1/records/{record}").headers["ETag"]

    def covered(self, position: int) -> None:
        """Wait until a signed checkpoint covers a position."""
        deadline = time.monotonic() + ANSWER_S
        asked = {"Prefer": "wait=30"}
        while self.client.get(urls.receipt(position), headers=asked).status_code != HTTPStatus.OK:
            assert time.monotonic() < deadline, "no checkpoint came"

    def view(self, record: str) -> dict[str, Any]:
        """Return a record's current view."""
        found: dict[str, Any] = self.client.get(f"/v1/records/{record}").json()
        return found

    def sandbox(self, record: str, computed: str = "41.5", **changes: Any) -> dict[str, Any]:
        """Return the body of a sandbox evaluation of the record's current submission."""
        subject = self.view(record)["submission"]
        return {
            "gate": "gate-2",
            "method": "sandbox",
            "outcome": "passed",
            "subject": {"submission": subject["number"], "digest": subject["digest"]},
            "evidence": {
                "kind": "sandbox",
                "computed": computed,
                "expected": "42.0",
                "tolerance": {"kind": "relative", "value": "0.05"},
                "script_digest": digest_of(SCRIPT),
                "results_digest": digest_of(RESULTS),
            },
            "evaluator": {"id": "sandbox-runner", "version": "2.1"},
            "evaluated_at": "2026-07-02T03:48:27.951721Z",
        } | changes


@contextmanager
def served(service: Service) -> Iterator[str]:
    """Give the address of a real server over a service, on a free port of this machine."""
    # It keeps connections for longer than its clients do, so that none is closed under a request.
    config = uvicorn.Config(
        create_app(service),
        host="127.0.0.1",
        port=0,
        log_level="error",
        timeout_keep_alive=round(ANSWER_S),
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 120
        while not server.started:
            if time.monotonic() > deadline or not thread.is_alive():
                message = "the server did not start"
                raise RuntimeError(message)
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(120)


@contextmanager
def api(folder: Path, **changes: Any) -> Iterator[Api]:
    """Give a client of a real server over a new ledger in ``folder``."""
    service = founded(folder, **changes)
    with served(service) as address, httpx.Client(base_url=address, timeout=ANSWER_S) as client:
        yield Api(client, service)
