"""Hostile and broken requests: each a 4xx problem with a code, nothing stored, no traceback."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from given_service import Api, api, digest_of
from ledger.rules import RESERVED_WORDS
from ledger.web import urls

SCRIPT_TAG = "<script>alert('x')</script>"
INJECTION = "'; DROP TABLE events; --"


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with api(Path(tmp_path_factory.mktemp("ledger"))) as client:
        yield client


def total(ledger: Api) -> int:
    """Return how many events the log holds."""
    return sum(1 for _row in ledger.service.store.rows())


def minimal(**changes: Any) -> dict[str, Any]:
    """Return a submission that is taken, with ``changes``."""
    return {"content": {"title": "T", "publisher": "P"}} | changes


BODIES: dict[str, str | bytes] = {
    "an unknown field": json.dumps(minimal(surprise=1)),
    "an unknown field inside": json.dumps({"content": {"title": "T", "publisher": "P", "x": 1}}),
    "a missing field": json.dumps({"content": {"title": "T"}}),
    "a number for a text": json.dumps({"content": {"title": 7, "publisher": "P"}}),
    "a text for a number": json.dumps(minimal(claims={"grounded": "8"})),
    "a bool for a number": json.dumps(minimal(claims={"grounded": True})),
    "a negative count": json.dumps(minimal(claims={"grounded": -1})),
    "counts out of order": json.dumps(minimal(claims={"grounded": 3, "verified": 4})),
    "a score that is NaN": '{"content":{"title":"T","publisher":"P"},"review":{"scores":'
    '{"challenger":NaN,"confirmer":1,"integrator":1}}}',
    "a score that is NaN as text": json.dumps(
        minimal(review={"scores": {"challenger": "NaN", "confirmer": "1", "integrator": "1"}})
    ),
    "a score beyond ten": json.dumps(
        minimal(review={"scores": {"challenger": "10.1", "confirmer": "1", "integrator": "1"}})
    ),
    "a score of a million digits": json.dumps(
        minimal(review={"scores": {"challenger": "1E+999999", "confirmer": "1", "integrator": "1"}})
    ),
    "a score as a number, which loses digits": json.dumps(
        minimal(review={"scores": {"challenger": 8.1, "confirmer": 8.0, "integrator": 8.2}})
    ),
    "a score in other digits": json.dumps(
        minimal(review={"scores": {"challenger": "٨", "confirmer": "1_0", "integrator": " 1"}})
    ),
    "a day as a digit": json.dumps(minimal(submitted_on="0")),
    "a day with a time": json.dumps(minimal(submitted_on="2026-07-01T00:00:00")),
    "a lone surrogate": '{"content":{"title":"\\ud800","publisher":"P"}}',
    "a control character": '{"content":{"title":"a\\u0000b","publisher":"P"}}',
    "an escape sequence": '{"content":{"title":"a\\u001b[31mb","publisher":"P"}}',
    "a blank title": json.dumps({"content": {"title": "  ", "publisher": "P"}}),
    "an unknown kind": json.dumps({"content": {"title": "T", "publisher": "P", "kind": "poem"}}),
    "a date that is none": json.dumps(minimal(submitted_on="2026-02-30")),
    "a date as a number": json.dumps(minimal(submitted_on=20260101)),
    "a date of the far past": json.dumps(minimal(submitted_on="0001-01-01")),
    "a date in the future": json.dumps(minimal(submitted_on="9998-01-01")),
    "a handle that is none": json.dumps(minimal(handle="SRCH:xyz")),
    "a list for an object": "[]",
    "a bare number": "7",
    "nothing": "",
    "half of an object": '{"content":',
    "not UTF-8": b'{"content":{"title":"\xff\xfe","publisher":"P"}}',
    "deep nesting": "[" * 100_000 + "]" * 100_000,
    "deep nesting inside": '{"content":' + '{"a":' * 50_000 + "1" + "}" * 50_000 + "}",
    "a huge number": '{"content":{"title":"T","publisher":"P"},"claims":{"grounded":'
    + "9" * 5_000
    + "}}",
}


@pytest.mark.parametrize("what", BODIES)
def test_a_broken_body_is_refused_with_a_code_and_stores_nothing(ledger: Api, what: str) -> None:
    before = total(ledger)
    headers = ledger.headers() | {"Content-Type": "application/json"}
    answer = ledger.client.post("/v1/records", content=BODIES[what], headers=headers)
    assert 400 <= answer.status_code < 500, answer.text
    problem = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert problem["code"] in problem["type"]
    assert problem["detail"].endswith(".")
    assert "Traceback" not in answer.text
    assert total(ledger) == before


def test_ten_megabytes_are_refused_before_they_are_read(ledger: Api) -> None:
    before = total(ledger)
    headers = ledger.headers() | {"Content-Type": "application/json"}
    body = json.dumps({"content": {"title": "x" * 10_000_000, "publisher": "P"}})
    answer = ledger.client.post("/v1/records", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")

    def endless() -> Iterator[bytes]:
        for _n in range(2_000):
            yield b"x" * 1_000

    answer = ledger.client.post("/v1/records", content=endless(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")
    assert total(ledger) == before


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"gate": "gate-9"}, "invalid-body"),
        ({"method": "astrology"}, "invalid-body"),
        ({"outcome": "maybe"}, "invalid-body"),
        ({"evaluated_at": "2026-07-02T03:48:27"}, "invalid-body"),
        ({"evaluated_at": 1_780_000_000}, "invalid-body"),
        ({"evaluated_at": "1780000000"}, "invalid-body"),
        ({"evaluated_at": "9999-12-31T23:59:59-23:59"}, "invalid-body"),
        ({"evaluated_at": "2999-01-01T00:00:00Z"}, "evaluated-in-the-future"),
        ({"evaluated_at": "2026-06-30T23:59:59Z"}, "evaluated-before-submission"),
        ({"evaluation_id": "not-a-uuid"}, "invalid-body"),
        ({"subject": {"submission": 1, "digest": "sha256:abc"}}, "invalid-body"),
        ({"subject": {"submission": 1, "digest": "sha256:" + "0" * 64}}, "subject-mismatch"),
        ({"subject": {"submission": 0, "digest": "sha256:" + "0" * 64}}, "invalid-body"),
        ({"withdraws": "00000000-0000-0000-0000-000000000000"}, "withdrawal-without-target"),
    ],
)
def test_a_broken_evaluation_is_refused(ledger: Api, changes: dict[str, Any], code: str) -> None:
    record = ledger.submit().json()["record_id"]
    answer = ledger.post(record, "gate-evaluations", ledger.sandbox(record) | changes)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert ledger.view(record)["version"] == 1


def test_an_unknown_nature_or_field_is_refused(ledger: Api) -> None:
    record = ledger.submit().json()["record_id"]
    body = {
        "correction_type": "METADATA",
        "nature": "correction",
        "public_note": "n",
        "asserted_by": "P",
    }
    for changes in (
        {"nature": "silent_edit"},
        {"correction_type": "OTHER"},
        {"changes": [{"field": "verdict", "from": "FALSIFIED", "to": "VERIFIED"}]},
        {"public_note": ""},
    ):
        answer = ledger.post(record, "corrections", body | changes)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-body"), changes


@pytest.mark.parametrize(
    "address",
    [
        "00000000-0000-0000-0000-000000000000",
        "not-a-record",
        "SRCH:00000000",
        "10.9999/none",
        "ledger",
        "actor:pipeline",
        "%00",
        "..%2f..%2fetc%2fpasswd",
        "a" * 5_000,
        "' OR 1=1 --",
        "%ff%fe",
    ],
)
@pytest.mark.parametrize(
    "part", ["", "/history", "/diff", "/corrections", "/evaluations", "/findings"]
)
def test_an_address_that_names_no_record_is_404(ledger: Api, address: str, part: str) -> None:
    answer = ledger.client.get(f"/v1/records/{address}{part}")
    assert (answer.status_code, answer.json()["code"]) == (404, "record-unknown")


def test_a_misspelled_or_broken_parameter_is_refused(ledger: Api) -> None:
    record = ledger.submit().json()["record_id"]
    for path in (
        "/v1/records?stauts=VERIFIED",
        "/v1/records?limit=0",
        "/v1/records?limit=101",
        "/v1/records?limit=ten",
        "/v1/records?level=9",
        "/v1/records?cursor=nonsense",
        "/v1/records?q=a&q=b",
        f"/v1/records/{record}?as_of=2026-1-1",
        f"/v1/records/{record}?as-of=2026-01-01",
        f"/v1/records/{record}/history?after=-1",
        "/v1/findings?cursor=AAAA",
    ):
        answer = ledger.client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter"), path


def test_every_operation_names_the_query_parameter_that_it_does_not_know(ledger: Api) -> None:
    record = ledger.submit().json()["record_id"]
    described = ledger.client.get("/v1/openapi.json").json()["paths"]
    asked = [(m, path) for path, methods in described.items() for m in methods]
    asked.append(("get", "/v1/openapi.json"))
    assert len(asked) > 30
    version = ledger.view(record)["version"]
    for method, path in asked:
        url = re.sub(r"\{[a-z]+\}", "1", path.replace("{address}", record))
        answer = ledger.client.request(method, url, params={"stautus": "x"})
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (400, "invalid-parameter"), (method, path)
        assert problem["parameter"] == "stautus"
        assert 'There is no query parameter "stautus" here; this address ' in problem["detail"]
    assert ledger.view(record)["version"] == version


def test_a_visibility_that_would_not_be_heard_is_refused(ledger: Api) -> None:
    record = ledger.submit().json()["record_id"]
    ledger.upload(record, "other", b"x")
    body = {"role": "other", "digest": digest_of(b"x")}
    url = f"/v1/records/{record}/artifacts?visibility=withheld"
    refused = ledger.client.post(url, json=body, headers=ledger.headers('"2"'))
    assert (refused.status_code, refused.json()["parameter"]) == (400, "visibility")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("q=a&q=b", "The query parameter q was sent more than once; send it once."),
        ("%22%00=1", 'There is no query parameter ""\x00" here; this address takes q, status'),
        ("a" * 5000, f'There is no query parameter "{"a" * 100}" here; this address takes q'),
    ],
)
def test_a_strange_parameter_is_told_in_one_sentence(ledger: Api, query: str, said: str) -> None:
    problem = ledger.client.get(f"/v1/records?{query}").json()
    assert problem["detail"].startswith(said)


@pytest.mark.parametrize("path", ["/", "/corrections", "/about", "/readyz", "/log/vkey"])
def test_pages_and_what_watchers_ask_leave_strange_parameters_alone(ledger: Api, path: str) -> None:
    plain, followed = ledger.client.get(path), ledger.client.get(f"{path}?utm_source=elsewhere")
    assert followed.status_code == plain.status_code == 200


@pytest.mark.parametrize(
    ("path", "page", "allowed"),
    [
        ("/v1/records?status=falsified", "/?status=falsified", "FALSIFIED"),
        ("/v1/records?tier=gold", "/?tier=gold", "DOI_GRADE"),
        ("/v1/records?kind=essay", "/?kind=essay", "synthesis"),
        ("/v1/records?state=corrected", "/?state=corrected", "CORRECTED"),
        ("/v1/records?standing=bad", "/?standing=bad", "retracted"),
        ("/v1/records?basis=claimed", "/?basis=claimed", "stated"),
        ("/v1/corrections?nature=erratums", "/corrections?nature=erratums", "erratum"),
        ("/v1/corrections?type=metadata", "/corrections?type=metadata", "METADATA"),
        ("/v1/findings?rule=gate-mislabeled", "/findings?rule=gate-mislabeled", "gate-mislabelled"),
    ],
)
def test_a_misspelled_value_is_refused_with_those_that_there_are(
    ledger: Api, path: str, page: str, allowed: str
) -> None:
    answer = ledger.client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")
    assert allowed in answer.json()["detail"]
    shown = ledger.client.get(page, headers={"Accept": "text/html"})
    assert (shown.status_code, allowed in shown.text) == (400, True)
    assert ledger.client.get(f"{path.partition('=')[0]}={allowed}").status_code == 200


@pytest.mark.parametrize(
    "query", ['"', "NEAR(", "a OR", "*", "col:", "-", "'; DROP", "\x00", "((((", "^"]
)
def test_a_search_takes_any_text(ledger: Api, query: str) -> None:
    answer = ledger.client.get("/v1/records", params={"q": query})
    assert answer.status_code == 200, answer.text


def test_a_media_type_or_method_that_is_not_taken_is_said(ledger: Api) -> None:
    answer = ledger.client.post("/v1/records", content="{}", headers=ledger.headers())
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-media-type")
    answer = ledger.client.delete("/v1/records")
    assert (answer.status_code, answer.json()["code"]) == (405, "method-not-taken")
    # RFC 9110, 15.5.6: all that the address takes, whichever part of the program takes it.
    assert answer.headers["Allow"] == "GET, HEAD, POST"
    for path, allowed in (
        ("/v1/status", "POST"),
        ("/readyz", "GET, HEAD"),
        ("/", "GET, HEAD"),
        ("/v1/records/SRCH:00000001", "GET, HEAD"),
        ("/v1/records/SRCH:00000001/claims", "POST"),
        ("/v1/records/10.5281/zenodo.1/corrections", "GET, HEAD, POST"),
    ):
        assert ledger.client.delete(path).headers["Allow"] == allowed, path
    answer = ledger.client.get("/v1/nothing")
    assert (answer.status_code, answer.json()["code"]) == (404, "no-such-page")


def test_markup_and_sql_are_kept_as_text_and_shown_escaped(ledger: Api) -> None:
    hostile = f"{SCRIPT_TAG} {INJECTION} \" ' & {{{{7*7}}}} ${{7*7}}"
    receipt = ledger.submit(
        content={
            "title": hostile,
            "abstract": {"text": hostile, "quoted_from": hostile},
            "research_question": hostile,
            "publisher": hostile,
            "note": hostile,
        }
    )
    record = receipt.json()["record_id"]
    correction = {
        "correction_type": "METADATA",
        "nature": "expression_of_concern",
        "public_note": hostile,
        "asserted_by": hostile,
        "reasons": [hostile],
    }
    answer = ledger.post(record, "corrections", correction)
    assert answer.status_code == 201, answer.text
    assert ledger.view(record)["title"] == hostile
    for path in ("/", f"/records/{record}", "/corrections", f"/records/{record}/corrections"):
        page = ledger.client.get(f"{path}?position={answer.json()['position']}")
        assert page.status_code == 200, path
        assert "<script>alert" not in page.text
        assert "&lt;script&gt;alert" in page.text, path
        assert "{{7*7}}" in page.text, path


@pytest.mark.parametrize("part", ["", "/history", "/findings", "/corrections", "/evaluations"])
def test_a_name_that_case_folding_would_make_is_no_name(ledger: Api, part: str) -> None:
    receipt = ledger.client.post("/v1/records", json=minimal(), headers=ledger.headers()).json()
    address, handle = receipt["record_id"], receipt["handle"].removeprefix("SRCH:")
    doi = f"10.5555/k{handle}"
    assert ledger.post(address, "registrations", {"value": doi}).status_code == 201
    for name in (f"\u017frch:{handle}", f"10.5555/\u212a{handle}", f"SRCH:{handle}\u00e9"):
        answer = ledger.client.get(f"/v1/records/{name}{part}")
        assert (answer.status_code, answer.json()["code"]) == (404, "record-unknown")


def test_a_link_holds_nothing_that_a_name_brought_along(ledger: Api) -> None:
    receipt = ledger.client.post("/v1/records", json=minimal(), headers=ledger.headers()).json()
    record = receipt["record_id"]
    doi = f'10.5555/{record[-12:]}>;rel="next",<http:a'
    assert ledger.post(record, "registrations", {"value": doi}).status_code == 201
    named = urls.name(doi)
    answer = ledger.client.get(f"/v1/records/{named}/history?limit=1")
    assert answer.headers["Link"] == f'</v1/records/{record}/history?after=1&limit=1>; rel="next"'


@pytest.mark.parametrize("name", ["If-Match", "Idempotency-Key", "Content-Digest"])
def test_a_header_that_is_meant_once_is_taken_once(ledger: Api, name: str) -> None:
    receipt = ledger.client.post("/v1/records", json=minimal(), headers=ledger.headers()).json()
    record = receipt["record_id"]
    sent = ledger.headers('"1"') | {"Content-Digest": "sha-256=:" + "A" * 43 + "=:"}
    twice = [*sent.items(), (name, '"77"')]
    url = f"/v1/records/{record}/artifacts?role=other"
    answer = ledger.client.post(url, content=b"bytes", headers=twice)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")
    assert answer.json()["parameter"] == name


def test_every_word_that_follows_a_name_is_kept_from_dois() -> None:
    patterns = [value for value in vars(urls).values() if isinstance(value, str)]
    patterns += urls.DOCUMENTS.values()
    parts = {p.removeprefix(f"{urls.RECORD}/") for p in patterns if p.startswith(urls.RECORD + "/")}
    assert {part.partition("/")[0] for part in parts} == RESERVED_WORDS
