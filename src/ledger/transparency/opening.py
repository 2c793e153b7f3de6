"""How does a signed log come together?  Settings become key, witnesses, publisher and keeper."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from ledger import errors
from ledger.events import LogBegun
from ledger.settings import Settings, WitnessPolicy
from ledger.store import Store
from ledger.transparency.keeper import CYCLE_S, Keeper
from ledger.transparency.key_file import KeyFile
from ledger.transparency.notes import Note
from ledger.transparency.policy import BadPolicy, parse_policy
from ledger.transparency.publisher import Heard, Publisher
from ledger.transparency.witnessing import Answer, Witnesses

WITNESSED_CYCLE_S: Final = 1.0
"""How long, at least, from one checkpoint to the next where witnesses are asked."""
SLOW: Final = 0.5
"""Witnesses that take this part of the time that they have are slow."""
REST_S: Final = 10.0
"""For how long slow witnesses are left alone where publishing does not depend on them."""


def open_log(store: Store, settings: Settings) -> Keeper:
    """Return the keeper of a store's log; refuses WitnessesUnusable.  No key is read yet."""
    files, origin = KeyFile(settings.log_key), settings.log_origin

    def begun(name: str) -> bool:
        """Whether a fact of the ledger says that its log goes on under a name."""
        rows = store.rows_of(LogBegun.STREAM)
        begins = (row for row in rows if row.topic.startswith(f"{LogBegun.TYPE}:"))
        return any(json.loads(row.state)["origin"] == name for row in begins)

    if settings.witness_policy is WitnessPolicy.NONE:
        publisher = Publisher(store.tree, files, origin=origin, begun=begun)
        return Keeper(store, publisher, cycle_s=CYCLE_S)
    asking, again = (
        Asking(settings.witness_policy, settings.witness_file, settings.witness_timeout_s)
        for _ in range(2)
    )
    publisher = Publisher(
        store.tree, files, origin=origin, ask=asking, again=again, look=asking.held, begun=begun
    )
    return Keeper(store, publisher, cycle_s=WITNESSED_CYCLE_S)


class Asking:
    """Asks the witnesses of a policy about a checkpoint; used by one thread at a time."""

    def __init__(self, policy: WitnessPolicy, file: Path | None, timeout_s: float) -> None:
        """Read the witnesses from a file, to be asked within ``timeout_s`` seconds each time.

        Refuses WitnessesUnusable.
        """
        if file is None:
            message = f"LEDGER_WITNESS_POLICY is {policy.value}, and LEDGER_WITNESS_FILE is empty."
            raise errors.WitnessesUnusable(message)
        try:
            self._witnesses = Witnesses(parse_policy(file.read_bytes()), timeout_s)
        except OSError as trouble:
            message = f"The witness file {file} cannot be read: {trouble.strerror}."
            raise errors.WitnessesUnusable(message) from trouble
        except BadPolicy as bad:
            raise errors.WitnessesUnusable(f"The witness file {file} is no policy: {bad}") from bad
        self._slow_s = SLOW * timeout_s
        self._required = policy is WitnessPolicy.REQUIRED
        self._rest_until = 0.0
        self._before = Heard()

    def __call__(self, note: Note, prove: Callable[[int], Sequence[bytes]]) -> Heard:
        """Return what the witnesses say of a checkpoint, in the time that they have."""
        began = time.monotonic()
        if self._resting(began):
            return Heard(troubles=self._before.troubles)
        gathered = self._witnesses.gather(note, prove)
        self._before = Heard(
            cosignatures=gathered.note.signatures[len(note.signatures) :],
            troubles={
                o.witness: o.detail or o.answer.value
                for o in gathered.outcomes
                if o.answer is not Answer.COSIGNED
            },
            refused=bool(gathered.refusals),
            shown={o.witness: o.shown for o in gathered.refusals},
            enough=gathered.satisfied or not self._required,
        )
        self._rest(began)
        return self._before

    def held(self, origin: str) -> dict[str, bytes]:
        """Return what witnesses that were not met yet hold of a log, in the time that they have.

        Those that did not answer are asked again the next time.
        """
        began = time.monotonic()
        if self._resting(began):
            return {}
        held = self._witnesses.held(origin)
        self._rest(began)
        return held

    def _resting(self, moment: float) -> bool:
        return not self._required and moment < self._rest_until

    def _rest(self, began: float) -> None:
        if time.monotonic() - began >= self._slow_s:
            self._rest_until = time.monotonic() + REST_S
