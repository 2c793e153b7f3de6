"""An archive behind a web server that knows nothing of it is a log that others verify."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from given_archive import exported, grow_on, grown, somewhere
from given_outside import verifiers
from given_postgres import free_port
from ledger.archive import form
from ledger.archive.reading import row_of
from ledger.transparency.key_file import KeyFile
from ledger.transparency.lines import leaf_of
from ledger.transparency.merkle import inclusion_proof, tile_path, verify_inclusion
from ledger.transparency.notes import VerifierKey, open_checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.repo]


@contextmanager
def hosted(folder: Path) -> Iterator[str]:
    """Give the address of Python's own static web server over a folder."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                httpx.get(f"{address}/{form.MANIFEST}", timeout=30).raise_for_status()
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline, "it did not start"
                time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait(120)


def test_an_archive_is_a_log_that_outsiders_verify(tmp_path: Path) -> None:
    place, archive = somewhere("sqlite", tmp_path), tmp_path / "archive"
    grown(place, 300)
    KeyFile(place.app.log_key).make(place.app.log_name)
    exported(place.app, archive)
    old = tmp_path / "old"
    old.write_bytes((archive / form.CHECKPOINT).read_bytes())
    vkey = (archive / form.VKEY).read_text().strip()
    with hosted(archive) as address:
        for verifier in verifiers().values():
            for where in (f"{address}/log", archive / "log"):
                accepted, said = verifier.verdict(vkey, where)
                assert accepted, said
                assert said.startswith("verified 300 ")
        proofs_hold(address, vkey)
        grow_on(place, 700)
        exported(place.app, archive)
        for verifier in verifiers().values():
            accepted, said = verifier.verdict(vkey, f"{address}/log", old)
            assert accepted, said
            assert said.startswith("verified 1000 ")
        proofs_hold(address, vkey)
        # The same tools see a byte that is not as it was.
        tile = archive / "log" / "tile" / "0" / "001"
        data = bytearray(tile.read_bytes())
        data[77] ^= 1
        tile.write_bytes(data)
        for verifier in verifiers().values():
            assert not verifier.verdict(vkey, f"{address}/log")[0]


def proofs_hold(address: str, vkey: str) -> None:
    """Prove each event of the hosted archive, from what the web server gives, to the checkpoint."""
    with httpx.Client(base_url=address, timeout=120) as client:
        note = client.get("/log/checkpoint").content
        checkpoint, _ = open_checkpoint(note, VerifierKey.parse(vkey))
        tiles: dict[str, bytes] = {}

        def tile(level: int, index: int, width: int) -> bytes:
            path = tile_path(level, index, width)
            if path not in tiles:
                tiles[path] = client.get(f"/log/tile/{path}").raise_for_status().content
            return tiles[path]

        manifest = client.get("/manifest.json").json()
        lines = [
            line
            for segment in manifest["segments"]
            for line in client.get(f"/{segment['file']}").content.splitlines()
        ]
        assert len(lines) == checkpoint.size
        for position in {1, 2, 255, 256, 257, len(lines) // 2, len(lines) - 1, len(lines)}:
            leaf = leaf_of(row_of(lines[position - 1]))
            proof = inclusion_proof(position - 1, checkpoint.size, tile)
            verify_inclusion(leaf, position - 1, checkpoint.size, checkpoint.root, proof)
