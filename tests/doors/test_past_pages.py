"""The pages of the past say that they are, show nothing of later days, and lead back to now."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from bs4 import BeautifulSoup, Tag

from given_service import Api, api
from ledger.web import urls


class Told:
    """A record with a first title, a second one, and a retraction, and where each was recorded."""

    def __init__(self, ledger: Api) -> None:
        self.ledger = ledger
        first = ledger.submit(submitted_on="2026-07-01").json()
        self.id, self.handle = first["record_id"], first["handle"]
        self.receipts = [first]
        change = {"field": "title", "from": "A small study", "to": "A study of sleep"}
        self.correct("correction", "2026-07-04", changes=[change])
        self.correct("retraction", "2026-07-08")

    def correct(self, nature: str, on: str, **more: Any) -> None:
        body = {
            "correction_type": "METADATA",
            "nature": nature,
            "public_note": f"A {nature} of the study.",
            "asserted_by": "Example Research",
            "effective_on": on,
        }
        answer = self.ledger.post(self.id, "corrections", body | more)
        assert answer.status_code == 201, answer.text
        self.receipts.append(answer.json())

    def get(self, part: str = "", **asked: Any) -> httpx.Response:
        return self.ledger.client.get(f"/records/{self.handle[5:]}{part}", params=asked)

    def page(self, part: str = "", **asked: Any) -> BeautifulSoup:
        answer = self.get(part, **asked)
        assert answer.status_code == 200, answer.text
        return BeautifulSoup(answer.text, "html.parser")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    with api(Path(tmp_path_factory.mktemp("past-pages"))) as client:
        yield Told(client)


def banner(page: BeautifulSoup) -> str:
    found = page.select_one(".banner.past")
    assert found is not None
    return " ".join(found.get_text(" ", strip=True).split())


def title(page: BeautifulSoup) -> str:
    found = page.select_one("h1")
    assert isinstance(found, Tag)
    return found.get_text(strip=True)


def test_the_page_of_now_has_no_banner_of_the_past(told: Told) -> None:
    page = told.page()
    assert page.select_one(".banner.past") is None
    assert title(page).startswith("RETRACTED")


def test_a_version_is_shown_with_nothing_that_came_later(told: Told) -> None:
    page = told.page(version=1)
    assert title(page) == "A small study"
    assert "A study of sleep" not in page.get_text()
    assert "etract" not in page.get_text()
    assert len(page.select(".timeline > li")) == 1
    assert banner(page).startswith("As of version 1. This is what was shown then")


def test_each_entry_of_the_timeline_leads_to_its_version(told: Told) -> None:
    entries = told.page().select(".timeline > li h3 a")
    hrefs = [str(entry["href"]) for entry in entries]
    assert hrefs == [f"{urls.record_page(told.handle)}?version={n}" for n in (1, 2, 3)]
    for number, href in enumerate(hrefs, 1):
        answer = told.ledger.client.get(href)
        assert answer.status_code == 200
        assert f"As of version {number}" in answer.text


def test_the_two_axes_are_told_apart_in_words(told: Told) -> None:
    recorded = told.receipts[1]["recorded_at"]
    shown = told.page(recorded_at=recorded)
    assert banner(shown).startswith(f"As recorded at {recorded[:-1]}+00:00")
    assert title(shown) == "A study of sleep"
    effective = told.page(as_of="2026-07-05")
    assert banner(effective).startswith(
        "As in effect on 5 July 2026. Of everything that is known now, this counts what had taken "
        "effect; 1 fact had not."
    )
    assert title(effective) == "A study of sleep"
    late = effective.select(".timeline > li")[2]
    assert "not yet at the moment shown" in late.get_text()
    both = told.page(as_of="2026-07-05", version=1)
    assert banner(both).startswith("As of version 1, as in effect on 5 July 2026. Of what was")
    assert title(both) == "A small study"


def test_a_past_page_leads_to_now_and_keeps_its_moment_elsewhere(told: Told) -> None:
    page = told.page(version=2)
    assert [a["href"] for a in page.select(".banner.past a")] == [urls.record_page(told.handle)]
    hrefs = {str(a["href"]) for a in page.select("main a[href], footer a[href]")}
    record = urls.record(told.id)
    assert f"{record}?version=2" in hrefs
    assert f"{record}/manifest.json?version=2" in hrefs
    assert f"{urls.record_corrections_page(told.handle)}?version=2" in hrefs
    for href in sorted(hrefs):
        if "version=" in href:
            assert told.ledger.client.get(href).status_code == 200, href


def test_corrections_are_shown_as_they_were(told: Told) -> None:
    now, before = told.page("/corrections"), told.page("/corrections", version=2)
    assert len(now.select(".correction")) == 2
    assert len(before.select(".correction")) == 1
    assert now.select_one(".banner.past") is None
    assert banner(before).startswith("As of version 2")
    in_effect = told.page("/corrections", as_of="2026-07-02")
    assert in_effect.select(".correction") == []


def test_the_form_asks_for_either_axis_and_empty_fields_ask_nothing(told: Told) -> None:
    form = told.page().select_one("form.moment")
    assert form is not None
    assert form["action"] == urls.record_page(told.handle)
    assert [field["name"] for field in form.select("input")] == ["recorded_at", "as_of"]
    for field in form.select("input"):
        assert form.select_one(f'label[for="{field["id"]}"]') is not None
    assert told.get(recorded_at="", as_of="").text == told.get().text
    chosen = told.page(recorded_at="", as_of="2026-07-05")
    values = [field["value"] for field in chosen.select("form.moment input")]
    assert values == ["", "2026-07-05"]


def test_a_settled_page_may_be_kept_and_any_other_not(told: Told) -> None:
    settled = told.get(version=2)
    assert settled.headers["Cache-Control"] == "public, max-age=86400, immutable"
    assert settled.headers["Memento-Datetime"].endswith("GMT")
    assert settled.links["original latest-version"]["url"] == urls.record_page(told.handle)
    again = told.ledger.client.get(
        settled.request.url, headers={"If-None-Match": settled.headers["ETag"]}
    )
    assert again.status_code == 304
    for asked in ({"as_of": "2026-07-05"}, {}):
        answer = told.get(**asked)
        assert answer.headers["Cache-Control"] == "no-cache"
        assert "Memento-Datetime" not in answer.headers


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"version": "9"}, 404, "version-unknown"),
        ({"recorded_at": "2026-07-02"}, 404, "not-yet-recorded"),
        ({"as_of": "2026-06-30"}, 404, "not-yet-in-effect"),
        ({"as_of": "2999-01-01"}, 422, "moment-in-future"),
        ({"as_of": "<script>"}, 400, "invalid-parameter"),
        ({"version": ["1", "2"]}, 400, "invalid-parameter"),
    ],
)
@pytest.mark.parametrize("part", ["", "/corrections"])
def test_what_has_no_answer_is_refused_with_a_page(
    told: Told, part: str, asked: dict[str, Any], status: int, code: str
) -> None:
    answer = told.get(part, **asked)
    assert answer.status_code == status
    assert code in answer.text
    assert "<script>" not in answer.text


def test_both_times_of_each_fact_are_on_the_timeline(told: Told) -> None:
    for entry, receipt in zip(told.page().select(".timeline > li"), told.receipts, strict=True):
        times = [str(time["datetime"]) for time in entry.select("time")]
        assert re.fullmatch(r"2026-07-0[148]", times[0])
        recorded = datetime.fromisoformat(receipt["recorded_at"])
        assert datetime.fromisoformat(times[1]) == recorded
