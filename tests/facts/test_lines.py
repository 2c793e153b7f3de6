"""What a row looks like as a line: the members in order, the stored bytes untouched at the end."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden_events import GOLDEN
from ledger.codec import REGISTRY, encode, topic_of
from ledger.events import Event
from ledger.store import LogRow
from ledger.store.sealing import moment
from ledger.transparency.lines import EVENT_MARK, dated_line, event_line

ROW = LogRow(
    position=3,
    recorded_at=moment(1_795_238_274_538_292),
    originator_id="ledger",
    originator_version=3,
    topic="policy.adopted:1",
    state=b'{"actor":"operator","reason":"\xc3\xa9"}',
    salt=b"\x28" * 32,
    payload_commitment=b"\xfc" * 32,
)
MEMBERS = [
    "position",
    "recorded_at",
    "stream",
    "version",
    "type",
    "schema_version",
    "commitment",
    "salt",
    "leaf_hash",
    "event",
]


def test_the_line_of_a_row() -> None:
    entry = (
        b'{"commit":"%b","n":3,"stream":"ledger","time":1795238274538292,'
        b'"type":"policy.adopted:1","v":1,"ver":3}' % (b"fc" * 32)
    )
    assert event_line(ROW).decode() == (
        '{"position":3,"recorded_at":"2026-11-21T05:17:54.538292Z","stream":"ledger","version":3,'
        '"type":"policy.adopted","schema_version":1,'
        f'"commitment":"{"fc" * 32}","salt":"{"28" * 32}",'
        f'"leaf_hash":"{hashlib.sha256(bytes(1) + entry).hexdigest()}",'
        '"event":{"actor":"operator","reason":"é"}}'
    )


def test_an_erased_row_has_an_empty_salt() -> None:
    line = json.loads(event_line(replace(ROW, salt=b"", state=b'{"actor":"[erased]"}')))
    assert (line["salt"], line["commitment"]) == ("", "fc" * 32)


@given(stream=st.text(st.characters(codec="utf-8"), max_size=40), text=st.text(max_size=200))
def test_no_name_and_no_body_breaks_a_line(stream: str, text: str) -> None:
    state = json.dumps({"text": text, "event": {',"event":': text}}).encode()
    line = event_line(replace(ROW, originator_id=stream, state=state))
    assert b"\n" not in line
    read = json.loads(line)
    assert list(read) == MEMBERS
    assert (read["stream"], read["event"]) == (stream, json.loads(state))
    assert line.split(EVENT_MARK, 1)[1][:-1] == state


@pytest.mark.parametrize("state", [b"{}", b'{ "spaced" : 1.0e2 , "twice":1,"twice":2 }'])
def test_the_stored_bytes_are_never_encoded_again(state: bytes) -> None:
    assert event_line(replace(ROW, state=state)).endswith(b',"event":' + state + b"}")


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_a_dated_line_tells_the_time_that_the_event_names(name: str) -> None:
    event = GOLDEN[name]
    row = (3, 1, "ledger", 3, topic_of(event), encode(event), b"s", b"c")
    line = dated_line(row)
    named = json.loads(encode(event))[event.EFFECTIVE] if event.EFFECTIVE else None
    assert json.loads(line)["effective"] == named
    assert [*json.loads(line)] == [*MEMBERS[:-1], "effective", "event"]
    assert line.endswith(EVENT_MARK + encode(event) + b"}")


def test_a_text_that_looks_like_a_time_is_none() -> None:
    event = GOLDEN["record.superseded.1.json"]
    lying = event.model_copy(update={"reason": '"effective_on":"1999-01-01"'})
    row = (3, 1, "ledger", 3, topic_of(lying), encode(lying), b"s", b"c")
    assert json.loads(dated_line(row))["effective"] == str(event.model_dump()["effective_on"])


@pytest.mark.parametrize("kind", REGISTRY.values(), ids=REGISTRY)
def test_no_other_member_of_an_event_has_the_name_of_its_time(kind: type[Event]) -> None:
    inner = kind.model_json_schema().get("$defs", {}).values()
    objects = [shape for shape in inner if shape.get("type") == "object"]
    assert all(shape["additionalProperties"] is False for shape in objects)
    assert [shape for shape in objects if kind.EFFECTIVE in shape["properties"]] == []
