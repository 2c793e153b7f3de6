"""A record can be asked for as it was shown, and as it was in effect, and says which it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from given_clock import set_clock
from given_erasures import erase
from given_service import RESULTS, SCRIPT, Api, api
from ledger import actors, governance
from ledger.vocabulary import PolicyVersion, Scope, moment_text, now
from projections.contracts import CONTRACTS

TITLE = "A small study"
PAST_HEADERS = ("ETag", "Ledger-Position", "Cache-Control", "Memento-Datetime")


def after(moment: str, **by: int) -> str:
    return moment_text(datetime.fromisoformat(moment) + timedelta(**by))


class Told:
    """A record with six facts on it: where each stands, and what was shown once it was written."""

    def __init__(self, ledger: Api) -> None:
        self.ledger = ledger
        first = ledger.submit(submitted_on="2026-07-01").json()
        self.id: str = first["record_id"]
        self.receipts: list[dict[str, Any]] = [first]
        self.shown: list[dict[str, Any]] = [ledger.view(self.id)]
        self._add(ledger.upload(self.id, "repro-script", SCRIPT))
        self._add(ledger.upload(self.id, "repro-results", RESULTS))
        self._add(ledger.post(self.id, "gate-evaluations", ledger.sandbox(self.id)))
        evaluation = ledger.view(self.id)["verdict"]["evaluation_id"]
        title = [{"field": "title", "from": TITLE, "to": "A study of sleep"}]
        self._add(self.correct("correction", "2026-07-04", changes=title))
        invalid = ledger.sandbox(
            self.id,
            outcome="invalid-check",
            evidence=None,
            withdraws=evaluation,
            evaluated_at="2026-07-09T09:00:00Z",
        )
        self._add(ledger.post(self.id, "gate-evaluations", invalid))

    def _add(self, answer: httpx.Response) -> None:
        assert answer.status_code == 201, answer.text
        self.receipts.append(answer.json())
        self.shown.append(self.ledger.view(self.id))

    def correct(self, nature: str, on: str, **more: Any) -> httpx.Response:
        body = {
            "correction_type": "METADATA",
            "nature": nature,
            "public_note": "The title was too short.",
            "asserted_by": "Example Research",
            "effective_on": on,
        }
        return self.ledger.post(self.id, "corrections", body | more)

    def get(self, part: str = "", headers: Any = None, **asked: Any) -> httpx.Response:
        path = f"/v1/records/{self.id}{part}"
        return self.ledger.client.get(path, params=asked, headers=headers)

    def was(self, part: str = "", **asked: Any) -> dict[str, Any]:
        answer = self.get(part, **asked)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    with api(Path(tmp_path_factory.mktemp("past"))) as client:
        yield Told(client)


def test_each_version_is_shown_as_it_was_when_it_was_the_last(told: Told) -> None:
    for receipt, shown in zip(told.receipts, told.shown, strict=True):
        was = told.was(version=receipt["version"])
        past = was.pop("past")
        assert was == shown
        assert past == {
            "version": receipt["version"],
            "recorded_at": None,
            "as_of": None,
            "known_version": receipt["version"],
            "not_in_effect": [],
            "erased_since": [],
        }


def test_each_recorded_moment_is_shown_as_it_was_then(told: Told) -> None:
    for receipt, shown in zip(told.receipts, told.shown, strict=True):
        was = told.was(recorded_at=receipt["recorded_at"])
        assert was.pop("past")["recorded_at"] == receipt["recorded_at"]
        assert was == shown
    for receipt, shown in zip(told.receipts[1:], told.shown, strict=False):
        was = told.was(recorded_at=after(receipt["recorded_at"], microseconds=-1))
        del was["past"]
        assert was == shown


def test_what_was_in_effect_is_not_what_was_shown(told: Told) -> None:
    """Artifacts have no time but that of their recording; the evaluation was made before it."""
    first = told.was(as_of="2026-07-01")
    assert (first["title"], first["verdict"]["status"]) == (TITLE, "UNVERIFIED")
    assert first["past"]["not_in_effect"] == [2, 3, 4, 5, 6]
    before = told.was(as_of="2026-07-02T03:48:27.951720Z")
    assert before["verdict"]["status"] == "UNVERIFIED"
    verified = told.was(as_of="2026-07-02T03:48:27.951721Z")
    assert verified["verdict"]["status"] == "VERIFIED"
    assert told.was(as_of="2026-07-03")["title"] == TITLE
    renamed = told.was(as_of="2026-07-04")
    assert (renamed["title"], renamed["verdict"]["status"]) == ("A study of sleep", "VERIFIED")
    withdrawn = told.was(as_of="2026-07-09T09:00:00Z")
    assert withdrawn["verdict"]["reason"]["code"] == "withdrawn"
    assert withdrawn["past"]["not_in_effect"] == [2, 3]


def test_as_of_is_judged_by_what_was_known_when_both_are_named(told: Told) -> None:
    """On 10 July the check was invalid, but until version 6 nobody knew."""
    day = "2026-07-10"
    assert told.was(as_of=day)["verdict"]["status"] == "UNVERIFIED"
    known = told.receipts[4]
    for asked in ({"version": 5}, {"recorded_at": known["recorded_at"]}):
        was = told.was(as_of=day, **asked)
        assert was["verdict"]["status"] == "VERIFIED"
        assert (was["past"]["known_version"], was["past"]["not_in_effect"]) == (5, [2, 3])


def test_version_and_recorded_moment_have_to_agree(told: Told) -> None:
    fourth = told.receipts[3]
    was = told.was(version=4, recorded_at=fourth["recorded_at"])
    assert was["past"]["known_version"] == 4
    refused(told.get(version=3, recorded_at=fourth["recorded_at"]), 422, "moments-contradict")


def test_parts_of_a_record_are_shown_as_they_were(told: Told) -> None:
    assert told.was("/corrections", version=4)["items"] == []
    (correction,) = told.was("/corrections", version=5)["items"]
    head = {"Ledger-Position": str(told.receipts[-1]["position"])}
    assert [correction] == told.get("/corrections", headers=head).json()["items"]
    assert told.was("/corrections", as_of="2026-07-03")["items"] == []
    states = {
        version: [e["state"] for e in told.was("/evaluations", version=version)["items"]]
        for version in (3, 4, 6)
    }
    assert states == {3: [], 4: ["counting"], 6: ["withdrawn", "counting"]}
    assert told.was("/evaluations", version=4)["verdict"]["status"] == "VERIFIED"
    assert told.was("/findings", version=3)["items"] == []
    found = [finding["rule"] for finding in told.was("/findings", version=5)["items"]]
    assert "corrected-since-evaluation" in found
    for part in ("/corrections", "/evaluations", "/findings"):
        assert told.was(part, version=5)["past"]["version"] == 5


def test_findings_and_corrections_of_the_last_version_are_those_of_the_views(told: Told) -> None:
    head = {"Ledger-Position": str(told.receipts[-1]["position"])}
    for part in ("/corrections", "/findings"):
        live = told.get(part, headers=head).json()["items"]
        assert told.was(part, version=6)["items"] == live


def test_what_is_settled_may_be_kept_and_says_of_when_it_is(told: Told) -> None:
    fifth, last = told.receipts[4], told.receipts[5]
    answer = told.get(recorded_at=fifth["recorded_at"])
    assert answer.headers["Cache-Control"] == "public, max-age=86400, immutable"
    assert answer.headers["Ledger-Position"] == str(fifth["position"])
    assert answer.headers["ETag"].startswith('"5.')
    memento = parsedate_to_datetime(answer.headers["Memento-Datetime"])
    assert memento == datetime.fromisoformat(fifth["recorded_at"]).replace(microsecond=0)
    links = answer.links
    assert links["original latest-version"]["url"] == f"/v1/records/{told.id}"
    version = told.get(version=5)
    assert version.headers["Memento-Datetime"] == answer.headers["Memento-Datetime"]
    # A further fact gets a later moment than the last; it may be the next one.
    newest = told.get(recorded_at=last["recorded_at"])
    assert newest.headers["Cache-Control"] == "public, max-age=86400, immutable"
    *_, end = told.ledger.service.store.rows()
    present = told.get(recorded_at=after(moment_text(end.recorded_at), microseconds=1))
    assert present.headers["Cache-Control"] == "no-cache"
    assert "Memento-Datetime" not in present.headers


def test_what_was_in_effect_is_asked_anew_each_time(told: Told) -> None:
    answer = told.get(as_of="2026-07-03")
    assert answer.headers["Cache-Control"] == "no-cache"
    assert "Memento-Datetime" not in answer.headers
    both = told.get(as_of="2026-07-03", version=5)
    assert both.headers["Cache-Control"] == "public, max-age=86400, immutable"


def test_a_reader_that_has_the_bytes_is_told_so(told: Told) -> None:
    for part in ("", "/evaluations", "/corrections", "/findings"):
        first = told.get(part, version=4)
        again = told.get(part, version=4, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        for name in PAST_HEADERS:
            assert again.headers[name] == first.headers[name]


def test_a_past_view_has_the_policy_that_was_in_force(tmp_path: Path) -> None:
    with api(tmp_path) as ledger:
        told = Told(ledger)
        before = told.was(version=6)
        reason = "The old pages were derived so."
        adopted = ledger.service.ledger.adopt_policy(PolicyVersion.V1, "checked", reason, "me")
        receipt = asyncio.run(adopted)
        assert asyncio.run(ledger.service.caught_up(receipt.position, "public_view"))
        assert ledger.view(told.id)["policy"]["version"] == "v1"
        assert told.was(version=6) == before
        assert before["policy"]["version"] == "v2"
        then = moment_text(receipt.recorded_at)
        assert told.was(recorded_at=then)["policy"]["version"] == "v1"
        just_before = after(then, microseconds=-1)
        assert told.was(recorded_at=just_before)["policy"]["version"] == "v2"
        # By effective time, a policy counts from its adoption, whatever the day of the record.
        assert told.was(as_of="2026-07-09")["policy"]["version"] == "v2"
        assert told.was(as_of=moment_text(now()))["policy"]["version"] == "v1"


def test_what_was_erased_is_gone_from_its_past_which_says_so(tmp_path: Path) -> None:
    with api(tmp_path) as ledger:
        told = Told(ledger)
        before = told.get(version=1)
        assert TITLE in before.text
        erased = erase(ledger, told.id, told.receipts[0]["position"], "/content/title")
        assert erased.status_code == 201, erased.text
        answer = told.get(version=1, headers={"If-None-Match": before.headers["ETag"]})
        assert answer.status_code == 200
        was = answer.json()
        assert was["title"] == "[erased]"
        assert was["erasures"] == []
        assert was["past"]["erased_since"] == [7]
        page = ledger.client.get(f"/records/{told.id}?version=1").text
        assert "Texts of it were erased since: version 7 of the record" in page
        # Where the erasure itself is shown, nothing was erased since.
        for asked in ({"version": 7}, {"recorded_at": erased.json()["recorded_at"]}):
            shown = told.was(**asked)
            assert shown["past"]["erased_since"] == []
            assert len(shown["erasures"]) == 1
        for part in ("", "/manifest.json", "/corrections", "/findings"):
            for asked in ({"version": 4}, {"as_of": "2026-07-03"}):
                assert TITLE not in told.get(part, **asked).text


# ------------------------------------------------------------ refusals


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), answer.text
    return problem


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version", "0"),
        ("version", "-1"),
        ("version", "1.0"),
        ("version", "last"),
        ("version", "٣"),
        ("version", ""),
        ("version", "9" * 40),
        ("recorded_at", "yesterday"),
        ("recorded_at", "2026-07-02T03:48:27"),
        ("recorded_at", "2026-07-02T03:48:27 02:00"),
        ("recorded_at", "2026-07-02T24:48:27Z"),
        ("recorded_at", "1783000000"),
        ("recorded_at", ""),
        ("as_of", "2026-02-30"),
        ("as_of", "2026-7-2"),
        ("as_of", "20260702"),
        ("as_of", "1599-12-31"),
        ("as_of", "0001-01-01T00:00:00+14:00"),
        ("as_of", "2026-07-02\n"),
        ("as_of", "2026-W27"),
    ],
)
def test_what_is_no_version_moment_or_day_is_refused(told: Told, name: str, value: str) -> None:
    problem = refused(told.get(**{name: value}), 400, "invalid-parameter")
    assert problem["parameter"] == name


def test_the_same_moment_twice_or_an_unknown_axis_is_refused(told: Told) -> None:
    path = f"/v1/records/{told.id}"
    for query in ("version=1&version=2", "as_of=2026-07-02&as_of=2026-07-02", "asof=2026-07-02"):
        answer = told.ledger.client.get(f"{path}?{query}")
        refused(answer, 400, "invalid-parameter")


@pytest.mark.parametrize("part", ["", "/evaluations", "/corrections", "/findings"])
def test_a_moment_that_has_no_answer_is_refused_on_every_part(told: Told, part: str) -> None:
    first = told.receipts[0]["recorded_at"]
    early = after(first, microseconds=-1)
    problem = refused(told.get(part, recorded_at=early), 404, "not-yet-recorded")
    assert problem["first"] == first
    problem = refused(told.get(part, as_of="2026-06-30T23:59:59.999999Z"), 404, "not-yet-in-effect")
    assert problem["first"] == "2026-07-01T00:00:00.000000Z"
    problem = refused(told.get(part, version=7), 404, "version-unknown")
    assert problem["last"] == 6
    with set_clock(now()) as clock:
        later = moment_text(clock.at + timedelta(minutes=1))
        for name in ("recorded_at", "as_of"):
            refused(told.get(part, **{name: later}), 422, "moment-in-future")
            refused(told.get(part, **{name: "9999-12-31"}), 422, "moment-in-future")


def test_today_is_not_the_future(told: Told) -> None:
    with set_clock(now()) as clock:
        today = clock.at.date().isoformat()
        for name in ("recorded_at", "as_of"):
            was = told.was(**{name: today})
            del was["past"]
            assert was == told.shown[-1]
        assert told.get(recorded_at=today).headers["Cache-Control"] == "no-cache"


def test_the_known_moment_bounds_what_can_be_asked(told: Told) -> None:
    """A clock that runs a little ahead of ours is no reason to refuse."""
    told.was(as_of=moment_text(datetime.now(UTC) + timedelta(seconds=1)))
    offset = "2026-07-04T05:30:00+05:30"
    assert told.was(as_of=offset)["past"]["as_of"] == "2026-07-04T00:00:00.000000Z"


def test_only_records_have_a_past(told: Told) -> None:
    told.ledger.issue("audit-bot", Scope.SUBMIT)
    strangers = [governance.STREAM, actors.stream("audit-bot"), "00000000", "10.1/none"]
    assert told.ledger.service.store.rows_of(strangers[1])
    for address in strangers:
        for asked in ("version=1", "as_of=2026-07-02", "recorded_at=2026-11-01T00:00:00Z"):
            answer = told.ledger.client.get(f"/v1/records/{address}?{asked}")
            refused(answer, 404, "record-unknown")


def test_who_saw_a_past_version_appends_to_none(told: Told) -> None:
    body = {"value": "10.5555/past"}
    seen = told.get(version=2).headers["ETag"]
    refused(told.ledger.post(told.id, "registrations", body, etag=seen), 412, "stale-version")


def test_the_body_is_json_with_the_stored_document_in_it(told: Told) -> None:
    answer = told.get(version=6)
    body = json.loads(answer.text)
    assert list(body)[:4] == ["position", "recorded_at", "past", "record_id"]
    assert answer.headers["Content-Type"] == "application/json"


def test_every_contract_is_served_as_it_was(told: Told) -> None:
    for contract in CONTRACTS.values():
        part = f"/{contract.file}"
        if told.get(part).status_code == 404:
            refused(told.get(part, version=4), 404, "contract-not-applicable")
            continue
        present = {version: told.get(part, version=version) for version in (4, 6)}
        for version, answer in present.items():
            assert answer.status_code == 200, answer.text
            assert answer.headers["ETag"].startswith(f'"{version}.')
            assert "Memento-Datetime" in answer.headers
            links = answer.links
            assert links["describedby"]["url"].endswith(contract.name)
            assert links["original latest-version"]["url"] == f"/v1/records/{told.id}{part}"
        refused(told.get(part, version=7), 404, "version-unknown")
        refused(told.get(part, as_of="2026-06-30"), 404, "not-yet-in-effect")
        early = after(told.receipts[0]["recorded_at"], microseconds=-1)
        refused(told.get(part, recorded_at=early), 404, "not-yet-recorded")


def test_a_past_document_says_what_was_said_and_links_its_own_moment(told: Told) -> None:
    verdicts = {
        version: told.was("/gate-verdict.json", version=version)["status"] for version in (3, 4, 6)
    }
    assert verdicts == {3: "UNVERIFIED", 4: "VERIFIED", 6: "UNVERIFIED"}
    states = [
        told.was("/correction-record.json", as_of=day)["correction_state"]
        for day in ("2026-07-03", "2026-07-04")
    ]
    assert states == ["CURRENT", "CORRECTED"]
    was = told.get("/manifest.json", version=4)
    assert f"/v1/records/{told.id}/gate-verdict.json?version=4" in was.text
