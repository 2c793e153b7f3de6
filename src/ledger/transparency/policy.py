"""Whose word is enough?  Trust policies as C2SP tlog-policy writes them.

A policy names logs, witnesses, groups of these, and the quorum that must have cosigned a
checkpoint.  One file serves both sides: the log asks its witnesses, a verifier checks them.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from ledger.transparency.notes import (
    COSIGNATURE,
    ED25519,
    BadKey,
    BadNote,
    Checkpoint,
    VerifierKey,
    parse_note,
)

POLICY_BYTES_MAX: Final = 1_000_000


class BadPolicy(ValueError):
    """This text is no policy; the message names the line."""


@dataclass(frozen=True, slots=True)
class Party:
    """A log or a witness: its name in the policy, its key, and where it can be reached, if said.

    A log is named by its key, which is also its origin.
    """

    name: str
    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Witnesses and groups by name, ``threshold`` of which make the group a witness."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Opened:
    """A checkpoint that a policy accepts, and when each witness cosigned it (s since 1970)."""

    checkpoint: Checkpoint
    cosigned: dict[str, int]


@dataclass(frozen=True, slots=True)
class Policy:
    """Known logs and witnesses; ``quorum`` names a witness or group, None asks for nobody."""

    logs: tuple[Party, ...] = ()
    witnesses: tuple[Party, ...] = ()
    groups: tuple[tuple[str, Group], ...] = ()
    quorum: str | None = None

    def satisfied(self, cosigners: Collection[str]) -> bool:
        """Whether these witnesses, by their names in the policy, make the quorum."""
        if self.quorum is None:
            return True
        have = {witness.name for witness in self.witnesses} & set(cosigners)
        for name, group in self.groups:  # each only refers to names above it
            if sum(member in have for member in group.members) >= group.threshold:
                have.add(name)
        return self.quorum in have

    def open(self, data: bytes) -> Opened:
        """Return a checkpoint that is signed and cosigned as the policy asks; raises BadNote."""
        note = parse_note(data)
        keys = [party.key for party in (*self.logs, *self.witnesses)]
        signed = note.signed_by(keys)
        checkpoint = Checkpoint.parse(note.text)
        if not any(log.key in signed and log.name == checkpoint.origin for log in self.logs):
            raise BadNote("no log of the policy has signed the checkpoint as its own")
        times = {each.name: signed.get(each.key) for each in self.witnesses}
        cosigned = {name: time for name, time in times.items() if time is not None}
        if not self.satisfied(cosigned):
            raise BadNote("the witnesses that cosigned the checkpoint are not the quorum")
        return Opened(checkpoint, cosigned)


class _Reader:
    """What the lines of a policy have said so far."""

    def __init__(self) -> None:
        self.logs: list[Party] = []
        self.witnesses: list[Party] = []
        self.groups: list[tuple[str, Group]] = []
        self.quorum: list[str | None] = []
        self._free: dict[str, bool] = {}  # each name, and whether no group has it yet

    def take(self, word: str, items: list[str]) -> None:
        """Take in one line; raises BadPolicy."""
        match word, items:
            case "log", [key, *url] if len(url) <= 1:
                self._log(_key(key, ED25519), *url)
            case "witness", [name, key, *url] if len(url) <= 1:
                self._define(name)
                self._witness(Party(name, _key(key, COSIGNATURE), *url))
            case "group", [name, threshold, *members] if members:
                self._group(name, threshold, members)
            case "quorum", [name] if not self.quorum:
                if name != "none" and name not in self._free:
                    raise BadPolicy(f"{name} is not defined above")
                self.quorum.append(None if name == "none" else name)
            case _:
                raise BadPolicy("the line has not the form of a log, witness, group or one quorum")

    def _define(self, name: str) -> None:
        if name == "none" or name in self._free:
            raise BadPolicy(f"{name} has a meaning already")
        self._free[name] = True

    def _log(self, key: VerifierKey, url: str | None = None) -> None:
        if any(key.public == log.key.public for log in self.logs):
            raise BadPolicy("this key is listed already")
        self.logs.append(Party(key.name, key, url))

    def _witness(self, party: Party) -> None:
        if any(party.key.public == other.key.public for other in self.witnesses):
            raise BadPolicy("this key is listed already")
        self.witnesses.append(party)

    def _group(self, name: str, threshold: str, members: list[str]) -> None:
        words = {"any": 1, "all": len(members)}
        if threshold not in words and not re.fullmatch(r"[1-9][0-9]{0,5}", threshold):
            raise BadPolicy("a group needs all, any, or a number of its members")
        least = words.get(threshold) or int(threshold)
        if least > len(members):
            raise BadPolicy("a group cannot need more members than it has")
        for member in members:
            if not self._free.get(member):
                raise BadPolicy(f"{member} is not defined above, or is a member already")
            self._free[member] = False
        self._define(name)
        self.groups.append((name, Group(least, tuple(members))))


def _key(text: str, kind: int) -> VerifierKey:
    try:
        key = VerifierKey.parse(text)
    except BadKey as bad:
        raise BadPolicy(str(bad)) from bad
    if key.kind != kind:
        raise BadPolicy("a log has a key for signatures, a witness one for cosignatures")
    return key


def parse_policy(data: bytes) -> Policy:
    """Read a policy; raises BadPolicy, which names the line."""
    if len(data) > POLICY_BYTES_MAX:
        raise BadPolicy(f"a policy has at most {POLICY_BYTES_MAX} bytes")
    if re.search(rb"[^\t\n\x20-\x7e\x80-\xff]", data):
        raise BadPolicy("a policy holds no control characters but tab and newline")
    reader = _Reader()
    # Names are any bytes; those that are no UTF-8 survive as lone surrogates and stay distinct.
    for number, line in enumerate(data.decode(errors="surrogateescape").split("\n"), 1):
        word, *items = re.split(r"[ \t]+", line.strip(" \t"))
        if not word or word.startswith("#"):
            continue
        try:
            reader.take(word, items)
        except BadPolicy as bad:
            raise BadPolicy(f"Line {number}: {bad}.") from bad
    if not reader.quorum:
        raise BadPolicy("a policy has a quorum line")
    return Policy(
        tuple(reader.logs), tuple(reader.witnesses), tuple(reader.groups), reader.quorum[0]
    )
