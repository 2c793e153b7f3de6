"""Proofs that can be carried away: what they say, and that nothing in them can be changed."""

from __future__ import annotations

import pytest

from ledger.transparency.merkle import BadProof, Frontier, inclusion_proof, leaf_hash
from ledger.transparency.notes import ED25519, Checkpoint, SigningKey
from ledger.transparency.policy import Policy, parse_policy
from ledger.transparency.proofs import Proof

LOG = SigningKey("ledger.example.org/log", ED25519, b"\x01" * 32)
POLICY = parse_policy(f"log {LOG.verifier}\nquorum none\n".encode())
ENTRIES = [f"entry {n}".encode() for n in range(7)]


def proof(index: int, extra: bytes | None = None) -> Proof:
    frontier = Frontier()
    frontier.extend(map(leaf_hash, ENTRIES))
    note = Checkpoint(LOG.name, frontier.size, frontier.root()).signed(LOG)
    path = inclusion_proof(index, frontier.size, frontier.tile)
    return Proof(index, tuple(path), bytes(note), extra)


@pytest.mark.parametrize("index", range(7))
@pytest.mark.parametrize("extra", [None, b"", b"a salt"])
def test_a_proof_survives_being_written_down(index: int, extra: bytes | None) -> None:
    written = proof(index, extra)
    read = Proof.parse(bytes(written))
    assert read == written
    assert read.verify(ENTRIES[index], POLICY).checkpoint.size == 7


def test_a_proof_has_these_lines() -> None:
    first, extra, index, *path, empty, origin = bytes(proof(6, b"x")).decode().split("\n")[:7]
    assert (first, extra, index) == ("c2sp.org/tlog-proof@v1", "extra eA==", "index 6")
    assert (len(path), empty, origin) == (2, "", "ledger.example.org/log")
    single = Proof(0, (), proof(0).checkpoint)
    assert bytes(single).startswith(b"c2sp.org/tlog-proof@v1\nindex 0\n\nledger")
    assert Proof.parse(bytes(single)) == single


def test_every_changed_byte_is_noticed() -> None:
    data = bytes(proof(5))
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1
        with pytest.raises(BadProof):
            Proof.parse(bytes(changed)).verify(ENTRIES[5], POLICY)
        with pytest.raises(BadProof):
            Proof.parse(data[:at]).verify(ENTRIES[5], POLICY)


def test_a_proof_is_of_one_entry_and_of_a_known_log() -> None:
    with pytest.raises(BadProof, match="another root"):
        proof(5).verify(ENTRIES[4], POLICY)
    with pytest.raises(BadProof, match="no log of the policy"):
        proof(5).verify(ENTRIES[5], Policy())


def test_a_proof_at_its_limits_is_read() -> None:
    largest = Proof(2**63 - 1, (bytes(32),) * 63, b"a checkpoint")
    assert Proof.parse(bytes(largest)) == largest
    long = Proof(0, (), b"", bytes(740_000))
    assert Proof.parse(bytes(long)) == long
    with pytest.raises(BadProof, match="no proof"):
        Proof.parse(bytes(Proof(0, (), b"", bytes(750_000))))


GOOD = bytes(proof(5)).decode()
BAD = {
    "nothing": "",
    "no checkpoint": GOOD.partition("\n\n")[0],
    "another version": GOOD.replace("@v1", "@v2"),
    "no index": GOOD.replace("index 5\n", ""),
    "a negative index": GOOD.replace("index 5", "index -5"),
    "a leading zero": GOOD.replace("index 5", "index 05"),
    "an index beyond 63 bits": GOOD.replace("index 5", "index 9223372036854775808"),
    "two spaces": GOOD.replace("index 5", "index  5"),
    "the index twice": GOOD.replace("index 5", "index 5\nindex 5"),
    "extra after the index": GOOD.replace("index 5", "index 5\nextra eA=="),
    "extra twice": GOOD.replace("index 5", "extra eA==\nextra eA==\nindex 5"),
    "extra without padding": GOOD.replace("index 5", "extra eA\nindex 5"),
    "a short hash": GOOD.replace("index 5", "index 5\neA=="),
    "too many hashes": GOOD.replace("index 5", "index 5" + ("\n" + "A" * 43 + "=") * 63),
    "carriage returns": GOOD.replace("\n", "\r\n"),
    "what is not ASCII": GOOD.replace("index 5", "index \u0665"),
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_what_is_no_proof_is_refused(text: str) -> None:
    with pytest.raises(BadProof, match="no proof"):
        Proof.parse(text.encode())
