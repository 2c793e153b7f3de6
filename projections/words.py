"""Which words does a text have, and which are looked for?  One answer for every database.

The databases index what is returned here as it is, so that all of them find the same records.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self
from unicodedata import category, normalize

from projections.table import Table

INPUT_MAX: Final = 400
WORDS_MAX: Final = 32
"""Search input beyond 400 characters or 32 words does not count."""
WORD_LENGTH_MAX: Final = 200
"""Words that agree in so many characters are taken for the same."""
BETWEEN: Final = "¶"
"""Stands between two texts, so that no phrase runs from one into the other; it is no word."""

# Letters and digits of any script; and what becomes of each sign of ASCII, which is much quicker.
_WORD: Final = re.compile(r"[^\W_]+")
_ASCII: Final = {code: chr(code).lower() if chr(code).isalnum() else " " for code in range(128)}
_LEXEMES: Final = (
    'CREATE TABLE {table} (rowid BIGINT PRIMARY KEY, words TEXT COLLATE "C" NOT NULL, '
    "lexemes TSVECTOR NOT NULL GENERATED ALWAYS AS (array_to_tsvector(array_remove("
    f"string_to_array(words, ' '), '{BETWEEN}'))) STORED)"
)


def words(text: str) -> list[str]:
    """Return the words of a text in order: case, accents and ways of writing a letter are gone."""
    if text.isascii():
        found = text.translate(_ASCII).split()
    else:
        text = normalize("NFKD", text.casefold())
        for sign in set(text):
            if category(sign)[0] == "M":
                text = text.replace(sign, "")
        found = _WORD.findall(text.casefold())
    if len(text) > WORD_LENGTH_MAX and max(map(len, found), default=0) > WORD_LENGTH_MAX:
        return [word[:WORD_LENGTH_MAX] for word in found]
    return found


def indexed(texts: Iterable[str | None]) -> str:
    """Return what a database indexes of a record's texts: its words with spaces between them."""
    told = [" ".join(words(text)) for text in texts if text]
    return f" {BETWEEN} ".join(filter(None, told))


def words_table(name: str) -> Table:
    """Return a table of indexed texts, one row per record, found by the record's place."""
    return Table(
        name=name,
        ddl="CREATE VIRTUAL TABLE {table} USING fts5(words, tokenize = 'ascii')",
        fields=("rowid", "words"),
        key="rowid",
        by="place",
        ddl_of=(("postgresql", _LEXEMES),),
        indexes_of=(("postgresql", ("gin (lexemes)",)),),
        # FTS5 keeps the words of a deleted row until it merges the parts of its index.
        forgetting_of=(("sqlite", "INSERT INTO {table} ({table}) VALUES ('optimize')"),),
    )


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for: every word has to be there, the last one as the beginning of a word.

    What is written as one word may be several to the index, as in "10.5281/zenodo.1": these have to
    follow each other.  With no phrase at all, nothing is found.
    """

    phrases: tuple[tuple[str, ...], ...]

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Return what free input looks for, None for blank input.

        Nothing in it is an operator.  Words of signs alone are not indexed and do not count.
        """
        given = text[:INPUT_MAX].split()
        told = [tuple(found) for word in given if (found := words(word))]
        return cls(tuple(told[:WORDS_MAX])) if given else None

    def fts5(self) -> str:
        """Return the expression for SQLite's MATCH."""
        quoted = ['"' + " ".join(phrase) + '"' for phrase in self.phrases]
        return " AND ".join(quoted) + "*" if quoted else '""'

    def tsquery(self) -> str:
        """Return the expression for PostgreSQL's @@, which says nothing of the order of words."""
        quoted = [f"'{word}'" for phrase in self.phrases for word in phrase]
        return " & ".join(quoted) + ":*" if quoted else ""

    def sequences(self) -> list[str]:
        """Return what has to occur as it is in " " + the indexed text + " ", beside the tsquery."""
        last = len(self.phrases) - 1
        return [
            f" {' '.join(phrase)}" + ("" if number == last else " ")
            for number, phrase in enumerate(self.phrases)
            if len(phrase) > 1
        ]
