"""A record's history over HTTP: every fact as stored, with its place, both times and its leaf."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from given_service import SCRIPT, Api, api
from ledger.transparency.lines import EVENT_MARK, leaf_of
from ledger.vocabulary import moment_text


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with api(Path(tmp_path_factory.mktemp("history"))) as client:
        yield client


@pytest.fixture(scope="module")
def record(ledger: Api) -> str:
    found: str = ledger.submit().json()["record_id"]
    assert ledger.upload(found, "repro-script", SCRIPT).status_code == 201
    superseding = ledger.submit().json()["record_id"]
    body = {"by": superseding, "reason": "A „better” one.", "effective_on": "2026-07-03"}
    assert ledger.post(found, "supersession", body).status_code == 201
    return found


def test_each_fact_has_its_place_both_times_its_leaf_and_its_exact_bytes(
    ledger: Api, record: str
) -> None:
    answer = ledger.client.get(f"/v1/records/{record}/history")
    rows = ledger.service.store.rows_of(record)
    items = answer.json()["items"]
    assert [(e["version"], e["type"], e["effective"]) for e in items] == [
        (1, "record.submitted", "2026-07-01"),
        (2, "artifact.attached", None),
        (3, "record.superseded", "2026-07-03"),
    ]
    for item, row in zip(items, rows, strict=True):
        assert (item["position"], item["stream"]) == (row.position, record)
        assert item["recorded_at"] == moment_text(row.recorded_at)
        assert (item["salt"], item["commitment"]) == (row.salt.hex(), row.payload_commitment.hex())
        assert item["leaf_hash"] == leaf_of(row).hex()
        assert EVENT_MARK + row.state + b"}" in answer.content
        assert (item["event"]["actor"], item["event"]) == ("pipeline", json.loads(row.state))
    assert items[2]["event"]["reason"] == "A „better” one."


def test_pages_follow_each_other_to_the_end(ledger: Api, record: str) -> None:
    path: str | None = f"/v1/records/{record}/history?limit=2"
    seen = []
    while path is not None:
        answer = ledger.client.get(path)
        seen.append([each["version"] for each in answer.json()["items"]])
        path = answer.links.get("next", {}).get("url")
    assert seen == [[1, 2], [3]]
    behind = ledger.client.get(f"/v1/records/{record}/history?after=3")
    assert (behind.json(), "Link" in behind.headers) == ({"items": []}, False)
