"""Real corrections, of which both times are known, are answered as their source would answer.

They lie beside the repository and are not ours to ship: ``../shared/data``, or where
LEDGER_HISTORIES points.  The ledger takes each in at the moment at which its source recorded it;
what is expected is computed here, from the lines of the source and by nothing of the program.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from given_clock import Clock, set_clock
from given_service import served, settings_in
from ledger import errors, past
from ledger.importing.feed import Feed, parse
from ledger.importing.feed_facts import take_in
from ledger.service import Service, create

pytestmark = [pytest.mark.repo, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("LEDGER_HISTORIES") or ROOT / "../shared/data")
EVENTS, PAPERS = "acl_correction_events.jsonl", "acl_papers.jsonl.gz"
DAY = timedelta(days=1)

ASKED = (
    # A retraction that nobody knew of for a year, seen from both sides of either time.
    ("2020.acl-main.563", None, "2020-08-31"),
    ("2020.acl-main.563", None, "2020-09-01"),
    ("2020.acl-main.563", "2021-08-24", "2020-09-01"),
    ("2020.acl-main.563", "2021-08-24", None),
    ("2020.acl-main.563", "2021-08-25", None),
    ("2020.acl-main.563", "2021-08-25", "2020-08-31"),
    ("2020.acl-main.563", None, "2020-01-01"),
    ("2020.acl-main.563", "2020-01-01", None),
    # Three new versions, each with its own lag.
    ("2021.acl-long.429", None, "2021-10-10"),
    ("2021.acl-long.429", None, "2021-10-11"),
    ("2021.acl-long.429", "2021-11-02", "2021-10-11"),
    ("2021.acl-long.429", "2022-09-08", "2022-08-30"),
    ("2021.acl-long.429", "2022-09-09", "2022-08-30"),
    # Removed within days, and dated in the future of its own recording.
    ("2020.amta-research.1", "2021-10-07", "2021-10-06"),
    ("2020.amta-research.1", "2021-10-08", "2021-10-04"),
    ("2020.amta-research.1", "2021-10-08", "2021-10-05"),
    ("N19-1129", "2021-08-05", None),
    ("N19-1129", "2021-08-05", "2021-08-05"),
    ("N19-1129", None, "2021-10-11"),
    ("N19-1129", None, "2021-10-12"),
)
"""Work, what was known on which day (None: now), in effect on which day (None: what was shown)."""


@dataclass(frozen=True)
class Notice:
    """What a line of the source says, read off it here."""

    event: str
    recorded: datetime
    effective: date


@dataclass(frozen=True)
class Work:
    """A work in the source: when it was published, if the source says, and what followed."""

    published: date | None
    lines: tuple[datetime, ...]
    notices: tuple[Notice, ...]

    def answer(self, known_on: str | None, as_of: str | None) -> Any:
        """Return (corrections, standing, last day) or the code of a refusal."""
        known_until = day_end(known_on) if known_on else datetime.max.replace(tzinfo=UTC)
        first = min(self.lines)
        if first > known_until:
            return "not-yet-recorded"
        if as_of is not None:
            since = datetime.combine(self.published, time.min, UTC) if self.published else first
            if since > day_end(as_of):
                return "not-yet-in-effect"
        counted = [
            notice
            for notice in self.notices
            if notice.recorded <= known_until
            and (as_of is None or notice.effective <= date.fromisoformat(as_of))
        ]
        events = {notice.event for notice in counted}
        standing = next((e for e in ("removed", "retracted") if e in events), "clear")
        last = max((notice.effective for notice in counted), default=None)
        return len(counted), standing, last.isoformat() if last else None


def around(days: set[date]) -> list[str | None]:
    """Return each day and the one before it, and None for now."""
    return [None, *(day.isoformat() for day in sorted({day - DAY for day in days} | days))]


def day_end(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), time.max, UTC)


def found(name: str) -> Path:
    file = DATA / name
    if not file.exists():
        message = f"no real corrections in {DATA}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return file


def read() -> tuple[bytes, dict[str, Work]]:
    """Return the source as a feed with its publications, and what it says of each work."""
    raw = found(EVENTS).read_bytes().splitlines()
    rows = [json.loads(line) for line in raw]
    papers = {row["paper"] for row in rows}
    ingested: dict[str, date] = {}
    with gzip.open(found(PAPERS), "rt", encoding="utf-8") as lines:
        for told in map(json.loads, lines):
            if told["id"] in papers and told.get("ingested"):
                ingested[told["id"]] = date.fromisoformat(told["ingested"])
    one_of = {row["paper"]: row for row in rows}
    published = [
        {k: one_of[paper][k] for k in ("paper", "doi", "title", "booktitle", "publisher")}
        | {"event": "published", "date": f"{day}", "recorded_at": f"{day}T00:00:00Z"}
        for paper, day in ingested.items()
    ]
    by_work = defaultdict(list)
    for row in rows:
        by_work[row["paper"]].append(row)
    works = {paper: work(ingested.get(paper), its) for paper, its in by_work.items()}
    return b"\n".join([*(json.dumps(one).encode() for one in published), *raw]), works


def work(published: date | None, rows: list[dict[str, Any]]) -> Work:
    lines = [datetime.fromisoformat(row["recorded_at"]) for row in rows]
    if published is not None:
        lines.append(datetime.combine(published, time.min, UTC))
    notices = [
        Notice(
            row["event"],
            datetime.fromisoformat(row["recorded_at"]),
            date.fromisoformat(row["date"] or row["recorded_at"][:10]),
        )
        for row in rows
        # The first file of a work is listed as its first revision: it corrects nothing.
        if (row["event"], row["n"], row["date"]) != ("revision", "1", None)
    ]
    return Work(published, tuple(lines), tuple(notices))


@dataclass(frozen=True)
class Imported:
    """The source in a ledger that is open, with the record of each work."""

    service: Service
    works: dict[str, Work]
    records: dict[str, str]

    def answer(self, paper: str, known_on: str | None, as_of: str | None) -> Any:
        given = {"recorded_at": known_on, "as_of": as_of}
        question = past.asked({name: day for name, day in given.items() if day})
        record_id = self.records[paper]
        try:
            if question is None:
                document = asyncio.run(self.service.record(record_id))
                assert document is not None
            else:
                document = asyncio.run(self.service.past(record_id, question)).document
        except errors.Refusal as refusal:
            return refusal.code
        return told(document)


def told(document: dict[str, Any]) -> tuple[int, str, str | None]:
    corrections = document["corrections"]
    return corrections["count"], corrections["standing"], corrections["last_corrected_on"]


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Imported]:
    """The whole source, each line taken in at the moment at which its source recorded it."""
    raw, works = read()
    feed = parse(raw, "acl.jsonl")
    settings = settings_in(tmp_path_factory.mktemp("two-times"))
    service = Service(settings)
    with set_clock(feed.lines[0].told.recorded_at - DAY) as clock:
        create(settings)
        service.__enter__()
        try:
            records = asyncio.run(take_all(service, feed, clock))
        except BaseException:
            service.__exit__(None, None, None)
            raise
    try:
        yield Imported(service, works, records)
    finally:
        service.__exit__(None, None, None)


async def take_all(service: Service, feed: Feed, clock: Clock) -> dict[str, str]:
    records = {}
    for line in feed.lines:
        clock.at = line.told.recorded_at
        await take_in(service.ledger, feed, line, "operator")
        record_id = await service.store.owner("source", f"work:{line.told.paper}")
        assert record_id is not None
        records[line.told.paper] = record_id
    return records


def test_the_source_is_in_the_log_at_its_own_times(imported: Imported) -> None:
    rows = list(imported.service.store.rows())
    moments = {moment for work in imported.works.values() for moment in work.lines}
    seconds = {row.recorded_at.replace(microsecond=0) for row in rows if row.position > 4}
    assert seconds <= moments
    corrections = [row for row in rows if row.topic.startswith("correction.issued")]
    assert len(corrections) == sum(len(work.notices) for work in imported.works.values()) > 500
    assert len(imported.records) == len(imported.works) > 500


def test_every_work_is_answered_on_both_axes_as_its_source_answers(imported: Imported) -> None:
    """Around every time of every work: the day before and the day itself, on either axis."""
    asked, refused = 0, set()
    for paper, work in imported.works.items():
        recorded = {moment.date() for moment in work.lines}
        effective = {notice.effective for notice in work.notices} | {
            work.published or min(work.lines).date()
        }
        known, counts = around(recorded), around(effective)
        for known_on in known:
            for as_of in counts:
                expected = work.answer(known_on, as_of)
                answered = imported.answer(paper, known_on, as_of)
                assert answered == expected, (paper, known_on, as_of)
                asked += 1
                refused |= {answered} if isinstance(answered, str) else set()
    assert asked > 10_000
    assert refused == {"not-yet-recorded", "not-yet-in-effect"}


def test_the_answers_over_http_are_those_of_the_source(imported: Imported) -> None:
    service = Service(imported.service.settings)
    with served(service) as address, httpx.Client(base_url=address, timeout=120) as client:
        for paper, known_on, as_of in ASKED:
            path = f"/v1/records/{imported.records[paper]}"
            given = {"recorded_at": known_on, "as_of": as_of}
            asked = {name: day for name, day in given.items() if day}
            expected = imported.works[paper].answer(known_on, as_of)
            answer = client.get(path, params=asked)
            said = answer.json()
            if isinstance(expected, str):
                assert (answer.status_code, said["code"]) == (404, expected)
                continue
            assert told(said) == expected, (paper, asked)
            listed = client.get(f"{path}/corrections", params=asked).json()["items"]
            assert len(listed) == expected[0]
            contract = client.get(f"{path}/correction-record.json", params=asked).json()
            assert contract["correction_count"] == expected[0]
            assert contract["last_corrected_at"] == expected[2]


def test_a_second_reading_of_the_source_adds_nothing(imported: Imported) -> None:
    raw, _works = read()
    feed = parse(raw, "acl.jsonl")
    head = imported.service.store.head()

    async def again() -> int:
        taken = [await take_in(imported.service.ledger, feed, one, "me") for one in feed.lines]
        return sum(one.facts for one in taken)

    assert asyncio.run(again()) == 0
    assert imported.service.store.head() == head
