"""Appending over HTTP: receipts, preconditions, retries, scopes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from pydantic import ConfigDict

from given_clock import set_clock
from given_service import (
    ANSWER_S,
    RESULTS,
    SCRIPT,
    Api,
    api,
    digest_of,
    served,
    settings_in,
)
from ledger import engine
from ledger.commands import Submit
from ledger.service import Service
from ledger.vocabulary import Scope, now
from ledger.web import appends
from ledger.web.appends import Appended
from ledger.web.routes import ROUTES


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with api(Path(tmp_path_factory.mktemp("ledger"))) as client:
        yield client


def test_a_submission_is_answered_with_its_place_and_can_be_read_at_once(ledger: Api) -> None:
    answer = ledger.submit()
    assert answer.status_code == 201, answer.text
    receipt = answer.json()
    assert answer.headers["Location"] == f"/v1/records/{receipt['record_id']}"
    assert answer.headers["ETag"] == '"1"'
    assert int(answer.headers["Ledger-Position"]) == receipt["position"]
    assert Appended.model_validate_json(answer.text).model_dump(mode="json") == receipt
    view = ledger.view(receipt["record_id"])
    assert view["handle"] == receipt["handle"]
    assert view["version"] == 1
    assert view["position"] == receipt["position"]
    assert view["review"]["mean"] == "8.00"
    assert view["verdict"]["status"] == "UNVERIFIED"
    assert view["verdict"]["reason"]["code"] == "not-attempted"


def test_a_record_is_found_by_id_handle_and_doi_alike(ledger: Api) -> None:
    receipt = ledger.submit().json()
    doi = "10.5281/zenodo.4242"
    assert ledger.post(receipt["handle"], "registrations", {"value": doi}).status_code == 201
    bare = receipt["handle"].removeprefix("SRCH:")
    views = [
        ledger.view(address) for address in (receipt["record_id"], receipt["handle"], bare, doi)
    ]
    assert views[0]["doi"] == doi
    assert all(view == views[0] for view in views)


def test_a_verdict_needs_its_artifacts_and_then_stands_until_it_is_withdrawn(ledger: Api) -> None:
    record = ledger.submit().json()["record_id"]
    refused = ledger.post(record, "gate-evaluations", ledger.sandbox(record))
    assert (refused.status_code, refused.json()["code"]) == (422, "verified-without-artifact")
    assert ledger.upload(record, "repro-script", SCRIPT).status_code == 201
    assert ledger.upload(record, "repro-results", RESULTS).status_code == 201
    passed = ledger.post(record, "gate-evaluations", ledger.sandbox(record))
    assert passed.status_code == 201, passed.text
    view = ledger.view(record)
    assert (view["verdict"]["status"], view["level"]["level"]) == ("VERIFIED", 5)
    assert view["verdict"]["evaluated_at"] == "2026-07-02T03:48:27.951721Z"
    withdrawal = ledger.sandbox(
        record, outcome="invalid-check", withdraws=view["verdict"]["evaluation_id"]
    )
    assert ledger.post(record, "gate-evaluations", withdrawal).status_code == 201
    view = ledger.view(record)
    assert (view["verdict"]["status"], view["level"]["level"]) == ("UNVERIFIED", 2)
    assert view["verdict"]["reason"]["code"] == "withdrawn"
    states = [
        e["state"] for e in ledger.client.get(f"/v1/records/{record}/evaluations").json()["items"]
    ]
    assert states == ["withdrawn", "counting"]


def test_an_outcome_that_disagrees_with_its_figures_is_refused_and_changes_nothing(
    ledger: Api,
) -> None:
    record = ledger.submit().json()["record_id"]
    ledger.upload(record, "repro-script", SCRIPT)
    ledger.upload(record, "repro-results", RESULTS)
    before = ledger.client.get(f"/v1/records/{record}")
    answer = ledger.post(record, "gate-evaluations", ledger.sandbox(record, computed="12.0"))
    assert (answer.status_code, answer.json()["code"]) == (422, "outcome-contradicts-evidence")
    assert answer.headers["Content-Type"] == "application/problem+json"
    after = ledger.client.get(f"/v1/records/{record}")
    assert (before.content, before.headers["ETag"]) == (after.content, after.headers["ETag"])


def test_a_correction_changes_the_view_and_stays_in_the_history(ledger: Api) -> None:
    record = ledger.submit().json()["record_id"]
    correction = {
        "correction_type": "METADATA",
        "nature": "correction",
        "public_note": "The title was wrong.",
        "changes": [{"field": "title", "from": "A small study", "to": "A larger study"}],
        "asserted_by": "Example Research",
    }
    answer = ledger.post(record, "corrections", correction)
    assert answer.status_code == 201, answer.text
    view = ledger.view(record)
    assert (view["title"], view["corrections"]["state"]) == ("A larger study", "CORRECTED")
    stale = ledger.post(record, "corrections", correction)
    assert (stale.status_code, stale.json()["code"]) == (409, "stale-correction")
    assert stale.json()["current"] == "A larger study"
    listed = ledger.client.get(
        f"/v1/records/{record}/corrections",
        headers={"Ledger-Position": answer.headers["Ledger-Position"]},
    ).json()["items"]
    assert [(c["nature"], c["public_note"]) for c in listed] == [
        ("correction", "The title was wrong.")
    ]
    history = ledger.client.get(f"/v1/records/{record}/history").json()["items"]
    assert [(e["version"], e["type"]) for e in history] == [
        (1, "record.submitted"),
        (2, "correction.issued"),
    ]
    assert history[0]["event"]["content"]["title"] == "A small study"


def test_every_remaining_append_reaches_the_view(ledger: Api) -> None:
    record = ledger.submit().json()["record_id"]
    other = ledger.submit().json()["record_id"]
    content = {"title": "A small study, again", "publisher": "Example Research"}
    for part, body in (
        ("submissions", {"content": content, "reason": "More data.", "submitted_on": "2026-07-05"}),
        (
            "reviews",
            {"review": {"scores": {"challenger": "4", "confirmer": "4", "integrator": "4"}}},
        ),
        ("claims", {"claims": {"grounded": 3}, "claim_source": "not-publicly-specified"}),
        ("supersession", {"by": other, "reason": "Redone."}),
    ):
        answer = ledger.post(record, part, body)
        assert answer.status_code == 201, (part, answer.text)
    view = ledger.view(record)
    assert view["submission"]["number"] == 2
    assert view["tier"]["tier"] == "QUARANTINE_CANDIDATE"
    assert view["claims"]["grounded"] == 3
    assert (view["corrections"]["state"], view["superseded_by"]) == ("SUPERSEDED", other)
    ended = ledger.post(record, "submissions", {"content": content, "reason": "Once more."})
    assert (ended.status_code, ended.json()["code"]) == (409, "record-superseded")
    circle = ledger.post(other, "supersession", {"by": record, "reason": "No."})
    assert (circle.status_code, circle.json()["code"]) == (422, "superseding-cycle")


def test_an_append_without_if_match_is_428_and_with_an_old_one_412(ledger: Api) -> None:
    record = ledger.submit().json()["record_id"]
    body = {"claims": {"grounded": 3}, "claim_source": "not-publicly-specified"}
    url = f"/v1/records/{record}/claims"
    missing = ledger.client.post(url, json=body, headers=ledger.headers())
    assert (missing.status_code, missing.json()["code"]) == (428, "precondition-missing")
    first = ledger.etag(record)
    assert ledger.client.post(url, json=body, headers=ledger.headers(first)).status_code == 201
    stale = ledger.client.post(url, json=body, headers=ledger.headers(first))
    assert (stale.status_code, stale.json()["code"]) == (412, "stale-version")
    ahead = ledger.client.post(url, json=body, headers=ledger.headers('"99"'))
    assert (ahead.status_code, ahead.json()["code"]) == (412, "stale-version")
    for odd in ('W/"2.4"', "*", '"two"', '"1.4", "2.4"', "2"):
        answer = ledger.client.post(url, json=body, headers=ledger.headers(odd))
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter"), odd


def test_a_retry_gets_the_first_answer_and_another_body_is_refused(ledger: Api) -> None:
    record = ledger.submit().json()["record_id"]
    url = f"/v1/records/{record}/claims"
    body = {"claims": {"grounded": 3}, "claim_source": "not-publicly-specified"}
    headers = ledger.headers(ledger.etag(record))
    first = ledger.client.post(url, json=body, headers=headers)
    again = ledger.client.post(url, json=body, headers=headers)
    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    for name in ("ETag", "Ledger-Position", "Location"):
        assert first.headers[name] == again.headers[name]
    other = ledger.client.post(url, json=body | {"counted_on": "2026-07-09"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    del headers["Idempotency-Key"]
    without = ledger.client.post(url, json=body, headers=headers)
    assert (without.status_code, without.json()["code"]) == (400, "idempotency-key-missing")
    assert ledger.view(record)["version"] == 2


def test_the_same_key_from_many_clients_at_once_appends_once(ledger: Api) -> None:
    headers = ledger.headers()
    body = {"content": {"title": "Once", "publisher": "Example Research"}}

    def attempt(_n: int) -> tuple[int, str]:
        answer = ledger.client.post("/v1/records", json=body, headers=headers)
        return answer.status_code, answer.text

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(attempt, range(32)))
    assert {status for status, _ in answers} <= {201, 409}
    assert len({text for status, text in answers if status == 201}) == 1
    listed = ledger.client.get("/v1/records?q=Once", headers=_at_head(ledger)).json()
    assert listed["total"] == 1


def test_a_retry_survives_an_upgrade_that_adds_a_member(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Longer(Submit):
        """A submission as a later program knows it."""

        model_config = ConfigDict(title="Submit")
        reviewed_by: str | None = None

    with api(tmp_path) as before:
        headers = before.headers()
        body = {"content": {"title": "Then", "publisher": "Example Research"}}
        first = before.client.post("/v1/records", json=body, headers=headers)
        routes = tuple(
            replace(route, body=Longer) if route.body is Submit else route for route in ROUTES
        )
        monkeypatch.setattr(appends, "ROUTES", routes)
        service = Service(settings_in(tmp_path))
        with served(service) as address:
            again = httpx.post(
                f"{address}/v1/records", json=body, headers=headers, timeout=ANSWER_S
            )
        assert (again.status_code, again.text) == (201, first.text)


def test_a_clock_that_was_set_back_does_not_undo_the_log(
    ledger: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = ledger.submit().json()["record_id"]
    monkeypatch.setattr(engine, "now", lambda: datetime(2020, 1, 1, tzinfo=UTC))
    # What is recorded is recorded on one day, also when it is midnight.
    with set_clock(now()):
        assert ledger.upload(record, "repro-script", SCRIPT).status_code == 201
        assert ledger.upload(record, "repro-results", RESULTS).status_code == 201
        answer = ledger.post(record, "gate-evaluations", ledger.sandbox(record))
        # The gate was activated in this log, whatever the clock says since.
        assert answer.status_code == 201, answer.text
        noted = ledger.submit(submitted_on=None)
    assert noted.status_code == 201, noted.text
    day = ledger.view(noted.json()["record_id"])["submitted_on"]
    assert day == noted.json()["recorded_at"][:10]


def _at_head(ledger: Api) -> dict[str, str]:
    position = ledger.submit().headers["Ledger-Position"]
    return {"Ledger-Position": position}


def test_a_key_does_only_what_its_scopes_allow(ledger: Api) -> None:
    record = ledger.submit().json()["record_id"]
    body = {"content": {"title": "T", "publisher": "P"}}
    nobody = ledger.client.post("/v1/records", json=body)
    assert (nobody.status_code, nobody.json()["code"]) == (401, "not-authenticated")
    assert nobody.headers["WWW-Authenticate"].startswith("Bearer")
    wrong = ledger.client.post("/v1/records", json=body, headers={"Authorization": "Bearer lk_no"})
    assert wrong.status_code == 401
    submitter = ledger.issue("submitter", Scope.SUBMIT)
    sent = ledger.headers(key=submitter)
    assert ledger.client.post("/v1/records", json=body, headers=sent).status_code == 201
    gate_3 = ledger.issue("red-team", Scope.EVALUATE_GATE_3)
    url = f"/v1/records/{record}/gate-evaluations"
    for key in (submitter, gate_3):
        answer = ledger.client.post(
            url, json=ledger.sandbox(record), headers=ledger.headers(ledger.etag(record), key)
        )
        assert (answer.status_code, answer.json()["code"]) == (403, "not-allowed")


def test_an_uploaded_artifact_keeps_its_bytes_and_its_digest(ledger: Api) -> None:
    record = ledger.submit().json()["record_id"]
    raw = bytes(range(256)) * 400
    answer = ledger.upload(record, "dataset", raw)
    assert answer.status_code == 201, answer.text
    digest = digest_of(raw)
    attached = ledger.view(record)["artifacts"][0]
    assert (attached["digest"], attached["size_bytes"]) == (digest, len(raw))
    fetched = ledger.client.get(f"/v1/records/{record}/artifacts/{digest}")
    assert fetched.content == raw
    assert fetched.headers["Content-Disposition"] == "attachment"
    by_digest = ledger.post(record, "artifacts", {"role": "other", "digest": digest})
    assert by_digest.status_code == 201
    twice = ledger.post(record, "artifacts", {"role": "other", "digest": digest})
    assert (twice.status_code, twice.json()["code"]) == (409, "artifact-already-attached")
    absent = ledger.post(record, "artifacts", {"role": "other", "digest": digest_of(b"never")})
    assert (absent.status_code, absent.json()["code"]) == (422, "artifact-missing")


def test_a_wrong_digest_or_too_many_bytes_leave_nothing_behind(tmp_path: Path) -> None:
    with api(tmp_path, artifact_bytes_max=1_000) as ledger:
        record = ledger.submit().json()["record_id"]
        announced = "sha-256=:" + "A" * 43 + "=:"
        wrong = ledger.upload(record, "report", b"bytes", **{"Content-Digest": announced})
        assert (wrong.status_code, wrong.json()["code"]) == (422, "digest-mismatch")
        large = ledger.upload(record, "report", b"x" * 1_001)
        assert large.status_code == 413
        left = [path for path in (tmp_path / "data" / "artifacts").rglob("*") if path.is_file()]
        assert left == []
        assert ledger.view(record)["version"] == 1


def test_bytes_that_the_log_names_can_be_attached_at_any_server(tmp_path: Path) -> None:
    with api(tmp_path) as here:
        record = here.submit().json()["record_id"]
        uploaded = here.upload(record, "repro-script", SCRIPT)
        assert uploaded.status_code == 201
        # A server with files of its own, which the bytes never reached.
        elsewhere = settings_in(tmp_path).model_copy(update={"data_dir": tmp_path / "elsewhere"})
        service = Service(elsewhere)
        with (
            served(service) as address,
            httpx.Client(base_url=address, timeout=ANSWER_S) as client,
        ):
            there = Api(client, service)
            body = {"role": "other", "digest": digest_of(SCRIPT)}
            assert there.post(record, "artifacts", body).status_code == 201
            unknown = {"role": "other", "digest": digest_of(RESULTS)}
            answer = there.post(record, "artifacts", unknown)
            assert (answer.status_code, answer.json()["code"]) == (422, "artifact-missing")
        sizes = [attached["size_bytes"] for attached in here.view(record)["artifacts"]]
        assert sizes == [len(SCRIPT)] * 2


def test_a_withheld_artifact_is_named_but_not_given(ledger: Api) -> None:
    record = ledger.submit().json()["record_id"]
    etag = ledger.etag(record)
    sent = ledger.headers(etag) | {"Content-Type": "text/x-python"}
    url = f"/v1/records/{record}/artifacts?role=repro-script&visibility=withheld"
    assert ledger.client.post(url, content=b"secret", headers=sent).status_code == 201
    digest = ledger.view(record)["artifacts"][0]["digest"]
    assert digest == digest_of(b"secret")
    refused = ledger.client.get(f"/v1/records/{record}/artifacts/{digest}")
    assert (refused.status_code, refused.json()["code"]) == (404, "artifact-unknown")


def test_a_bare_digest_publishes_nothing_that_is_withheld(ledger: Api) -> None:
    record, other = (ledger.submit().json()["record_id"] for _ in range(2))
    secret = b"bytes that one record withholds"
    digest = digest_of(secret)

    def attach(where: str, **changes: str) -> tuple[int, str | None]:
        answer = ledger.post(where, "artifacts", {"role": "other", "digest": digest} | changes)
        return answer.status_code, answer.json().get("code")

    def fetched(where: str) -> int:
        return ledger.client.get(f"/v1/records/{where}/artifacts/{digest}").status_code

    sent = ledger.headers(ledger.etag(record)) | {"Content-Type": "text/plain"}
    url = f"/v1/records/{record}/artifacts?role=dataset&visibility=withheld"
    assert ledger.client.post(url, content=secret, headers=sent).status_code == 201
    missing = (422, "artifact-missing")
    # The same answer as for bytes that nobody has: nothing tells that they are here.
    assert attach(other) == attach(other, digest=digest_of(b"never seen")) == missing
    assert attach(other, visibility="withheld") == missing
    assert attach(record) == missing
    assert attach(record, visibility="withheld") == (201, None)
    assert [fetched(record), fetched(other)] == [404, 404]
    # Who has the bytes may publish them, and then anybody may name them.
    assert ledger.upload(record, "report", secret).status_code == 201
    assert attach(other) == (201, None)
    assert [fetched(record), fetched(other)] == [200, 200]


def test_an_upload_that_is_refused_leaves_no_bytes(ledger: Api) -> None:
    record = ledger.submit().json()["record_id"]
    body = {"role": "other", "visibility": "public"}
    url = f"/v1/records/{record}/artifacts?role=other"
    assert ledger.upload(record, "report", b"the first of two").status_code == 201
    for version in ("1", "3"):
        raw = f"bytes for version {version}".encode()
        stale = ledger.client.post(url, content=raw, headers=ledger.headers(f'"{version}"'))
        assert (stale.status_code, stale.json()["code"]) == (412, "stale-version")
        assert not ledger.service.artifacts.path(digest_of(raw)).exists()
        named = ledger.post(record, "artifacts", body | {"digest": digest_of(raw)})
        assert (named.status_code, named.json()["code"]) == (422, "artifact-missing")


def test_an_upload_is_retried_for_the_same_answer(ledger: Api) -> None:
    record = ledger.submit().json()["record_id"]
    sent = ledger.headers('"1"')
    url = f"/v1/records/{record}/artifacts?role=other"
    answers = [ledger.client.post(url, content=b"retried", headers=sent) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].content == answers[1].content


@pytest.mark.parametrize("damage", [b"", b"evil", b"the right bytez"])
def test_a_damaged_file_is_healed_by_the_next_upload(ledger: Api, damage: bytes) -> None:
    raw = b"the right bytes"
    record, other = (ledger.submit().json()["record_id"] for _ in range(2))
    assert ledger.upload(record, "dataset", raw).status_code == 201
    ledger.service.artifacts.path(digest_of(raw)).write_bytes(damage)
    assert ledger.upload(other, "dataset", raw).status_code == 201
    for where in (record, other):
        got = ledger.client.get(f"/v1/records/{where}/artifacts/{digest_of(raw)}")
        assert got.content == raw
