"""Records with a mark in every text that may go, and the way to let it go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx

from given_service import Api

MARK = "Zyxquandry"
"""Stands in every text that is to go."""
CONTENT = {
    "title": f"A study by {MARK} of small things",
    "publisher": f"{MARK} Research",
    "abstract": {"text": f"We thank {MARK}.\nTwice.", "quoted_from": f"{MARK} (2024)"},
    "research_question": f"Did {MARK} see it?",
    "note": f"Written by {MARK}",
}
TEXTS = [
    "/content/title",
    "/content/publisher",
    "/content/abstract/text",
    "/content/abstract/quoted_from",
    "/content/research_question",
    "/content/note",
]


def position_of(ledger: Api, record: str, version: int) -> int:
    items = ledger.client.get(f"/v1/records/{record}/history").json()["items"]
    return int(items[version - 1]["position"])


def erase(ledger: Api, record: str, position: int, *members: str, **sent: Any) -> httpx.Response:
    body = {"members": members, "reason": "She asked us to.", "asked_by": "data-subject"}
    headers = ledger.headers(sent.pop("etag", None) or ledger.etag(record), sent.pop("key", None))
    return ledger.client.post(f"/v1/events/{position}/erase", json=body | sent, headers=headers)


def marked(ledger: Api) -> str:
    """Return a record whose every text has the mark, corrected and resubmitted."""
    answer = ledger.submit(
        content=CONTENT,
        review={
            "scores": {"challenger": "8.1", "confirmer": "8.0", "integrator": "7.9"},
            "method": f"{MARK} read it",
        },
    )
    assert answer.status_code == 201, answer.text
    record = str(answer.json()["handle"])
    correction = {
        "correction_type": "METADATA",
        "nature": "correction",
        "public_note": f"{MARK} was misspelled",
        "changes": [
            {"field": "publisher", "from": CONTENT["publisher"], "to": f"{MARK} Research e.V."}
        ],
        "asserted_by": f"{MARK}, editorial office",
        "reasons": [f"{MARK} wrote to us"],
        "notice": {"in_situ": False, "url": f"https://example.org/{MARK}"},
    }
    assert ledger.post(record, "corrections", correction).status_code == 201
    again = {
        "content": CONTENT | {"title": f"{MARK} again"},
        "reason": f"{MARK} insisted",
        "submitted_on": "2026-07-02",
    }
    assert ledger.post(record, "submissions", again).status_code == 201
    attack = {
        "kind": "red-team",
        "attacks": [
            {"role": "COUNTEREXAMPLE_HUNTER", "score": "8.5", "finding": f"{MARK} leaks."},
            {"role": "CITATION_AUDITOR", "score": "6.0", "finding": f"Ask {MARK}."},
            {"role": "REPLICATION_ATTACKER", "error": f"{MARK} ran out of memory."},
        ],
        "aggregation": {"rule": "mean", "threshold": "7.0", "quorum": 2},
        "mean": "7.25",
    }
    told: dict[str, Any] = {
        "gate": "gate-3",
        "method": "red-team",
        "outcome": "failed",
        "evidence": attack,
    }
    wrong = ledger.sandbox(record, **told, note=f"{MARK} asked for it")
    assert ledger.post(record, "gate-evaluations", wrong).status_code == 201
    return record


def every_text(ledger: Api, record: str) -> list[tuple[int, list[str]]]:
    """Return for each event of a record the members that hold the mark, and where it stands."""
    found = []
    for item in ledger.client.get(f"/v1/records/{record}/history").json()["items"]:
        members = list(pointers(item["event"], ""))
        if members:
            found.append((item["position"], members))
    return found


def pointers(held: Any, place: str, text: str = MARK) -> Iterator[str]:
    """Yield the members of a body that hold a text."""
    if isinstance(held, str) and text in held:
        yield place
    parts: dict[Any, Any] = held if isinstance(held, dict) else {}
    if isinstance(held, list):
        parts = dict(enumerate(held))
    for name, part in parts.items():
        yield from pointers(part, f"{place}/{name}", text)
