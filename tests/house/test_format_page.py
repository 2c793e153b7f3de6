"""The page of the format is enough: each value of its example is made again from its words."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.transparency.policy import parse_policy
from ledger.transparency.proofs import Proof
from ledger.verifier.lines import parsed
from ledger.verifier.log import commitment, entry
from ledger.verifier.signatures import COSIGNATURE, ED25519, checkpoint, key, note

pytestmark = pytest.mark.repo

FILE = Path(__file__).parents[2] / "docs" / "ledger-format.md"


class Page(NamedTuple):
    """The blocks of the example, in their order."""

    entry: str
    leaf: str
    before: str
    nodes: str
    note: str
    keys: str
    receipt: str
    line: str
    erased: str


@cache
def text() -> str:
    return FILE.read_text(encoding="utf-8")


@cache
def page() -> Page:
    return Page(*re.findall(r"```(?:json|text)\n(.*?)```", text(), re.DOTALL))


@cache
def row_shown() -> dict[str, str]:
    return dict(re.findall(r"^\| `(\w+)` \| `(.*)` \|$", text(), re.MULTILINE))


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def leaves() -> list[bytes]:
    told = [*page().before.split("\n")[:4], page().entry.strip(), page().leaf.strip()]
    for told_entry, leaf in zip(told[::2], told[1::2], strict=True):
        assert sha(b"\x00", told_entry.encode()).hex() == leaf
    return [bytes.fromhex(leaf) for leaf in told[1::2]]


def test_the_commitment_binds_the_stored_bytes() -> None:
    salt, state = bytes.fromhex(row_shown()["salt"]), row_shown()["state"].encode()
    assert sha(b"ledger.payload.v1\n", salt, state).hex() == row_shown()["payload_commitment"]
    assert commitment(salt, state).hex() == row_shown()["payload_commitment"]


def test_the_entry_is_made_of_the_row() -> None:
    said = {
        "commit": row_shown()["payload_commitment"],
        "n": int(row_shown()["position"]),
        "stream": row_shown()["originator_id"],
        "time": int(row_shown()["recorded_at"]),
        "type": row_shown()["topic"],
        "v": 1,
        "ver": int(row_shown()["originator_version"]),
    }
    assert list(said) == sorted(said)
    assert json.dumps(said, separators=(",", ":"), ensure_ascii=False) == page().entry.strip()


def test_three_leaves_make_the_root() -> None:
    first, second, third = leaves()
    node = sha(b"\x01", first, second)
    root = sha(b"\x01", node, third)
    assert page().nodes.split() == [node.hex(), root.hex()]
    origin, size, encoded = page().note.split("\n")[:3]
    assert (origin, size) == ("ledger.example.org/log", "3")
    assert base64.b64decode(encoded) == root


@pytest.mark.parametrize(("number", "kind"), [(0, 1), (1, 4)])
def test_the_checkpoint_is_signed_as_the_page_says(number: int, kind: int) -> None:
    name, key_id, encoded = page().keys.split()[number].split("+", 2)
    raw = base64.b64decode(encoded)
    assert raw[0] == kind
    assert sha(name.encode(), b"\n", raw)[:4].hex() == key_id
    said, _, rest = page().note.rpartition("\n\n")
    dash, signer, signature = rest.split("\n")[number].split(" ")
    assert (dash, signer) == ("\N{EM DASH}", name)
    made = base64.b64decode(signature)
    assert made[:4].hex() == key_id
    told, made = f"{said}\n".encode(), made[4:]
    if kind == COSIGNATURE:
        at = int.from_bytes(made[:8], "big")
        told, made = b"cosignature/v1\ntime %d\n%b" % (at, told), made[8:]
    Ed25519PublicKey.from_public_bytes(raw[1:]).verify(made, told)


def test_the_receipt_leads_from_the_third_leaf_to_the_root() -> None:
    head, checkpoint_shown = page().receipt.split("\n\n", 1)
    first, index, *path = head.split("\n")
    assert (first, index) == ("c2sp.org/tlog-proof@v1", "index 2")
    assert checkpoint_shown == page().note
    (beside,) = map(base64.b64decode, path)
    root = sha(b"\x01", beside, bytes.fromhex(page().leaf.strip()))
    assert base64.b64encode(root).decode() == checkpoint_shown.split("\n")[2]
    policy = parse_policy(f"log {page().keys.split()[0]}\nquorum none\n".encode())
    Proof.parse(page().receipt.encode()).verify(page().entry.strip().encode(), policy)


def test_the_bundle_is_that_of_the_three_entries() -> None:
    entries = [*page().before.split("\n")[:4:2], page().entry.strip()]
    made = b"".join(len(one).to_bytes(2, "big") + one.encode() for one in entries)
    said = re.search(
        r"has (\d+) bytes, begins with `([0-9a-f]+)`,\s+and has the SHA-256 `(\w+)`", text()
    )
    assert said is not None
    assert said.groups() == (str(len(made)), made[:2].hex(), sha(made).hex())


def test_the_line_holds_the_row() -> None:
    row, leaf = parsed(page().line.strip().encode())
    assert leaf.hex() == page().leaf.strip()
    assert entry(row).decode() == page().entry.strip()
    assert (row.state.decode(), row.salt.hex()) == (row_shown()["state"], row_shown()["salt"])
    assert page().line.strip().split(',"event":', 1)[1][:-1] == row_shown()["state"]


def test_the_erasure_vouches_for_the_body_that_stands_there() -> None:
    gone, erasure = page().erased.strip().split("\n")
    row, leaf = parsed(gone.encode())
    by, _ = parsed(erasure.encode())
    said = json.loads(by.state)
    assert (row.salt, sha(b"\x00", entry(row))) == (b"", leaf)
    assert by.stream == row.stream
    assert (said["position"], said["version"], said["type"]) == (8, 2, row.topic)
    assert said["redacted_digest"] == f"sha256:{sha(row.state).hex()}"
    assert json.loads(row.state)["reason"] == "[erased]"
    assert sha(b"\x00", entry(by)) == parsed(erasure.encode())[1]
    assert commitment(by.salt, by.state) == by.commitment


def test_the_verifier_reads_it_the_same_way() -> None:
    log, witness = page().keys.split()
    signed = note(page().note.encode())
    assert signed.signed_by(key(log, ED25519))
    assert signed.signed_by(key(witness, COSIGNATURE))
    assert checkpoint(signed).root.hex() == page().nodes.split()[1]


def test_nothing_that_is_promised_of_stores_is_left_out() -> None:
    for store in ("event table", "views", "keys", "backups", "clock"):
        assert re.search(rf"^\| {store} \| \S", text(), re.MULTILINE)
