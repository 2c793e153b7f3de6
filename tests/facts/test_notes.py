"""Signed notes and checkpoints: published examples hold, and nothing that is changed does."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.transparency.merkle import EMPTY_ROOT, Frontier, leaf_hash
from ledger.transparency.notes import (
    COSIGNATURE,
    ED25519,
    BadKey,
    BadNote,
    Checkpoint,
    Note,
    Signature,
    SigningKey,
    VerifierKey,
    encoded,
    open_checkpoint,
    parse_note,
)

SUMDB_KEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
SUMDB_NOTE = """go.sum database tree
35225469
vt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJCQ=

— sum.golang.org Az3grpukl5AXaVfYkLiDGORx/DN2nlcS5kZHR5uYOBV2KA2HgXpD+gu9HHONebHLAyaKbbTM75QTtPydhKCExixSfwQ=
"""  # noqa: E501 - as it was published
NEUMANN_SECRET = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"  # noqa: S105 - published
NEUMANN_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NEUMANN_NOTE = """If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
"""  # noqa: E501 - as it was published

LOG = SigningKey("ledger.example.org/log", ED25519, b"\x01" * 32)
WITNESS = SigningKey("witness.example.org/w1", COSIGNATURE, b"\x02" * 32)
STRANGER = SigningKey("stranger.example.org", ED25519, b"\x03" * 32)
TIME = 1_700_000_000
ROOT = "Wqx3HImawpLnS/Gv4ubjAvi1WIOy0b8Ze0amvqbavKk="


def checkpoint() -> Checkpoint:
    frontier = Frontier()
    frontier.extend(map(leaf_hash, (b"one", b"two", b"three")))
    return Checkpoint(LOG.name, frontier.size, frontier.root())


def cosigned() -> Note:
    text = checkpoint().text
    return Note(text, (LOG.sign(text), STRANGER.sign(text), WITNESS.sign(text, TIME)))


def test_a_checkpoint_of_the_checksum_database_verifies() -> None:
    note = parse_note(SUMDB_NOTE.encode())
    key = VerifierKey.parse(SUMDB_KEY)
    assert note.signed_by([key]) == {key: None}
    assert bytes(note) == SUMDB_NOTE.encode()
    assert Checkpoint.parse(note.text).size == 35_225_469
    with pytest.raises(BadNote, match="another log"):
        open_checkpoint(SUMDB_NOTE.encode(), key)


def test_the_example_of_the_go_package_is_signed_byte_for_byte() -> None:
    key = SigningKey.parse(NEUMANN_SECRET)
    note = parse_note(NEUMANN_NOTE.encode())
    assert str(key.verifier) == NEUMANN_KEY
    assert key.secret() == NEUMANN_SECRET
    assert note.signatures == (key.sign(note.text),)


def test_our_fixed_keys_make_the_fixed_signatures() -> None:
    assert str(LOG.verifier) == (
        "ledger.example.org/log+e40a9c0f+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"
    )
    assert str(WITNESS.verifier) == (
        "witness.example.org/w1+6d7ef907+BIE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOU"
    )
    assert checkpoint().text == f"ledger.example.org/log\n3\n{ROOT}\n"
    by_log, _, by_witness = cosigned().signatures
    assert str(by_log).split()[2] == (
        "5AqcD1aTIhMvXg0UxjwSaaJ5F7PEvdno5C00w0RJcsVatuMlMlNGyIerBcjkkAvp2Sq4HwCbsE+H0BSbzwAczbl5dA4="
    )
    assert str(by_witness).split()[2] == (
        "bX75BwAAAABlU/EAOrkrha3oM+PyF221KuecxSPRon0c1iLy1N0BHJC8J3jjZhxbUoqJgMJWH/EsPWa8PEPzX2pVE+34Wr+J4QwMAQ=="
    )


def test_a_cosigned_checkpoint_opens() -> None:
    opened, times = open_checkpoint(bytes(cosigned()), LOG.verifier, [WITNESS.verifier])
    assert opened == checkpoint()
    assert times == {WITNESS.verifier: TIME}
    assert open_checkpoint(bytes(cosigned()), LOG.verifier)[1] == {}


def test_every_changed_byte_is_noticed() -> None:
    data = bytes(cosigned())
    stranger = range(
        *(data.index(word) for word in (b"\xe2\x80\x94 stranger", b"\xe2\x80\x94 witness"))
    )
    for at in set(range(len(data))) - set(stranger):
        changed = bytearray(data)
        changed[at] ^= 1
        try:
            opened, times = open_checkpoint(bytes(changed), LOG.verifier, [WITNESS.verifier])
        except BadNote:
            continue
        # Another name or key id makes it the signature of somebody unknown, and no more.
        assert (opened, times) == (checkpoint(), {}), at


def test_the_time_of_a_cosignature_is_signed() -> None:
    text = checkpoint().text
    blob = WITNESS.sign(text, TIME).blob
    later = (TIME + 1).to_bytes(8, "big") + blob[8:]
    forged = Note(text, (Signature(WITNESS.name, WITNESS.verifier.key_id, later),))
    with pytest.raises(BadNote, match="is false"):
        forged.signed_by([WITNESS.verifier])


def test_a_false_signature_beside_a_good_one_spoils_the_note() -> None:
    text = checkpoint().text
    false = Signature(LOG.name, LOG.verifier.key_id, STRANGER.sign(text).blob)
    for signatures in [(LOG.sign(text), false), (false, LOG.sign(text))]:
        with pytest.raises(BadNote, match="is false"):
            open_checkpoint(bytes(Note(text, signatures)), LOG.verifier)


def test_a_checkpoint_without_the_logs_signature_does_not_open() -> None:
    text = checkpoint().text
    for signature in (STRANGER.sign(text), WITNESS.sign(text, TIME)):
        with pytest.raises(BadNote, match="has not signed"):
            open_checkpoint(bytes(Note(text, (signature,))), LOG.verifier, [WITNESS.verifier])


def test_signatures_of_the_wrong_length_are_false() -> None:
    text = checkpoint().text
    for key in (LOG, WITNESS):
        blob = key.sign(text, TIME).blob
        for bad in (blob[:-1], blob + b"\0", blob[:8], b"\0"):
            note = Note(text, (Signature(key.name, key.verifier.key_id, bad),))
            with pytest.raises(BadNote, match="is false"):
                parse_note(bytes(note)).signed_by([key.verifier])


# ---------------------------------------------------------------- forms

GOOD = bytes(checkpoint().signed(LOG)).decode()
LINE = GOOD.splitlines(keepends=True)[-1]
BAD_NOTES = {
    "empty": "",
    "no signature": "text\n\n",
    "no text line": GOOD.replace("\n\n", "\n"),
    "signatures alone": LINE,
    "no end of line": GOOD[:-1],
    "an empty line at the end": GOOD + "\n",
    "a carriage return": GOOD.replace("\n", "\r\n"),
    "a tab": GOOD.replace("ledger", "led\tger"),
    "a NUL": GOOD.replace("ledger", "led\0ger"),
    "a hyphen for the dash": GOOD.replace("—", "-"),
    "two spaces": GOOD.replace("— ", "—  "),
    "a space at the end": GOOD[:-1] + " \n",
    "no base64": GOOD[:-1] + "!\n",
    "base64 without its padding": GOOD.replace("=\n\n", "@").replace("=", "").replace("@", "=\n\n"),
    "a name with a plus": GOOD + LINE.replace("ledger", "led+ger"),
    "no name": GOOD + LINE.replace("ledger.example.org/log", ""),
    "a key id and no signature": GOOD + "— somebody 5AqcDw==\n",
    "too many signatures": GOOD + LINE * 100,
    "too long": "x" * 1_000_000 + GOOD,
}


@pytest.mark.parametrize("text", BAD_NOTES.values(), ids=BAD_NOTES)
def test_what_is_no_note_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        parse_note(text.encode())


def test_a_note_is_whole_unicode() -> None:
    for bad in (b"\xff", b"\xed\xa0\x80", b"\xc0\x8a"):
        with pytest.raises(BadNote, match="UTF-8"):
            parse_note(bad + GOOD.encode())


def test_a_hundred_signatures_are_taken() -> None:
    assert len(parse_note((GOOD + LINE * 99).encode()).signatures) == 100


def test_a_note_of_a_million_bytes_is_taken() -> None:
    longest = GOOD.rjust(1_000_000 - len(GOOD.encode()) + len(GOOD), "x").encode()
    assert len(longest) == 1_000_000
    assert parse_note(longest).signatures == parse_note(GOOD.encode()).signatures
    with pytest.raises(BadNote, match="at most 1000000 bytes"):
        parse_note(b"x" + longest)


def test_only_the_last_empty_line_ends_the_text() -> None:
    note = parse_note(bytes(Note("a\n\nb\n\n\nc\n", (LOG.sign("a\n\nb\n\n\nc\n"),))))
    assert note.text == "a\n\nb\n\n\nc\n"
    assert note.signed_by([LOG.verifier]) == {LOG.verifier: None}


BAD_CHECKPOINTS = {
    "nothing": "",
    "no root": "o\n3\n",
    "no end of line": f"o\n3\n{ROOT}",
    "no origin": f"\n3\n{ROOT}\n",
    "an empty line": f"o\n3\n{ROOT}\n\n",
    "a leading zero": f"o\n03\n{ROOT}\n",
    "a sign": f"o\n+3\n{ROOT}\n",
    "a negative size": f"o\n-3\n{ROOT}\n",
    "a size in other digits": f"o\n\u0663\n{ROOT}\n",
    "a size beyond 63 bits": f"o\n9223372036854775808\n{ROOT}\n",
    "a root that is short": f"o\n3\n{encoded(bytes(31))}\n",
    "a root that is long": f"o\n3\n{encoded(bytes(33))}\n",
    "a root without padding": f"o\n3\n{ROOT[:-1]}\n",
    "a root with bits to spare": f"o\n3\n{ROOT[:-2]}l=\n",
}


@pytest.mark.parametrize("text", BAD_CHECKPOINTS.values(), ids=BAD_CHECKPOINTS)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        Checkpoint.parse(text)


@given(st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32))
@example(2**63 - 1, bytes(32))
def test_a_checkpoint_reads_what_it_writes(size: int, root: bytes) -> None:
    for extensions in [(), ("more", "and more")]:
        written = Checkpoint("origin", size, root, extensions)
        assert Checkpoint.parse(written.text) == written
    assert Checkpoint.parse(Checkpoint("o", 0, EMPTY_ROOT).text).root == EMPTY_ROOT


# ---------------------------------------------------------------- keys


def test_a_new_key_can_be_written_and_read() -> None:
    for kind in (ED25519, COSIGNATURE):
        key = SigningKey.generate("a.example.org", kind)
        assert SigningKey.parse(key.secret()) == key
        assert VerifierKey.parse(str(key.verifier)) == key.verifier
        assert key.seed != SigningKey.generate("a.example.org", kind).seed
        assert encoded(key.seed) not in repr(key) + str(key)


def test_a_name_of_a_key_may_be_a_thousand_letters_long() -> None:
    assert SigningKey.generate("a" * 1_000).name == "a" * 1_000


def test_a_name_of_a_key_has_no_space_and_no_plus() -> None:
    for name in ("", "a b", "a+b", "a\u00a0b", "a\u2003b", "a\nb", "a\x01", "a\ud800", "a" * 1_001):
        with pytest.raises(BadKey, match="no space"):
            SigningKey.generate(name)


BAD_KEYS = {
    "another id": NEUMANN_KEY.replace("c74f20a3", "c74f20a4"),
    "another name": NEUMANN_KEY.replace("Peter", "Petra"),
    "capitals in the id": NEUMANN_KEY.replace("c74f20a3", "C74F20A3"),
    "a short id": NEUMANN_KEY.replace("c74f20a3", "c74f20a"),
    "another kind": "a+00000000+" + encoded(b"\x02" + bytes(32)),
    "a short key": "a+00000000+" + encoded(b"\x01" + bytes(31)),
    "no key": "a+00000000+",
    "no base64": NEUMANN_KEY + "!",
    "two parts": "a+00000000",
    "a space": " " + NEUMANN_KEY,
    "a newline": NEUMANN_KEY + "\n",
}


@pytest.mark.parametrize("text", BAD_KEYS.values(), ids=BAD_KEYS)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(BadKey):
        VerifierKey.parse(text)
    with pytest.raises(BadKey):
        SigningKey.parse(f"PRIVATE+KEY+{text}")


def test_a_public_key_is_no_private_one() -> None:
    with pytest.raises(BadKey, match="begins with"):
        SigningKey.parse(NEUMANN_KEY)
    with pytest.raises(BadKey, match="does not belong") as caught:
        SigningKey.parse(NEUMANN_SECRET.replace("c74f20a3", "c74f20a4"))
    assert "AYEK" not in str(caught.value)
