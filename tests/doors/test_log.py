"""Anybody can check over HTTP that the log was not rewritten: checkpoint, tiles, receipts."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

import given_postgres
from given_service import ANSWER_S, Api, founded, served, settings_in
from ledger.service import Service, create
from ledger.transparency import merkle, notes
from ledger.transparency.entries import unbundle
from ledger.transparency.key_file import KeyFile
from ledger.transparency.merkle import leaf_hash, root_of
from ledger.transparency.proofs import Proof

FOR_EVER = "public, max-age=604800, immutable"


def postgres(folder: Path) -> Service:
    """Return the service of a new ledger in PostgreSQL whose operator made it a key."""
    database = given_postgres.fresh_database()
    create(settings_in(folder, database_url=database.owner_url))
    settings = settings_in(folder, database_url=database.app_url)
    KeyFile(settings.log_key).make(settings.log_name)
    return Service(settings)


KINDS: dict[str, Callable[[Path], Service]] = {"sqlite": founded, "postgres": postgres}


@contextmanager
def served_api(service: Service) -> Iterator[Api]:
    with served(service) as address, httpx.Client(base_url=address, timeout=ANSWER_S) as client:
        yield Api(client, service)


@pytest.fixture(scope="module", params=sorted(KINDS))
def ledger(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    with served_api(KINDS[request.param](tmp_path_factory.mktemp("log"))) as client:
        for _ in range(3):
            submitted(client)
        yield client


def submitted(ledger: Api) -> int:
    """Submit a record and wait for its receipt; returns its position."""
    answer = ledger.client.post(
        "/v1/records",
        json={"content": {"title": "T", "publisher": "P"}},
        headers=ledger.headers() | {"Prefer": "wait=30"},
    )
    assert answer.headers["Preference-Applied"] == "wait=30"
    position = int(answer.headers["Ledger-Position"])
    assert answer.headers["Link"] == f'</v1/events/{position}/receipt>; rel="receipt"'
    ledger.covered(position)
    return position


def checkpoint(ledger: Api) -> notes.Checkpoint:
    """Return the latest checkpoint, verified with the key that the operator has."""
    answer = ledger.client.get("/log/checkpoint")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["access-control-allow-origin"] == "*"
    key = KeyFile(ledger.service.settings.log_key).read()
    assert key is not None
    found, _ = notes.open_checkpoint(answer.content, key.verifier)
    assert re.fullmatch(rf'"{found.size}\.[0-9a-f]{{12}}"', answer.headers["etag"])
    return found


def entries(ledger: Api, size: int) -> list[bytes]:
    answer = ledger.client.get(f"/log/tile/entries/000.p/{size}")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == FOR_EVER
    return unbundle(answer.content)


@pytest.mark.parametrize(
    ("said", "zipped"),
    [
        ("gzip", True),
        ("br;q=1.0, GZIP;q=0.5, *;q=0", True),
        ("*", True),
        ("", False),
        ("identity", False),
        ("br, deflate", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("*;q=0", False),
    ],
)
def test_entries_are_zipped_for_whoever_takes_that(ledger: Api, said: str, *, zipped: bool) -> None:
    size = checkpoint(ledger).size
    for place in (f"entries/000.p/{size}", f"0/000.p/{size}"):
        shown = {"Accept-Encoding": said}
        with ledger.client.stream("GET", f"/log/tile/{place}", headers=shown) as answer:
            raw = b"".join(answer.iter_raw())
        of_entries = place.startswith("entries")
        plain = ledger.client.get(f"/log/tile/{place}").content
        assert answer.headers.get("content-encoding") == ("gzip" if zipped and of_entries else None)
        assert answer.headers.get("vary") == ("Accept-Encoding" if of_entries else None)
        assert answer.headers["content-length"] == str(len(raw))
        if zipped and of_entries:
            assert len(raw) < len(plain)
            assert gzip.decompress(raw) == plain
        else:
            assert raw == plain


def test_an_outsider_can_make_the_root_from_the_entries(ledger: Api) -> None:
    submitted(ledger)
    latest = checkpoint(ledger)
    found = entries(ledger, latest.size)
    leaves = [*map(leaf_hash, found)]
    assert root_of(leaves) == latest.root
    tile = ledger.client.get(f"/log/tile/0/000.p/{latest.size}")
    assert tile.content == b"".join(leaves)
    assert tile.headers["content-type"] == "application/octet-stream"
    assert tile.headers["cache-control"] == FOR_EVER
    assert tile.headers["access-control-allow-origin"] == "*"
    key = ledger.client.get("/log/vkey")
    assert notes.VerifierKey.parse(key.text.strip()).name == "127.0.0.1:8000/log"


def test_a_receipt_is_a_proof_that_anybody_can_check(ledger: Api) -> None:
    position = submitted(ledger)
    answer = ledger.client.get(f"/v1/events/{position}/receipt")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    proof = Proof.parse(answer.content)
    key = KeyFile(ledger.service.settings.log_key).read()
    assert key is not None
    covering, _ = notes.open_checkpoint(proof.checkpoint, key.verifier)
    entry = entries(ledger, covering.size)[position - 1]
    merkle.verify_inclusion(leaf_hash(entry), proof.index, covering.size, covering.root, proof.path)
    with pytest.raises(merkle.BadProof):
        merkle.verify_inclusion(
            leaf_hash(entry + b" "), proof.index, covering.size, covering.root, proof.path
        )
    told = ledger.client.get(
        f"/v1/events/{position}/receipt", headers={"Accept": "application/json"}
    )
    assert told.json()["entry"].encode() == entry
    assert [base64.b64decode(each) for each in told.json()["proof"]] == list(proof.path)
    assert told.json()["checkpoint"].encode() == proof.checkpoint
    # The fact itself is bound by the commitment in the entry.
    fact = told.json()["fact"]
    state = told.content.split(b',"event":', 1)[1][:-2]
    sealed = b"ledger.payload.v1\n" + bytes.fromhex(fact["salt"]) + state
    assert hashlib.sha256(sealed).hexdigest() == fact["commitment"]
    assert f'"commit":"{fact["commitment"]}"' in told.json()["entry"]


def test_the_log_of_today_contains_that_of_yesterday(ledger: Api) -> None:
    before = checkpoint(ledger)
    submitted(ledger)
    after = checkpoint(ledger)
    assert after.size > before.size
    told = ledger.client.get(f"/v1/log/consistency?from={before.size}").json()
    assert (told["from"], told["to"]) == (before.size, after.size)
    proof = [base64.b64decode(each) for each in told["proof"]]
    merkle.verify_consistency(before.size, after.size, before.root, after.root, proof)
    assert base64.b64decode(told["from_root"]) == before.root
    assert base64.b64decode(told["to_root"]) == after.root
    same = ledger.client.get("/v1/log/consistency?from=1&to=1").json()
    assert same["proof"] == []


@pytest.mark.parametrize(
    "place",
    [
        "0/000",
        "0/001",
        "0/000.p/255",
        "0/000.p/0",
        "0/000.p/256",
        "1/000.p/1",
        "63/000.p/1",
        "64/000.p/1",
        "0/x000/000.p/1",
        "0/00",
        "0/000/",
        "entries/000",
        "entries/001.p/1",
        "entries/x999/x999/x999/x999/x999/x999/999.p/1",
        "data/000.p/1",
        "",
    ],
)
def test_a_tile_that_no_checkpoint_needs_is_not_served(ledger: Api, place: str) -> None:
    answer = ledger.client.get(f"/log/tile/{place}")
    assert answer.status_code == 404
    assert answer.json()["code"] == "tile-unknown"
    assert "immutable" not in answer.headers.get("cache-control", "")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "invalid-parameter"),
        ("?from=0", "invalid-parameter"),
        ("?from=-1", "invalid-parameter"),
        ("?from=2&to=1", "invalid-parameter"),
        ("?from=1&to=99999", "invalid-parameter"),
        ("?from=1&to=1&to=2", "invalid-parameter"),
        ("?from=1&until=1", "invalid-parameter"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(ledger: Api, query: str, code: str) -> None:
    answer = ledger.client.get(f"/v1/log/consistency{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_there_is_no_receipt_for_what_never_happened(ledger: Api) -> None:
    assert ledger.client.get("/v1/events/99999/receipt").json()["code"] == "event-unknown"
    for name in ("0", "-1", "x", "1.0"):
        answer = ledger.client.get(f"/v1/events/{name}/receipt")
        assert answer.json()["code"] == "invalid-parameter"


def test_the_status_says_how_far_the_log_reaches(ledger: Api) -> None:
    position = submitted(ledger)
    told = ledger.client.get("/v1/log/status").json()
    assert list(told) == [
        "origin",
        "vkey",
        "position",
        "size",
        "published",
        "merge_delay_s",
        "witnesses",
        "trouble",
        "audit",
    ]
    assert list(told["published"]) == ["size", "root", "published_at", "cosigned_by"]
    assert (told["witnesses"], told["audit"]) == ({}, None)
    assert told["position"] == told["size"] == told["published"]["size"] == position
    assert told["origin"] == "127.0.0.1:8000/log"
    assert told["vkey"] == ledger.client.get("/log/vkey").text.strip()
    assert told["merge_delay_s"] == 0
    assert told["trouble"] is None
    assert told["published"]["cosigned_by"] == []
    latest = checkpoint(ledger)
    assert base64.b64decode(told["published"]["root"]) == latest.root


@pytest.mark.parametrize("prefer", ["respond-async", "wait", "wait=", "wait=x", 'foo="wait"'])
def test_a_preference_that_is_not_understood_is_passed_over(ledger: Api, prefer: str) -> None:
    answer = ledger.client.post(
        "/v1/records",
        json={"content": {"title": "T", "publisher": "P"}},
        headers=ledger.headers() | {"Prefer": prefer},
    )
    assert answer.status_code == 201
    assert "Preference-Applied" not in answer.headers


# ------------------------------------------------------------ without a key, and rolled back


def told_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_without_a_key_the_tree_grows_and_nothing_is_signed(tmp_path: Path) -> None:
    service = founded(tmp_path)
    service.settings.log_key.unlink()
    with served_api(service) as ledger:
        position = int(ledger.submit().headers["Ledger-Position"])
        assert told_of(ledger.client.get("/log/checkpoint")) == (404, "log-not-signed")
        assert told_of(ledger.client.get("/log/vkey")) == (404, "log-not-signed")
        assert told_of(ledger.client.get("/log/tile/0/000.p/1")) == (404, "log-not-signed")
        receipt = f"/v1/events/{position}/receipt"
        assert told_of(ledger.client.get(receipt)) == (404, "log-not-signed")
        assert told_of(ledger.client.get("/v1/log/consistency?from=1")) == (404, "log-not-signed")
        while ledger.client.get("/v1/log/status").json()["size"] < position:
            pass
        told = ledger.client.get("/v1/log/status").json()
        assert (told["published"], told["origin"]) == (None, None)
        assert ledger.client.get("/readyz").json()["checks"]["log"]["signed"] is False
        # A key that comes while the ledger runs is taken.
        KeyFile(service.settings.log_key).make("late.example/log")
        ledger.covered(position)
        assert ledger.client.get(receipt).status_code == 200


def test_an_event_that_is_not_covered_yet_is_asked_for_again(tmp_path: Path) -> None:
    service = founded(tmp_path, projector="apart")
    with served_api(service) as ledger:
        # Nobody keeps the log of this ledger up but who is told to.
        position = int(ledger.submit().headers["Ledger-Position"])
        answer = ledger.client.get(f"/v1/events/{position}/receipt")
        assert answer.status_code == 202
        assert answer.headers["retry-after"] == "1"
        assert answer.json() == {"position": position, "covered": 0}
        service.log.catch_up()
        assert ledger.client.get(f"/v1/events/{position}/receipt").status_code == 200


def test_an_older_copy_of_the_database_is_read_and_not_written(tmp_path: Path) -> None:
    database = tmp_path / "ledger.db"
    with served_api(founded(tmp_path)) as first:
        headers = first.headers()
    older = database.read_bytes()
    with served_api(Service(settings_in(tmp_path))) as ledger:
        position = submitted(ledger)
        latest = checkpoint(ledger)
    for file in tmp_path.glob("ledger.db*"):
        file.unlink()
    database.write_bytes(older)
    service = Service(settings_in(tmp_path))
    with served(service) as address, httpx.Client(base_url=address, timeout=ANSWER_S) as client:
        assert client.get("/v1/records").status_code == 200
        body = {"content": {"title": "T", "publisher": "P"}}
        refused = client.post("/v1/records", json=body, headers=headers)
        assert told_of(refused) == (503, "log-rolled-back")
        assert "ledger log init" in refused.json()["detail"]
        ready = client.get("/readyz").json()
        assert ready["status"] == "degraded"
        assert ready["checks"]["log"]["code"] == "log-rolled-back"
        assert f"checkpoint of {latest.size}" in ready["checks"]["log"]["detail"]
        assert told_of(client.get(f"/v1/events/{position}/receipt"))[1] == "event-unknown"
        assert client.get("/v1/log/status").json()["trouble"]["code"] == "log-rolled-back"
