"""Do both databases find the same records, and those that have the words?"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from given_patience import PATIENCE_S
from given_views import empty_database
from projections.catalogue import Catalogue, Query
from projections.folded import Folded
from projections.opening import open_views
from projections.table import Checkpoint
from projections.views import Views
from projections.words import WORD_LENGTH_MAX, Search, indexed, words
from view_facts import HandLog, live, submitted, uuid


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("A survey of XTREME-R, again.", ["a", "survey", "of", "xtreme", "r", "again"]),
        ("Étude naïve, ÅNGSTRÖM", ["etude", "naive", "angstrom"]),
        ("e\u0301tude", ["etude"]),
        ("Straße STRASSE \u017f", ["strasse", "strasse", "s"]),
        ("ΣΊΣΥΦΟΣ σίσυφος", ["σισυφοσ", "σισυφοσ"]),
        ("Ёлка ёлка", ["елка", "елка"]),
        ("İstanbul ISTANBUL", ["istanbul", "istanbul"]),
        ("e\ufb03cient ﬁeld", ["efficient", "field"]),
        ("x² H₂O ①", ["x2", "h2o", "1"]),
        ("10.5281/zenodo.1 snake_case", ["10", "5281", "zenodo", "1", "snake", "case"]),
        ("漢字 한국어", ["漢字", "".join("\u1112\u1161\u11ab\u1100\u116e\u11a8\u110b\u1165")]),
        ("हिन्दी", ["हनद"]),
        ("— … !!! \U0001f600 \ud800 \0", []),
        ("a\0b", ["a", "b"]),
        ("x" * 1_000, ["x" * WORD_LENGTH_MAX]),
    ],
)
def test_a_text_has_these_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


PLAIN = st.characters(
    categories=["Lu", "Ll", "P", "Zs"], include_characters="0123456789", max_codepoint=0x17F
)


@given(st.text(PLAIN))
def test_latin_words_are_those_of_fts5(text: str) -> None:
    """Where both know a letter, only letters that stand for two differ, as ß for ss."""
    told = "".join(sign for sign in text if sign not in "ßŉſĳĲŀĿ" and sign != "_")
    with sqlite3.connect(":memory:") as database:
        database.execute(
            "CREATE VIRTUAL TABLE t USING fts5(x, tokenize = 'unicode61 remove_diacritics 2')"
        )
        database.execute("INSERT INTO t VALUES (?)", (told,))
        database.execute("CREATE VIRTUAL TABLE v USING fts5vocab(t, instance)")
        found = [term for (term,) in database.execute('SELECT term FROM v ORDER BY "offset"')]
    database.close()
    assert words(told) == found


@given(st.text(st.characters(max_codepoint=0x7F)))
def test_ascii_is_read_like_any_other_text(text: str) -> None:
    assert [*words(text), "e"] == words(f"{text} é")


LETTERS = st.sampled_from("aAbé\u0301ßﬁ1²_-./¶'\"*:&|!()<> \t\\%?漢字नि\ud800\0\U0001f600")
SOME_TEXT = st.one_of(st.text(LETTERS, max_size=30), st.text(max_size=30))
CORPORA = st.lists(SOME_TEXT, min_size=1, max_size=4)


def storable(text: str) -> str:
    """Return a text without what no event may hold."""
    return "".join(sign for sign in text if sign != "\0" and not "\ud800" <= sign <= "\udfff")


def has(text: str, search: Search) -> bool:
    """Say again, slowly, what it means that a text has what is looked for."""
    there = words(text)
    for number, phrase in enumerate(search.phrases):
        last = number == len(search.phrases) - 1
        starts = range(len(there) - len(phrase) + 1)
        whole = len(phrase) - 1 if last else len(phrase)
        if not any(
            there[start : start + whole] == list(phrase[:whole])
            and (not last or there[start + whole].startswith(phrase[-1]))
            for start in starts
        ):
            return False
    return bool(search.phrases)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Views, Views]]:
    path: Path = tmp_path_factory.mktemp("words") / "views"
    with (
        open_views(path, [Catalogue]) as sqlite,
        open_views(empty_database().app_url, [Catalogue], PATIENCE_S) as postgres,
    ):
        yield sqlite, postgres


@pytest.fixture(scope="module")
def shelve(both: tuple[Views, Views]) -> Callable[[list[str]], None]:
    """Return what puts texts in place of all others, as abstracts of records 1, 2, ..."""
    log = HandLog(live())
    log.add(uuid(1), submitted("T"))
    plain = log.folded(uuid(1))
    steps = itertools.count(1)

    def record(number: int, text: str) -> Folded:
        told = {**plain.document, "title": "", "publisher": "", "handle": "", "doi": None}
        told |= {"research_question": None, "abstract": {"text": text}}
        entry = replace(plain.entries[0], position=number)
        return Folded(uuid(number), (entry,), told, plain.in_force)

    def shelve(texts: list[str]) -> None:
        records = [record(n, text) for n, text in enumerate(texts + [""] * 4, 1)]
        reached = Checkpoint(next(steps), 1)
        for views in both:
            assert views.apply(Catalogue, records, reached)

    return shelve


def found(views: Views, text: str) -> list[int]:
    page = Catalogue(views).page(Query(text=text))
    assert page.total == len(page.items)
    return [int(entry.record_id[-4:], 16) for entry in page.items]


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_all_databases_find_the_records_that_have_the_words(
    both: tuple[Views, Views], shelve: Callable[[list[str]], None], data: st.DataObject
) -> None:
    texts = [storable(text) for text in data.draw(CORPORA)]
    shelve(texts)
    whole = " ".join(texts)
    for _again in range(4):
        start = data.draw(st.integers(0, max(0, len(whole) - 1)))
        piece = whole[start : start + data.draw(st.integers(1, 12))]
        text = data.draw(st.one_of(st.just(piece), SOME_TEXT, CORPORA.map(" ".join)))
        if (search := Search.read(text)) is None:
            continue
        expected = [n for n in range(len(texts), 0, -1) if has(texts[n - 1], search)]
        assert [found(views, text) for views in both] == [expected, expected]


HAND_PICKED = ["Étude of 10.5281/zenodo.77", "zenodo 77 naïve", "SRCH:00000002 漢字", "ﬁeld x²"]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("etude", [1]),
        ("ÉTUDE", [1]),
        ("10.5281/zenodo.77", [1]),
        ("zenodo.77", [2, 1]),
        ("zenodo.7", [2, 1]),
        ("77.zenodo", []),
        ("77 zenodo", [2, 1]),
        ("naive ze", [2]),
        ("srch:00000002", [3]),
        ("漢", [3]),
        ("field x", [4]),
        ("fields x2", []),
        ("!!!", []),
        ("!!! field ---", [4]),
        ("' OR 1=1; --", []),
        ("¶", []),
    ],
)
def test_both_find_the_hand_picked(
    both: tuple[Views, Views],
    shelve: Callable[[list[str]], None],
    text: str,
    numbers: list[int],
) -> None:
    shelve(HAND_PICKED)
    assert [found(views, text) for views in both] == [numbers, numbers]


def test_no_phrase_runs_from_one_text_into_the_next() -> None:
    assert indexed(["One two", None, "…", "three"]) == "one two ¶ three"
