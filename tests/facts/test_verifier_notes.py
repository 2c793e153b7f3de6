"""The verifier's own reading of keys, notes and trees: known vectors, and everything hostile."""

from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.verifier.signatures import (
    COSIGNATURE,
    ED25519,
    BadNote,
    Key,
    checkpoint,
    key,
    note,
)
from ledger.verifier.tree import EMPTY, TILE, Tree, contains, leaf_hash, node_hash

NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SUMDB = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
SUMDB_NOTE = (
    "go.sum database tree\n35225469\nvt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJCQ=\n\n"
    "\N{EM DASH} sum.golang.org Az3grpukl5AXaVfYkLiDGORx/DN2nlcS5kZHR5uYOBV2KA2HgXpD+gu9HHONebHLA"
    "yaKbbTM75QTtPydhKCExixSfwQ=\n"
)
LEAVES = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")  # fmt: skip  # noqa: E501
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


def test_a_checkpoint_of_another_log_is_read_and_its_signature_holds() -> None:
    signed = note(SUMDB_NOTE.encode())
    assert signed.signed_by(key(SUMDB, ED25519))
    assert not signed.signed_by(key(NEUMANN, ED25519))
    said = checkpoint(signed)
    assert (said.origin, said.size) == ("go.sum database tree", 35225469)


def test_every_changed_byte_of_a_note_is_refused_or_unsigned() -> None:
    raw, known = SUMDB_NOTE.encode(), key(SUMDB, ED25519)
    for at in range(len(raw)):
        changed = bytearray(raw)
        changed[at] ^= 1
        try:
            assert not note(bytes(changed)).signed_by(known), at
        except BadNote:
            continue


def cosigned(text: bytes, witness: Key, private: Ed25519PrivateKey, at: int) -> str:
    told = b"cosignature/v1\ntime %d\n%b" % (at, text)
    raw = witness.id + at.to_bytes(8, "big") + private.sign(told)
    return f"\N{EM DASH} {witness.name} {base64.b64encode(raw).decode()}\n"


def test_a_cosignature_stands_for_its_time_and_its_text() -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes([2]) * 32)
    witness = Key("witness.example.org/w1", COSIGNATURE, private.public_key().public_bytes_raw())
    assert str(witness).startswith("witness.example.org/w1+6d7ef907+BIE5dw6ofRdf")
    assert key(str(witness), COSIGNATURE) == witness
    text, *_ = SUMDB_NOTE.encode().partition(b"\n\n")
    line = cosigned(text + b"\n", witness, private, 1_700_000_000)
    assert note((SUMDB_NOTE + line).encode()).signed_by(witness)
    assert not note(SUMDB_NOTE.encode()).signed_by(witness)
    other = cosigned(b"another\n", witness, private, 1_700_000_000)
    with pytest.raises(BadNote):
        note((SUMDB_NOTE + other).encode()).signed_by(witness)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no+key",
        "a b+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        SUMDB.replace("033de0ae", "033de0af"),
        SUMDB[:-4],
        SUMDB + "AAAA",
        SUMDB.replace("+Ac4", "+Bc4"),
        "x" * 70_000,
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        key(text, ED25519)
    with pytest.raises(BadNote):
        key(text, COSIGNATURE)


TEXT = f"origin\n1\n{base64.b64encode(bytes(32)).decode()}\n"
LINE = f"\N{EM DASH} name {base64.b64encode(bytes(68)).decode()}\n"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n\n",
        TEXT.encode(),
        f"{TEXT}\n".encode(),
        f"{TEXT}\n{LINE}"[:-1].encode(),
        f"{TEXT}\n{LINE}\n".encode(),
        f"{TEXT}\n- name AAAA\n".encode(),
        f"{TEXT}\n\N{EM DASH} name AAAA\n".encode(),
        f"{TEXT}\n\N{EM DASH} na+me {LINE[7:]}".encode(),
        f"{TEXT}\n\N{EM DASH} name !!!!\n".encode(),
        f"{TEXT}\n{LINE * 101}".encode(),
        f"{TEXT}\r\n{LINE}".encode(),
        f"{'x' * 70_000}\n\n{LINE}".encode(),
        b"\xff\n\n" + LINE.encode(),
        f"{TEXT}\n{LINE}".replace("AA=", "AB=").encode(),
    ],
)
def test_what_is_no_note_is_refused(raw: bytes) -> None:
    with pytest.raises(BadNote):
        note(raw)


@pytest.mark.parametrize(
    "text",
    [
        "origin\n1\n",
        f"\n{TEXT}",
        TEXT.replace("\n1\n", "\n01\n"),
        TEXT.replace("\n1\n", "\n-1\n"),
        TEXT.replace("\n1\n", "\n+1\n"),
        TEXT.replace("\n1\n", "\n\N{ARABIC-INDIC DIGIT ONE}\n"),
        TEXT.replace("\n1\n", f"\n{2**63}\n"),
        TEXT.replace("\n1\n", f"\n{'9' * 4_000}\n"),
        f"{TEXT}extension\n",
        f"origin\n1\n{base64.b64encode(bytes(31)).decode()}\n",
        f"origin\n1\n{base64.b64encode(bytes(33)).decode()}\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        checkpoint(note(f"{text}\n{LINE}".encode()))


def test_the_roots_are_those_of_rfc_6962() -> None:
    leaves = [leaf_hash(bytes.fromhex(leaf)) for leaf in LEAVES]
    assert Tree().root() == EMPTY
    for size, root in enumerate(ROOTS):
        assert Tree().root(leaves[:size]).hex() == root


def naive(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(naive(leaves[:split]), naive(leaves[split:]))


def proof(old: int, leaves: list[bytes], *, whole: bool = True) -> list[bytes]:
    if old == len(leaves):
        return [] if whole else [naive(leaves)]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if old <= split:
        return [*proof(old, leaves[:split], whole=whole), naive(leaves[split:])]
    return [*proof(old - split, leaves[split:], whole=False), naive(leaves[:split])]


@pytest.mark.parametrize("size", [1, 2, 7, 255, 256, 257, 511, 512, 700, 66_000])
def test_a_tree_that_grows_by_blocks_has_the_root_of_its_leaves(size: int) -> None:
    leaves = [hashlib.sha256(b"%d" % n).digest() for n in range(size)]
    tree, full = Tree(), []
    for at in range(0, size - size % TILE, TILE):
        full += tree.add(leaves[at : at + TILE])
    assert tree.root(leaves[size - size % TILE :]) == naive(leaves)
    assert [(level, index) for level, index, _ in full] == ([(1, 0)] if size > TILE**2 else [])
    edge = tree.edge(leaves[size - size % TILE :])
    assert [len(tile) // 32 for tile in edge][:2] == [size % TILE, size // TILE % TILE][: len(edge)]


def test_consistency_proofs_are_checked_to_the_last_hash() -> None:
    leaves = [hashlib.sha256(b"%d" % n).digest() for n in range(70)]
    for new in (1, 2, 3, 8, 13, 64, 70):
        for old in range(1, new + 1):
            roots = naive(leaves[:old]), naive(leaves[:new])
            steps = proof(old, leaves[:new])
            assert contains(old, roots[0], new, roots[1], steps)
            assert not contains(old, roots[1], new, roots[0], steps) or old == new
            assert not contains(old, roots[0], new, roots[1], [*steps, bytes(32)])
            for at in range(len(steps)):
                wrong = [*steps[:at], bytes(32), *steps[at + 1 :]]
                assert not contains(old, roots[0], new, roots[1], wrong)
                assert not contains(old, roots[0], new, roots[1], steps[:at])
    root = naive(leaves)
    assert not contains(0, EMPTY, 70, root, [])
    assert not contains(71, root, 70, root, [])
    assert not contains(3, root, 70, root, [bytes(31)] * 7)
    assert not contains(3, root, 70, root, [bytes(32)] * 1_000)
