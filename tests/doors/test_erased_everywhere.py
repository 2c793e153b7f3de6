"""What is erased is gone from every answer, page, table and file, and every proof is as good."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql

import given_postgres
from given_contracts import documents, fits
from given_erasures import MARK, erase, every_text, marked, pointers
from given_records import import_samples
from given_service import ANSWER_S, Api, api, founded, served, settings_in
from given_views import eventually
from ledger.service import Service, create
from ledger.transparency.merkle import verify_inclusion
from ledger.web import urls

RECEIPT = {"Accept": "application/json"}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Api]:
    with api(tmp_path) as client:
        yield client


@pytest.fixture(params=["sqlite", "postgres"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Api, Any]]:
    """Give a served ledger, and what reads every table of its databases."""
    if request.param == "sqlite":
        service, dump = founded(tmp_path), partial(in_files, tmp_path)
    else:
        database = given_postgres.fresh_database()
        create(settings_in(tmp_path, database_url=database.owner_url))
        service = Service(settings_in(tmp_path, database_url=database.app_url))
        dump = partial(in_tables, database.server.url(database.name))
    with served(service) as address, httpx.Client(base_url=address, timeout=ANSWER_S) as client:
        yield Api(client, service), dump


def in_files(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield every value of every table of the SQLite files, with the name of the table."""
    for file in sorted(folder.glob("ledger.db*")):
        if file.suffix in (".db-wal", ".db-shm") or file.name.endswith(("-wal", "-shm")):
            continue
        with contextlib.closing(sqlite3.connect(file)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            for (name,) in tables.fetchall():
                for row in connection.execute(f'SELECT * FROM "{name}"'):  # noqa: S608 - its own names
                    for value in row:
                        told = value.decode("latin-1") if isinstance(value, bytes) else str(value)
                        yield f"{file.name}: {name}", told


def in_tables(url: str) -> Iterator[tuple[str, str]]:
    """Yield every row of every table of the PostgreSQL schemas, with the name of the table."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname LIKE 'ledger%'"
        ).fetchall()
        for schema, name in found:
            asked = sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, name))
            for row in connection.execute(asked):
                for value in row:
                    whole = bytes(value).decode("latin-1") if isinstance(value, bytes) else value
                    yield f"{schema}.{name}", str(whole)


def everywhere(ledger: Api, record: str, position: int) -> Iterator[tuple[str, str]]:
    """Yield every address that tells of a record, and what it answers."""
    view = ledger.view(record)
    id_ = view["record_id"]
    parts = ["", "/history", "/corrections", "/findings", "/evaluations", "/diff", "/diff?from=1"]
    parts += ["?version=1", "/history?after=1", "/corrections?version=3"]
    addresses = [f"/v1/records/{id_}{part}" for part in parts]
    addresses += [urls.document(name, id_) for name in documents(view)]
    addresses += ["/v1/records", f"/v1/records?q={MARK}", "/v1/corrections", "/v1/findings"]
    addresses += ["/v1/events"]
    addresses += [f"/records/{id_}", f"/records/{id_}/corrections", f"/records/{id_}?version=1"]
    addresses += ["/", f"/?q={record}", "/corrections", "/findings"]
    if ledger.client.get("/log/vkey").status_code == HTTPStatus.OK:
        ledger.covered(position)
        addresses += [f"/v1/events/{n}/receipt" for n in range(1, position + 1)]
        addresses += ["/log/checkpoint"]
    for address in addresses:
        wanted = {"Ledger-Position": str(position)}
        wanted |= RECEIPT if address.endswith("receipt") else {}
        answer = ledger.client.get(address, headers=wanted)
        assert answer.status_code == 200, (address, answer.text)
        yield address, answer.text


def erased(ledger: Api, record: str) -> int:
    """Erase whatever has the mark; return the position of the last erasure."""
    position = 0
    for at, members in every_text(ledger, record):
        answer = erase(ledger, record, at, *members)
        assert answer.status_code == 201, answer.text
        position, left = answer.json()["position"], answer.json()["also_at"]
    assert left == []
    return position


def test_nothing_that_was_erased_is_left_anywhere(either: tuple[Api, Any]) -> None:
    ledger, dump = either
    record = marked(ledger)
    texts = every_text(ledger, record)
    assert [len(members) for _position, members in texts] == [7, 6, 7, 4]
    last = max(position for position, _members in texts)
    told_by = [address for address, told in everywhere(ledger, record, last) if MARK in told]
    assert len(told_by) > 20
    last = erased(ledger, record)
    for address, told in everywhere(ledger, record, last):
        assert MARK.lower() not in told.lower(), address
    assert ledger.client.get(f"/v1/records?q={MARK}").json()["total"] == 0
    for table, told in dump():
        assert MARK.lower() not in told.lower(), table
        assert MARK.encode().hex() not in told, table


def test_the_files_themselves_hold_nothing_of_it(ledger: Api, tmp_path: Path) -> None:
    """Not even between the rows, nor in the write-ahead logs, once nobody reads those."""
    record = marked(ledger)
    list(everywhere(ledger, record, erased(ledger, record)))

    def clean() -> bool:
        files = [file for file in tmp_path.rglob("*") if file.is_file()]
        assert len(files) >= 4
        try:
            return not any(MARK.lower().encode() in file.read_bytes().lower() for file in files)
        except FileNotFoundError:
            return False  # one took another's name meanwhile: look once more

    eventually(clean)


def test_what_is_left_keeps_the_verdict_and_fits_every_contract(ledger: Api) -> None:
    record = marked(ledger)
    before = ledger.view(record)
    erased(ledger, record)
    after = ledger.view(record)
    for kept in ("verdict", "tier", "level", "dimensions", "claims", "submitted_on", "submission"):
        assert after[kept] == before[kept], kept
    assert after["verdict"]["status"] == "FALSIFIED"
    told = documents(after)
    assert len(told) > 5
    for name, document in told.items():
        assert fits(document, name), name


def test_an_imported_page_can_lose_a_text_too(ledger: Api) -> None:
    (record, *_others) = import_samples(ledger)
    before = ledger.view(record)
    title = before["title"]
    holding = [
        (item["position"], list(pointers(item["event"], "", title)))
        for item in ledger.client.get(f"/v1/records/{record}/history").json()["items"]
    ]
    for at, members in holding:
        if members:
            answer = erase(ledger, record, at, *members)
            assert answer.status_code == 201, answer.text
    assert answer.json()["also_at"] == []
    assert title not in ledger.client.get(f"/v1/records/{record}").text
    assert title not in ledger.client.get(f"/records/{record}").text
    after = ledger.view(record)
    assert (after["verdict"], after["tier"]) == (before["verdict"], before["tier"])


def test_no_proof_notices(ledger: Api) -> None:
    record = marked(ledger)
    position = every_text(ledger, record)[0][0]
    first = receipt(ledger, position)
    erased(ledger, record)
    second = receipt(ledger, position)
    assert second["entry"] == first["entry"]
    assert second["fact"]["leaf_hash"] == first["fact"]["leaf_hash"]
    assert (len(first["fact"]["salt"]), second["fact"]["salt"]) == (64, "")
    leaf = hashlib.sha256(b"\x00" + first["entry"].encode()).digest()
    assert leaf.hex() == first["fact"]["leaf_hash"]
    for told in (first, second):
        _origin, size, root, *_rest = told["checkpoint"].split("\n")
        proof = [base64.b64decode(each) for each in told["proof"]]
        verify_inclusion(leaf, position - 1, int(size), base64.b64decode(root), proof)


def receipt(ledger: Api, position: int) -> dict[str, Any]:
    address = f"/v1/events/{position}/receipt"
    ledger.covered(position)
    answer = ledger.client.get(address, headers=RECEIPT)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told
