"""A feed of corrections is read strictly, and states what it says and no more."""

from __future__ import annotations

import contextlib
import hashlib
import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import errors
from ledger.events import ExternalRecordRegistered, RecordSubmitted
from ledger.importing.feed import Happened, parse
from ledger.importing.feed_facts import correction, opening
from ledger.record import project
from ledger.vocabulary import Nature
from view_facts import RECORD

LINE = {
    "paper": "2020.acl-main.563",
    "title": "A paper",
    "publisher": "Association",
    "event": "retracted",
    "date": "2020-09-01",
    "recorded_at": "2021-08-25T22:57:29+00:00",
    "note": "An error in the experiments.",
}


def feed(*lines: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(LINE | line).encode() + b"\n" for line in lines)


def test_lines_come_in_the_order_of_their_recording() -> None:
    raw = feed(
        {"recorded_at": "2021-01-02T00:00:00Z"},
        {"recorded_at": "2021-01-01T00:00:00Z"},
        {"recorded_at": "2021-01-01T00:00:00Z", "event": "published"},
    )
    read = parse(raw, "feed.jsonl")
    assert [line.number for line in read.lines] == [3, 2, 1]
    assert read.source == "sha256:" + hashlib.sha256(raw).hexdigest()


def test_a_correction_is_stated_with_its_line_and_both_of_its_times() -> None:
    read = parse(feed({"event": "published", "date": "2020-07-01"}, {}), "feed.jsonl")
    record = project(None, opening(read, read.lines[0], RECORD, "SRCH:0000F00D", "operator"))
    assert record is not None
    stated = correction(record, read, read.lines[1], "operator")
    assert stated.basis.model_dump() == {
        "kind": "stated",
        "source": read.source,
        "name": "feed.jsonl",
        "line": 2,
    }
    assert (stated.nature, stated.effective_on) == (Nature.RETRACTION, date(2020, 9, 1))
    assert stated.public_note == (
        "An error in the experiments.\n\nThe source recorded this on 2021-08-25."
    )
    assert stated.changes == ()


def test_a_notice_without_a_day_holds_from_its_recording_and_says_so() -> None:
    read = parse(feed({"date": None, "event": "revision", "n": "2", "note": None}), "feed.jsonl")
    record = project(None, opening(read, read.lines[0], RECORD, "SRCH:0000F00D", "operator"))
    assert record is not None
    stated = correction(record, read, read.lines[0], "operator")
    assert stated.effective_on == date(2021, 8, 25)
    assert stated.public_note == (
        "Revision 2.\n\nThe source recorded this on 2021-08-25 and does not say since when it "
        "holds."
    )


def test_only_a_publication_says_when_a_work_was_submitted() -> None:
    read = parse(feed({}, {"event": "published", "doi": "10.18653/v1/X"}), "feed.jsonl")
    by_event = {line.told.event: line for line in read.lines}
    (submitted,) = opening(read, by_event[Happened.RETRACTED], RECORD, "SRCH:0000F00D", "me")
    assert isinstance(submitted, RecordSubmitted)
    assert submitted.submitted_on is None
    published, registered = opening(
        read, by_event[Happened.PUBLISHED], RECORD, "SRCH:0000F00D", "me"
    )
    assert isinstance(published, RecordSubmitted)
    assert published.submitted_on == date(2020, 9, 1)
    assert isinstance(registered, ExternalRecordRegistered)
    assert (registered.value, registered.registered_on) == ("10.18653/v1/x", None)


def test_the_same_line_leads_to_the_same_correction() -> None:
    ids = set()
    for more in ({}, {"title": "Another title"}, {"n": "2"}, {"date": None}):
        read = parse(feed(more), "feed.jsonl")
        record = project(None, opening(read, read.lines[0], RECORD, "SRCH:0000F00D", "operator"))
        assert record is not None
        ids.add(correction(record, read, read.lines[0], "operator").correction_id)
    assert len(ids) == 3


def test_a_volume_names_a_work_without_a_title() -> None:
    read = parse(feed({"title": None, "booktitle": "Proceedings"}), "feed.jsonl")
    (submitted,) = opening(read, read.lines[0], RECORD, "SRCH:0000F00D", "operator")
    assert isinstance(submitted, RecordSubmitted)
    assert submitted.content.title == "Proceedings"


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (b"", None),
        (b"\n \n", None),
        (b"{", 1),
        (b"[]", 1),
        (b'"text"', 1),
        (b"\xff\xfe", 1),
        (feed({}) + b"nonsense", 2),
        (feed({"event": "forgotten"}), 1),
        (feed({"event": None}), 1),
        (feed({"date": "2020-9-1"}), 1),
        (feed({"date": 1}), 1),
        (feed({"recorded_at": None}), 1),
        (feed({"recorded_at": "2021-08-25"}), 1),
        (feed({"recorded_at": "2021-08-25T22:57:29"}), 1),
        (feed({"paper": ""}), 1),
        (feed({"paper": "a b"}), 1),
        (feed({"title": None}), 1),
        (feed({"title": "\x07"}), 1),
        (feed({"note": "x" * 49_001}), 1),
        (feed({"note": ["text"]}), 1),
        (feed({"doi": "doi:10.1/2"}), 1),
        (feed({}, {"x": "x" * 1_100_000}), 2),
    ],
)
def test_a_feed_that_does_not_fit_is_refused_and_its_line_is_named(
    raw: bytes, line: int | None
) -> None:
    with pytest.raises(errors.UnreadableFeed) as refused:
        parse(raw, "feed.jsonl")
    assert refused.value.context.get("line") == line
    assert refused.value.detail.endswith(".")
    assert "\n" not in refused.value.detail


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with contextlib.suppress(errors.UnreadableFeed):
        assert parse(raw, "feed.jsonl").lines


def test_moments_are_taken_with_any_offset() -> None:
    read = parse(feed({"recorded_at": "2021-08-25T22:57:29-05:00"}), "feed.jsonl")
    assert read.lines[0].told.recorded_at == datetime(2021, 8, 26, 3, 57, 29, tzinfo=UTC)
