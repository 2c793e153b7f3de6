"""Who signed it?  Verifier keys, signed notes, checkpoints and cosignatures, read strictly.

Formats of C2SP: signed-note, tlog-checkpoint, tlog-cosignature; Ed25519 alone.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ED25519: Final = 0x01
COSIGNATURE: Final = 0x04
KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
ID_BYTES: Final = 4
TIME_BYTES: Final = 8
NOTE_BYTES_MAX: Final = 65_536
SIGNATURES_MAX: Final = 100
SIZE_MAX: Final = 2**63 - 1

_NAME: Final = re.compile(r"[^\s+]{1,200}")
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")


class BadNote(ValueError):
    """A key, a note or a checkpoint that cannot be accepted; says why in one sentence."""


def unbase64(text: str) -> bytes:
    """Return the bytes of standard base64 in its one spelling; raises BadNote."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as trouble:
        raise BadNote("A key, a root or a signature is not base64.") from trouble
    if base64.b64encode(raw).decode() != text:
        raise BadNote("A key, a root or a signature is not base64 in its standard spelling.")
    return raw


@dataclass(frozen=True, slots=True)
class Key:
    """A verifier key: a log's (Ed25519) or a witness's (cosignature/v1)."""

    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        """The four bytes by which signatures name the key."""
        told = self.name.encode() + b"\n" + bytes([self.kind]) + self.public
        return hashlib.sha256(told).digest()[:ID_BYTES]

    def __str__(self) -> str:
        """Return it as ``name+id+key``."""
        encoded = base64.b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{encoded}"

    def verifies(self, signature: bytes, text: bytes) -> bool:
        """Whether a signature, without the key's id, is this key's over the text."""
        if self.kind == COSIGNATURE:
            if len(signature) != TIME_BYTES + SIGNATURE_BYTES:
                return False
            at = int.from_bytes(signature[:TIME_BYTES], "big")
            text = b"cosignature/v1\ntime %d\n%b" % (at, text)
            signature = signature[TIME_BYTES:]
        if len(signature) != SIGNATURE_BYTES:
            return False
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except InvalidSignature:
            return False
        return True


def key(text: str, kind: int) -> Key:
    """Return the key that a line ``name+id+key`` holds; raises BadNote if it is not of the kind."""
    name, _, rest = text.strip().partition("+")
    given_id, _, encoded = rest.partition("+")
    if not _NAME.fullmatch(name) or not encoded or len(text) > NOTE_BYTES_MAX:
        raise BadNote("A verifier key has the form name+id+key.")
    raw = unbase64(encoded)
    if len(raw) != KEY_BYTES + 1 or raw[0] != kind:
        said = "a witness" if kind == COSIGNATURE else "a log"
        raise BadNote(f"The verifier key of {name} is not an Ed25519 key of {said}.")
    read = Key(name, raw[0], raw[1:])
    if read.id.hex() != given_id:
        raise BadNote(f"The verifier key of {name} does not have the id that it names.")
    return read


@dataclass(frozen=True, slots=True)
class Note:
    """A signed text and its signatures: name, four bytes of key id, signature."""

    text: bytes
    signatures: tuple[tuple[str, bytes, bytes], ...]

    def signed_by(self, known: Key) -> bool:
        """Whether the key signed it; raises BadNote when a signature under its name is wrong."""
        mine = [s for name, id_, s in self.signatures if (name, id_) == (known.name, known.id)]
        if not all(known.verifies(signature, self.text) for signature in mine):
            raise BadNote(f"The signature of {known.name} is not valid.")
        return bool(mine)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself: its name, its size in leaves, the root of its tree."""

    origin: str
    size: int
    root: bytes


def note(raw: bytes) -> Note:
    """Return the note in these bytes; raises BadNote."""
    if len(raw) > NOTE_BYTES_MAX:
        raise BadNote(f"A note has at most {NOTE_BYTES_MAX} bytes.")
    try:
        told = raw.decode()
    except UnicodeDecodeError as trouble:
        raise BadNote("A note is UTF-8.") from trouble
    if any(c < " " and c != "\n" for c in told):
        raise BadNote("A note holds no control characters.")
    text, mark, rest = told.rpartition("\n\n")
    if not mark or not rest.endswith("\n"):
        raise BadNote("A note is a text, an empty line, and lines of signatures.")
    lines = rest[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise BadNote(f"A note has at most {SIGNATURES_MAX} signatures.")
    return Note((text + "\n").encode(), tuple(map(_signature, lines)))


def _signature(line: str) -> tuple[str, bytes, bytes]:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    if dash != "\N{EM DASH}" or not _NAME.fullmatch(name):
        raise BadNote("A signature line begins with a dash and a name.")
    raw = unbase64(encoded)
    if len(raw) <= ID_BYTES:
        raise BadNote("A signature is longer than the id of its key.")
    return name, raw[:ID_BYTES], raw[ID_BYTES:]


def checkpoint(signed: Note) -> Checkpoint:
    """Return the checkpoint that is a note's text; raises BadNote."""
    origin, _, rest = signed.text.decode()[:-1].partition("\n")
    size, _, root = rest.partition("\n")
    if not origin or not _SIZE.fullmatch(size) or int(size) > SIZE_MAX or "\n" in root:
        raise BadNote("A checkpoint is three lines: an origin, a size and a root.")
    raw = unbase64(root)
    if len(raw) != KEY_BYTES:
        raise BadNote("The root of a checkpoint has 32 bytes.")
    return Checkpoint(origin, int(size), raw)


def cosigned(signed: Note, witnesses: Sequence[Key]) -> list[str]:
    """Return the names of the witnesses that cosigned; raises BadNote for a false one."""
    return [witness.name for witness in witnesses if signed.signed_by(witness)]
