"""What is no record page is refused in one sentence."""

from __future__ import annotations

from contextlib import suppress

import pytest

from ledger.errors import UnreadablePage
from ledger.importing.layout import PAGE_BYTES_MAX
from ledger.importing.page import parse
from page_texts import PLAIN, TABLE, changed

NO_LEVEL = PLAIN[: PLAIN.index("Verification Level")]

REFUSED = {
    "empty": (b"", "empty"),
    "blank": (b" \n\n\t\n", "empty"),
    "not UTF-8": (PLAIN.encode().replace(b"count", b"co\xffnt", 1), "not UTF-8"),
    "UTF-16": (PLAIN.encode("utf-16"), "not UTF-8"),
    "a control character": (changed(PLAIN, ("We count", "We \x07count")), "line 16 .*U+0007"),
    "a NUL": (changed(TABLE, ("Enough", "Eno\x00ugh")), "U+0000"),
    "a lone carriage return": (changed(PLAIN, ("We count", "We\rcount")), "U+000D"),
    "too large": (PLAIN.encode() + b" " * PAGE_BYTES_MAX, "larger than"),
    "too many lines": (PLAIN.encode() + b"x\n" * 6_000, "lines"),
    "too long a line": (changed(PLAIN, ("We count", "We " + "x" * 50_001)), "longer than"),
    "too long a title": (changed(PLAIN, ("On Counting", "On " + "x" * 1_001)), "title"),
    "no title": (changed(PLAIN, ("On Counting: A Short Title\n", "")), "no title"),
    "no title in a table": (changed(TABLE, ("On Counting: A Short Title\n", "")), "no title"),
    "neither level nor verdict": (NO_LEVEL.encode(), "neither"),
    "another text": (b"Dear reader,\n\nthis is a letter.\n", "neither"),
    "two values": (changed(PLAIN, ("StatusFalsified", "StatusFalsified\nStatusVerified")), "two"),
    "two scores": (changed(PLAIN, ("DOI: 1", "Review score: 2.00/10\nDOI: 1")), "two"),
    "two handles": (changed(PLAIN, ("00C0FFEE\n", "00C0FFEE\nSRCH:00C0FFEF\n")), "two handles"),
    "two abstracts": (PLAIN.encode() + b"\nAbstract\n\nAnother one.\n", "two different sections"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_record_page_is_refused_in_one_sentence(case: str) -> None:
    source, saying = REFUSED[case]
    with pytest.raises(UnreadablePage) as refused:
        parse(source, "page")
    *words, last = saying.split(" .*")
    assert last in refused.value.detail
    assert all(word in refused.value.detail.lower() for word in words)
    assert refused.value.detail.endswith(".")
    assert "\n" not in refused.value.detail


def test_the_same_value_twice_is_no_contradiction() -> None:
    page = parse(changed(PLAIN, ("StatusFalsified", "StatusFalsified\nStatusFalsified")), "page")
    assert page.verdict is not None


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 1_001])
def test_a_name_that_cannot_be_kept_is_refused(name: str) -> None:
    with pytest.raises(UnreadablePage):
        parse(PLAIN.encode(), name)


@pytest.mark.parametrize("strange", ["\t", "\u2028", "\u2029", "\u200b"])
@pytest.mark.parametrize("page", [PLAIN, TABLE], ids=["plain", "table"])
def test_a_strange_space_anywhere_in_a_page_is_read_or_refused(strange: str, page: str) -> None:
    for place in range(len(page)):
        spoiled = page[:place] + strange + page[place + 1 :]
        with suppress(UnreadablePage):
            parse(spoiled.encode(), "a-page.txt")
