"""Whatever happens to a page on its way, it is read or refused; it never breaks the program."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.codec import decode, encode, topic_of
from ledger.errors import UnreadablePage
from ledger.importing.facts import to_events
from ledger.importing.page import StatedPage, parse
from page_texts import PLAIN, TABLE

PAGES = (PLAIN, TABLE)
RECORD = "01980f5e-6c1a-7cc3-9d3f-0a4f5b6c7d8e"
EVALUATION = "01980f5e-6c1a-7cc3-9d3f-0a4f5b6c7d8f"
AWKWARD = (
    "|",
    "| | |",
    "| Status | |",
    "||||",
    "Status",
    "Funding",
    "\u00a0",
    "\u2028",
    "SRCH:",
    "DOI:",
    "Abstract",
    "Provenance",
    ": x",
    "Reason ",
    "Paper level\t",
)
fuzzed = settings(deadline=None, max_examples=300)


def survives(source: bytes) -> StatedPage | None:
    """Read a page and turn it into facts that can be stored; None when it was refused."""
    try:
        page = parse(source, "page")
    except UnreadablePage:
        return None
    group = to_events(
        page, record_id=RECORD, handle="SRCH:12345678", actor="i", evaluation_id=EVALUATION
    )
    for event in group:
        stored = encode(event)
        assert decode(RECORD, event.originator_version, topic_of(event), stored) == event
    nothing_is_lost(source, page)
    return page


def nothing_is_lost(source: bytes, page: StatedPage) -> None:
    kept = {field.line for field in (*page.stated, *page.unknown)}
    sections = {"Abstract", "Research Question", "Verification Level", "Truth-Engine Gate Verdict"}
    sections |= {"Quality Tier", "Quality Dimensions", "Correction Record", "Provenance"}
    text = source.decode("utf-8-sig").replace("\r\n", "\n")
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip() and line.strip() not in sections:
            assert number in kept, line


def says_no_more(page: StatedPage, whole: StatedPage, *but: str) -> None:
    """What is left of a page may say less than the whole; it may say nothing else."""
    for name in StatedPage.model_fields:
        if name in {"source", "dialect", "stated", "unknown", "missing", *but}:
            continue
        left, printed = getattr(page, name), getattr(whole, name)
        if name == "dimensions":
            assert left.items() <= printed.items()
        elif name == "verdict" and left is not None:
            assert left.status is printed.status
            assert left.reason in {None, printed.reason}
        elif name == "gate" and page.verdict is not None and page.verdict.reason is None:
            assert left in {None, printed, page.verdict.gate}  # no reason is left that knows better
        elif name == "reading":
            assert left.evidence in {None, printed.evidence}
        else:
            assert left is None or left == printed, name


@pytest.mark.parametrize("text", PAGES)
def test_no_cut_page_says_what_the_whole_one_does_not(text: str) -> None:
    whole = parse(text.encode(), "page")
    read = 0
    for end in range(len(text)):
        page = survives(text[:end].encode())
        if page is not None:
            read += 1
            says_no_more(page, whole)
    assert read > len(text) / 2


@pytest.mark.parametrize("text", PAGES)
def test_no_page_without_a_line_says_what_the_whole_one_does_not(text: str) -> None:
    whole = parse(text.encode(), "page")
    lines = text.split("\n")
    for gone, line in enumerate(lines):
        page = survives("\n".join(lines[:gone] + lines[gone + 1 :]).encode())
        if page is not None:
            # Without its heading the question is printed under the abstract.
            but = ("abstract",) if line == "Research Question" else ()
            says_no_more(page, whole, *but)


pages = st.sampled_from(PAGES)


@given(page=pages, share=st.floats(0, 1))
@fuzzed
def test_a_page_cut_anywhere_is_read_or_refused(page: str, share: float) -> None:
    source = page.encode()
    survives(source[: int(len(source) * share)])


@given(page=pages, gone=st.sets(st.integers(0, 80), max_size=30))
@fuzzed
def test_a_page_with_lines_gone_is_read_or_refused(page: str, gone: set[int]) -> None:
    lines = [line for number, line in enumerate(page.split("\n")) if number not in gone]
    survives("\n".join(lines).encode())


@given(page=pages, swaps=st.lists(st.tuples(st.integers(0, 80), st.integers(0, 80)), max_size=8))
@fuzzed
def test_a_page_with_lines_swapped_is_read_or_refused(
    page: str, swaps: list[tuple[int, int]]
) -> None:
    lines = page.split("\n")
    for one, other in swaps:
        here, there = one % len(lines), other % len(lines)
        lines[here], lines[there] = lines[there], lines[here]
    survives("\n".join(lines).encode())


@given(page=pages, flips=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), max_size=6))
@fuzzed
def test_a_page_with_bytes_flipped_is_read_or_refused(
    page: str, flips: list[tuple[float, int]]
) -> None:
    source = bytearray(page.encode())
    for share, mask in flips:
        source[int((len(source) - 1) * share)] ^= mask
    survives(bytes(source))


@given(
    page=pages,
    added=st.lists(
        st.tuples(st.integers(0, 80), st.sampled_from(AWKWARD) | st.text(max_size=80)), max_size=6
    ),
)
@fuzzed
def test_a_page_with_lines_added_is_read_or_refused(
    page: str, added: list[tuple[int, str]]
) -> None:
    lines = page.split("\n")
    for place, line in added:
        lines.insert(place % (len(lines) + 1), line)
    survives("\n".join(lines).encode("utf-8", "surrogatepass"))


@given(page=pages, values=st.dictionaries(st.integers(0, 80), st.text(max_size=40), max_size=6))
@fuzzed
def test_a_page_with_other_values_is_read_or_refused(page: str, values: dict[int, str]) -> None:
    lines = page.split("\n")
    for place, value in values.items():
        line = lines[place % len(lines)]
        lines[place % len(lines)] = line[: len(line) // 2] + value
    survives("\n".join(lines).encode("utf-8", "surrogatepass"))


@given(
    source=st.binary(max_size=400) | st.text(max_size=400).map(lambda t: t.encode(errors="replace"))
)
@fuzzed
def test_any_bytes_are_read_or_refused(source: bytes) -> None:
    survives(source)


@given(text=st.text(max_size=300))
@fuzzed
def test_any_reason_is_read(text: str) -> None:
    line = text.replace("\n", " ").encode(errors="replace").decode()
    survives(PLAIN.replace("avg_attack_score=7.7/10.", line).encode())
    survives(TABLE.replace("Computed 0.10 matches", line).encode())
