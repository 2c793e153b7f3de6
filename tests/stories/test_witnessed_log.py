"""A ledger whose checkpoints a real witness cosigns, and what becomes of it without one."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from given_service import founded
from given_terminal import done, listening, refused
from ledger.transparency import opening
from ledger.transparency.key_file import KeyFile
from ledger.transparency.notes import VerifierKey, open_checkpoint, parse_note
from ledger.transparency.policy import Policy
from ledger.transparency.witnessing import Witnesses

pytestmark = pytest.mark.slow

GONE = "http://127.0.0.1:9"
"""Where nobody listens."""


class Place:
    """A ledger and its witness, each in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.ledger, self.witness = folder / "ledger", folder / "witness"
        self.ledger.mkdir()
        self.witness.mkdir()
        done(self.ledger, "init")
        words = ("witness", "keygen", "w.example/1", "--key", "key", "--memory", "memory.db")
        self.cosigner = VerifierKey.parse(done(self.witness, *words).split()[-1])
        log = KeyFile(self.ledger / "data" / "log.key").read()
        assert log is not None
        self.log = log.verifier
        (self.witness / "logs").write_text(f"log {self.log}\nquorum none\n")

    @contextmanager
    def watched(self) -> Iterator[str]:
        words = ("--key", "key", "--memory", "memory.db", "--logs", "logs", "--port", "0")
        with listening(self.witness, "witness", "serve", *words) as server:
            yield server.address

    def settings(self, policy: str, address: str) -> dict[str, str]:
        """Return the settings under which the witness is asked at an address."""
        file = self.ledger / "witnesses"
        file.write_text(f"witness w {self.cosigner} {address}\nquorum w\n")
        return {"LEDGER_WITNESS_POLICY": policy, "LEDGER_WITNESS_FILE": str(file)}

    def append(self, name: str) -> None:
        done(self.ledger, "keys", "create", "--name", name, "--scope", "submit")

    def step(self, policy: str, address: str) -> tuple[int, list[str]]:
        """Publish; returns the size and who cosigned it."""
        told = done(self.ledger, "log", "step", **self.settings(policy, address))
        note = told.split("\n", 1)[1].encode()
        checkpoint, cosigned = open_checkpoint(note, self.log, [self.cosigner])
        assert parse_note(note).signatures
        return checkpoint.size, [key.name for key in cosigned]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_witness_cosigns_what_is_published(place: Place) -> None:
    with place.watched() as address:
        assert place.step("required", address) == (4, ["w.example/1"])
        place.append("a")
        assert place.step("best-effort", address) == (5, ["w.example/1"])
    place.append("b")
    # Without the witness, only the strict publish nothing.
    said = refused(place.ledger, "log", "step", **place.settings("required", GONE))
    assert "Too few witnesses have cosigned size 6 (w: It cannot be reached" in said
    assert said.endswith("[witnesses-missing]")
    assert place.step("best-effort", GONE) == (6, [])
    with place.watched() as address:
        # Back again it cosigns what was published without it, though nothing was appended since.
        assert place.step("best-effort", address) == (6, ["w.example/1"])
        place.append("c")
        assert place.step("required", address) == (7, ["w.example/1"])


def test_witnesses_have_the_time_that_was_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []

    def timed(policy: Policy, timeout_s: float) -> Witnesses:
        given.append(timeout_s)
        return Witnesses(policy, timeout_s)

    monkeypatch.setattr(opening, "Witnesses", timed)
    file = tmp_path / "witnesses"
    file.write_text("quorum none\n")
    required = {"witness_policy": "required", "witness_file": file, "witness_timeout_s": 7.5}
    with founded(tmp_path, **required):
        assert set(given) == {7.5}


def test_a_witness_that_says_nothing_is_late(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"http://127.0.0.1:{mute.getsockname()[1]}"
        settings = place.settings("required", address) | {"LEDGER_WITNESS_TIMEOUT_S": "0.1"}
        said = refused(place.ledger, "log", "step", **settings)
    assert "(w: It did not answer in time." in said
    assert said.endswith("[witnesses-missing]")


@pytest.mark.parametrize("appended", [False, True])
def test_a_witness_stops_a_database_that_came_back_without_its_memory(
    place: Place, *, appended: bool
) -> None:
    """Who restores the whole folder, memory and all, is stopped by the witness alone."""
    with place.watched() as address:
        place.step("required", address)
        shutil.copytree(place.ledger, place.ledger.with_name("older"))
        place.append("a")
        assert place.step("required", address)[0] == 5
        shutil.rmtree(place.ledger)
        shutil.move(place.ledger.with_name("older"), place.ledger)
        settings = place.settings("best-effort", address)
        if appended:
            # Up to date as far as it knows; but what it appends makes another history.
            place.append("b")
        said = refused(place.ledger, "log", "step", **settings)
        assert "The witness w shows a checkpoint of 5 events that the log has signed" in said
        assert ("holds another history" if appended else "holds 4") in said
        assert said.endswith("[log-stopped]")
        # From here on it takes nothing; not after a restart either, and not without the witness.
        words = ("keys", "create", "--name", "c", "--scope", "submit")
        assert refused(place.ledger, *words).endswith("[log-rolled-back]")
        assert refused(place.ledger, "log", "step") == said
        # The second history was never signed: the witness has nothing to show for it.
        assert done(place.witness, "witness", "evidence", "--memory", "memory.db") == ""
    told = done(place.ledger, "log", "init", "--origin", "b.example/log", "--reason", "Restored.")
    assert f"\nb.example/log\n{5 + appended}\n" in told
