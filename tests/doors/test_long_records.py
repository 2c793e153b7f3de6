"""A record of very many facts: its pages show the newest, count the rest and lead to it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urldefrag, urljoin

import pytest
from bs4 import BeautifulSoup

from given_erasures import erase, position_of
from given_service import Api, api
from ledger.content import PublicField
from ledger.vocabulary import ArtifactRole, Gate, Nature, Outcome, new_record_id
from ledger.web import diff_page, part, urls
from view_facts import Fact, attached, corrected, evaluated, red_team, submitted

MANY = part.SHOWN_MAX + 30
LAST = 1 + 3 * MANY
"""The version after the submission, artifacts, evaluations and corrections, in this order."""
CORRECTED = range(2 + 2 * MANY, LAST + 1)
HANDLE = "SRCH:5EED1000"
PAGE, HISTORY = urls.record_page(HANDLE), urls.record_history_page(HANDLE)
CORRECTIONS = urls.record_corrections_page(HANDLE)


def digest(number: int) -> str:
    return "sha256:" + hashlib.sha256(str(number).encode()).hexdigest()


def facts() -> Iterator[Fact]:
    yield submitted(title="Title 0", handle=HANDLE)
    yield from (attached(ArtifactRole.REPORT, digest=digest(n)) for n in range(MANY))
    attack = red_team(("9.0", "Found."), ("9.0", "Found."), ("9.0", "Found."), mean="9.0")
    at = datetime(2026, 7, 2, 9, tzinfo=UTC)
    yield evaluated(Outcome.FAILED, attack, gate=Gate.RED_TEAM, at=at, number=1000)
    yield from (evaluated(Outcome.INCONCLUSIVE, number=1000 + n) for n in range(1, MANY))
    for n in range(MANY):
        change = (PublicField.TITLE, f"Title {n}", f"Title {n + 1}")
        yield corrected(change, nature=Nature.ERRATUM, number=3000 + n)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with api(Path(tmp_path_factory.mktemp("long"))) as client:
        record_id = new_record_id()
        events = [fact(record_id, version) for version, fact in enumerate(facts(), 1)]
        asyncio.run(client.service.ledger.import_stated(events, "a test"))
        assert client.view(HANDLE)["version"] == LAST
        yield client


def soup(ledger: Api, href: str) -> BeautifulSoup:
    answer = ledger.client.get(href)
    assert answer.status_code == 200, (href, answer.text)
    return BeautifulSoup(answer.text, "html.parser")


def versions(page: BeautifulSoup) -> list[int]:
    return [int(str(each["id"]).split("-")[1]) for each in page.select(".timeline > li")]


def newest(page: BeautifulSoup, section: str) -> tuple[str, str]:
    """Return what is said of what a section leaves out, and where that is."""
    said, link = page.select_one(f"#{section} p.aside:has(+ table, + ul, + ol)"), None
    assert said is not None
    link = said.select_one("a")
    assert link is not None
    return said.get_text().strip(), str(link["href"])


def test_the_page_shows_the_newest_of_everything_and_counts_all_of_it(ledger: Api) -> None:
    last = ledger.view(HANDLE)["version"]
    page = soup(ledger, PAGE)
    assert versions(page) == [*range(last - part.SHOWN_MAX + 1, last + 1)]
    assert len(page.select("#artifacts tbody tr")) == part.SHOWN_MAX
    api_page = urls.record(ledger.view(HANDLE)["record_id"])
    told = {
        "evaluations": f"{api_page}/evaluations",
        "artifacts": api_page,
        "timeline": f"{HISTORY}?before={last - part.SHOWN_MAX + 1}",
    }
    nouns = {"evaluations": "evaluations", "artifacts": "artifacts", "timeline": "facts"}
    counts = dict.fromkeys(told, MANY) | {"timeline": last}
    for section, href in told.items():
        said, leads_to = newest(page, section)
        assert said.startswith(
            f"The newest {part.SHOWN_MAX} of {counts[section]} {nouns[section]} are shown."
        )
        assert leads_to == href
        assert ledger.client.get(href).status_code == 200


def test_the_evaluation_that_decides_is_shown_however_old_it_is(ledger: Api) -> None:
    page = soup(ledger, PAGE)
    rows = page.select("#evaluations tbody tr")
    assert len(rows) == part.SHOWN_MAX + 1
    assert "decides the verdict" in rows[0].get_text()
    assert rows[0]["id"] == f"evaluation-{ledger.view(HANDLE)['verdict']['evaluation_id']}"


@pytest.mark.parametrize("past", ["", f"?version={LAST - 7}"])
def test_a_long_page_leads_nowhere_that_is_not_there(ledger: Api, past: str) -> None:
    page = soup(ledger, PAGE + past)
    ids = {str(each["id"]) for each in page.select("[id]")}
    assert {str(a["href"])[1:] for a in page.select('a[href^="#"]')} <= ids
    assert versions(page) == versions(page)[-part.SHOWN_MAX :]


def test_the_history_can_be_read_back_to_its_beginning_and_forth_again(ledger: Api) -> None:
    last = ledger.view(HANDLE)["version"]
    page, seen, back = soup(ledger, HISTORY), list[int](), 0
    while True:
        seen = versions(page) + seen
        assert f"of {last} facts." in page.select_one("p.total").get_text()  # type: ignore[union-attr]
        if (earlier := page.select_one('a[rel="prev"]')) is None:
            break
        page, back = soup(ledger, str(earlier["href"])), back + 1
    assert seen == [*range(1, last + 1)]
    while (later := page.select_one('a[rel="next"]')) is not None:
        page, back = soup(ledger, str(later["href"])), back - 1
    assert (back, versions(page)[-1]) == (0, last)


def test_the_corrections_can_be_read_back_to_the_first(ledger: Api) -> None:
    for past in ("", f"?version={LAST}"):
        newest_page = soup(ledger, CORRECTIONS + past)
        earlier = newest_page.select_one('a[rel="prev"]')
        assert earlier is not None
        first_page = soup(ledger, str(earlier["href"]))
        found = [
            int(str(card["id"]).split("-")[1])
            for page in (first_page, newest_page)
            for card in page.select(".correction")
        ]
        assert found == [*CORRECTED]
        assert f"Numbers 31 to {MANY} of {MANY} items." in newest_page.get_text()
        assert first_page.select_one('a[rel="prev"]') is None
        assert str(first_page.select_one('a[rel="next"]')["href"]) == CORRECTIONS + past  # type: ignore[index]
    assert len(ledger.client.get(urls.record_corrections(HANDLE)).json()["items"]) == MANY
    none = soup(ledger, f"{CORRECTIONS}?before=2")
    assert f"None of {MANY} items is as old as that." in none.get_text()


@pytest.mark.parametrize("page", [HISTORY, CORRECTIONS])
@pytest.mark.parametrize("before", ["0", "x", "-1", "9999999999999999999"])
def test_a_version_that_is_none_is_refused_by_name(ledger: Api, page: str, before: str) -> None:
    refused = ledger.client.get(page, params={"before": before})
    assert refused.status_code == 400
    assert "before is a whole number" in refused.text


def test_of_very_many_changes_the_first_are_shown(ledger: Api) -> None:
    page = soup(ledger, f"{PAGE}/diff")
    assert len(page.select(".timeline > li")) == diff_page.CHANGES_MAX
    said = page.select_one("p.aside:has(+ ol)")
    assert said is not None
    changes = ledger.client.get(str(said.select_one("a")["href"])).json()["changes"]  # type: ignore[index]
    assert len(changes) > diff_page.CHANGES_MAX
    assert said.get_text().startswith(
        f"The first {diff_page.CHANGES_MAX} of {len(changes)} changes are shown."
    )


def test_an_old_fact_is_led_to_in_the_history(ledger: Api) -> None:
    """From the differences and, once it lost a text, from what took it away and back."""
    changes = soup(ledger, f"{PAGE}/diff?from=1&to=2")
    cause = str(changes.select_one('a[href*="#version-2"]')["href"])  # type: ignore[index]
    address, anchor = urldefrag(urljoin(PAGE, cause))
    assert address == f"{HISTORY}?before=3"
    assert soup(ledger, address).select_one(f"#{anchor}") is not None
    first = CORRECTED[0]
    answer = erase(ledger, HANDLE, position_of(ledger, HANDLE, 1), "/content/title")
    assert answer.status_code == 201, answer.text
    version = answer.json()["version"]
    old = soup(ledger, f"{HISTORY}?before={first}")
    entry = soup(ledger, f"{HISTORY}?before=3").select_one("#version-1")
    assert entry is not None
    (erasure,) = entry.select('a[href*="#version-"]')
    assert (erasure.get_text(), erasure["href"]) == (
        f"version {version}",
        f"{PAGE}#version-{version}",
    )
    assert soup(ledger, PAGE).select_one(f"#version-{version}") is not None
    assert versions(old)[-1] == first - 1
