"""Are conflicts of evidence told over HTTP, on their page, and on the records concerned?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from bs4 import BeautifulSoup

from given_records import posted, submitted
from given_service import RESULTS, SCRIPT, Api, api


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Api]:
    with api(tmp_path) as client:
        yield client


def evaluated(ledger: Api, title: str, computed: str, outcome: str) -> str:
    record = submitted(ledger, title=title, publisher="Example Research")
    assert ledger.upload(record, "repro-script", SCRIPT).status_code == 201
    assert ledger.upload(record, "repro-results", RESULTS).status_code == 201
    posted(ledger, record, "gate-evaluations", ledger.sandbox(record, computed, outcome=outcome))
    return record


def asked(ledger: Api, path: str, accept: str = "application/json") -> httpx.Response:
    headers = {"Accept": accept, "Ledger-Position": str(ledger.service.store.head())}
    return ledger.client.get(path, headers=headers)


def text(ledger: Api, path: str) -> str:
    answer = asked(ledger, path, "text/html")
    assert answer.status_code == 200, answer.text
    return BeautifulSoup(answer.text, "html.parser").get_text(" ", strip=True)


def test_the_same_artifacts_with_opposite_outcomes_are_shown_on_both_sides(ledger: Api) -> None:
    passed = evaluated(ledger, "It holds", "42.0", "passed")
    assert asked(ledger, "/v1/conflicts").json()["items"] == []
    failed = evaluated(ledger, "It does not", "21.0", "failed")
    alone = submitted(ledger, title="Another", publisher="Example Research")
    found = asked(ledger, "/v1/conflicts").json()
    (conflict,) = found["items"]
    assert (found["total"], conflict["records"]) == (1, 2)
    assert [e["handle"] for e in conflict["passed"]] == [passed]
    assert [e["handle"] for e in conflict["failed"]] == [failed]
    for record, total in ((passed, 1), (failed, 1), (alone, 0)):
        assert asked(ledger, f"/v1/conflicts?record={record}").json()["total"] == total
    page = text(ledger, "/conflicts")
    assert conflict["evidence"] in page
    assert "It holds" in page
    assert "It does not" in page
    assert "opposite outcome on another record" in text(ledger, f"/records/{passed}")
    assert "opposite outcome on another record" not in text(ledger, f"/records/{alone}")


def test_who_asks_for_what_is_not_there_is_told_so(ledger: Api) -> None:
    assert asked(ledger, "/v1/conflicts?record=SRCH:00000000").json()["code"] == "record-unknown"
    assert asked(ledger, "/v1/conflicts?cursor=x").json()["code"] == "invalid-parameter"
    answer = ledger.client.get("/conflicts?record=SRCH:00000000", headers={"Accept": "text/html"})
    assert answer.status_code == 404
