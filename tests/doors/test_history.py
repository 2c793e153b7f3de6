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


def test_a_diff_tells_each_field_with_the_events_that_changed_it(ledger: Api) -> None:
    record = ledger.submit().json()["record_id"]
    correction = {
        "correction_type": "METADATA",
        "nature": "erratum",
        "public_note": "A typing error.",
        "changes": [{"field": "title", "from": "A small study", "to": "A larger study"}],
        "asserted_by": "Example Research",
        "effective_on": "2026-07-02",
    }
    receipt = ledger.post(record, "corrections", correction).json()
    answer = ledger.client.get(f"/v1/records/{record}/diff?from=1&to={receipt['recorded_at']}")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-cache")
    told = answer.json()
    assert [told[end]["version"] for end in ("from", "to")] == [1, 2]
    (title,) = [change for change in told["changes"] if change["path"] == "/title"]
    assert title == {
        "path": "/title",
        "change": "changed",
        "from": "A small study",
        "to": "A larger study",
        "events": [
            {
                "stream": record,
                "version": 2,
                "position": receipt["position"],
                "type": "correction.issued",
                "actor": "pipeline",
                "reason": "A typing error.",
                "recorded_at": receipt["recorded_at"],
                "effective": "2026-07-02",
            }
        ],
    }
    whole = ledger.client.get(f"/v1/records/{record}/diff").json()
    (submitted,) = [change for change in whole["changes"] if change["path"] == "/title"]
    assert (submitted["change"], submitted["from"]) == ("added", None)
    assert [each["version"] for each in submitted["events"]] == [1, 2]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("from=7", 404, "version-unknown"),
        ("from=2&to=1", 400, "invalid-parameter"),
        ("from=1&from=2", 400, "invalid-parameter"),
        ("since=1", 400, "invalid-parameter"),
        ("to=yesterday", 400, "invalid-parameter"),
        ("to=2020-01-01", 404, "not-yet-recorded"),
        ("to=2999-01-01", 422, "moment-in-future"),
    ],
)
def test_points_of_a_diff_that_are_none_are_refused(
    ledger: Api, record: str, query: str, status: int, code: str
) -> None:
    answer = ledger.client.get(f"/v1/records/{record}/diff?{query}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
