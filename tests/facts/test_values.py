"""What a value may be: texts, figures and moments at their limits, and fields when corrected."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from field_values import VALUES, lines, prose
from golden_events import GOLDEN
from ledger.content import Abstract, ClaimCounts, Content, Facts, PublicField
from ledger.events import RecordSubmitted
from ledger.vocabulary import (
    Day,
    Digest,
    Doi,
    Figure,
    Handle,
    Identifier,
    Line,
    Moment,
    Prose,
    RecordId,
    Score,
    moment_text,
    new_handle,
    new_record_id,
    now,
    random_bytes,
)

FULL = cast("RecordSubmitted", GOLDEN["record.submitted.1.json"])
FACTS = Facts(
    content=FULL.content,
    submitted_on=date(2026, 7, 3),
    review=FULL.review,
    claims=FULL.claims,
    claim_source=FULL.claim_source,
)
KINDS: dict[str, Any] = {
    "line": Line,
    "prose": Prose,
    "handle": Handle,
    "digest": Digest,
    "record id": RecordId,
    "doi": Doi,
    "identifier": Identifier,
    "moment": Moment,
    "day": Day,
}


def taken(kind: Any, value: Any) -> Any:
    return TypeAdapter(kind).validate_json(json.dumps(value), strict=True)


# ---------------------------------------------------------------- public fields


@given(st.sampled_from(PublicField), st.data())
def test_a_corrected_field_says_what_it_was_corrected_to_and_nothing_else_changes(
    field: PublicField, data: st.DataObject
) -> None:
    to = data.draw(VALUES[field])
    corrected = FACTS.corrected(field, to)
    assert corrected.value(field) == to
    for other in PublicField:
        assert other is field or corrected.value(other) == FACTS.value(other)
    assert corrected.corrected(field, FACTS.value(field)) == FACTS


@given(st.permutations(list(PublicField)), st.data())
def test_corrections_of_different_fields_do_not_depend_on_their_order(
    order: list[PublicField], data: st.DataObject
) -> None:
    values = {field: data.draw(VALUES[field]) for field in PublicField}
    one = other = FACTS
    for field in PublicField:
        one = one.corrected(field, values[field])
    for field in order:
        other = other.corrected(field, values[field])
    assert one == other


def test_every_field_of_bare_facts_has_no_value_or_its_own() -> None:
    bare = Facts(content=FULL.content.model_copy(update={"abstract": None, "note": None}))
    silent = {field for field in PublicField if bare.value(field) is None}
    said = {PublicField.TITLE, PublicField.KIND, PublicField.PUBLISHER}
    assert silent == set(PublicField) - said - {PublicField.RESEARCH_QUESTION}
    for field in silent - {PublicField.ABSTRACT_SOURCE}:
        value = FACTS.value(field) or "A text"
        assert bare.corrected(field, value).value(field) == value


def test_a_source_without_an_abstract_does_not_fit() -> None:
    bare = Facts(content=FULL.content.model_copy(update={"abstract": None}))
    with pytest.raises(ValidationError):
        bare.corrected(PublicField.ABSTRACT_SOURCE, "Doe (2024)")


def test_correcting_keeps_figures_to_the_digit() -> None:
    kept = FACTS.corrected(PublicField.TITLE, "New").review
    assert kept is not None
    assert kept.scores is not None
    assert [str(score) for score in kept.scores.model_dump().values()] == ["7.9", "8.0", "10"]


# ---------------------------------------------------------------- texts


@given(lines, prose)
def test_texts_are_taken_as_they_are(line: str, text: str) -> None:
    assert taken(Line, line) == line
    assert taken(Prose, text) == text


CONTROLS = [chr(n) for n in (*range(0x20), *range(0x7F, 0xA0))]


@pytest.mark.parametrize("control", CONTROLS, ids=lambda c: f"U+{ord(c):04X}")
def test_no_control_character_is_taken(control: str) -> None:
    with pytest.raises(ValidationError):
        taken(Line, f"a{control}b")
    if control in "\n\t":
        assert taken(Prose, f"a{control}b") == f"a{control}b"
    else:
        with pytest.raises(ValidationError):
            taken(Prose, f"a{control}b")


@pytest.mark.parametrize("kind", ["line", "prose"])
@pytest.mark.parametrize("text", ["", " ", "\u3000\u2003", "\ud800", "a\udfffb", "\ude00\ud83d"])
def test_blank_texts_and_lone_surrogates_are_not_taken(kind: str, text: str) -> None:
    with pytest.raises(ValidationError):
        taken(KINDS[kind], text)
    with pytest.raises(ValidationError):
        TypeAdapter(KINDS[kind]).validate_python(text, strict=True)


def test_texts_have_a_limit() -> None:
    assert taken(Line, "漢" * 1_000)
    assert taken(Prose, "漢" * 50_000)
    for kind, length in ((Line, 1_001), (Prose, 50_001)):
        with pytest.raises(ValidationError):
            taken(kind, "x" * length)


# ---------------------------------------------------------------- figures


@pytest.mark.parametrize(
    "figure",
    ["NaN", "-NaN", "sNaN", "Infinity", "-Infinity", "inf", "1E+401", "1E-401", "9" * 61, ""],
)
def test_a_figure_is_finite_and_of_bounded_size(figure: str) -> None:
    with pytest.raises(ValidationError):
        taken(Figure, figure)


@pytest.mark.parametrize("figure", ["NaN", "sNaN", "Infinity", "1E+401", "1E-401", "9" * 61])
def test_a_figure_that_was_made_elsewhere_is_bounded_too(figure: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Figure).validate_python(Decimal(figure), strict=True)


def test_figures_that_are_equal_each_keep_their_digits() -> None:
    texts = ["8.1", "8.10", "8.1", "81E-1", "8.10"]
    assert [str(taken(Figure, text)) for text in texts] == ["8.1", "8.10", "8.1", "8.1", "8.10"]


@pytest.mark.parametrize("raw", ["NaN", "Infinity", "-Infinity", "1e400", "true", "null", "[1]"])
def test_a_figure_in_json_is_a_finite_number(raw: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Figure).validate_json(raw, strict=True)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4))
def test_a_figure_keeps_its_digits(figure: Decimal) -> None:
    if len(figure.as_tuple().digits) <= 60:
        assert str(taken(Figure, str(figure))) == str(figure)


@pytest.mark.parametrize("score", ["-0.1", "10.01", "1E+2", "NaN"])
def test_a_score_lies_between_nought_and_ten(score: str) -> None:
    with pytest.raises(ValidationError):
        taken(Score, score)


# ---------------------------------------------------------------- names and moments


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("handle", "SRCH:b0e046b6"),
        ("handle", "SRCH:B0E046B"),
        ("handle", "SRCH:B0E046B6\n"),
        ("handle", "B0E046B6"),
        ("digest", "sha256:" + "A" * 64),
        ("digest", "sha256:" + "a" * 64 + "\n"),
        ("digest", "md5:" + "a" * 32),
        ("record id", "01980F5E-6C1A-7CC3-9D3F-0A4F5B6C7D8E"),
        ("record id", "01980f5e6c1a7cc39d3f0a4f5b6c7d8e"),
        ("record id", "01980f5e-6c1a-7cc3-9d3f-0a4f5b6c7d8e\n"),
        ("doi", "11.5281/zenodo.1"),
        ("doi", "https://doi.org/10.5281/zenodo.1"),
        ("doi", "10.5281/zen odo"),
        ("doi", "10.5281/zenodo.1\n"),
        ("doi", "10.5281/" + "x" * 256),
        ("identifier", "-a"),
        ("identifier", "a b"),
        ("moment", "2026-07-01T00:00:00"),
        ("moment", "2026-07-01"),
        ("moment", "1599-12-31T23:59:59Z"),
        ("moment", "9999-12-31T23:59:59-01:00"),
        ("day", "1599-12-31"),
        ("day", "2026-02-29"),
        ("day", "2026-07-01T00:00:00"),
    ],
)
def test_a_name_or_moment_has_one_spelling(kind: str, value: str) -> None:
    with pytest.raises(ValidationError):
        taken(KINDS[kind], value)


def test_what_the_ledger_makes_is_what_it_takes() -> None:
    assert taken(RecordId, new_record_id())
    assert len({new_handle() for _ in range(100)}) == 100
    for digits in (8, 9, 16):
        handle = new_handle(digits)
        assert len(taken(Handle, handle)) == len("SRCH:") + digits
    moment = now()
    assert taken(Moment, moment_text(moment)) == moment


def test_a_moment_is_kept_in_one_zone() -> None:
    moment = taken(Moment, "2026-07-02T05:48:27.951721+02:00")
    assert moment_text(moment) == "2026-07-02T03:48:27.951721Z"


def test_random_bytes_are_given_out_once_by_whichever_thread_or_process() -> None:
    assert [len(random_bytes(count)) for count in (1, 32, 4_096)] == [1, 32, 4_096]
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(random_bytes, [16] * 5_000))
    assert len(set(taken)) == 5_000
    program = (
        "import os\n"
        "from ledger.vocabulary import random_bytes\n"
        "random_bytes(1)\n"
        "child = os.fork()\n"
        "os.write(1, random_bytes(16).hex().encode() + b' ')\n"
        "if child:\n"
        "    os.waitpid(child, 0)\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert len(set(told.stdout.split())) == 2


@given(title=lines, text=prose, quoted_from=st.none() | lines)
def test_a_digest_is_that_of_the_content_as_canonical_json(
    title: str, text: str, quoted_from: str | None
) -> None:
    content = Content(
        title=title, abstract=Abstract(text=text, quoted_from=quoted_from), publisher="Somebody"
    )
    canonical = json.dumps(
        content.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    assert content.digest() == "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()


@pytest.mark.parametrize("stage", list(ClaimCounts.model_fields)[1:])
def test_no_stage_holds_more_claims_than_were_extracted(stage: str) -> None:
    assert ClaimCounts(extracted=5, **{stage: 6}).disorder() is not None
    assert ClaimCounts(extracted=5, **{stage: 5}).disorder() is None
    assert ClaimCounts(**{stage: 6}).disorder() is None


def test_what_is_corroborated_is_grounded() -> None:
    assert ClaimCounts(grounded=5, cross_source_corroborated=6).disorder() is not None
    assert ClaimCounts(grounded=5, sandbox_executed=6).disorder() is None


@pytest.mark.parametrize(
    "nothing", ["\u200b", "\u2060", "\u00ad", "\ufeff", "\u3164", "\u034f", "\u00a0\u200d"]
)
def test_a_text_that_shows_nothing_is_blank(nothing: str) -> None:
    for kind in (Line, Prose):
        with pytest.raises(ValidationError, match="is blank"):
            TypeAdapter(kind).validate_python(nothing)
        assert TypeAdapter(kind).validate_python(f"a{nothing}") == f"a{nothing}"


@pytest.mark.parametrize("separator", ["\u2028", "\u2029"])
def test_a_line_has_one_line(separator: str) -> None:
    with pytest.raises(ValidationError, match="control character"):
        TypeAdapter(Line).validate_python(f"a{separator}b")
    assert TypeAdapter(Prose).validate_python(f"a{separator}b")
