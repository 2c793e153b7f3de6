"""Many records in one question: each name gets its answer, and unknown is said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from given_service import Api, api

DOI = "10.5281/zenodo.424242"


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with api(Path(tmp_path_factory.mktemp("ledger"))) as client:
        yield client


def ask(ledger: Api, *names: str) -> list[dict[str, Any]]:
    answer = ledger.client.post("/v1/status", json={"records": names})
    assert answer.status_code == 200, answer.text
    described = ledger.client.get("/v1/openapi.json").json()
    schema = described["components"]["schemas"]["StatusAnswer"]
    jsonschema.validate(answer.json(), schema | {"components": described["components"]})
    found: list[dict[str, Any]] = answer.json()["records"]
    return found


def registered(ledger: Api, doi: str) -> dict[str, Any]:
    receipt: dict[str, Any] = ledger.submit().json()
    body = {"scheme": "doi", "value": doi, "registered_on": "2026-07-02"}
    answer = ledger.post(receipt["record_id"], "registrations", body)
    assert answer.status_code == 201, answer.text
    return receipt


def test_a_record_is_found_by_each_of_its_names(ledger: Api) -> None:
    receipt = registered(ledger, DOI)
    handle = receipt["handle"]
    names = [receipt["record_id"], handle, handle.removeprefix("SRCH:").lower(), DOI, DOI.upper()]
    answers = ask(ledger, *names)
    assert [answer["asked"] for answer in answers] == names
    assert {answer["answer"] for answer in answers} == {"found"}
    assert {answer["record_id"] for answer in answers} == {receipt["record_id"]}


def test_an_answer_says_what_the_current_view_says(ledger: Api) -> None:
    receipt = ledger.submit().json()
    current = ledger.client.get(f"/v1/records/{receipt['record_id']}")
    view = current.json()
    (answer,) = ask(ledger, receipt["handle"])
    assert answer == {
        "answer": "found",
        "asked": receipt["handle"],
        "record_id": view["record_id"],
        "handle": view["handle"],
        "doi": None,
        "status": view["verdict"]["status"],
        "tier": view["tier"]["tier"],
        "level": view["level"]["level"],
        "state": view["corrections"]["state"],
        "standing": view["corrections"]["standing"],
        "superseded_by": None,
        "version": view["version"],
        "position": view["position"],
        "recorded_at": view["recorded_at"],
        "etag": current.headers["ETag"],
    }


def test_a_retraction_shows_at_once(ledger: Api) -> None:
    record = ledger.submit().json()["record_id"]
    assert ask(ledger, record)[0]["standing"] == "clear"
    body = {
        "correction_type": "CLAIM",
        "nature": "retraction",
        "public_note": "The data were made up.",
        "asserted_by": "Example Research",
    }
    assert ledger.post(record, "corrections", body).status_code == 201
    (answer,) = ask(ledger, record)
    assert (answer["standing"], answer["state"]) == ("retracted", "CORRECTED")


@pytest.mark.parametrize(
    "name",
    [
        "SRCH:00000000",
        "01980f5e-6c1a-7cc3-9d3f-0a4f5b6c7d8e",
        "10.5281/never",
        "a b",
        "\x00",
        "é",
        "%00",
        "'; --",
        "-",
        "x" * 512,
    ],
)
def test_a_name_that_nothing_has_is_said_to_be_unknown(ledger: Api, name: str) -> None:
    assert ask(ledger, name) == [{"answer": "unknown", "asked": name}]


def test_a_key_is_not_a_record(ledger: Api) -> None:
    # Keys are documents too, under names of their own.
    assert ask(ledger, "pipeline", "actor-pipeline")[1]["answer"] == "unknown"


def test_answers_stand_in_the_order_of_the_question_also_when_a_name_comes_twice(
    ledger: Api,
) -> None:
    first, second = (ledger.submit().json()["handle"] for _ in range(2))
    names = [second, "nobody", first, second]
    answers = ask(ledger, *names)
    assert [answer["asked"] for answer in answers] == names
    assert [answer.get("handle") for answer in answers] == [second, None, first, second]


def test_a_thousand_names_are_taken_and_one_more_is_not(ledger: Api) -> None:
    handle = ledger.submit().json()["handle"]
    assert len(ask(ledger, *[handle, *(f"SRCH:{n:08X}" for n in range(999))])) == 1_000
    refused = ledger.client.post("/v1/status", json={"records": [handle] * 1_001})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid-body")


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ({"json": {}}, 422, "invalid-body"),
        ({"json": {"records": []}}, 422, "invalid-body"),
        ({"json": {"records": [""]}}, 422, "invalid-body"),
        ({"json": {"records": ["x" * 513]}}, 422, "invalid-body"),
        ({"json": {"records": [1]}}, 422, "invalid-body"),
        ({"json": {"records": ["a"], "more": 1}}, 422, "invalid-body"),
        ({"json": ["a"]}, 422, "invalid-body"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "malformed-json"),
        ({"content": b'{"records": ["a"]}'}, 415, "unsupported-media-type"),
        ({"json": {"records": ["a"]}, "params": {"q": "1"}}, 400, "invalid-parameter"),
        ({"json": {"records": ["x" * 2**20]}}, 413, "body-too-large"),
    ],
)
def test_a_question_that_does_not_fit_is_refused(
    ledger: Api, sent: dict[str, Any], status: int, code: str
) -> None:
    refused = ledger.client.post("/v1/status", **sent)
    assert (refused.status_code, refused.json()["code"]) == (status, code)


def test_the_example_runs(ledger: Api) -> None:
    described = ledger.client.get("/v1/openapi.json").json()
    operation = described["paths"]["/v1/status"]["post"]
    content = operation["requestBody"]["content"]["application/json"]
    resolver = {"components": described["components"]}
    jsonschema.validate(content["example"], content["schema"] | resolver)
    answer = ledger.client.post("/v1/status", json=content["example"])
    assert [each["answer"] for each in answer.json()["records"]] == ["unknown", "unknown"]
