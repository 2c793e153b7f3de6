"""Nobody waits for PostgreSQL longer than the setting says, however many wait before them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import httpx
import psycopg
import pytest

import given_postgres
from given_service import ANSWER_S, Api, served, settings_in
from ledger import errors
from ledger.service import Service, create
from ledger.settings import ProjectorPlace, Settings

READERS = 40
LISTS = ("/v1/records?q=study", "/v1/findings", "/v1/corrections", "/", "/corrections")


@pytest.fixture(scope="module")
def database() -> given_postgres.Database:
    return given_postgres.fresh_database()


@pytest.fixture(scope="module")
def ledger(
    database: given_postgres.Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("ledger")
    create(settings_in(folder, database_url=database.owner_url))
    patient = settings_in(folder, database_url=database.app_url, projector=ProjectorPlace.APART)
    hasty = settings_in(folder, database_url=database.app_url, timeout_s=3)
    with (
        # Makes the key, and keeps nothing up.
        Service(patient) as service,
        served(Service(hasty)) as address,
        httpx.Client(base_url=address, timeout=ANSWER_S) as client,
    ):
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


def answered(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """Ask until there is another answer than 503: a machine may stand still for a timeout."""
    deadline = time.monotonic() + ANSWER_S
    while (answer := ask()).status_code == 503 and time.monotonic() < deadline:
        time.sleep(0.1)
    return answer


def submitting(ledger: Api) -> Callable[[], httpx.Response]:
    """Return what submits a record, the same one however often it is called."""
    headers, body = ledger.headers(), {"content": {"title": "A study", "publisher": "Example"}}
    return lambda: ledger.client.post("/v1/records", json=body, headers=headers)


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
    receipt = answered(submitting(ledger)).json()
    ask_list = partial(ledger.client.get, "/v1/records")
    assert answered(ask_list).status_code == 200
    with (
        held(database, "LOCK TABLE ledger_views.standing IN ACCESS EXCLUSIVE MODE"),
        ThreadPoolExecutor(READERS) as readers,
    ):
        asked = [LISTS[n % len(LISTS)] for n in range(READERS)]
        assert all(readers.map(lambda path: refused(ledger.client.get(path)), asked))
        view = answered(partial(ledger.client.get, f"/v1/records/{receipt['record_id']}"))
        assert view.json()["version"] == 1
        assert answered(submitting(ledger)).status_code == 201
    assert answered(ask_list).status_code == 200


def test_an_append_that_was_given_up_waiting_for_is_answered_when_it_is_asked_again(
    ledger: Api, database: given_postgres.Database
) -> None:
    before = answered(submitting(ledger)).json()["position"]
    ask = submitting(ledger)
    with held(database, "SELECT 1 FROM ledger.head FOR UPDATE"):
        assert refused(ask())
        ready = answered(partial(ledger.client.get, "/readyz"))
        assert ready.status_code == 200, ready.text
    first, again = answered(ask), answered(ask)
    assert first.status_code == 201
    assert (again.json(), again.headers["ETag"]) == (first.json(), first.headers["ETag"])
    assert first.json()["position"] == before + 1
    assert answered(submitting(ledger)).json()["position"] == before + 2
