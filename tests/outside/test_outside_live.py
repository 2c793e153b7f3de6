"""Programs of others against what really runs: a ledger's server, and witnesses on both sides."""

from __future__ import annotations

import json
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest

from given_log import LOG, WITNESS, Log, log_of
from given_outside import HERE, installed, node, run, verifiers
from given_terminal import done, serving
from given_witness import aics_witness_in, policy, witness_in
from ledger.transparency.entries import unbundle
from ledger.transparency.notes import (
    Checkpoint,
    open_checkpoint,
    parse_note,
)
from ledger.transparency.witnessing import Answer, Witnesses

pytestmark = [pytest.mark.slow, pytest.mark.repo]

ANSWER_S_MAX = 120


def covering(address: str) -> Checkpoint:
    """Wait until a checkpoint covers the whole log of a server; return it."""
    with httpx.Client(base_url=address, timeout=ANSWER_S_MAX) as client:
        position = client.get("/v1/log/status").json()["position"]
        receipt = f"/v1/events/{position}/receipt"
        answers = (client.get(receipt, headers={"Prefer": "wait=30"}) for _ in range(10))
        assert any(answer.status_code == HTTPStatus.OK for answer in answers), "not covered"
        note = client.get("/log/checkpoint").raise_for_status()
    checkpoint = Checkpoint.parse(parse_note(note.content).text)
    assert checkpoint.size == position > 0
    return checkpoint


def got(address: str) -> httpx.Response:
    return httpx.get(address, timeout=ANSWER_S_MAX).raise_for_status()


def test_the_log_of_a_server_is_verified_without_our_code(tmp_path: Path) -> None:
    done(tmp_path, "init")
    old = tmp_path / "old"
    with serving(tmp_path) as server:
        where = f"{server.address}/log"
        first = covering(server.address)
        old.write_bytes(got(f"{where}/checkpoint").content)
        vkey = got(f"{where}/vkey").text.strip()
        done(tmp_path, "import", "samples")
        last = covering(server.address)
        assert last.size > first.size
        for verifier in verifiers().values():
            accepted, said = verifier.verdict(vkey, where, old)
            assert accepted, said
            assert said.startswith(f"verified {last.size} ")
        receipts_hold(server.address, vkey, last.size, tmp_path)


def receipts_hold(address: str, vkey: str, size: int, folder: Path) -> None:
    entries = unbundle(got(f"{address}/log/tile/entries/000.p/{size}").content)
    assert len(entries) == size
    for position in {1, 2, size // 2, size}:
        receipt = got(f"{address}/v1/events/{position}/receipt")
        (folder / "proof").write_bytes(receipt.content)
        (folder / "entry").write_bytes(entries[position - 1])
        words = (vkey, folder / "proof", folder / "entry")
        checked = run(node(), HERE / "verify_proof.mjs", *words)
        assert checked.stdout == f"verified {position - 1}n of {size}\n", checked.stderr


# ---------------------------------------------------------------- witnesses

TREE = log_of(700)
FORK = Log([*TREE.entries[:299], b"another", *TREE.entries[300:]])


def test_a_witness_of_others_cosigns_our_log_and_refuses_its_forks(tmp_path: Path) -> None:
    with aics_witness_in(tmp_path) as (url, key):
        told = policy((key, url))
        asked = Witnesses(told, ANSWER_S_MAX)
        for size in (3, 300, 300, 600):
            gathered = asked.gather(TREE.note(size), TREE.proving(size))
            assert gathered.satisfied, gathered.outcomes
            opened, times = open_checkpoint(bytes(gathered.note), LOG.verifier, [key])
            assert (opened, list(times)) == (TREE.checkpoint(size), [key])
        # A client that remembers nothing is told 409 and asks again from there.
        again = Witnesses(told, ANSWER_S_MAX)
        assert again.gather(TREE.note(600), TREE.proving(600)).satisfied
        for fork, size, answer in [
            (FORK, 600, Answer.FORKED),
            (FORK, 700, Answer.FORKED),
            (TREE, 300, Answer.AHEAD),
        ]:
            another = Witnesses(told, ANSWER_S_MAX)
            (outcome,) = another.gather(fork.note(size), fork.proving(size)).outcomes
            assert outcome.answer is answer, outcome
        statuses = [
            httpx.post(f"{url}/add-checkpoint", content=body, timeout=ANSWER_S_MAX).status_code
            for body in (TREE.request(0, 600), FORK.request(600, 600), FORK.request(600, 700))
        ]
    assert statuses == [
        HTTPStatus.CONFLICT,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    ]
    kept = run(installed("bin", "aics-witness"), "evidence", "--config", tmp_path / "witness.json")
    assert len(json.loads(kept.stdout)) >= 2


def test_our_witness_cosigns_for_a_client_of_others(tmp_path: Path) -> None:
    folders = []
    for name, log in [
        ("a", log_of(3)),
        ("b", log_of(300)),
        ("c", log_of(700)),
        ("again", log_of(700)),
        ("fork", FORK),
        ("back", log_of(300)),
    ]:
        log.write(tmp_path / name)
        folders.append(tmp_path / name)
    feed = (installed("bin", "python"), HERE / "feed_with_aics.py")
    with witness_in(tmp_path) as server:
        told = [
            run(*feed, server.address, str(WITNESS.verifier), tmp_path / f"state-{n}", *each)
            for n, each in enumerate([folders, folders[2:3]])
        ]
    assert [line.split()[0] for line in told[0].stdout.splitlines()] == [
        "cosigned",
        "cosigned",
        "cosigned",
        "cosigned",
        "WitnessRejected",
        "WitnessAhead",
    ], told[0].stderr
    # Another client, which knows no size, is told ours and begins there.
    assert told[1].stdout == "cosigned\n", told[1].stderr
