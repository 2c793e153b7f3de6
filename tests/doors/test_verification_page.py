"""One page says what is signed, how far, and how to check it without trusting the page."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from bs4 import BeautifulSoup

from given_service import ANSWER_S, Api, api, founded, served
from ledger.transparency.log_status import note_audit, status_of
from ledger.web import urls, verification_page

BASE = "https://ledger.example.org"
ANSWERED = 200


def soup(ledger: Api, path: str) -> BeautifulSoup:
    answer = ledger.client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == ANSWERED, answer.text
    return BeautifulSoup(answer.text, "html.parser")


def covered(ledger: Api) -> int:
    """Submit a record and wait until a checkpoint covers it; returns its position."""
    position = int(ledger.submit().headers["Ledger-Position"])
    ledger.covered(position)
    return position


def test_the_page_shows_the_checkpoint_that_is_served_and_the_key_with_a_warning(
    tmp_path: Path,
) -> None:
    with api(tmp_path, base_url=BASE) as ledger:
        position = covered(ledger)
        checkpoint = ledger.client.get(urls.CHECKPOINT).text.split("\n")
        shown = soup(ledger, urls.VERIFICATION_PAGE)
        said = " ".join(shown.get_text(" ").split())
        assert f"{position} events" in said
        assert {checkpoint[0], checkpoint[2]} <= {code.get_text() for code in shown.select("code")}
        assert ledger.client.get(urls.VKEY).text.strip() in said
        assert "Do not trust the key because it stands here" in said
        assert f"ledger verify {BASE} --vkey 'KEY' --state verified.json" in said
        assert f"./verify 'KEY' {BASE}/log" in said
        assert "has not audited" in said
        assert "Nobody has cosigned" in said


def test_every_page_leads_there_and_each_entry_of_a_timeline_to_its_receipt(tmp_path: Path) -> None:
    with api(tmp_path) as ledger:
        position = covered(ledger)
        page = soup(ledger, urls.record_page(ledger.submit().json()["handle"]))
        assert page.select(f'footer a[href="{urls.VERIFICATION_PAGE}"]')
        assert page.select(f'#provenance a[href="{urls.VERIFICATION_PAGE}"]')
        (receipt,) = page.select("#timeline a[href^='/v1/events/']")
        assert receipt["href"] == urls.receipt(position + 1)


def test_a_log_without_a_key_says_so(tmp_path: Path) -> None:
    service = founded(tmp_path)
    service.settings.log_key.unlink()
    with served(service) as address, httpx.Client(base_url=address, timeout=ANSWER_S) as client:
        said = client.get(urls.VERIFICATION_PAGE).text
    assert "No checkpoint has been published" in said
    assert "has no key to show" in said


@pytest.mark.parametrize(
    ("trouble", "found"), [(None, "nothing that differs"), ("Row 3 was changed.", "Row 3 was")]
)
def test_what_the_last_audit_found_is_shown(
    tmp_path: Path, trouble: str | None, found: str
) -> None:
    with api(tmp_path) as ledger:
        position = covered(ledger)
        note_audit(ledger.service.settings.log_key, position, trouble)
        audit = soup(ledger, urls.VERIFICATION_PAGE).select_one("#audit")
        assert audit is not None
        assert f"{position} events" in audit.get_text()
        assert found in audit.get_text()


def test_witnesses_troubles_and_events_that_wait_are_named(tmp_path: Path) -> None:
    with api(tmp_path) as ledger:
        covered(ledger)
        status = status_of(ledger.service.store, ledger.service.log)
    status["published"]["cosigned_by"] = ["w.example.org"]
    status["position"] = status["published"]["size"] + 2
    status["trouble"] = {"code": "log-stopped", "detail": "A witness showed another history."}
    page = verification_page.build(status, f"{BASE}/")
    assert page.witnesses == ("w.example.org",)
    assert page.trouble == "A witness showed another history."
    assert {fact.label: fact.text for fact in page.checkpoint}["Not covered yet"] == "2 events"
    assert page.with_go == f"./verify 'KEY' {BASE}/log"
