"""An erasure is an append: who may ask for one, what it answers, and what it refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from given_erasures import CONTENT, MARK, TEXTS, erase, marked, pointers, position_of
from given_service import ANSWER_S, Api, api, served
from ledger.codec import decode
from ledger.events import Event
from ledger.service import Service
from ledger.vocabulary import Scope


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Api]:
    with api(tmp_path) as client:
        yield client


def test_an_erasure_is_answered_as_an_append_is(ledger: Api) -> None:
    record = ledger.submit(content=CONTENT).json()["handle"]
    position = position_of(ledger, record, 1)
    answer = erase(ledger, record, position, "/content/note", legal_basis="Article 17")
    told = answer.json()
    assert answer.status_code == 201
    assert answer.headers["ETag"] == '"2"'
    assert answer.headers["Ledger-Position"] == str(position + 1)
    assert (told["handle"], told["version"], told["position"]) == (record, 2, position + 1)
    assert told["also_at"] == []
    view = ledger.view(record)
    assert view["note"] == "[erased]"
    assert view["title"] == CONTENT["title"]
    assert view["content_digest"] != view["submission"]["digest"]
    (erased,) = view["erasures"]
    assert erased["redacted_digest"].startswith("sha256:")
    del erased["redacted_digest"]
    assert erased == {
        "position": position,
        "version": 1,
        "type": "record.submitted:1",
        "members": ["/content/note"],
        "erased_on": view["erasures"][0]["erased_on"],
        "asked_by": "data-subject",
        "reason": "She asked us to.",
        "legal_basis": "Article 17",
        "erased_by": "pipeline",
        "recorded_as": 2,
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", erased["erased_on"])


def test_the_page_and_the_history_say_that_something_was_erased(ledger: Api) -> None:
    record = ledger.submit(content=CONTENT).json()["handle"]
    position = position_of(ledger, record, 1)
    reason = "<b>She</b> asked us to."
    erase(ledger, record, position, "/content/note", "/content/title", reason=reason)
    page = ledger.client.get(f"/records/{record}").text
    notice = "2 texts of this record were erased, last on"
    assert notice in page
    assert "by pipeline; it was asked for by a person whom it was about" in page
    assert f'href="/records/{record.removeprefix("SRCH:")}#version-2"' in page
    assert "/content/note, /content/title of version 1" in page
    assert "&lt;b&gt;She&lt;/b&gt; asked us to." in page
    assert '<a href="#version-2">version 2</a>' in page
    first, second = ledger.client.get(f"/v1/records/{record}/history").json()["items"]
    assert (first["salt"], first["event"]["content"]["note"]) == ("", "[erased]")
    assert len(first["commitment"]) == 64
    assert second["type"] == "payload.erased"
    assert len(second["salt"]) == 64
    assert second["event"]["reason"] == reason


def test_a_retry_gets_the_same_answer_although_the_text_is_gone(ledger: Api) -> None:
    record = ledger.submit(content=CONTENT | {"note": "We thank her"}).json()["handle"]
    again = {"content": CONTENT | {"note": "We thank her twice"}, "reason": "Gratitude"}
    assert ledger.post(record, "submissions", again).status_code == 201
    position = position_of(ledger, record, 1)
    body = {"members": ["/content/note"], "reason": "R", "asked_by": "author"}
    headers = ledger.headers(ledger.etag(record))
    first = ledger.client.post(f"/v1/events/{position}/erase", json=body, headers=headers)
    assert first.json()["also_at"] == [position + 1]
    second = ledger.client.post(f"/v1/events/{position}/erase", json=body, headers=headers)
    assert (second.status_code, second.text) == (201, first.text)
    other = {**body, "reason": "S"}
    reused = ledger.client.post(f"/v1/events/{position}/erase", json=other, headers=headers)
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency-key-reused")
    elsewhere = ledger.client.post(f"/v1/events/{position + 1}/erase", json=body, headers=headers)
    assert elsewhere.json()["code"] == "idempotency-key-reused"


def test_a_second_erasure_of_the_same_event_takes_more(ledger: Api) -> None:
    record = ledger.submit(content=CONTENT).json()["handle"]
    position = position_of(ledger, record, 1)
    assert erase(ledger, record, position, "/content/note").status_code == 201
    assert erase(ledger, record, position, "/content/title").status_code == 201
    again = erase(ledger, record, position, "/content/note")
    assert (again.status_code, again.json()["code"]) == (409, "nothing-to-erase")
    view = ledger.view(record)
    assert [view["note"], view["title"], view["version"]] == ["[erased]", "[erased]", 3]
    assert [each["members"] for each in view["erasures"]] == [["/content/note"], ["/content/title"]]


def test_what_is_appended_after_an_erasure_goes_on_from_what_is_left(ledger: Api) -> None:
    record = ledger.submit(content=CONTENT).json()["handle"]
    erase(ledger, record, position_of(ledger, record, 1), "/content/publisher")
    correction = {
        "correction_type": "METADATA",
        "nature": "correction",
        "public_note": "A name that may be public.",
        "changes": [{"field": "publisher", "from": "[erased]", "to": "Example Research"}],
        "asserted_by": "The publisher",
    }
    stale = correction | {
        "changes": [{"field": "publisher", "from": CONTENT["publisher"], "to": "Another"}]
    }
    assert ledger.post(record, "corrections", stale).json()["code"] == "stale-correction"
    assert ledger.post(record, "corrections", correction).status_code == 201
    assert ledger.view(record)["publisher"] == "Example Research"


def test_an_erasure_needs_an_administrator_and_the_version_that_was_seen(ledger: Api) -> None:
    record = ledger.submit(content=CONTENT).json()["handle"]
    position = position_of(ledger, record, 1)
    scopes = [scope for scope in Scope if scope is not Scope.ADMIN]
    key = ledger.issue("editor", *scopes)
    refused = erase(ledger, record, position, "/content/note", key=key)
    assert (refused.status_code, refused.json()["code"]) == (403, "not-allowed")
    stale = erase(ledger, record, position, "/content/note", etag='"9"')
    assert (stale.status_code, stale.json()["code"]) == (412, "stale-version")
    body = {"members": ["/content/note"], "reason": "R", "asked_by": "author"}
    url = f"/v1/events/{position}/erase"
    blind = ledger.client.post(url, json=body, headers=ledger.headers())
    assert (blind.status_code, blind.json()["code"]) == (428, "precondition-missing")
    bare = {"Authorization": f"Bearer {ledger.key}", "If-Match": '"1"'}
    assert ledger.client.post(url, json=body, headers=bare).json()["code"] == (
        "idempotency-key-missing"
    )
    assert ledger.client.post(url, json=body).status_code == 401
    assert ledger.view(record)["note"] == CONTENT["note"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"members": []}, "/members"),
        ({"members": ["content/note"]}, "/members/0"),
        ({"members": ["/content/~2"]}, "/members/0"),
        ({"members": [""]}, "/members/0"),
        ({"asked_by": "Jane Doe"}, "/asked_by"),
        ({"reason": " "}, "/reason"),
        ({"reason": None}, "/reason"),
        ({"why": "x"}, "/why"),
    ],
)
def test_a_body_that_does_not_fit_is_refused(
    ledger: Api, body: dict[str, Any], pointer: str
) -> None:
    record = ledger.submit(content=CONTENT).json()["handle"]
    sent = {"members": ["/content/note"], **body}
    refused = erase(ledger, record, position_of(ledger, record, 1), *sent.pop("members"), **sent)
    assert refused.status_code == 422
    assert refused.json()["code"] == "invalid-body"
    assert refused.json()["errors"][0]["pointer"] == pointer


def test_what_cannot_be_erased_is_refused_with_what_can(ledger: Api) -> None:
    record = ledger.submit(content=CONTENT).json()["handle"]
    position = position_of(ledger, record, 1)
    refused = erase(ledger, record, position, "/handle")
    assert (refused.status_code, refused.json()["code"]) == (422, "not-erasable")
    assert refused.json()["type"] == "/problems/not-erasable"
    assert refused.json()["members"] == ["/handle"]
    assert set(TEXTS) == set(refused.json()["erasable"])
    # The ledger's own facts and the actors' keys, which stand first in every ledger.
    for own in range(1, position):
        refused = erase(ledger, record, own, "/reason")
        assert refused.json()["code"] == "not-erasable", own
    erase(ledger, record, position, "/content/note")
    refused = erase(ledger, record, position + 1, "/reason")
    assert (refused.status_code, refused.json()["code"]) == (422, "not-erasable")


@pytest.mark.parametrize("position", ["0", "-1", "x", "1.5", "99999999999999999999", "%20"])
def test_a_position_that_is_none_is_refused(ledger: Api, position: str) -> None:
    body = {"members": ["/content/note"], "reason": "R", "asked_by": "author"}
    headers = ledger.headers('"1"')
    refused = ledger.client.post(f"/v1/events/{position}/erase", json=body, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid-parameter")


def test_a_position_beyond_the_log_is_not_known(ledger: Api) -> None:
    body = {"members": ["/content/note"], "reason": "R", "asked_by": "author"}
    headers = ledger.headers('"1"')
    refused = ledger.client.post("/v1/events/999999/erase", json=body, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (404, "event-unknown")


def test_of_many_erasures_at_once_one_is_carried_out(ledger: Api) -> None:
    record = ledger.submit(content=CONTENT).json()["handle"]
    position, etag = position_of(ledger, record, 1), ledger.etag(record)

    def ask(member: str) -> int:
        return erase(ledger, record, position, member, etag=etag).status_code

    with ThreadPoolExecutor(len(TEXTS)) as pool:
        statuses = list(pool.map(ask, TEXTS))
    assert sorted(statuses) == [201] + [412] * (len(TEXTS) - 1)
    view = ledger.view(record)
    assert view["version"] == 2
    assert view["erasures"][0]["members"] == [TEXTS[statuses.index(201)]]
    items = ledger.client.get(f"/v1/records/{record}/history").json()["items"]
    assert list(pointers(items[0]["event"], "", "[erased]")) == view["erasures"][0]["members"]


def test_a_record_is_read_and_folded_once_to_be_erased_from(
    ledger: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a record that nobody holds in memory, however long it is."""
    record = marked(ledger)
    last = ledger.view(record)["version"]
    position, etag = position_of(ledger, record, 1), ledger.etag(record)
    record_id = ledger.view(record)["record_id"]
    folded: list[int] = []

    def counted(originator_id: str, version: int, topic: str, body: bytes) -> Event:
        if originator_id == record_id:
            folded.append(version)
        return decode(originator_id, version, topic, body)

    with (
        served(Service(ledger.service.settings)) as address,
        httpx.Client(base_url=address, timeout=ANSWER_S) as client,
    ):
        headers = ledger.headers(etag)
        monkeypatch.setattr("ledger.codec.decode", counted)
        body = {"members": ["/content/note"], "reason": "R", "asked_by": "author"}
        url = f"/v1/events/{position}/erase"
        assert client.post(url, json=body, headers=headers).status_code == 201
    # Besides, the answer reads the erasure itself.
    assert folded == [*range(1, last + 1), last + 1]


def test_another_process_forgets_what_was_erased(ledger: Api) -> None:
    """A process that holds a record in memory folds it anew before it appends to it."""
    record = ledger.submit(content=CONTENT).json()["handle"]
    position = position_of(ledger, record, 1)
    with (
        served(Service(ledger.service.settings)) as address,
        httpx.Client(base_url=address, timeout=ANSWER_S) as client,
    ):
        other = Api.__new__(Api)
        other.client, other.service, other.key = client, ledger.service, ledger.key
        review = {"review": {"scores": dict.fromkeys(("challenger", "confirmer"), "8.0")}}
        review["review"]["scores"]["integrator"] = "8.0"
        assert other.post(record, "reviews", review).status_code == 201
        assert erase(ledger, record, position, *TEXTS).status_code == 201
        assert other.post(record, "reviews", review).status_code == 201
        assert MARK not in client.get(f"/v1/records/{record}").text
        assert other.view(record)["version"] == 4
