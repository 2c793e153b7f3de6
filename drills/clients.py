"""Pipelines that never give up: real HTTP, one key per append, every answer kept.

A client repeats a 503, a request in flight or a broken connection under the same Idempotency-Key
until it is answered, at the other server if need be.  Most appends go to records of its own, where
no other answer than 201 is right; every fourth goes to one record that all clients want to change,
where 412 is right as well, if it is true.  Every tenth append is followed by an older one, sent
once more: the answer must be the one that was given then.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

CLIENTS = 16
PAUSE_S = 0.02
"""Between two appends of one client: the load of busy pipelines, not the most that fits."""
RETRY_S_MAX = 1.0
REQUEST_S_MAX = 30.0
LAST_ANSWER_S_MAX = 60.0
OWN_APPENDS = 12
"""Appends that a client makes between two submissions of new records."""
REPEATED_EVERY = 10
SUBMISSION = {
    "content": {
        "kind": "empirical",
        "title": "Does label smoothing change calibration on small test sets?",
        "abstract": {"text": "We compare two training recipes on three small test sets."},
        "publisher": "Example Research",
    },
    "submitted_on": "2026-07-01",
    "review": {"scores": {"challenger": "7.9", "confirmer": "8.4", "integrator": "8.1"}},
    "claims": {"extracted": 12, "grounded": 9, "verified": 0},
    "claim_source": "parsed-source-sections",
}
CORRECTION = {
    "correction_type": "METADATA",
    "nature": "correction",
    "public_note": "The publisher's name was incomplete.",
    "changes": [{"field": "publisher", "from": "Example Research", "to": "Example Research e.V."}],
    "asserted_by": "Example Research, editorial office",
}
EVALUATION = {
    "gate": "gate-3",
    "method": "red-team",
    "outcome": "passed",
    "evidence": {
        "kind": "red-team",
        "attacks": [
            {"role": "COUNTEREXAMPLE_HUNTER", "score": "3.0", "finding": "None was found."},
            {"role": "CITATION_AUDITOR", "score": "4.0", "finding": "Two citations are loose."},
        ],
        "aggregation": {"rule": "mean", "threshold": "7.0", "quorum": 2},
        "mean": "3.5",
    },
    "evaluator": {"id": "red-team-runner", "version": "1.4.0"},
    "evaluated_at": "2026-07-02T03:48:27.951721Z",
}
CONTENDED_EVERY = 4
CORRECTED_AT = 5
EVALUATED_AT = 8


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """An append that was answered 201; times in seconds of the monotonic clock."""

    key: str
    client: int
    record: str
    version: int
    position: int
    sent_at: float
    answered_at: float


@dataclass(frozen=True, slots=True)
class Sent:
    """An append as it was sent, and the bytes that it was answered with."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    answer: bytes


class WrongAnswer(Exception):
    """A client got an answer that it cannot go on from."""


@dataclass
class Kept:
    """What all clients know in the end."""

    acknowledged: list[Acknowledged] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Keys of appends that were answered 412: none of them may be in the log."""
    answers: Counter[str] = field(default_factory=Counter)
    """How often which answer was given, by status and code; ``broken`` for no answer."""
    wrong: list[str] = field(default_factory=list)
    """Answers that no server should give."""
    repeated: int = 0
    """How many answered appends were sent once more."""

    def recovered(self, at: float) -> dict[int, float]:
        """Return the seconds from a moment to each client's first append sent since."""
        first: dict[int, float] = {}
        for one in self.acknowledged:
            if one.sent_at > at and one.client:
                waited = one.answered_at - at
                first[one.client] = min(waited, first.get(one.client, waited))
        return first


class Client:
    """One pipeline."""

    def __init__(self, number: int, servers: Sequence[str], api_key: str, kept: Kept) -> None:
        """Start at one of the servers; ``kept`` is shared by all clients."""
        self._number = number
        self._servers = itertools.cycle([*servers[number % 2 :], *servers[: number % 2]])
        self._server = next(self._servers)
        self._api_key = api_key
        self._kept = kept
        self._http = httpx.AsyncClient(timeout=REQUEST_S_MAX)
        self._sent: list[Sent] = []

    async def found(self) -> str:
        """Submit the record that all clients will want to change, and return its id."""
        async with self._http:
            record: str = (await self._append("/v1/records", SUBMISSION))["record_id"]
            return record

    async def run(self, shared: str, stop: asyncio.Event) -> None:
        """Append until told to stop; the append at hand is brought to its end."""
        async with self._http:
            while not stop.is_set():
                first = await self._append("/v1/records", SUBMISSION)
                record, version = first["record_id"], first["version"]
                for turn in range(OWN_APPENDS):
                    if stop.is_set():
                        return
                    if turn % CONTENDED_EVERY == CONTENDED_EVERY - 1:
                        await self._contend(shared)
                    elif turn == CORRECTED_AT:
                        path = f"/v1/records/{record}/corrections"
                        version = (await self._append(path, CORRECTION, version))["version"]
                    elif turn == EVALUATED_AT:
                        version = await self._evaluate(record, version)
                    else:
                        version = (await self._append(*_change(record, turn), version))["version"]

    async def _contend(self, record: str) -> None:
        """Append once to a record that others change too, at the version that it has now."""
        got = await self._answered("GET", f"/v1/records/{record}", {})
        version = int(got.headers["ETag"].strip('"').partition(".")[0])
        await self._append(*_change(record, version), version, contended=True)

    async def _evaluate(self, record: str, version: int) -> int:
        """Append an evaluation of the submission as it is read, and return the new version."""
        view = (await self._answered("GET", f"/v1/records/{record}", {})).json()
        subject = {
            "submission": view["submission"]["number"],
            "digest": view["submission"]["digest"],
        }
        path = f"/v1/records/{record}/gate-evaluations"
        receipt = await self._append(path, EVALUATION | {"subject": subject}, version)
        reached: int = receipt["version"]
        return reached

    async def _append(
        self, path: str, body: dict[str, Any], version: int = 0, *, contended: bool = False
    ) -> dict[str, Any]:
        """Append under a fresh key and return the receipt ({} where another client was first)."""
        key = str(uuid.uuid4())
        headers = {"Authorization": f"Bearer {self._api_key}", "Idempotency-Key": f'"{key}"'}
        if version:
            headers["If-Match"] = f'"{version}"'
        asked = body | {"correlation_id": key}
        answer = await self._answered("POST", path, headers, asked)
        if contended and answer.status_code == httpx.codes.PRECONDITION_FAILED:
            self._kept.refused.append(key)
            return {}
        receipt: dict[str, Any] = answer.json()
        if answer.status_code != httpx.codes.CREATED:
            raise WrongAnswer(f"{path} under {key}: {answer.status_code} {answer.text[:300]}")
        self._kept.acknowledged.append(
            Acknowledged(
                key,
                self._number,
                receipt["record_id"],
                receipt["version"],
                receipt["position"],
                answer.extensions["sent_at"],
                time.monotonic(),
            )
        )
        self._sent.append(Sent(path, headers, asked, answer.content))
        if len(self._sent) % REPEATED_EVERY == 0:
            await self._repeat(random.choice(self._sent))
        await asyncio.sleep(PAUSE_S)
        return receipt

    async def _repeat(self, sent: Sent) -> None:
        """Send an answered append once more."""
        self._kept.repeated += 1
        again = await self._answered("POST", sent.path, sent.headers, sent.body)
        if again.content != sent.answer:
            self._wrong(f"{sent.path}: {sent.answer.decode()}, and repeated: {again.text[:300]}")

    async def _answered(
        self, method: str, path: str, headers: dict[str, str], body: Any = None
    ) -> httpx.Response:
        """Send the same request until there is an answer other than "not now"."""
        while True:
            sent_at = time.monotonic()
            try:
                answer = await self._http.request(
                    method, self._server + path, headers=headers, json=body
                )
            except httpx.TransportError as trouble:
                self._kept.answers[f"broken ({type(trouble).__name__})"] += 1
                self._server = next(self._servers)
                await asyncio.sleep(RETRY_S_MAX / 4)
                continue
            self._kept.answers[_named(answer)] += 1
            if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
                if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    self._wrong(f"{method} {path} got {answer.status_code}: {answer.text[:300]}")
            elif answer.status_code != httpx.codes.CONFLICT or "Retry-After" not in answer.headers:
                answer.extensions["sent_at"] = sent_at
                return answer
            await asyncio.sleep(min(RETRY_S_MAX, float(answer.headers.get("Retry-After", 1))))

    def _wrong(self, what: str) -> None:
        self._kept.wrong.append(f"client {self._number}: {what}")


@contextlib.asynccontextmanager
async def at_work(
    servers: Sequence[str], api_key: str, count: int = CLIENTS
) -> AsyncIterator[Kept]:
    """Have all clients append while the body runs, then let each end the append at hand."""
    kept, stop = Kept(), asyncio.Event()
    shared = await Client(0, servers, api_key, kept).found()
    crowd = [
        asyncio.create_task(Client(number, servers, api_key, kept).run(shared, stop))
        for number in range(1, count + 1)
    ]
    try:
        yield kept
        stop.set()
        _done, unanswered = await asyncio.wait(crowd, timeout=LAST_ANSWER_S_MAX)
        kept.wrong += [f"{task.get_name()} was never answered" for task in unanswered]
    finally:
        for task in crowd:
            task.cancel()
        ended = await asyncio.gather(*crowd, return_exceptions=True)
    kept.wrong += [repr(e) for e in ended if isinstance(e, Exception)]


def _change(record: str, turn: int) -> tuple[str, dict[str, Any]]:
    """Return the path and the body of a change that is allowed at any time."""
    if turn % 2:
        scores = {"challenger": f"7.{turn % 10}", "confirmer": "8.4", "integrator": "8.1"}
        return f"/v1/records/{record}/reviews", {"review": {"scores": scores}}
    claims = {"extracted": 12 + turn, "grounded": 9, "verified": 3}
    body = {"claims": claims, "claim_source": "parsed-source-sections"}
    return f"/v1/records/{record}/claims", body


def _named(answer: httpx.Response) -> str:
    if answer.is_success:
        return str(answer.status_code)
    try:
        return f"{answer.status_code} {answer.json()['code']}"
    except (ValueError, KeyError, TypeError):
        return f"{answer.status_code} without a code"
