"""Have a log cosigned with the client of aics-witness: WITNESS-URL WITNESS-VKEY STATE FOLDER...

Each folder holds the log at one size, in order.  Prints for each how it went: cosigned, or the name
of the error.
"""

from __future__ import annotations

import sys
from pathlib import Path

from aics_tlog import HttpTileReader, consistency_proof_from_tiles
from aics_tlog.remote import tile_source_url
from aics_witness.feeder import FeederError, WitnessClient


def main(url: str, vkey: str, state: str, *folders: str) -> None:
    """Submit every checkpoint; the client verifies each cosignature."""
    client = WitnessClient(url, vkey, state_path=state, max_attempts=1, timeout=120)
    for folder in folders:
        tiles = HttpTileReader(tile_source_url(folder), proxies={})

        def prove(old: int, size: int, tiles: HttpTileReader = tiles) -> list[bytes]:
            proof: list[bytes] = consistency_proof_from_tiles(tiles, old, size)
            return proof

        try:
            client.submit((Path(folder) / "checkpoint").read_bytes(), prove)
        except FeederError as refused:
            print(type(refused).__name__, refused)  # noqa: T201
        else:
            print("cosigned")  # noqa: T201


main(*sys.argv[1:])
