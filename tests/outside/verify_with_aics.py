"""Verify a whole log with aics-tlog and none of our code: VKEY WHERE [OLD], as verify.go does."""

from __future__ import annotations

import sys
from pathlib import Path

from aics_tlog import (
    HttpTileReader,
    audit_tiles,
    consistency_proof_from_tiles,
    parse_note,
    parse_vkey,
    verify_checkpoint,
    verify_consistency,
)
from aics_tlog.remote import tile_source_url


def opened(data: bytes, vkey: str) -> tuple[int, bytes]:
    """Return size and root of a checkpoint that the key has signed."""
    key = parse_vkey(vkey)
    checked = verify_checkpoint(parse_note(data), key, expected_origin=key.name)
    if not checked.ok:
        sys.exit(f"refused: {checked.error}")
    return checked.size, checked.root


def main(vkey: str, where: str, old: str | None = None) -> None:
    """Audit every tile and entry, and the way from an older checkpoint."""
    reader = HttpTileReader(tile_source_url(where), proxies={}, timeout=120)
    size, root = opened(reader.read_checkpoint(), vkey)
    report = audit_tiles(reader, size, root)
    if old is not None:
        old_size, old_root = opened(Path(old).read_bytes(), vkey)
        proof = consistency_proof_from_tiles(reader, old_size, size)
        if not verify_consistency(old_size, size, old_root, root, proof):
            sys.exit("refused: it does not continue the older checkpoint")
    print("verified", report.size, root.hex())  # noqa: T201


main(*sys.argv[1:])
