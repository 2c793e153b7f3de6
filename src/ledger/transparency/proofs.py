"""How does one carry away that a fact is in the log?  Proofs as C2SP tlog-proof writes them.

A proof holds a place in the log, the path from there to the root, and a checkpoint with that root.
Whoever has the entry and a policy can check it without asking anybody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

from ledger.transparency.merkle import SIZE_MAX, BadProof, leaf_hash, verify_inclusion
from ledger.transparency.notes import (
    NOTE_BYTES_MAX,
    BadNote,
    decoded,
    decoded_hash,
    encoded,
)
from ledger.transparency.policy import Opened, Policy

FIRST_LINE: Final = "c2sp.org/tlog-proof@v1"
HASHES_MAX: Final = 63


@dataclass(frozen=True, slots=True)
class Proof:
    """That an entry is number ``index`` (from 0) of the log that the checkpoint speaks of.

    ``checkpoint`` is the signed note as published.  ``extra`` says nothing that is proved.
    """

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def __bytes__(self) -> bytes:
        lines = [FIRST_LINE]
        if self.extra is not None:
            lines.append(f"extra {encoded(self.extra)}")
        lines += [f"index {self.index}", *map(encoded, self.path), "", ""]
        return "\n".join(lines).encode() + self.checkpoint

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a proof; raises BadProof.  Nothing is verified yet."""
        head, between, checkpoint = data.partition(b"\n\n")
        if len(head) > NOTE_BYTES_MAX or not between:
            raise BadProof("this is no proof: it ends before its checkpoint")
        try:
            first, *lines = head.decode("ascii").split("\n")
            extra = None
            if lines and lines[0].startswith("extra "):
                extra = decoded(lines.pop(0).removeprefix("extra "))
            index = lines.pop(0) if lines else ""
            path = tuple(map(decoded_hash, lines))
        except ValueError as bad:
            raise BadProof("this is no proof: it is not spelt as one") from bad
        said = re.fullmatch(r"index (0|[1-9][0-9]{0,18})", index)
        if first != FIRST_LINE or said is None or int(said[1]) > SIZE_MAX or len(path) > HASHES_MAX:
            raise BadProof("this is no proof: it is not spelt as one")
        return cls(int(said[1]), path, checkpoint, extra)

    def verify(self, entry: bytes, policy: Policy) -> Opened:
        """Return the checkpoint that covers the entry; raises BadProof, also if no policy does."""
        try:
            opened = policy.open(self.checkpoint)
        except BadNote as bad:
            raise BadProof(str(bad)) from bad
        at = opened.checkpoint
        verify_inclusion(leaf_hash(entry), self.index, at.size, at.root, self.path)
        return opened
