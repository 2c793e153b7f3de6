"""The API's description is true: its examples run, and every refusal is in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from given_service import RESULTS, SCRIPT, Api, api
from ledger import errors
from ledger.web import problems

AT_THE_COMMAND_LINE = {
    errors.GateAlreadyActive,
    errors.PolicyInForce,
    errors.KeyUnknown,
    errors.KeyAlreadyRevoked,
    errors.UnreadablePage,
    errors.UnreadableFeed,
    errors.SourceAlreadyImported,
    errors.NotInitialised,
    errors.WrongSchema,
    errors.LogKeyExists,
    errors.LogAltered,
    errors.WitnessesMissing,
    errors.WitnessesUnusable,
    errors.LedgerNotEmpty,
    errors.BrokenArchive,
    errors.AnotherArchive,
    errors.ErasureNotCovered,
}
ANYWHERE = {errors.NoSuchPage, errors.MethodNotTaken, errors.InternalFault, errors.UnreadableEvent}
"""Refusals that no operation of its own can give, or that any address can."""
IN_THE_LOG = {errors.TileUnknown}
"""Refusals under /log, whose addresses are described by C2SP."""


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with api(Path(tmp_path_factory.mktemp("ledger"))) as client:
        yield client


@pytest.fixture(scope="module")
def described(ledger: Api) -> dict[str, Any]:
    found: dict[str, Any] = ledger.client.get("/v1/openapi.json").json()
    return found


def operations(described: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield path, method and operation."""
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_every_part_of_a_path_is_described(described: dict[str, Any]) -> None:
    """As OpenAPI wants it; whoever makes a client from the description needs it."""
    for path, _method, operation in operations(described):
        told = {
            each["name"]: each for each in operation.get("parameters", ()) if each["in"] == "path"
        }
        assert [*told] == re.findall(r"\{(\w+)\}", path), path
        assert all(each["required"] and each["description"] for each in told.values())


def test_every_refusal_is_listed_where_it_can_happen(described: dict[str, Any]) -> None:
    listed = {
        code
        for _path, _method, operation in operations(described)
        for response in operation["responses"].values()
        for code in response.get("content", {}).get(problems.MEDIA_TYPE, {}).get("examples", {})
    }
    outside = AT_THE_COMMAND_LINE | ANYWHERE | IN_THE_LOG
    wanted = {kind.code for kind in set(problems.every_refusal()) - outside}
    assert wanted - listed - {"record-exists"} == set()


def test_every_code_is_unique_and_has_a_page(ledger: Api) -> None:
    kinds = list(problems.every_refusal())
    assert len({kind.code for kind in kinds}) == len(kinds)
    for kind in kinds:
        page = ledger.client.get(f"/problems/{kind.code}")
        assert page.status_code == 200, kind
        assert kind.code in page.text


def test_every_example_body_is_accepted(ledger: Api, described: dict[str, Any]) -> None:
    resolver = {"components": described["components"]}
    accepted = []
    for path, method, operation in operations(described):
        if method != "post" or "appends" not in operation["tags"]:
            continue
        given = {"title": "T", "publisher": "Example Research", "abstract": {"text": "A."}}
        submitted = ledger.submit(content=given, submitted_on="2026-07-01").json()
        record = submitted["record_id"]
        other = ledger.submit().json()["record_id"]
        content = operation["requestBody"]["content"]["application/json"]
        example = content["example"]
        jsonschema.validate(example, content["schema"] | resolver)
        if "digest" in example:
            ledger.upload(other, "other", SCRIPT)
            example = example | {"digest": ledger.view(other)["artifacts"][0]["digest"]}
        if "subject" in example:
            subject = ledger.view(record)["submission"]
            example = example | {"subject": {"submission": 1, "digest": subject["digest"]}}
        if "by" in example:
            example = example | {"by": other}
        url = path.replace("{address}", record)
        url = url.replace("{position}", str(submitted["position"]))
        headers = ledger.headers(ledger.etag(record) if "{" in path else None)
        answer = ledger.client.post(url, json=example, headers=headers)
        assert answer.status_code == 201, (path, answer.text)
        appended = described["components"]["schemas"]["Appended"]
        jsonschema.validate(answer.json(), appended)
        accepted.append(operation["operationId"])
    assert len(accepted) == 10


def test_problem_examples_fit_the_problem_schema(ledger: Api, described: dict[str, Any]) -> None:
    schema = described["components"]["schemas"]["Problem"]
    refused = ledger.client.post("/v1/records", content=RESULTS, headers=ledger.headers())
    jsonschema.validate(refused.json(), schema)
    for _path, _method, operation in operations(described):
        for response in operation["responses"].values():
            examples = response.get("content", {}).get(problems.MEDIA_TYPE, {}).get("examples", {})
            for example in examples.values():
                jsonschema.validate(example["value"], schema)
