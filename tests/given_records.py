"""A ledger with something to look at: imported pages, verdicts, corrections, and hostile text."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from given_pages import load_samples
from given_service import RESULTS, SCRIPT, Api
from ledger.importing.facts import to_events
from ledger.importing.feed import parse
from ledger.importing.feed_facts import take_in
from ledger.vocabulary import new_handle, new_record_id

HOSTILE = '</title><script>alert("title")</script> “A & B” <b>bold</b>'
HOSTILE_NOTE = "<img src=x onerror=alert(1)> javascript:alert(2) \u202ereversed"
UNBROKEN = "W" * 600
FINDING = (
    "The script takes the largest of nine numbers that it was handed, so it would report the same "
    "figure for any model: the claim was repeated, and it was not tested. " + UNBROKEN
)


@dataclass(frozen=True, slots=True)
class Records:
    """The handles of the records, by what is special about each."""

    imported: str
    imported_falsified: str
    imported_table: str
    hostile: str
    falsified: str
    superseded: str
    successor: str


def stock(api: Api) -> Records:
    """Fill the ledger and return the handles."""
    imported = import_samples(api)
    successor = submitted(
        api, title="Calibration on twelve test sets", publisher="Example Research"
    )
    return Records(
        imported=imported[0],
        imported_falsified=imported[2],
        imported_table=imported[4],
        hostile=hostile(api),
        falsified=falsified(api),
        superseded=superseded(api, successor),
        successor=successor,
    )


def import_samples(api: Api) -> list[str]:
    """Import the five sample pages as an operator does, and return their handles."""

    async def import_all() -> list[str]:
        handles = []
        for page in load_samples():
            events = to_events(
                page,
                record_id=new_record_id(),
                handle=new_handle(),
                actor="operator",
                evaluation_id=new_record_id(),
            )
            await api.service.ledger.import_stated(events, page.source)
            handles.append(str(events[0].model_dump()["handle"]))
        return handles

    return asyncio.run(import_all())


def told_of(api: Api) -> None:
    """Take in a feed: of a work that was published and retracted, and of one without a DOI."""
    first = {"paper": "W1", "title": "A work", "doi": "10.5555/w1"}
    lines = (
        first | {"event": "published", "date": "2026-01-05", "recorded_at": "2026-01-06T00:00:00Z"},
        first | {"event": "retracted", "date": "2026-02-01", "recorded_at": "2026-03-01T00:00:00Z"},
        {
            "paper": "W2", "title": "Another", "event": "erratum", "n": "1",
            "recorded_at": "2026-03-02T00:00:00Z",
        },
    )  # fmt: skip
    feed = parse("\n".join(map(json.dumps, lines)).encode(), "feed.jsonl")

    async def take_all() -> None:
        for line in feed.lines:
            await take_in(api.service.ledger, feed, line, "operator")

    asyncio.run(take_all())


def submitted(api: Api, **content: Any) -> str:
    """Submit a record with this content and return its handle."""
    answer = api.submit(content=content)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["handle"])


def posted(api: Api, record: str, part: str, body: dict[str, Any]) -> None:
    """Append to a record."""
    answer = api.post(record, part, body)
    assert answer.status_code == 201, answer.text


def hostile(api: Api) -> str:
    """Return a record full of markup: verified twice, resubmitted, corrected, retracted."""
    record = submitted(
        api,
        title=HOSTILE,
        abstract={"text": f"First line.\nSecond line. {UNBROKEN}", "quoted_from": HOSTILE_NOTE},
        research_question="Does <script>alert(3)</script> survive?",
        publisher="<i>Mallory & Sons</i>",
        note="{{ 7 * 7 }} ${7 * 7}",
    )
    assert api.upload(record, "repro-script", SCRIPT).status_code == 201
    assert api.upload(record, "repro-results", RESULTS).status_code == 201
    posted(api, record, "gate-evaluations", api.sandbox(record))
    content = api.view(record)
    again = {key: content[key] for key in ("kind", "title", "abstract", "publisher", "note")}
    question = "Does <script>alert(3)</script> survive twice?"
    body = {"content": again | {"research_question": question}, "reason": "<b>More runs</b>"}
    posted(api, record, "submissions", body | {"submitted_on": "2026-07-02"})
    later = {"evaluated_at": "2026-07-03T09:00:00.000001Z"}
    posted(api, record, "gate-evaluations", api.sandbox(record, "42.0", **later))
    correction = {
        "correction_type": "METADATA",
        "nature": "erratum",
        "public_note": HOSTILE_NOTE,
        "changes": [
            {"field": "publisher", "from": "<i>Mallory & Sons</i>", "to": "Mallory & Sons"}
        ],
        "asserted_by": "Mallory <mallory@example.org>",
        "reasons": ["A typing error", "javascript:alert(4)"],
        "notice": {"in_situ": False, "url": "javascript:alert(5)"},
    }
    posted(api, record, "corrections", correction)
    retraction = {
        "correction_type": "CLAIM",
        "nature": "retraction",
        "public_note": "The test set was part of the training data.",
        "asserted_by": "Mallory & Sons",
    }
    posted(api, record, "corrections", retraction)
    return record


def falsified(api: Api) -> str:
    """Return a record that the red team falsified, after a check that was withdrawn."""
    record = submitted(api, title="A maximum over nine tasks", publisher="Example Research")
    posted(api, record, "registrations", {"value": "10.5281/zenodo.31122311"})
    assert api.upload(record, "repro-script", SCRIPT).status_code == 201
    assert api.upload(record, "repro-results", RESULTS).status_code == 201
    posted(api, record, "gate-evaluations", api.sandbox(record))
    withdrawn = api.view(record)["verdict"]["evaluation_id"]
    withdrawal = api.sandbox(
        record,
        outcome="invalid-check",
        evidence=None,
        withdraws=withdrawn,
        note="The script never opened the data.",
    )
    posted(api, record, "gate-evaluations", withdrawal)
    attack = {
        "kind": "red-team",
        "attacks": [
            {"role": "COUNTEREXAMPLE_HUNTER", "score": "8.5", "finding": FINDING},
            {"role": "CITATION_AUDITOR", "score": "6.0", "finding": "The sources are sound."},
            {"role": "REPLICATION_ATTACKER", "error": "The sandbox ran out of memory."},
        ],
        "aggregation": {"rule": "mean", "threshold": "7.0", "quorum": 2},
        "mean": "7.25",
    }
    body = api.sandbox(record, gate="gate-3", method="red-team", outcome="failed", evidence=attack)
    posted(api, record, "gate-evaluations", body)
    return record


def superseded(api: Api, by: str) -> str:
    """Return a record that ``by`` superseded."""
    record = submitted(api, title="Calibration on five test sets", publisher="Example Research")
    body = {"by": api.view(by)["record_id"], "reason": "The study was redone on more test sets."}
    posted(api, record, "supersession", body)
    return record
