"""Verify a whole log with tlog-scales and none of our code: VKEY WHERE [OLD], as verify.go does."""

from __future__ import annotations

import sys
from pathlib import Path

from tlog_scales.backend import make_backend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey, VkeySet
from tlog_scales.tiles import leaf_hash
from tlog_scales.tlog import Checkpoint


def signed(checkpoint: Checkpoint, vkey: str) -> Checkpoint:
    """Return a checkpoint that the key has signed for the log that it names."""
    key = Vkey.from_string(vkey)
    if checkpoint.origin != key.name or not VkeySet(key).verify(checkpoint.signatures, checkpoint):
        sys.exit("refused: the log's key has not signed the checkpoint")
    return checkpoint


def main(vkey: str, where: str, old: str | None = None) -> None:
    """Prove every entry from the tiles, and the way from an older checkpoint."""
    reader = TilesReader(make_backend(where))
    reader.tile_cache.max_size = 1_000
    now = signed(reader.get_checkpoint(), vkey)
    if reader.calculate_root_hash() != now.root_hash:
        sys.exit("refused: the tiles have another root")
    for index in range(now.size):
        proof = reader.get_inclusion_proof(index, now.size)
        proof.check(leaf_hash(reader.get_entry(index)), now.root_hash)
    if old is not None:
        before = signed(Checkpoint.from_text(Path(old).read_text()), vkey)
        grown = reader.get_consistency_proof(before.size, now.size)
        grown.check(before.root_hash, now.root_hash)
    print("verified", now.size, now.root_hash.hex())  # noqa: T201


main(*sys.argv[1:])
