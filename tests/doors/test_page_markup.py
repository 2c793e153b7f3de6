"""What the pages are made of: headings, labels, tables, escaping, addresses, and the sheet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from urllib.parse import urldefrag, urljoin

import httpx
import pytest
from bs4 import BeautifulSoup, Tag
from starlette.requests import Request
from starlette.routing import Route

from given_records import HOSTILE, HOSTILE_NOTE, Records, stock
from given_service import Api, api
from ledger import errors
from ledger.web import pages, urls

LISTS = (
    "/",
    "/corrections",
    "/findings",
    "/about",
    "/verification",
    "/problems",
    "/problems/stale-version",
)
RECORDS = (
    "imported",
    "imported_falsified",
    "imported_table",
    "hostile",
    "falsified",
    "superseded",
    "successor",
)
WEB = re.compile(r"https?:", re.IGNORECASE)


class Site:
    """The stocked ledger, its pages, and the handles of its records."""

    def __init__(self, client: Api, records: Records) -> None:
        self.client = client.client
        self.handles = asdict(records)

    def path(self, name: str) -> str:
        """Return the path of a page: a path, or that of the record of this kind or a part of it."""
        if name.startswith("/"):
            return name
        kind, slash, part = name.partition("/")
        return urls.record_page(self.handles[kind]) + slash + part

    def get(self, name: str, **headers: str) -> httpx.Response:
        return self.client.get(self.path(name), headers={"Accept": "text/html"} | headers)

    def soup(self, name: str) -> BeautifulSoup:
        answer = self.get(name)
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        return BeautifulSoup(answer.text, "html.parser")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with api(Path(tmp_path_factory.mktemp("pages"))) as client:
        records = stock(client)
        position = max(client.view(handle)["position"] for handle in asdict(records).values())
        assert "Catching up" not in client.client.get(f"/?position={position}").text
        client.covered(position)
        yield Site(client, records)


DIFFS = (
    "hostile/history",
    "imported/history",
    "hostile/diff",
    "imported/diff",
    "superseded/diff?from=1",
    "hostile/diff?from=1&to=1",
)
every_page = pytest.mark.parametrize(
    "name", [*LISTS, *RECORDS, *DIFFS, "/records/FFFFFFFF", "/?q=%00"]
)


def elements(soup: BeautifulSoup | Tag, *selectors: str) -> list[Tag]:
    return [found for selector in selectors for found in soup.select(selector)]


def text_of(soup: BeautifulSoup | Tag, selector: str) -> str:
    found = soup.select_one(selector)
    assert found is not None, selector
    return " ".join(found.get_text().split())


# ---------------------------------------------------------------- structure


@every_page
def test_a_page_has_a_language_one_h1_landmarks_and_headings_in_order(
    site: Site, name: str
) -> None:
    soup = site.soup(name)
    assert soup.html is not None
    assert soup.html["lang"] == "en"
    for once in ("h1", "main", "header.site", "footer.site", "title"):
        assert len(soup.select(once)) == 1, once
    levels = [int(each.name[1]) for each in soup.find_all(re.compile("^h[1-6]$"))]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    skip = soup.select_one("body > a")
    assert skip is not None
    assert skip["href"] == "#main"


@every_page
def test_ids_are_unique_and_every_reference_to_one_leads_somewhere(site: Site, name: str) -> None:
    soup = site.soup(name)
    ids = [str(each["id"]) for each in soup.select("[id]")]
    assert len(ids) == len(set(ids))
    named = [str(each["href"])[1:] for each in soup.select('a[href^="#"]')]
    named += [str(each["aria-labelledby"]) for each in soup.select("[aria-labelledby]")]
    named += [str(each["form"]) for each in soup.select("[form]")]
    assert set(named) <= set(ids)


@every_page
def test_inputs_have_labels_and_tables_have_scopes(site: Site, name: str) -> None:
    soup = site.soup(name)
    labelled = {label["for"] for label in soup.select("label[for]")}
    assert all(each["id"] in labelled for each in soup.select("input"))
    assert all(each.get("scope") in {"row", "col"} for each in soup.select("th"))
    for scrolled in soup.select(".scroll"):
        assert scrolled["tabindex"] == "0"
        assert scrolled["role"] == "region"
        assert scrolled.get("aria-label") or scrolled.get("aria-labelledby")
    for nav in soup.select("nav"):
        assert nav["aria-label"]


@every_page
def test_a_page_loads_nothing_from_elsewhere_and_holds_no_script_or_style(
    site: Site, name: str
) -> None:
    soup = site.soup(name)
    loaded = [
        str(each.get("src") or each.get("href"))
        for each in elements(soup, "[src]", 'link[rel~="stylesheet"]', 'link[rel~="icon"]')
    ]
    assert loaded
    assert all(address.startswith("/static/") for address in loaded)
    assert not elements(soup, "script", "style", "iframe", "object", "[style]", "base")
    assert not [key for each in soup.select("*") for key in each.attrs if key.startswith("on")]
    schemes = {str(each["href"]).partition(":")[0] for each in soup.select('a[href*=":"]')}
    assert {s for s in schemes if not s.startswith(("/", "#"))} <= {"https", "http"}


@every_page
def test_moments_and_days_carry_their_machine_form(site: Site, name: str) -> None:
    for each in site.soup(name).select("time"):
        assert re.fullmatch(
            r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d\.\d{6}\+00:00)?", str(each["datetime"])
        )


def test_every_link_inside_the_site_leads_somewhere(site: Site) -> None:
    waiting, seen = [*LISTS, *map(site.path, RECORDS)], set[str]()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        answer = site.client.get(path)
        assert answer.status_code == 200, path
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        soup = BeautifulSoup(answer.text, "html.parser")
        for each in soup.select("a[href], link[href]"):
            target = urldefrag(urljoin(path, str(each["href"]))).url
            # Facets multiply without end: one step into them is enough.
            if not WEB.match(target) and target.count("=") <= 1:
                waiting.append(target)
    assert len(seen) > 50


def test_every_page_leads_to_every_page_that_is_no_records_own(site: Site) -> None:
    paths = {route.path for route in pages.routes() if isinstance(route, Route)}
    linked = site.soup("hostile").select("header.site a, footer.site a")
    assert {path for path in paths if "{" not in path} <= {str(each["href"]) for each in linked}


# ---------------------------------------------------------------- what a record shows


def test_the_record_page_has_every_section_of_the_original(site: Site) -> None:
    soup = site.soup("imported_falsified")
    headings = [" ".join(each.get_text().split()) for each in soup.select("h2")]
    assert headings == [
        "Abstract",
        "Research question",
        "Verification level",
        "Gate verdict",
        "Evaluations",
        "Quality tier",
        "Quality dimensions",
        "Correction record",
        "Provenance",
        "Artifacts",
        "Findings",
        "As the source page stated it",
        "Timeline",
        "For programs",
    ]
    assert "2026-07-02T03:48:27.951721+00:00" in text_of(soup, "#verdict")
    assert "stated by the source" in text_of(soup, "#verdict .basis")
    assert soup.select("#source details table")
    assert soup.select("#findings li")


def test_hostile_text_stays_text(site: Site) -> None:
    answer = site.get("hostile")
    soup = site.soup("hostile")
    assert "<script" not in answer.text
    assert "<img" not in answer.text
    assert " ".join(HOSTILE.split()) in text_of(soup, "h1")
    assert text_of(soup, "title").startswith(f"RETRACTED: {HOSTILE}")
    assert "{{ 7 * 7 }} ${7 * 7}" in text_of(soup, "#provenance")
    assert "survive twice?" in text_of(soup, "#question")
    assert HOSTILE_NOTE in text_of(soup, "#timeline")
    for page in ("/", "/corrections", "hostile/corrections", "hostile/diff"):
        assert "<script" not in site.get(page).text
        assert not site.soup(page).select('a[href^="javascript"], img')


def test_the_differences_of_a_record_lead_to_what_caused_them(site: Site) -> None:
    (link,) = [a for a in site.soup("superseded").select("a") if "What changed" in a.get_text()]
    soup = site.soup(str(link["href"]))
    title = next(row for row in soup.select(".timeline li") if "/title" in row.get_text())
    (cause, *_) = title.select('a[href*="#version-"]')
    assert text_of(title, "h2") == "/title added"
    assert site.get(str(cause["href"]).partition("#")[0]).status_code == 200
    assert text_of(soup, "dl.facts").startswith("Frombefore the first submission Toversion ")
    unchanged = site.soup("hostile/diff?from=1&to=1")
    assert text_of(unchanged, ".empty") == "Nothing of the public record changed in between."
    assert site.get("hostile/diff?from=&to=").status_code == 200
    assert site.get("hostile/diff?from=99").status_code == 404


def test_a_retracted_record_says_so_before_everything_else(site: Site) -> None:
    soup = site.soup("hostile")
    assert text_of(soup, "h1").startswith("RETRACTED: ")
    assert text_of(soup, "main .banner").startswith("Retracted.")
    first = soup.select_one("main .lead > *")
    assert first is not None
    assert "banner" in first["class"]
    listed = [text_of(row, "h2") for row in site.soup("/?standing=retracted").select(".record")]
    assert len(listed) == 1
    assert listed[0].startswith("RETRACTED: ")


def test_a_superseded_record_links_to_its_successor(site: Site) -> None:
    link = site.soup("superseded").select_one(".banner.superseded a")
    assert link is not None
    assert "Calibration on twelve test sets" in link.get_text()
    landing = site.client.get(str(link["href"]))
    assert site.handles["successor"] in landing.text


def test_all_evaluations_stay_with_their_states_and_evidence(site: Site) -> None:
    soup = site.soup("falsified")
    states = [text_of(row, ".state") for row in soup.select(".evaluations tbody tr")]
    assert states == ["withdrawn", "counting", "counting"]
    red_team = soup.select(".evaluations tbody tr")[2]
    assert "W" * 600 in text_of(red_team, ".attacks")
    assert "did not finish" in text_of(red_team, ".attacks")
    assert "dissents" in text_of(red_team, ".attacks")
    stale = site.soup("hostile").select_one(".evaluations .state")
    assert stale is not None
    assert stale.get_text() == "stale"


def test_a_record_is_found_under_every_name_and_names_one_address(site: Site) -> None:
    handle = site.handles["imported_falsified"]
    record_id = site.client.get(f"/v1/records/{handle}").json()["record_id"]
    names = (
        handle,
        handle.replace(":", "%3A"),
        handle.removeprefix("SRCH:"),
        record_id,
        "10.5281/zenodo.21122311",
    )
    for name in names:
        answer = site.client.get(f"/records/{name}")
        assert answer.status_code == 200, name
        links = answer.headers["link"]
        assert links.startswith('</records/BA7A9361>; rel="canonical"')
        assert 'rel="cite-as"' in links
        assert site.client.get(f"/records/{name}/corrections").status_code == 200


# ---------------------------------------------------------------- lists


def test_search_and_filters_work_together_and_keep_the_question(site: Site) -> None:
    soup = site.soup("/?q=calibration&state=CURRENT")
    assert [text_of(row, "h2") for row in soup.select(".record")] == [
        "Calibration on twelve test sets"
    ]
    box = soup.select_one("#q")
    assert box is not None
    assert box["value"] == "calibration"
    checked = [str(each["value"]) for each in soup.select("input[checked]")]
    assert checked == ["CURRENT"]
    assert text_of(soup, ".total") == "1 record found. Filter them"


def test_findings_of_one_rule_can_be_asked_for(site: Site) -> None:
    soup = site.soup("/findings?rule=gate-mislabelled")
    assert len(soup.select("ul.findings li")) == 1
    assert text_of(soup, "tr.chosen .remark") == "gate-mislabelled"


def test_corrections_can_be_narrowed_by_nature(site: Site) -> None:
    soup = site.soup("/corrections?nature=retraction")
    assert [text_of(each, "h2") for each in soup.select(".correction")] == ["Retraction Claim"]
    assert len(site.soup("/corrections").select(".correction")) == 3


def test_a_page_that_is_behind_says_so(tmp_path: Path) -> None:
    with api(tmp_path, wait_s=0.01) as client:
        handle = client.submit().json()["handle"]
        for path in ("/", "/corrections", "/findings", urls.record_page(handle)):
            assert "Catching up" in client.client.get(f"{path}?position=999").text, path
            assert client.client.get(f"{path}?position=x").status_code == 400


# ---------------------------------------------------------------- HTTP


@every_page
def test_an_unchanged_page_is_not_sent_again(site: Site, name: str) -> None:
    first = site.get(name)
    if first.status_code != 200:
        assert first.headers["cache-control"] == "no-store"
        return
    again = site.get(name, **{"If-None-Match": f'"other", {first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert site.client.head(site.path(name)).status_code == 200


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/records/FFFFFFFF", 404, "record-unknown"),
        ("/records/FFFFFFFF/corrections", 404, "record-unknown"),
        ("/problems/no-such-code", 404, "no-such-page"),
        ("/nowhere", 404, "no-such-page"),
        ("/static/nothing.css", 404, "no-such-page"),
        ("/?cursor=made-up", 400, "invalid-parameter"),
        ("/?level=high", 400, "invalid-parameter"),
        ("/findings?cursor=made-up", 400, "invalid-parameter"),
        ("/corrections?cursor=made-up", 400, "invalid-parameter"),
    ],
)
def test_a_refusal_is_a_page_for_people_and_a_problem_for_programs(
    site: Site, path: str, status: int, code: str
) -> None:
    page = site.get(path)
    assert page.status_code == status
    soup = BeautifulSoup(page.text, "html.parser")
    assert text_of(soup, ".handle code") == str(status)
    assert code in text_of(soup, "main")
    problem = site.client.get(path, headers={"Accept": "application/problem+json"})
    assert (problem.status_code, problem.json()["code"]) == (status, code)


def test_every_address_that_is_named_is_served(site: Site) -> None:
    described = site.client.get(urls.OPENAPI).json()["paths"]
    own = {getattr(route, "path", "") for route in pages.routes()} | {
        urls.HEALTHZ,
        urls.READYZ,
        urls.METRICS,
        urls.OPENAPI,
        urls.SCHEMA,
        urls.CHECKPOINT,
        urls.TILE,
        urls.VKEY,
    }
    named = {value for key, value in vars(urls).items() if key.isupper() and str(value)[0] == "/"}
    named |= {*urls.DOCUMENTS.values()}
    assert {path for path in named - own if path.replace(":path", "") not in described} == set()


def test_an_overloaded_ledger_answers_with_a_page_that_says_when_to_come_back() -> None:
    request = Request({"type": "http", "method": "GET", "path": "/", "headers": []})
    answer = pages.render_refusal(request, errors.Overloaded())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    soup = BeautifulSoup(bytes(answer.body), "html.parser")
    assert text_of(soup, "h1") == "The queue of appends is full."
    assert "overloaded" in text_of(soup, "main")


def test_the_static_files_are_served_under_names_that_change_with_their_bytes(site: Site) -> None:
    sheet = site.soup("/").select_one('link[rel="stylesheet"]')
    assert sheet is not None
    answer = site.client.get(str(sheet["href"]))
    assert answer.headers["content-type"].startswith("text/css")
    assert re.search(r"\?v=[0-9a-f]{12}$", str(sheet["href"]))
    assert "url(" not in answer.text
    assert "@import" not in answer.text


# ---------------------------------------------------------------- the sheet


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def palettes() -> list[dict[str, str]]:
    sheet = (pages.STATIC_FILES / "ledger.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", sheet, re.DOTALL)
    return [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block)) for block in blocks]


@pytest.mark.parametrize("dress", [0, 1], ids=["light", "dark"])
def test_text_and_marks_have_enough_contrast(dress: int) -> None:
    palette = palettes()[dress]
    inks = ("ink", "quiet", "link", "verified", "falsified", "doubt", "removed", "added")
    for ground in ("paper", "panel", "doubt-ground"):
        for ink in inks if ground != "doubt-ground" else ("ink", "link", "doubt"):
            assert contrast(palette[ink], palette[ground]) >= 4.5, (ink, ground)
        assert contrast(palette["edge"], palette[ground]) >= 3, ("edge", ground)
