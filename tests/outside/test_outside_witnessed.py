"""A ledger under the eyes of two witnesses, ours and one of others: what only they can notice.

The guards inside a ledger remember what was published.  A machine that is restored as a whole has
forgotten that, too, and would tell a second history in good faith.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from given_log import WITNESS
from given_outside import installed, run
from given_terminal import done, refused
from given_witness import MEMORY, aics_witness_in, policy_of, witness_in
from ledger.transparency.notes import SigningKey
from ledger.transparency.policy import Opened, parse_policy
from ledger.transparency.witness import evidence

pytestmark = [pytest.mark.slow, pytest.mark.repo]


@dataclass
class Watched:
    """A ledger with its folder, its witnesses' policy, and the command line that publishes."""

    folder: Path
    policy: str
    witnesses: Path

    @property
    def settings(self) -> dict[str, str]:
        return {
            "LEDGER_WITNESS_POLICY": "required",
            "LEDGER_WITNESS_FILE": str(self.folder.parent / "policy"),
        }

    def append_one(self) -> None:
        done(self.folder, "keys", "create", "--name", "somebody", "--scope", "submit")

    def append_many(self) -> None:
        done(self.folder, "import", "samples")

    def publish(self, **settings: str) -> Opened:
        told = done(self.folder, "log", "step", **self.settings | settings)
        return parse_policy(self.policy.encode()).open(told.split("\n", 1)[1].encode())

    def refused(self, **settings: str) -> str:
        return refused(self.folder, "log", "step", **self.settings | settings)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    folder, witnesses = tmp_path / "ledger", tmp_path / "witnesses"
    folder.mkdir()
    witnesses.mkdir()
    done(folder, "init")
    log = SigningKey.parse((folder / "data" / "log.key").read_text().strip()).verifier
    with (
        witness_in(witnesses / "ours", log) as ours,
        aics_witness_in(witnesses / "theirs", log) as (url, key),
    ):
        policy = policy_of((WITNESS.verifier, ours.address), (key, url), need=2, log=log)
        (tmp_path / "policy").write_text(policy)
        yield Watched(folder, policy, witnesses)


def test_a_machine_that_is_restored_as_a_whole_tells_no_second_history(watched: Watched) -> None:
    first = watched.publish()
    assert set(first.cosigned) == {"w0", "w1"}
    backup = watched.folder.with_name("backup")
    shutil.copytree(watched.folder, backup)
    watched.append_many()
    last = watched.publish()
    assert last.checkpoint.size > first.checkpoint.size + 2

    # Shorter than what was witnessed, and longer: each in good faith.
    for appends in ([watched.append_one], [watched.append_many, watched.append_one]):
        shutil.rmtree(watched.folder)
        shutil.copytree(backup, watched.folder)
        for append in appends:
            append()
        said = watched.refused()
        assert said.endswith("[log-stopped]"), said
        assert "witness" in said
    # It stays so, also if the witnesses are not asked any more.
    assert watched.refused(LEDGER_WITNESS_POLICY="none").endswith("[log-stopped]")

    # Nobody was shown a second history, for it was never signed.
    config = watched.witnesses / "theirs" / "witness.json"
    theirs = json.loads(
        run(installed("bin", "aics-witness"), "evidence", "--config", config).stdout
    )
    assert evidence(watched.witnesses / "ours" / MEMORY) == theirs == []


def test_what_too_few_have_cosigned_is_published_only_if_that_is_allowed(watched: Watched) -> None:
    first = watched.publish()
    watched.append_one()
    policy = watched.folder.parent / "policy"
    policy.write_text(re.sub(r"http://\S+", "http://127.0.0.1:1", policy.read_text()))
    assert watched.refused().endswith("[witnesses-missing]")
    told = done(
        watched.folder,
        "log",
        "step",
        **watched.settings | {"LEDGER_WITNESS_POLICY": "best-effort"},
    )
    assert f"{first.checkpoint.size + 1} are published" in told
