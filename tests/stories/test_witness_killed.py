"""A witness that is killed at any moment never goes back behind what it has cosigned."""

from __future__ import annotations

import hashlib
import random
import threading
from pathlib import Path

import httpx
import pytest

from given_log import LOG, WITNESS, log_of
from given_witness import MEMORY, policy, witness_in
from ledger.transparency.notes import Checkpoint, open_checkpoint
from ledger.transparency.witness import evidence
from ledger.transparency.witnessing import Answer, Witnesses

pytestmark = pytest.mark.slow

TREE = log_of(2_000)
ROUNDS = 4
ANSWER_S_MAX = 120


class Growing:
    """A log that grows and asks for cosignatures in a thread, until the witness is gone."""

    def __init__(self, address: str, size: int) -> None:
        self.witnesses = Witnesses(policy((WITNESS.verifier, address)), ANSWER_S_MAX)
        self.cosigned = size
        self.answers: set[Answer] = set()
        self.many = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        begun = self.cosigned
        while Answer.UNREACHABLE not in self.answers:
            size = self.cosigned + 1
            gathered = self.witnesses.gather(TREE.note(size), TREE.proving(size))
            self.answers.add(gathered.outcomes[0].answer)
            if gathered.satisfied:
                opened, _times = open_checkpoint(
                    bytes(gathered.note), LOG.verifier, [WITNESS.verifier]
                )
                assert opened == TREE.checkpoint(size)
                self.cosigned = size
            if size >= begun + 10:
                self.many.set()


def held(address: str, digest: str) -> Checkpoint:
    answer = httpx.get(f"{address}/{digest}/checkpoint", timeout=ANSWER_S_MAX)
    note = answer.raise_for_status().content
    return open_checkpoint(note, LOG.verifier, [WITNESS.verifier])[0]


@pytest.mark.slow
@pytest.mark.drill
def test_a_killed_witness_remembers_all_it_cosigned(tmp_path: Path) -> None:
    digest = hashlib.sha256(LOG.name.encode()).hexdigest()
    moments = random.Random(7)  # noqa: S311 - moments, not secrets
    size = 0
    for _round in range(ROUNDS):
        with witness_in(tmp_path) as server:
            growing = Growing(server.address, size)
            assert growing.many.wait(ANSWER_S_MAX)
            threading.Event().wait(moments.uniform(0, 0.05))
            server.process.kill()
            growing.thread.join(ANSWER_S_MAX)
            assert growing.answers <= {Answer.COSIGNED, Answer.UNREACHABLE}
            size = growing.cosigned
        with witness_in(tmp_path) as server:
            # One more than we heard of, if it was killed between the disk and the answer.
            remembered = held(server.address, digest)
            assert remembered.size in {size, size + 1}
            assert remembered == TREE.checkpoint(remembered.size)
            size = remembered.size
    assert size >= 10 * ROUNDS
    assert evidence(tmp_path / MEMORY) == []
