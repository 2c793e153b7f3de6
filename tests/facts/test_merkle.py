"""The tree over the log: known roots, and proofs from tiles against the definition itself."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.transparency.merkle import (
    EMPTY_ROOT,
    TILE_BYTES,
    BadProof,
    BadTile,
    Frontier,
    Tile,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    parse_tile_path,
    root_of,
    split,
    tile_path,
    tile_width,
    tiles_of,
    verify_consistency,
    verify_inclusion,
)

# The eight leaves of RFC 6962's test tree and its roots for 0 to 8 of them.
LEAVES = [
    bytes.fromhex(each)
    for each in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
MANY = 70_003


class Tiles:
    """A tree grown by a frontier, with its full tiles kept: what a store keeps."""

    def __init__(self, leaves: list[bytes], step: int) -> None:
        self.frontier = Frontier()
        self.full: dict[tuple[int, int], bytes] = {}
        self.read_count = 0
        for first in range(0, len(leaves), step):
            self.grow(leaves[first : first + step])

    def grow(self, leaves: list[bytes]) -> None:
        for level, index, data in self.frontier.extend(leaves):
            assert len(data) == TILE_BYTES
            assert (level, index) not in self.full
            self.full[level, index] = data

    def read(self, level: int, index: int, width: int) -> bytes:
        self.read_count += 1
        if (level, index) in self.full:
            return self.full[level, index][: width * 32]
        return self.frontier.tile(level, index, width)


def hashes(count: int) -> list[bytes]:
    return [leaf_hash(str(n).encode()) for n in range(count)]


HASHES = hashes(MANY)
TREE = Tiles(HASHES, 1_000)


def split_point(count: int) -> int:
    k = 1
    while k * 2 < count:
        k *= 2
    return k


@cache
def mth(first: int, end: int) -> bytes:
    """RFC 9162 2.1.1, word for word, over the leaves ``first`` to ``end - 1``."""
    if end - first == 1:
        return HASHES[first]
    k = first + split_point(end - first)
    return sha256(b"\x01" + mth(first, k) + mth(k, end)).digest()


def path(m: int, first: int, end: int) -> list[bytes]:
    """RFC 9162 2.1.3.1, word for word."""
    if end - first == 1:
        return []
    k = first + split_point(end - first)
    if m < k:
        return [*path(m, first, k), mth(k, end)]
    return [*path(m, k, end), mth(first, k)]


def subproof(m: int, first: int, end: int, *, known: bool = True) -> list[bytes]:
    """RFC 9162 2.1.4.1, word for word."""
    if m == end:
        return [] if known else [mth(first, end)]
    k = first + split_point(end - first)
    if m <= k:
        return [*subproof(m, first, k, known=known), mth(k, end)]
    return [*subproof(m, k, end, known=False), mth(first, k)]


def test_leaves_and_nodes_are_hashed_apart() -> None:
    leaf = "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
    node = "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb"
    assert leaf_hash(b"L123456").hex() == leaf
    assert node_hash(b"N123", b"N456").hex() == node


def test_the_roots_are_those_of_the_standard() -> None:
    frontier = Frontier()
    roots = [frontier.root().hex()]
    for leaf in LEAVES:
        assert frontier.extend([leaf_hash(leaf)]) == []
        roots.append(frontier.root().hex())
    assert roots == ROOTS
    assert [root_of([leaf_hash(leaf) for leaf in LEAVES[:n]]).hex() for n in range(9)] == ROOTS
    assert EMPTY_ROOT.hex() == ROOTS[0]


@pytest.mark.parametrize("size", [*range(1, 600), 65_535, 65_536, 65_537, MANY])
def test_the_root_is_the_definitions(size: int) -> None:
    frontier = Frontier()
    frontier.extend(HASHES[:size])
    assert frontier.root() == mth(0, size) == root_of(HASHES[:size])


@settings(deadline=None)
@given(st.lists(st.integers(0, 700), max_size=6))
@example([255, 1, 1, 255, 256])
def test_it_does_not_matter_in_which_steps_a_tree_grew(steps: list[int]) -> None:
    grown, state = Frontier(), b""
    kept: list[tuple[int, int, bytes]] = []
    for step in steps:
        grown = Frontier(grown.size, state)
        kept += grown.extend(HASHES[grown.size : grown.size + step])
        state = grown.state
    at_once = Frontier()
    assert sorted(kept) == sorted(at_once.extend(HASHES[: sum(steps)]))
    assert (grown.size, grown.root(), grown.state) == (sum(steps), at_once.root(), at_once.state)


def test_a_frontier_is_not_taken_up_at_another_size() -> None:
    for size, hash_count in [(0, 1), (1, 0), (256, 2), (257, 1), (256, 0), (65_536, 256)]:
        with pytest.raises(BadTile, match="frontier"):
            Frontier(size, b"".join(HASHES[:hash_count]))
    with pytest.raises(BadTile, match="no row of hashes"):
        Frontier(1, bytes(31))


def test_a_log_of_70000_leaves_has_277_tiles() -> None:
    tiles = list(tiles_of(70_000))
    assert len(tiles) == 277
    partial = [tile for tile in tiles if tile.width < 256]
    assert partial == [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert list(tiles_of(0)) == []
    assert tile_width(70_000, 0, 274) == tile_width(70_000, 3, 0) == 0


def test_every_hash_of_a_tile_is_the_root_over_its_leaves() -> None:
    for tile in tiles_of(MANY):
        data = split(TREE.read(tile.level, tile.index, tile.width))
        span = 256**tile.level
        for at in {0, tile.width // 2, tile.width - 1}:
            first = (tile.index * 256 + at) * span
            assert data[at] == mth(first, first + span)


# ---------------------------------------------------------------- proofs

SIZES = st.one_of(
    st.integers(1, 600),
    st.integers(250, 260),
    st.integers(65_530, 65_542),
    st.integers(1, MANY),
)


@settings(deadline=None)
@given(SIZES, st.data())
def test_a_path_from_tiles_is_the_definitions(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, TREE.read)
    assert proof == path(index, 0, size)
    verify_inclusion(HASHES[index], index, size, mth(0, size), proof)


@settings(deadline=None)
@given(SIZES, st.data())
def test_a_consistency_proof_from_tiles_is_the_definitions(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, size))
    proof = consistency_proof(old, size, TREE.read)
    assert proof == subproof(old, 0, size)
    verify_consistency(old, size, mth(0, old), mth(0, size), proof)


def test_all_proofs_of_all_small_trees_hold() -> None:
    roots = [EMPTY_ROOT, *(mth(0, size) for size in range(1, 70))]
    for size in range(1, 70):
        for n in range(size):
            proof = inclusion_proof(n, size, TREE.read)
            verify_inclusion(HASHES[n], n, size, roots[size], proof)
            for other in {0, n - 1, n + 1, size - 1} - {n, -1}:
                with pytest.raises(BadProof):
                    verify_inclusion(HASHES[n], other, size, roots[size], proof)
            proof = consistency_proof(n + 1, size, TREE.read)
            verify_consistency(n + 1, size, roots[n + 1], roots[size], proof)


def test_a_proof_reads_few_tiles() -> None:
    TREE.read_count = 0
    inclusion_proof(12_345, MANY, TREE.read)
    assert TREE.read_count <= 6


@settings(deadline=None)
@given(SIZES, st.data())
def test_a_changed_path_proves_nothing(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    root = mth(0, size)
    proof = inclusion_proof(index, size, TREE.read)
    changed = [[*proof, HASHES[0]], [HASHES[0], *proof]]
    changed += [[*proof[:n], HASHES[0][::-1], *proof[n + 1 :]] for n in range(len(proof))]
    changed += [[*proof[:n], *proof[n + 1 :]] for n in range(len(proof))]
    changed += [[*proof[:n], each[:31], *proof[n + 1 :]] for n, each in enumerate(proof)]
    for bad in changed:
        with pytest.raises(BadProof):
            verify_inclusion(HASHES[index], index, size, root, bad)
    for leaf, at, of in [
        (HASHES[index][::-1], index, size),
        (HASHES[index], size, size),
        (HASHES[index], -1, size),
        (HASHES[index][:31], index, size),
    ]:
        with pytest.raises(BadProof):
            verify_inclusion(leaf, at, of, root, proof)
    with pytest.raises(BadProof):
        verify_inclusion(HASHES[index], index, size, root[::-1], proof)


@settings(deadline=None)
@given(SIZES, st.data())
def test_a_changed_consistency_proof_proves_nothing(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, size))
    before, after = mth(0, old), mth(0, size)
    proof = consistency_proof(old, size, TREE.read)
    changed = [[*proof, HASHES[0]], [HASHES[0], *proof]]
    changed += [[*proof[:n], HASHES[0][::-1], *proof[n + 1 :]] for n in range(len(proof))]
    changed += [[*proof[:n], *proof[n + 1 :]] for n in range(len(proof))]
    for bad in changed:
        with pytest.raises(BadProof):
            verify_consistency(old, size, before, after, bad)
    for sizes in [(0, size), (size + 1, size), (-1, size)]:
        with pytest.raises(BadProof, match="order"):
            verify_consistency(*sizes, before, after, proof)
    with pytest.raises(BadProof):
        verify_consistency(old, size, before[::-1], after, proof)
    with pytest.raises(BadProof):
        verify_consistency(old, size, before, after[::-1], proof)


def test_a_leaf_beyond_the_tree_has_no_path() -> None:
    for index, size in [(0, 0), (5, 5), (-1, 5)]:
        with pytest.raises(ValueError, match="has no leaf"):
            inclusion_proof(index, size, TREE.read)
    for old, size in [(-1, 5), (6, 5)]:
        with pytest.raises(ValueError, match="was never"):
            consistency_proof(old, size, TREE.read)
    assert consistency_proof(0, 5, TREE.read) == consistency_proof(5, 5, TREE.read) == []


def test_a_tile_of_another_width_is_not_used() -> None:
    for short in (lambda *_: bytes(32 * 3), lambda *_: bytes(33), lambda *_: b""):
        with pytest.raises(BadTile):
            inclusion_proof(0, 5, short)


# ---------------------------------------------------------------- paths

PATHS = {
    "0/000": (0, 0, 256),
    "0/x001/x234/067": (0, 1_234_067, 256),
    "63/999.p/1": (63, 999, 1),
    "2/x001/000.p/255": (2, 1_000, 255),
    "entries/x012/345": (None, 12_345, 256),
    "entries/273.p/112": (None, 273, 112),
}


@pytest.mark.parametrize("text", PATHS)
def test_a_tile_has_one_path(text: str) -> None:
    assert parse_tile_path(text) == PATHS[text]
    assert tile_path(*PATHS[text]) == text


@given(st.one_of(st.none(), st.integers(0, 63)), st.integers(0, 2**63 - 1), st.integers(1, 256))
def test_a_path_says_which_tile_it_is(level: int | None, index: int, width: int) -> None:
    assert parse_tile_path(tile_path(level, index, width)) == (level, index, width)


def test_the_places_of_tiles_are_in_order() -> None:
    ordered = [tile_path(0, index) for index in range(1_000)]
    assert all(one < other for one, other in pairwise(ordered))


NO_PATHS = (
    "64/000 00/000 -1/000 0/0 0/00 0/0000 0/x000/000 0/x000/x001/000 0/001/000 0/x001 0/1000 "
    "0/000.p/0 0/000.p/256 0/000.p/257 0/000.p/01 0/000.p/ 0/000.p 0/000/ /0/000 0//000 data/000 "
    "entries/x000/000 Entries/000 0/x009/x223/x372/x036/x854/x775/808 0/+00 0/000.P/1 "
    "0/\u0660\u0660\u0660 0/000.p/\u0663"
)


@pytest.mark.parametrize("text", NO_PATHS.split())
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(BadTile, match="no path"):
        parse_tile_path(text)


@pytest.mark.parametrize("text", ["", "0/000\n", "0/000.p/1\n", " 0/000", "0/000 "])
def test_white_space_makes_no_path(text: str) -> None:
    with pytest.raises(BadTile, match="no path"):
        parse_tile_path(text)
