"""Who vouches for the log, and for what?  Signed notes, their keys, checkpoints and cosignatures.

The formats are C2SP signed-note, tlog-checkpoint and tlog-cosignature.  Reading is strict: what a
writer of these formats would not write is refused, and so is a note with one false signature of a
key that is known.  Signatures of unknown keys say nothing and are passed over.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from ledger.transparency.merkle import HASH_BYTES, SIZE_MAX

ED25519: Final = 0x01
"""The kind of key that signs the text of a note as it is."""
COSIGNATURE: Final = 0x04
"""The kind of key that signs a time with a checkpoint: cosignature/v1."""
KEY_BYTES: Final = 32
KEY_ID_BYTES: Final = 4
TIME_BYTES: Final = 8
NOTE_BYTES_MAX: Final = 1_000_000
SIGNATURES_MAX: Final = 100
NAME_CHARS_MAX: Final = 1_000


class BadNote(ValueError):
    """These bytes are no signed note, no checkpoint, or one that is not signed as it must be."""


class BadKey(ValueError):
    """This text is no key for notes."""


def encoded(data: bytes) -> str:
    """Return bytes in base64, padded."""
    return base64.b64encode(data).decode()


def decoded(text: str) -> bytes:
    """Return what base64 stands for; raises ValueError for any but the one spelling of it."""
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as bad:
        raise ValueError("this is no base64") from bad
    if encoded(data) != text:
        raise ValueError("this is no base64 as it is written")
    return data


def decoded_hash(text: str) -> bytes:
    """Return a hash from its base64; raises BadNote unless it has 32 bytes."""
    try:
        data = decoded(text)
    except ValueError as bad:
        raise BadNote("a hash is not spelt in base64") from bad
    if len(data) != HASH_BYTES:
        raise BadNote("a hash has 32 bytes")
    return data


# ---------------------------------------------------------------- keys


def is_name(text: str) -> bool:
    """Whether a text can name a key: not empty, without spaces, control characters and plus."""
    return (
        0 < len(text) <= NAME_CHARS_MAX
        and "+" not in text
        and not any(c.isspace() or c < " " or "\ud800" <= c <= "\udfff" for c in text)
    )


def _key_id(name: str, kind: int, public: bytes) -> bytes:
    hashed = hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public)
    return hashed.digest()[:KEY_ID_BYTES]


def _key_parts(text: str) -> tuple[str, bytes, int, bytes]:
    """Return name, key id, kind and 32 bytes of a key that is written NAME+ID+BASE64."""
    parts = text.split("+", 2)
    if len(parts) != 3 or not is_name(parts[0]) or not re.fullmatch(r"[0-9a-f]{8}", parts[1]):  # noqa: PLR2004
        raise BadKey("a key is written NAME+ID+KEY, with the ID in eight hexadecimal digits")
    try:
        data = decoded(parts[2])
    except ValueError as bad:
        raise BadKey("the last part of a key is base64") from bad
    if len(data) != 1 + KEY_BYTES or data[0] not in {ED25519, COSIGNATURE}:
        raise BadKey("only keys for Ed25519 signatures and cosignatures are known here")
    return parts[0], bytes.fromhex(parts[1]), data[0], data[1:]


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line of a note: who, under which key id, and the signature itself."""

    name: str
    key_id: bytes
    blob: bytes

    def __str__(self) -> str:
        return f"— {self.name} {encoded(self.key_id + self.blob)}"


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with the name it signs under, written ``NAME+ID+BASE64`` (a vkey)."""

    name: str
    kind: int
    public: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a vkey; raises BadKey, also when its id is not the one of name and key."""
        name, key_id, kind, public = _key_parts(text)
        if key_id != _key_id(name, kind, public):
            raise BadKey("the ID of the key does not belong to its name and bytes")
        return cls(name, kind, public)

    @property
    def key_id(self) -> bytes:
        """The four bytes by which signatures name this key."""
        return _key_id(self.name, self.kind, self.public)

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{encoded(bytes([self.kind]) + self.public)}"

    def verify(self, text: str, blob: bytes) -> int | None:
        """Return the time of a cosignature in seconds, None for a plain signature.

        Raises BadNote unless the signature over the text of a note is good.
        """
        time = None
        signed = text.encode()
        if self.kind == COSIGNATURE:
            time, blob = int.from_bytes(blob[:TIME_BYTES], "big"), blob[TIME_BYTES:]
            signed = _timed(text, time)
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(blob, signed)
        except (InvalidSignature, ValueError) as bad:
            raise BadNote(f"the signature of {self.name} is false") from bad
        return time


def _timed(text: str, time: int) -> bytes:
    """Return what a cosignature signs."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """A private key; written ``PRIVATE+KEY+NAME+ID+BASE64``, as Go's note package does."""

    name: str
    kind: int
    seed: bytes

    @classmethod
    def generate(cls, name: str, kind: int = ED25519) -> Self:
        """Draw a new key; raises BadKey for what is no name."""
        if not is_name(name):
            raise BadKey("the name of a key holds no space and no plus")
        return cls(name, kind, Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a private key; raises BadKey, whose message tells nothing of the key."""
        head, _, rest = text.partition("KEY+")
        if head != "PRIVATE+":
            raise BadKey("a private key begins with PRIVATE+KEY+")
        name, key_id, kind, seed = _key_parts(rest)
        key = cls(name, kind, seed)
        if key_id != key.verifier.key_id:
            raise BadKey("the ID of the key does not belong to its name and bytes")
        return key

    @property
    def verifier(self) -> VerifierKey:
        """The public half."""
        public = Ed25519PrivateKey.from_private_bytes(self.seed).public_key()
        return VerifierKey(self.name, self.kind, public.public_bytes_raw())

    def secret(self) -> str:
        """Return the key as text; whoever has it can sign in our name."""
        bytes_ = encoded(bytes([self.kind]) + self.seed)
        return f"PRIVATE+KEY+{self.name}+{self.verifier.key_id.hex()}+{bytes_}"

    def sign(self, text: str, time: int = 0) -> Signature:
        """Sign the text of a note; a cosigning key signs ``time`` (seconds since 1970) with it."""
        private = Ed25519PrivateKey.from_private_bytes(self.seed)
        if self.kind == COSIGNATURE:
            blob = time.to_bytes(TIME_BYTES, "big") + private.sign(_timed(text, time))
        else:
            blob = private.sign(text.encode())
        return Signature(self.name, self.verifier.key_id, blob)


# ---------------------------------------------------------------- notes


@dataclass(frozen=True, slots=True)
class Note:
    """A text that ends with a newline, and signatures, of which nothing is believed yet."""

    text: str
    signatures: tuple[Signature, ...]

    def __bytes__(self) -> bytes:
        return "\n".join((self.text, *map(str, self.signatures), "")).encode()

    def signed_by(self, keys: Iterable[VerifierKey]) -> dict[VerifierKey, int | None]:
        """Return which of the keys signed, with the time of each cosignature.

        Raises BadNote when a signature that names one of the keys is false.
        """
        known = {(key.name, key.key_id): key for key in keys}
        found: dict[VerifierKey, int | None] = {}
        for signature in self.signatures:
            key = known.get((signature.name, signature.key_id))
            if key is not None:
                found[key] = key.verify(self.text, signature.blob)
        return found


def _signature(line: str) -> Signature:
    dash, _, rest = line.partition(" ")
    name, _, blob = rest.partition(" ")
    try:
        data = decoded(blob)
    except ValueError:
        data = b""
    if dash != "—" or not is_name(name) or len(data) <= KEY_ID_BYTES:
        raise BadNote("a line of signature has not the form it must have")
    return Signature(name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])


def parse_signatures(text: str) -> tuple[Signature, ...]:
    """Read lines of signatures, each ended by a newline; raises BadNote."""
    if not text.endswith("\n"):
        raise BadNote("the last line is not ended")
    lines = text[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise BadNote(f"a note has at most {SIGNATURES_MAX} signatures")
    return tuple(_signature(line) for line in lines)


def parse_note(data: bytes) -> Note:
    """Read a signed note; raises BadNote.  Nothing is verified yet: see ``Note.signed_by``."""
    if len(data) > NOTE_BYTES_MAX:
        raise BadNote(f"a note has at most {NOTE_BYTES_MAX} bytes")
    try:
        whole = data.decode()
    except UnicodeDecodeError as bad:
        raise BadNote("a note is UTF-8") from bad
    if any(c < " " and c != "\n" for c in whole):
        raise BadNote("a note holds no control characters")
    text, between, signatures = whole.rpartition("\n\n")
    if not between:
        raise BadNote("a note has an empty line before its signatures")
    return Note(f"{text}\n", parse_signatures(signatures))


# ---------------------------------------------------------------- checkpoints


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself: under which name, how many entries, and the root over them."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The body of the note that is signed."""
        lines = (self.origin, str(self.size), encoded(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the body of a checkpoint; raises BadNote."""
        origin, *rest = text.removesuffix("\n").split("\n")
        if not text.endswith("\n") or len(rest) < 2 or "" in {origin, *rest}:  # noqa: PLR2004
            raise BadNote("a checkpoint has an origin, a size, a root and no empty line")
        size, root, *extensions = rest
        if not re.fullmatch(r"0|[1-9][0-9]{0,18}", size) or int(size) > SIZE_MAX:
            raise BadNote("the size of a checkpoint is a decimal number")
        return cls(origin, int(size), decoded_hash(root), tuple(extensions))

    def signed(self, *keys: SigningKey) -> Note:
        """Return the checkpoint as a note with the signatures of the log's keys."""
        return Note(self.text, tuple(key.sign(self.text) for key in keys))


def open_checkpoint(
    data: bytes, log: VerifierKey, witnesses: Iterable[VerifierKey] = ()
) -> tuple[Checkpoint, dict[VerifierKey, int]]:
    """Return a checkpoint and which witnesses cosigned it when, in seconds since 1970.

    Raises BadNote unless the log's key signed it, for the origin that is the key's name, and no
    witness's signature is false.
    """
    note = parse_note(data)
    signed = note.signed_by([log, *witnesses])
    if log not in signed:
        raise BadNote("the log's key has not signed the checkpoint")
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != log.name:
        raise BadNote("the checkpoint is of another log")
    return checkpoint, {key: time for key, time in signed.items() if time is not None}
