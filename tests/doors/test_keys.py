"""A key that was revoked by one process is worth nothing at another, which remembers it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from given_postgres import fresh_database
from given_service import ANSWER_S, Api, founded, served, settings_in
from ledger.keys import HELD_KEYS
from ledger.service import Service, create
from ledger.vocabulary import Scope

BODY = {"content": {"title": "A small study", "publisher": "Example Research"}}


@pytest.fixture(params=["sqlite", "postgresql"])
def doors(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Api, Api]]:
    """Give clients of two servers over one ledger; each has a service of its own."""
    settings = owner = settings_in(tmp_path)
    if request.param == "postgresql":
        database = fresh_database()
        settings = settings_in(tmp_path, database_url=database.app_url)
        owner = settings_in(tmp_path, database_url=database.owner_url)
    create(owner)
    with ExitStack() as stack:
        clients = []
        for service in (Service(settings), Service(settings)):
            address = stack.enter_context(served(service))
            client = stack.enter_context(httpx.Client(base_url=address, timeout=ANSWER_S))
            clients.append(Api(client, service))
        yield clients[0], clients[1]


def revoke(api: Api, key: str, holder: str) -> None:
    key_id = key.split("_")[1]
    asyncio.run(api.service.ledger.revoke_key(holder, key_id, "operator", "Lost."))


def submit(api: Api, headers: dict[str, str], body: object = BODY) -> tuple[int, str]:
    answer = api.client.post("/v1/records", json=body, headers=headers)
    return answer.status_code, answer.json().get("code", "")


def position(api: Api) -> int:
    return asyncio.run(api.service.store.position())


def test_a_revoked_key_gets_no_answer_at_a_server_that_remembers_it(doors: tuple[Api, Api]) -> None:
    here, there = doors
    key = here.issue("submitter", Scope.SUBMIT)
    first = there.headers(key=key)
    assert submit(there, first) == (201, "")
    assert submit(there, first) == (201, "")
    revoke(here, key, "submitter")
    before = position(here)
    refused = (401, "not-authenticated")
    # A new fact, a retry of one that was answered, and what would be refused anyway.
    assert submit(there, there.headers(key=key)) == refused
    assert submit(there, first) == refused
    assert submit(there, there.headers(key=key), {"content": 5}) == refused
    assert submit(here, here.headers(key=key)) == refused
    assert position(here) == before


@pytest.mark.parametrize("asked", ["a retry", "a misfit", "what it may not"])
def test_a_revoked_key_is_found_out_by_any_first_request(
    doors: tuple[Api, Api], asked: str
) -> None:
    here, there = doors
    key = here.issue("submitter", Scope.SUBMIT)
    first = there.headers(key=key)
    assert submit(there, first) == (201, "")
    record = there.submit().json()["record_id"]
    revoke(here, key, "submitter")
    fresh = there.headers('"1"', key)
    found = {
        "a retry": lambda: submit(there, first),
        "a misfit": lambda: submit(there, fresh, {"content": 5}),
        "what it may not": lambda: _correct(there, record, fresh),
    }[asked]()
    assert found == (401, "not-authenticated")


def _correct(api: Api, record: str, headers: dict[str, str]) -> tuple[int, str]:
    answer = api.client.post(f"/v1/records/{record}/corrections", json={}, headers=headers)
    return answer.status_code, answer.json().get("code", "")


def test_another_key_of_the_same_actor_changes_nothing_for_the_first(
    doors: tuple[Api, Api],
) -> None:
    here, there = doors
    key = here.issue("submitter", Scope.SUBMIT)
    assert submit(there, there.headers(key=key)) == (201, "")
    lesser = here.issue("submitter", Scope.ATTACH)
    assert submit(there, there.headers(key=key)) == (201, "")
    assert submit(there, there.headers(key=lesser)) == (403, "not-allowed")
    revoke(here, lesser, "submitter")
    assert submit(there, there.headers(key=key)) == (201, "")
    assert submit(there, there.headers(key=lesser)) == (401, "not-authenticated")


def test_a_superseding_rests_on_the_key_as_well(doors: tuple[Api, Api]) -> None:
    here, there = doors
    key = here.issue("editor", Scope.CORRECT)
    old, new = (here.submit().json()["record_id"] for _n in range(2))
    body = {"by": new, "reason": "The study was redone."}
    url = f"/v1/records/{old}/supersession"
    # Refused, so that the key is remembered there and nothing has changed.
    stale = there.client.post(url, json=body, headers=there.headers('"7"', key))
    assert stale.status_code == 412
    here.issue("editor", Scope.SUBMIT)
    assert there.client.post(url, json=body, headers=there.headers('"1"', key)).status_code == 201
    third = here.submit().json()["record_id"]
    revoke(here, key, "editor")
    url = f"/v1/records/{third}/supersession"
    assert there.client.post(url, json=body, headers=there.headers('"1"', key)).status_code == 401


def test_no_more_keys_are_remembered_than_were_meant_to(tmp_path: Path) -> None:
    with founded(tmp_path) as service:
        keys = service.ledger.keys

        async def ask() -> None:
            issued = [
                (await service.ledger.issue_key(f"holder-{n}", (Scope.SUBMIT,), "operator"))[0]
                for n in range(HELD_KEYS + 2)
            ]
            for key in issued:
                await keys.holder(key)
            assert (await keys.holder(issued[0])).actor == "holder-0"

        asyncio.run(ask())
        assert len(keys.held) == HELD_KEYS
