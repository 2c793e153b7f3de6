"""Nobody waits for PostgreSQL longer than the setting says, however many wait before them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import psycopg
import pytest

import given_postgres
from given_service import Api, served
from ledger import errors
from ledger.service import Service, create
from ledger.settings import Settings

READERS = 40
LISTS = ("/v1/records?q=study", "/v1/findings", "/v1/corrections", "/", "/corrections")


@pytest.fixture(scope="module")
def database() -> given_postgres.Database:
    return given_postgres.fresh_database()


@pytest.fixture(scope="module")
def ledger(
    database: given_postgres.Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    create(Settings(database_url=database.owner_url))
    settings = Settings(
        database_url=database.app_url, data_dir=tmp_path_factory.mktemp("data"), timeout_s=3
    )
    service = Service(settings)
    with served(service) as address, httpx.Client(base_url=address, timeout=30) as client:
        yield Api(client, service)


@contextmanager
def held(database: given_postgres.Database, statement: str) -> Iterator[None]:
    """Keep what a statement locks from everybody else."""
    with psycopg.connect(database.server.url(database.name)) as other:
        other.execute(statement.encode())
        yield
        other.rollback()


def refused(answer: httpx.Response) -> bool:
    return answer.status_code == 503 and answer.headers["Retry-After"] == "1"


def test_whoever_stands_behind_others_is_refused_while_they_are_still_held() -> None:
    service = Service(Settings(database_url="postgresql://127.0.0.1/none", timeout_s=0.05))
    free = threading.Event()

    async def asked() -> list[bool | BaseException]:
        waiting = [service.aside(free.wait) for _ in range(READERS)]
        try:
            return await asyncio.gather(*waiting, return_exceptions=True)
        finally:
            free.set()

    answers = asyncio.run(asked())
    assert [*map(type, answers)] == [errors.StoreUnavailable] * READERS
    assert {str(answer) for answer in answers} == {
        "The database did not answer within 0.05 seconds."
    }


def test_lists_that_cannot_be_read_are_refused_and_hold_nobody_else_up(
    ledger: Api, database: given_postgres.Database
) -> None:
    receipt = ledger.submit().json()
    assert ledger.client.get("/v1/records").status_code == 200
    with (
        held(database, "LOCK TABLE ledger_views.standing IN ACCESS EXCLUSIVE MODE"),
        ThreadPoolExecutor(READERS) as readers,
    ):
        asked = [LISTS[n % len(LISTS)] for n in range(READERS)]
        assert all(readers.map(lambda path: refused(ledger.client.get(path)), asked))
        assert ledger.view(receipt["record_id"])["version"] == 1
        assert ledger.submit().status_code == 201
    assert ledger.client.get("/v1/records").status_code == 200


def test_an_append_that_was_given_up_waiting_for_is_answered_when_it_is_asked_again(
    ledger: Api, database: given_postgres.Database
) -> None:
    before = ledger.submit().json()["position"]
    headers, body = ledger.headers(), {"content": {"title": "Held up", "publisher": "Example"}}

    def ask() -> httpx.Response:
        return ledger.client.post("/v1/records", json=body, headers=headers)

    with held(database, "SELECT 1 FROM ledger.head FOR UPDATE"):
        assert refused(ask())
        ready = ledger.client.get("/readyz")
        assert ready.status_code == 200, ready.text
    first, again = ask(), ask()
    assert first.status_code == 201
    assert (again.json(), again.headers["ETag"]) == (first.json(), first.headers["ETag"])
    assert first.json()["position"] == before + 1
    assert ledger.submit().json()["position"] == before + 2
