"""A witness: what it cosigns, what it refuses and keeps, and that it never goes back."""

from __future__ import annotations

import hashlib
import random
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

import pytest

from given_log import LOG, STRANGER, WITNESS, Log, log_of
from ledger.transparency.merkle import EMPTY_ROOT
from ledger.transparency.notes import (
    Checkpoint,
    Note,
    Signature,
    open_checkpoint,
    parse_note,
    parse_signatures,
)
from ledger.transparency.witness import BadMemory, Evidence, Reply, Witness, evidence, make_memory
from ledger.transparency.witnessing import request_body

TIME = 1_700_000_000
DIGEST = hashlib.sha256(LOG.name.encode()).hexdigest()
TREE = log_of(700)
FORK = Log([*TREE.entries[:299], b"another", *TREE.entries[300:]])


class Clock:
    time = TIME

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(self.time, UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    made = tmp_path / "memory?.db"
    make_memory(made, WITNESS.verifier)
    return made


@pytest.fixture
def witness(memory: Path, clock: Clock) -> Iterator[Witness]:
    with closing(Witness(WITNESS, memory, [LOG.verifier], clock)) as opened:
        yield opened


def cosigned(reply: Reply, note: Note) -> int:
    """Return the time of the cosignature that a reply holds."""
    assert reply.status == HTTPStatus.OK, reply
    (line,) = parse_signatures(reply.body)
    time = Note(note.text, (line,)).signed_by([WITNESS.verifier])[WITNESS.verifier]
    assert time is not None
    return time


def says_conflict(reply: Reply, size: int) -> None:
    assert reply == Reply(HTTPStatus.CONFLICT, f"{size}\n", "text/x.tlog.size")


def test_it_cosigns_what_continues_what_it_cosigned(
    witness: Witness, memory: Path, clock: Clock
) -> None:
    for old, size in [(0, 0), (0, 1), (1, 256), (256, 300), (300, 300), (300, 700)]:
        clock.time += 1
        reply = witness.add_checkpoint(TREE.request(old, size))
        assert cosigned(reply, TREE.note(size)) == clock.time
    held = witness.checkpoint(DIGEST)
    assert held is not None
    opened, times = open_checkpoint(held, LOG.verifier, [WITNESS.verifier])
    assert opened == TREE.checkpoint(700)
    assert times == {WITNESS.verifier: clock.time}
    assert evidence(memory) == []


def test_it_says_its_size_to_whoever_begins_elsewhere(witness: Witness, memory: Path) -> None:
    assert witness.add_checkpoint(TREE.request(0, 300)).status == HTTPStatus.OK
    for old, size in [(0, 300), (0, 700), (299, 700), (301, 700), (5, 5)]:
        says_conflict(witness.add_checkpoint(TREE.request(old, size)), 300)
    assert evidence(memory) == []


@pytest.mark.parametrize(("old", "size"), [(300, 300), (300, 301), (300, 700)])
def test_it_refuses_a_fork_and_keeps_it(
    witness: Witness, memory: Path, caplog: pytest.LogCaptureFixture, old: int, size: int
) -> None:
    witness.add_checkpoint(TREE.request(0, 300))
    before = witness.checkpoint(DIGEST)
    for _again in range(2):
        reply = witness.add_checkpoint(FORK.request(old, size))
        assert reply.status == HTTPStatus.UNPROCESSABLE_ENTITY
    (kept,) = evidence(memory)
    assert kept == Evidence(LOG.name, TIME, kept.why, FORK.request(old, size), before)
    assert f"{LOG.name} has signed is refused: {kept.why}." in caplog.text
    assert witness.checkpoint(DIGEST) == before
    assert witness.add_checkpoint(TREE.request(300, 700)).status == HTTPStatus.OK


def test_a_fork_of_the_same_size_is_kept_also_from_another_size(
    witness: Witness, memory: Path
) -> None:
    witness.add_checkpoint(TREE.request(0, 300))
    says_conflict(witness.add_checkpoint(FORK.request(0, 300)), 300)
    (kept,) = evidence(memory)
    assert "another root" in kept.why


def test_a_good_checkpoint_with_a_bad_proof_is_no_evidence_for_long(
    witness: Witness, memory: Path
) -> None:
    witness.add_checkpoint(TREE.request(0, 300))
    bad = request_body(TREE.note(700), 300, TREE.proving(700)(299))
    assert witness.add_checkpoint(bad).status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert len(evidence(memory)) == 1
    assert witness.add_checkpoint(TREE.request(300, 700)).status == HTTPStatus.OK
    assert evidence(memory) == []


def test_a_proof_from_nothing_is_empty(witness: Witness) -> None:
    reply = witness.add_checkpoint(request_body(TREE.note(300), 0, [bytes(32)]))
    assert reply.status == HTTPStatus.UNPROCESSABLE_ENTITY


def test_a_proof_of_sixty_three_hashes_is_read(witness: Witness) -> None:
    witness.add_checkpoint(TREE.request(0, 3))
    reply = witness.add_checkpoint(request_body(TREE.note(300), 3, [bytes(32)] * 63))
    assert reply.status == HTTPStatus.UNPROCESSABLE_ENTITY


def test_an_empty_tree_has_one_root(witness: Witness) -> None:
    bad = Checkpoint(LOG.name, 0, bytes(32)).signed(LOG)
    status = witness.add_checkpoint(request_body(bad, 0, [])).status
    assert status == HTTPStatus.UNPROCESSABLE_ENTITY
    good = Checkpoint(LOG.name, 0, EMPTY_ROOT).signed(LOG)
    assert witness.add_checkpoint(request_body(good, 0, [])).status == HTTPStatus.OK


def test_it_knows_its_logs_by_name_and_key(witness: Witness) -> None:
    unknown = log_of(3, STRANGER)
    assert witness.add_checkpoint(unknown.request(0, 3)).status == HTTPStatus.NOT_FOUND
    text = TREE.checkpoint(3).text
    lookalike = Signature(LOG.name, LOG.verifier.key_id, STRANGER.sign(text).blob)
    for signatures in [
        (STRANGER.sign(text),),
        (lookalike,),
        (LOG.sign(text), lookalike),
        (LOG.sign(TREE.checkpoint(4).text),),
    ]:
        reply = witness.add_checkpoint(TREE.request(0, 3, Note(text, signatures)))
        assert reply.status == HTTPStatus.FORBIDDEN
    several = Note(text, (STRANGER.sign(text), LOG.sign(text)))
    assert witness.add_checkpoint(TREE.request(0, 3, several)).status == HTTPStatus.OK
    assert witness.checkpoint(hashlib.sha256(b"another").hexdigest()) is None


GOOD = TREE.request(3, 300)
BAD = {
    "nothing": b"",
    "no checkpoint": GOOD.partition(b"\n\n")[0],
    "no old size": GOOD.partition(b"\n")[2],
    "a leading zero": GOOD.replace(b"old 3", b"old 03"),
    "a negative size": GOOD.replace(b"old 3", b"old -3"),
    "two spaces": GOOD.replace(b"old 3", b"old  3"),
    "a short hash": GOOD.replace(b"old 3\n", b"old 3\nAAAA\n"),
    "too many hashes": GOOD.replace(b"old 3\n", b"old 3\n" + (b"A" * 43 + b"=\n") * 64),
    "carriage returns": GOOD.replace(b"\n", b"\r\n"),
    "an old size above the new": request_body(TREE.note(3), 4, []),
    "no UTF-8": GOOD + b"\xff",
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
def test_what_is_no_request_is_refused(witness: Witness, body: bytes) -> None:
    assert witness.add_checkpoint(body).status == HTTPStatus.BAD_REQUEST
    assert witness.checkpoint(DIGEST) is None


def test_it_signs_no_time_before_the_last(witness: Witness, clock: Clock) -> None:
    witness.add_checkpoint(TREE.request(0, 3))
    clock.time -= 1
    reply = witness.add_checkpoint(TREE.request(3, 4))
    assert reply.status == HTTPStatus.SERVICE_UNAVAILABLE
    clock.time += 1
    assert witness.add_checkpoint(TREE.request(3, 4)).status == HTTPStatus.OK


def test_it_remembers_after_a_restart(memory: Path) -> None:
    for old, size in [(0, 3), (3, 300), (300, 700)]:
        with closing(Witness(WITNESS, memory, [LOG.verifier])) as witness:
            assert witness.add_checkpoint(TREE.request(old, size)).status == HTTPStatus.OK
    with closing(Witness(WITNESS, memory, [LOG.verifier])) as witness:
        says_conflict(witness.add_checkpoint(FORK.request(0, 700)), 700)
        assert len(evidence(memory)) == 1


def test_it_answers_nothing_that_it_could_not_keep(memory: Path) -> None:
    with closing(Witness(WITNESS, memory, [LOG.verifier])) as witness:
        assert witness.add_checkpoint(TREE.request(0, 3)).status == HTTPStatus.OK
        with closing(sqlite3.connect(memory)) as other:
            other.execute("DROP TABLE refused")
        assert witness.add_checkpoint(TREE.request(3, 5)).status == HTTPStatus.SERVICE_UNAVAILABLE
        held = witness.checkpoint(DIGEST)
        assert held is not None
        assert Checkpoint.parse(parse_note(held).text).size == 3


def test_of_many_who_ask_at_once_none_turns_it_back(memory: Path) -> None:
    sizes = list(range(1, 41))
    got: list[int] = []

    def push(witness: Witness, seed: int) -> None:
        mine = sizes.copy()
        random.Random(seed).shuffle(mine)  # noqa: S311 - a load, not a secret
        old = 0
        for size in mine:
            for _attempt in range(2):
                if size < old:
                    break
                reply = witness.add_checkpoint(TREE.request(old, size))
                if reply.status == HTTPStatus.OK:
                    got.append(size)
                    break
                assert reply.status == HTTPStatus.CONFLICT, reply
                old = int(reply.body)

    with (
        closing(Witness(WITNESS, memory, [LOG.verifier])) as one,
        closing(Witness(WITNESS, memory, [LOG.verifier])) as other,
    ):
        threads = [
            threading.Thread(target=push, args=(each, seed))
            for seed, each in enumerate([one, other, one, other])
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert evidence(memory) == []
        held = one.checkpoint(DIGEST)
        assert held is not None
        assert Checkpoint.parse(parse_note(held).text) == TREE.checkpoint(max(got))


def test_the_disk_is_filled_by_no_log(
    witness: Witness, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.transparency.witness.EVIDENCE_MAX", 5)
    witness.add_checkpoint(TREE.request(0, 300))
    for n in range(8):
        other = Checkpoint(LOG.name, 300, hashlib.sha256(bytes([n])).digest()).signed(LOG)
        witness.add_checkpoint(request_body(other, 300, []))
    assert len(evidence(memory)) == 5


def test_another_file_is_not_taken_for_its_memory(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("no database, and longer than the head of one would be\n" * 10)
    ledger = tmp_path / "other.db"
    with closing(sqlite3.connect(ledger)) as other:
        other.execute("CREATE TABLE events (position INTEGER)")
    strange = tmp_path / "strange.db"
    make_memory(strange, STRANGER.verifier)
    empty = tmp_path / "empty"
    empty.touch()
    for file in (text, ledger, strange, empty, tmp_path / "lost.db", tmp_path):
        before = file.read_bytes() if file.is_file() else None
        with pytest.raises(BadMemory, match=str(file)):
            Witness(WITNESS, file, [LOG.verifier])
        assert (file.read_bytes() if file.is_file() else None) == before
    left = sorted(file.name for file in tmp_path.iterdir())
    assert left == ["empty", "other.db", "strange.db", "text"]


def test_a_memory_is_made_once(memory: Path) -> None:
    before = memory.read_bytes()
    with pytest.raises(FileExistsError):
        make_memory(memory, WITNESS.verifier)
    assert memory.read_bytes() == before
