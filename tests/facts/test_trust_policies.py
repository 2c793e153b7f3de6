"""Trust policies: what a line may say, and when witnesses are a quorum."""

from __future__ import annotations

from itertools import combinations

import pytest

from ledger.transparency.merkle import EMPTY_ROOT
from ledger.transparency.notes import (
    COSIGNATURE,
    ED25519,
    BadNote,
    Checkpoint,
    Note,
    SigningKey,
)
from ledger.transparency.policy import BadPolicy, Party, parse_policy

LOG = SigningKey("ledger.example.org/log", ED25519, b"\x01" * 32)
OTHER_LOG = SigningKey("other.example.org/log", ED25519, b"\x07" * 32)
NAMES = ("X1", "X2", "X3", "Y1", "Y2", "Y3")
WITNESSES = {
    name: SigningKey(f"{name}.example.org", COSIGNATURE, bytes([16 + n]) * 32)
    for n, name in enumerate(NAMES)
}
LINES = {name: f"witness {name} {key.verifier}" for name, key in WITNESSES.items()}
DEFINED = "\n".join([f"log {LOG.verifier}", *LINES.values()])
TWO_LEVELS = f"""
# Two of ours and one of theirs.
\t {DEFINED}
group X-witnesses 2 X1\tX2  X3
group Y-witnesses any Y1 Y2 Y3
group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


def test_a_policy_of_two_levels_has_the_quorum_it_says() -> None:
    policy = parse_policy(TWO_LEVELS.encode())
    for count in range(7):
        for names in combinations(NAMES, count):
            firsts = [name[0] for name in names]
            enough = firsts.count("X") >= 2 and firsts.count("Y") >= 1
            assert policy.satisfied(names) is enough, names
    assert policy.satisfied([*NAMES, "Z9"])


def test_a_policy_of_a_million_bytes_is_read() -> None:
    assert parse_policy(b"quorum none\n".ljust(1_000_000, b"#")).quorum is None


def test_names_that_are_not_witnesses_count_nothing() -> None:
    policy = parse_policy(TWO_LEVELS.encode())
    assert not policy.satisfied(["X-and-Y", "X-witnesses", "Y-witnesses"])


@pytest.mark.parametrize(
    ("lines", "least"),
    [("group g all X1 X2 X3\nquorum g", 3), ("group g 1 X1\nquorum g", 1), ("quorum X1", 1)],
)
def test_a_quorum_is_a_group_or_one_witness(lines: str, least: int) -> None:
    policy = parse_policy(f"{DEFINED}\n{lines}".encode())
    assert [policy.satisfied(NAMES[:n]) for n in range(4)] == [n >= least for n in range(4)]


def test_a_policy_may_ask_for_nobody() -> None:
    policy = parse_policy(b"quorum none\n")
    assert policy.satisfied([])
    assert (policy.logs, policy.witnesses, policy.groups) == ((), (), ())


def test_logs_and_witnesses_may_have_an_address() -> None:
    key = WITNESSES["X1"].verifier
    text = f"log {LOG.verifier} https://l/\nwitness w {key} http://w/\nquorum w"
    policy = parse_policy(text.encode())
    assert policy.logs == (Party(LOG.name, LOG.verifier, "https://l/"),)
    assert policy.witnesses == (Party("w", key, "http://w/"),)


def test_a_name_is_any_bytes() -> None:
    key = WITNESSES["X1"].verifier
    text = f"witness K {key}\ngroup ".encode() + b"\xff\xe2\x84\xaa all K\nquorum \xff\xe2\x84\xaa"
    assert parse_policy(text).satisfied(["K"])
    with pytest.raises(BadPolicy, match=r"Line 2.*not defined"):
        parse_policy(f"witness K {key}\nquorum \u212a".encode())


BAD = {
    "no quorum": ("", "quorum line"),
    "two quorums": ("quorum none\nquorum none", "Line 9"),
    "a quorum of two": ("quorum X1 X2", "Line 8"),
    "an unknown quorum": ("quorum Z1", "Line 8: Z1 is not defined"),
    "an unknown word": ("mirror X1\nquorum none", "has not the form"),
    "a word in capitals": ("QUORUM none", "has not the form"),
    "an empty group": ("group g all\nquorum none", "has not the form"),
    "a group of unknown members": ("group g all Z1\nquorum g", "not defined above"),
    "a group that is its own member": ("group g any g\nquorum g", "not defined above"),
    "a member defined below": ("group g any h\ngroup h any X1\nquorum g", "not defined above"),
    "none as a member": ("group g any none\nquorum g", "not defined above"),
    "a member twice": ("group g 2 X1 X1\nquorum g", "member already"),
    "a member of two groups": ("group g any X1\ngroup h any X1\nquorum h", "member already"),
    "a threshold of none": ("group g 0 X1\nquorum g", "number of its members"),
    "a threshold too high": ("group g 2 X1\nquorum g", "more members than it has"),
    "a threshold in other digits": ("group g \u0661 X1\nquorum g", "number of its members"),
    "a threshold with a zero": ("group g 01 X1\nquorum g", "number of its members"),
    "a name twice": (f"witness g {OTHER_LOG.verifier}\nquorum g", "key for signatures"),
    "a group named as a witness": ("group X2 any X1\nquorum X2", "a meaning already"),
    "a group named none": ("group none any X1\nquorum none", "a meaning already"),
    "a witness named none": (LINES["X1"].replace("X1", "none", 1), "a meaning already"),
    "a witness again": (f"{LINES['X1']}\nquorum X1", "a meaning already"),
    "a key again": (LINES["X1"].replace("X1", "Z1", 1), "listed already"),
    "a log again": (f"log {LOG.verifier}", "listed already"),
    "a log with a witness's key": (f"log {WITNESSES['X1'].verifier}", "key for signatures"),
    "a false key": (f"log {str(OTHER_LOG.verifier)[:-1]}", "base64"),
    "a witness with two addresses": (
        f"witness Z1 {SigningKey('z', COSIGNATURE, bytes(32)).verifier} http://a http://b",
        "has not the form",
    ),
    "a third item": (f"log {OTHER_LOG.verifier} http://a http://b", "has not the form"),
    "a carriage return": ("quorum none\r", "control characters"),
    "a NUL": ("quorum none\0", "control characters"),
    "a form feed": ("quorum\fnone", "control characters"),
    "a delete": ("quorum\x7fnone", "control characters"),
    "too much": ("quorum none\n".ljust(1_000_000 - len(DEFINED), "#"), "at most 1000000 bytes"),
}


@pytest.mark.parametrize(("lines", "why"), BAD.values(), ids=BAD)
def test_what_is_no_policy_is_refused(lines: str, why: str) -> None:
    with pytest.raises(BadPolicy, match=why):
        parse_policy(f"{DEFINED}\n{lines}".encode())


def test_a_policy_opens_what_its_quorum_cosigned() -> None:
    policy = parse_policy(TWO_LEVELS.encode())
    checkpoint = Checkpoint(LOG.name, 0, EMPTY_ROOT)
    text = checkpoint.text
    marks = {name: key.sign(text, 1_700_000_000) for name, key in WITNESSES.items()}
    some = [marks[name] for name in ("X1", "X3", "Y2")]
    opened = policy.open(bytes(Note(text, (LOG.sign(text), *some))))
    assert opened.checkpoint == checkpoint
    assert opened.cosigned == dict.fromkeys(("X1", "X3", "Y2"), 1_700_000_000)
    with pytest.raises(BadNote, match="not the quorum"):
        policy.open(bytes(Note(text, (LOG.sign(text), *some[1:]))))
    with pytest.raises(BadNote, match="no log of the policy"):
        policy.open(bytes(Note(text, (OTHER_LOG.sign(text), *some))))
    # The key of a listed log speaks for no other log.
    stolen = Checkpoint(OTHER_LOG.name, 0, EMPTY_ROOT).text
    with pytest.raises(BadNote, match="no log of the policy"):
        policy.open(bytes(Note(stolen, (LOG.sign(stolen),))))
