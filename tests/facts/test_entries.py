"""The bytes of a leaf: canonical whatever the names are, and bound to the stored fact."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.store import LogRow
from ledger.transparency.entries import BadBundle, bundle, entry, entry_of, unbundle
from ledger.transparency.merkle import leaf_hash

ROW = LogRow(
    position=7,
    recorded_at=datetime(2026, 11, 21, 10, 30, 0, 123_456, tzinfo=UTC),
    originator_id="0199aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee",
    originator_version=3,
    topic="record.submitted:1",
    state=b'{"verdict":"reproduced"}',
    salt=bytes(32),
    payload_commitment=hashlib.sha256(
        b"ledger.payload.v1\n" + bytes(32) + b'{"verdict":"reproduced"}'
    ).digest(),
)
STREAMS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def test_an_entry_is_these_bytes() -> None:
    commit = "a005cbffaa860efe9ce50a819d5fa1e2b755668ef4876a8f7d1269230dc50410"
    assert ROW.payload_commitment.hex() == commit
    data = entry_of(ROW)
    assert data.decode() == (
        f'{{"commit":"{commit}","n":7,"stream":"0199aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee",'
        '"time":1795257000123456,"type":"record.submitted:1","v":1,"ver":3}'
    )
    leaf = "7401b9af8e1eae81fff62a5d1b0e0904cc2136ec19c9b794f6ffee58a0506366"
    assert leaf_hash(data).hex() == leaf


@given(STREAMS, STREAMS, st.integers(1, 2**53 - 1))
@example('a"b', "c", 1)
@example("a", "b\\c", 1)
@example("actor:Zoë", 'a"b\\c\n\x00\x7f\u2028\U0001f600', 1)
def test_an_entry_is_canonical_json(stream: str, topic: str, number: int) -> None:
    data = entry(number, number, stream, number, topic, commitment=bytes(32))
    members = json.loads(data)
    assert members == {
        "commit": "00" * 32,
        "n": number,
        "stream": stream,
        "time": number,
        "type": topic,
        "v": 1,
        "ver": number,
    }
    plain = json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert data == plain.encode()


def test_an_entry_fits_into_two_bytes_of_length() -> None:
    room = 65_535 - len(entry(1, 1, "", 1, "", commitment=bytes(32)))
    longest = entry(1, 1, "s" * room, 1, "", commitment=bytes(32))
    assert unbundle(bundle([longest])) == [longest]
    for too_long in ("s" * (room + 1), "\x01" * (room // 6 + 1)):
        with pytest.raises(BadBundle, match="fits into no bundle"):
            entry(1, 1, too_long, 1, "", commitment=bytes(32))


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_a_bundle_holds_its_entries(entries: list[bytes]) -> None:
    assert unbundle(bundle(entries)) == entries


def test_a_bundle_that_is_not_whole_is_refused() -> None:
    whole = bundle([b"one", b"two"])
    assert whole == b"\x00\x03one\x00\x03two"
    for end in set(range(len(whole))) - {5}:
        with pytest.raises(BadBundle):
            unbundle(whole[:end])
    with pytest.raises(BadBundle, match="too wide"):
        unbundle(bundle([b""] * 257))
