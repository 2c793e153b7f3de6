"""The pages in a real Chromium: by keyboard, without scripts, on a narrow screen, in the dark."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from given_records import Records, stock
from given_service import ANSWER_S, Api, founded, served
from ledger.web import urls

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NARROW, WIDE = 390, 1280
OVERFLOWING = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
FOCUSED = "document.activeElement.getAttribute('href') || document.activeElement.id"


@dataclass(frozen=True, slots=True)
class Site:
    """A running server, its records and a browser."""

    base: str
    records: Records
    browser: Browser

    def pages(self) -> list[str]:
        """Return the paths of all pages."""
        handles = asdict(self.records).values()
        lists = ["/", "/?q=calibration&status=VERIFIED", "/corrections", "/findings", "/conflicts"]
        more = ["/about", "/verification", "/problems", "/records/FFFFFFFF"]
        of_records = [urls.record_page(handle) for handle in handles]
        return [
            *lists,
            *more,
            *of_records,
            f"{of_records[3]}/corrections",
            f"{of_records[3]}/history",
        ]


def chromium() -> str:
    """Return a Chromium's program; there is no skipping: without one, these tests fail."""
    named = os.environ.get("LEDGER_TEST_CHROMIUM")
    found = named or next((path for name in NAMES if (path := shutil.which(name))), None)
    assert found, "no Chromium: install one, or name it in LEDGER_TEST_CHROMIUM"
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    service = founded(Path(tmp_path_factory.mktemp("browser")))
    with served(service) as base:
        with httpx.Client(base_url=base, timeout=ANSWER_S) as client:
            api = Api(client, service)
            records = stock(api)
            position = max(api.view(handle)["position"] for handle in asdict(records).values())
            assert "Catching up" not in client.get(f"/?position={position}").text
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=chromium(),
                args=list(ARGUMENTS),
                headless=True,
                timeout=ANSWER_S * 1_000,
            )
            yield Site(base, records, browser)
            browser.close()


@pytest.fixture
def context(site: Site) -> Iterator[BrowserContext]:
    opened = site.browser.new_context(
        base_url=site.base,
        java_script_enabled=False,
        viewport={"width": WIDE, "height": 900},
    )
    opened.set_default_timeout(ANSWER_S * 1_000)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def press_until(page: Page, key: str, focused: str) -> None:
    """Press a key until the focus is on a link with this address or a field with this id."""
    for _ in range(60):
        page.keyboard.press(key)
        if page.evaluate(FOCUSED) == focused:
            return
    message = f"the keyboard does not reach {focused}"
    raise AssertionError(message)


def test_a_reader_with_a_keyboard_and_no_scripts_finds_and_opens_a_record(
    site: Site, page: Page
) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED) == "#main"
    skip = page.locator(".skip")
    box = skip.bounding_box()
    assert box is not None
    assert box["y"] >= 0, "the skip link is seen when it has the focus"
    page.keyboard.press("Enter")
    press_until(page, "Tab", "q")
    page.keyboard.type("maximum nine")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?q=maximum+nine*")
    assert page.locator(".record").count() == 1
    press_until(page, "Tab", urls.record_page(site.records.falsified))
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{urls.record_page(site.records.falsified)}")
    assert page.locator("h1").inner_text() == "A maximum over nine tasks"
    assert "Falsified" in page.locator("#verdict").inner_text()


def test_the_focus_can_be_seen_wherever_it_goes(page: Page) -> None:
    page.goto("/")
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    for _ in range(25):
        page.keyboard.press("Tab")
        assert page.evaluate(outline) != "none"


def test_filters_are_applied_by_ticking_boxes_without_scripts(site: Site, page: Page) -> None:
    page.goto("/")
    page.get_by_label("Falsified", exact=True).check()
    page.get_by_role("button", name="Apply filters").click()
    page.wait_for_url("**status=FALSIFIED*")
    assert page.locator(".record").count() == 2
    page.get_by_role("link", name="Falsified (remove)").click()
    page.wait_for_url(f"{site.base}/")
    assert page.locator(".record").count() > 2


def test_what_the_source_printed_unfolds_without_scripts(site: Site, page: Page) -> None:
    page.goto(urls.record_page(site.records.imported_table))
    table = page.locator("#source table").first
    assert not table.is_visible()
    page.locator("#source summary").click()
    assert table.is_visible()


def test_corrections_lead_to_their_record_and_back(site: Site, page: Page) -> None:
    page.goto("/corrections")
    page.locator(".correction").filter(has_text="Retraction").locator(".of a").click()
    page.wait_for_url(f"**{urls.record_page(site.records.hostile)}")
    page.get_by_role("link", name="Correction history of this record").click()
    page.wait_for_url(f"**{urls.record_page(site.records.hostile)}/corrections")
    assert page.locator(".correction").count() == 2
    page.get_by_role("link", name="Back to the record").click()
    page.wait_for_url(f"**{urls.record_page(site.records.hostile)}")


@pytest.mark.parametrize("width", [NARROW, 700, WIDE])
def test_no_page_is_wider_than_the_screen(site: Site, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for path in site.pages():
        page.goto(path)
        while (folded := page.locator("main details:not([open]) > summary")).count():
            folded.first.click()
        assert page.evaluate(OVERFLOWING) <= 0, (path, width)


@pytest.mark.parametrize("dress", ["light", "dark"])
def test_pages_follow_the_colour_scheme_and_raise_no_complaint(
    site: Site, dress: Literal["light", "dark"]
) -> None:
    complaints: list[str] = []
    with site.browser.new_context(base_url=site.base, color_scheme=dress) as context:
        context.set_default_timeout(ANSWER_S * 1_000)
        page = context.new_page()
        # With scripts on: markup that escaped its place would speak up here.
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda said: complaints.append(said.text) if "status of 404" not in said.text else None,
        )
        grounds = set()
        for path in site.pages():
            page.goto(path)
            grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert complaints == []
    assert grounds == {"rgb(23, 24, 27)" if dress == "dark" else "rgb(252, 251, 248)"}


def test_nothing_is_asked_of_another_host(site: Site, context: BrowserContext) -> None:
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    for path in site.pages():
        page.goto(path)
    assert asked
    assert all(url.startswith(site.base) for url in asked)
