"""The verifier's one pass over a log: what it tells of rows and tiles that do not fit together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest

from ledger.verifier import notebook as notebooks
from ledger.verifier.lines import BadLine, parsed
from ledger.verifier.log import Mark, Pass, Row, commitment, entry
from ledger.verifier.notebook import Notebook
from ledger.verifier.report import KEPT_MAX, Report
from ledger.verifier.tree import TILE, Tree, leaf_hash, tile_width

SIZE = 66_100
"""Enough for a full tile of the second level, and something behind it on each."""


def row(position: int) -> Row:
    state = b'{"n":%d}' % position
    salt = hashlib.sha256(state).digest()
    return Row(
        position=position,
        at=position * 10,
        stream=f"stream {position % 1_000} \N{SNOWMAN}",
        version=(position + 999) // 1_000 if position % 1_000 else position // 1_000,
        topic="test.happened:1",
        state=state,
        salt=salt,
        commitment=commitment(salt, state),
    )


class Tiles:
    """Tiles as an honest log stores them."""

    def __init__(self, rows: list[Row]) -> None:
        leaves = [leaf_hash(entry(one)) for one in rows]
        self.size, self.tiles, tree = len(rows), dict[tuple[int, int], bytes](), Tree()
        for at in range(0, self.size, TILE):
            block = leaves[at : at + TILE]
            self.tiles[0, at // TILE] = b"".join(block)
            if len(block) == TILE:
                self.tiles |= {(level, n): data for level, n, data in tree.add(block)}
        rest = leaves[self.size - self.size % TILE :]
        for level, data in enumerate(tree.edge(rest)):
            if data:
                self.tiles[level, self.size >> 8 * (level + 1)] = data
        self.root = tree.root(rest)

    def tile(self, level: int, index: int, width: int) -> bytes | None:
        assert tile_width(self.size, level, index) == width
        return self.tiles.get((level, index))

    def entries(self, _index: int, _width: int) -> list[bytes] | None:
        return None


@pytest.fixture(scope="module")
def honest() -> tuple[list[Row], Tiles]:
    rows = [row(position) for position in range(1, SIZE + 1)]
    return rows, Tiles(rows)


@pytest.fixture(scope="module")
def short() -> tuple[list[Row], Tiles]:
    rows = [row(position) for position in range(1, 3_001)]
    return rows, Tiles(rows)


def told(rows: list[Row], tiles: Tiles, size: int | None = None) -> list[str]:
    report, roots = Report("test"), dict[int, bool]()
    with Notebook() as notebook:
        reading = Pass(report, notebook, tiles, tiles.size if size is None else size)

        def at_mark(mark: Mark, mine: bytes | None, other: bytes | None) -> None:
            roots[0], roots[1] = mine == mark.root, other == mark.root

        reading.run(rows, [Mark(tiles.size, "", tiles.root)], at_mark)
        reading.blame(rows=roots[0], stored=roots[1])
    said = [each.line() for each in report.differences]
    return said + [what for what, true in zip(("rows", "tiles"), roots.values(), strict=True) if not true]  # fmt: skip  # noqa: E501


def test_an_honest_log_has_nothing_to_tell(honest: tuple[list[Row], Tiles]) -> None:
    assert told(*honest) == []


@pytest.mark.parametrize("place", [(0, 0), (0, 5), (0, 258), (1, 0), (1, 1), (2, 0)])
def test_a_changed_hash_of_any_tile_is_named(
    honest: tuple[list[Row], Tiles], place: tuple[int, int]
) -> None:
    rows, tiles = honest
    kept = tiles.tiles[place]
    changed = bytearray(kept)
    changed[-1] ^= 0x80
    tiles.tiles[place] = bytes(changed)
    said = told(rows, tiles)
    name = f"log_tiles, level {place[0]}, idx {place[1]}, hash {len(kept) // 32 - 1}: "
    assert [line for line in said if line.startswith(name)], said
    tiles.tiles[place] = kept + bytes(32)
    said = told(rows, tiles)
    del tiles.tiles[place]
    said += told(rows, tiles)
    tiles.tiles[place] = kept
    wanted = f"log_tiles, level {place[0]}, idx {place[1]}, data: expected {len(kept) // 32} hashes"
    assert len([line for line in said if line.startswith(wanted)]) == 2


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda r: r._replace(at=r.at - 11), ["recorded_at: expected later", "leaf hash"]),
        (lambda r: r._replace(at=r.at + 1), ["leaf hash"]),
        (lambda r: r._replace(version=r.version + 1), ["originator_version", "leaf hash"]),
        (lambda r: r._replace(stream="another"), ["originator_version", "leaf hash"]),
        (lambda r: r._replace(topic="other:1"), ["leaf hash"]),
        (lambda r: r._replace(state=b"{}"), ["state"]),
        (lambda r: r._replace(salt=bytes(32)), ["state"]),
        (lambda r: r._replace(salt=bytes(31)), ["salt: expected 32 bytes, found 31"]),
        (lambda r: r._replace(salt=b""), ["salt: expected 32 bytes, for no erasure names it"]),
        (lambda r: r._replace(commitment=bytes(32)), ["state", "leaf hash"]),
    ],
)
def test_a_changed_row_is_named(
    short: tuple[list[Row], Tiles], change: Callable[[Row], Row], names: list[str]
) -> None:
    rows, tiles = short
    position = 2_000
    changed = [*rows[: position - 1], change(rows[position - 1]), *rows[position:]]
    said = told(changed, tiles)
    for name in names:
        wanted = f"events, position {position}, {name}"
        assert [line for line in said if line.startswith(wanted)], said


def test_rows_that_are_gone_or_of_another_kind_are_named(short: tuple[list[Row], Tiles]) -> None:
    rows, tiles = short
    assert told(rows[:99] + rows[100:], tiles)[0].startswith("events, position 100: ")
    assert told(rows[:99] + rows[600:], tiles)[0].startswith("events, positions 100 to 600: ")
    assert told([*rows[:99], rows[3], *rows[99:]], tiles)[0].startswith("events, position 4, ")
    far = rows[99]._replace(position=2**60)
    assert told([*rows[:99], far, *rows[99:]], tiles)[0].startswith("events, positions 100 to ")
    odd = [*rows[:99], rows[99]._replace(state=None), *rows[100:]]  # type: ignore[arg-type]
    assert told(odd, tiles)[0].startswith("events, behind position 99, types")


def test_a_log_that_differs_everywhere_is_told_in_bounds(short: tuple[list[Row], Tiles]) -> None:
    rows, tiles = short
    said = told([one._replace(at=one.at + 1) for one in rows], tiles)
    assert len(said) <= KEPT_MAX + 2


def test_versions_of_more_streams_than_memory_holds_are_followed(
    short: tuple[list[Row], Tiles], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notebooks, "HELD_STREAMS", 10)
    rows, tiles = short
    assert told(rows, tiles) == []
    changed = [*rows[:2_499], rows[2_499]._replace(version=9), *rows[2_500:]]
    assert "events, position 2500, originator_version: expected 3, found 9" in told(changed, tiles)


# ---------------------------------------------------------------- lines


def line(**changes: object) -> bytes:
    members: dict[str, object] = {
        "position": 1,
        "recorded_at": "2026-07-01T00:00:00.000001Z",
        "stream": "s",
        "version": 1,
        "type": "test.happened",
        "schema_version": 1,
        "commitment": "0" * 64,
        "salt": "",
        "leaf_hash": "1" * 64,
    }
    told = json.dumps(members | changes, separators=(",", ":"), ensure_ascii=False).encode()
    return told[:-1] + b',"event":{"a":",\\"event\\":"}}'


def test_a_line_holds_the_exact_bytes() -> None:
    read, leaf = parsed(line(stream="\N{SNOWMAN}"))
    assert read == Row(1, 1782864000000001, "\N{SNOWMAN}", 1, "test.happened:1",
                       b'{"a":",\\"event\\":"}', b"", bytes(32))  # fmt: skip
    assert leaf == b"\x11" * 32


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[" * 100_000,
        line()[:-2],
        line().replace(b'"position":1', b'"position":1.0'),
        line().replace(b'"position":1', b'"position":true'),
        line().replace(b'"position":1', b'"position":' + b"9" * 5_000),
        line(more="one"),
        line(salt="00"),
        line(commitment="0" * 63),
        line(leaf_hash="G" * 64),
        line(recorded_at="2026-07-01T00:00:00Z"),
        line(recorded_at="2026-13-01T00:00:00.000001Z"),
        line(stream="s" * 70_000),
        line().replace(b'"stream":"s"', b'"stream":"\\ud800"'),
        line().replace(b'"stream":"s"', b'"stream":"\\u0073"'),
        line().replace(b'"stream":"s"', b'"stream": "s"'),
        line(position=0),
        line(version=2**63),
        line().replace(b'"stream":"s"', b'"stream":"\xff"'),
        line().replace(b'"position":1', b'"version":1'),
    ],
)
def test_what_is_no_line_is_refused(raw: bytes) -> None:
    with pytest.raises(BadLine):
        parsed(raw)
