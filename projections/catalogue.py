"""Which records are there?  The list of all records: filters, facets and search, newest first.

It never ranks: the order is the order in which the log took the records in, and nothing else.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Final

from ledger.vocabulary import moment_text
from projections.cursor import LIMIT_DEFAULT, Cursor, clamp, parse, turned
from projections.folded import Folded
from projections.table import Checkpoint, Reading, Rows, Table, checkpoint
from projections.views import Views
from projections.words import Search, indexed, words_table

FILTERS: Final = ("status", "tier", "level", "kind", "publisher", "state", "standing", "basis")
"""The fields that can be filtered by and that facets are counted for."""
FACET_VALUES_MAX: Final = 100
SPARSE: Final = 5_000
MATCHES_MAX: Final = 10_000
"""How many matches of a search are counted, the newest: words of every record take no longer."""
COUNTED_MAX: Final = 64
"""How many searches keep their counts."""


@dataclass(frozen=True, slots=True)
class Query:
    """What a reader asks for.

    Each filter is a tuple of values: any of them within a field, all fields together; levels are
    whole numbers 0 to 7.  ``text`` is free input: all its words must occur, the last as a prefix.
    """

    text: str = ""
    status: tuple[str, ...] = ()
    tier: tuple[str, ...] = ()
    level: tuple[int, ...] = ()
    kind: tuple[str, ...] = ()
    publisher: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    standing: tuple[str, ...] = ()
    basis: tuple[str, ...] = ()
    limit: int = LIMIT_DEFAULT
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One record in the list, as it now stands."""

    record_id: str
    handle: str
    title: str
    publisher: str
    kind: str
    submitted_on: str | None
    score: str | None
    status: str
    tier: str
    level: int
    state: str
    standing: str
    basis: str
    doi: str | None
    policy: str
    version: int
    position: int
    recorded_at: str
    """When the record's last event was recorded: RFC 3339 in UTC, six decimals."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the list, newest first.

    ``total`` counts all records that match.  ``facets`` gives for each field of FILTERS the counts
    per value, as text, most frequent first, given the search and the filters on the *other* fields.
    Unless ``exact``, only the newest MATCHES_MAX that the search found are counted.
    """

    items: tuple[Entry, ...]
    total: int
    exact: bool
    next: str | None = None
    previous: str | None = None
    facets: dict[str, dict[str, int]] = field(default_factory=dict)


_FIELDS: Final = tuple(column.name for column in fields(Entry))
_INTEGERS: Final = frozenset({"level", "version", "position"})
_OPTIONAL: Final = frozenset({"submitted_on", "score", "doi"})
_COLUMNS: Final = ", ".join(
    f"{name} {'INTEGER' if name in _INTEGERS else 'TEXT'}{'' if name in _OPTIONAL else ' NOT NULL'}"
    for name in _FIELDS
)
_TEXTS: Final = ("title", "abstract", "research_question", "publisher", "handle", "doi")

# Values of all filter fields -> how many records have exactly these.
Groups = dict[tuple[str | int, ...], int]


class Catalogue:
    """The list of all records."""

    NAME: ClassVar[str] = "catalogue"
    TABLES: ClassVar[tuple[Table, ...]] = (
        Table(
            name="catalogue",
            ddl=f"CREATE TABLE {{table}} (place INTEGER PRIMARY KEY, {_COLUMNS})",
            fields=("place", *_FIELDS),
            key="place",
            by="place",
            # One for each filter, which ends in the place; one from which everything is counted.
            indexes=("record_id", *FILTERS, ", ".join(FILTERS)),
        ),
        words_table("catalogue_text"),
    )

    def __init__(self, views: Views) -> None:
        """Read from ``views``."""
        self._views = views
        self._counted: dict[Search | None, tuple[Checkpoint, Groups]] = {}

    @staticmethod
    def rows(record: Folded) -> Rows:
        """Return the record's row, and its texts for the search."""
        entry = _entry(record)
        shown = record.document
        abstract = shown["abstract"]["text"] if shown["abstract"] else None
        texts = {**shown, "abstract": abstract}
        return {
            "catalogue": [(record.place, *(getattr(entry, name) for name in _FIELDS))],
            "catalogue_text": [(record.place, indexed(texts[name] for name in _TEXTS))],
        }

    def page(self, query: Query) -> Page:
        """Return one page; raises ValueError for a malformed cursor, never for any search text."""
        cursor = parse(query.cursor, 1)
        limit = clamp(query.limit)
        chosen = {name: set(getattr(query, name)) for name in FILTERS if getattr(query, name)}
        search = Search.read(query.text)
        with self._views.reading() as reader:
            groups = self._groups(reader, search)
            total = sum(count for values, count in groups.items() if _fits(values, chosen))
            few = sum(groups.values()) < SPARSE
            sql, given = self._selection(chosen, search, cursor, few=few, sparse=total < SPARSE)
            found = reader.execute(sql, (*given, limit + 1)).fetchall()
        shown, following, previous = turned([row[:1] for row in found], limit, cursor)
        items = [Entry(*row[1:]) for row in found[:shown]]
        if cursor and cursor.back:
            items.reverse()
        exact = search is None or sum(groups.values()) < MATCHES_MAX
        return Page(tuple(items), total, exact, following, previous, _facets(groups, chosen))

    def of(self, record_id: str) -> Entry | None:
        """Return the entry of one record, or None."""
        sql = f"SELECT {', '.join(_FIELDS)} FROM catalogue WHERE record_id = ?"  # noqa: S608
        with self._views.reading() as reader:
            found = reader.execute(sql, (record_id,)).fetchone()
        return Entry(*found) if found else None

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the facet counts over all records."""
        with self._views.reading() as reader:
            return _facets(self._groups(reader, None), {})

    def _groups(self, reader: Reading, search: Search | None) -> Groups:
        """Count the matching records by all filter fields at once; kept until the view moves.

        Of a search, the newest MATCHES_MAX matches are counted.
        """
        now = checkpoint(reader, self.NAME)
        kept = self._counted.get(search)
        if kept and kept[0] == now:
            return kept[1]
        names = ", ".join(FILTERS)
        source, clauses, given = self._source(search)
        matches = f"SELECT {names} {source} {_where(clauses)}"
        if search is not None:
            matches += f" ORDER BY t.rowid DESC LIMIT {MATCHES_MAX}"
        sql = f"SELECT {names}, count(*) FROM ({matches}) AS m GROUP BY {names}"  # noqa: S608
        groups = {tuple(values): count for *values, count in reader.execute(sql, given)}
        if len(self._counted) >= COUNTED_MAX:
            self._counted.clear()
        self._counted[search] = (now, groups)
        return groups

    def _source(
        self, search: Search | None, *, few: bool = False
    ) -> tuple[str, list[str], list[Any]]:
        """Return what is selected from, the clauses that a search adds, and their parameters."""
        if search is None:
            return "FROM catalogue AS c", [], []
        if self._views.dialect.name == "sqlite":
            # The search index goes first and gives places in order, newest first, without sorting.
            source = "FROM catalogue_text AS t CROSS JOIN catalogue AS c ON c.place = t.rowid"
            return source, ["catalogue_text MATCH ?"], [search.fts5()]
        source = "FROM catalogue_text AS t JOIN catalogue AS c ON c.place = t.rowid"
        sequences = search.sequences()
        clauses = ["t.lexemes @@ ?::tsquery"]
        clauses += ["strpos(' ' || t.words || ' ', ?) > 0"] * len(sequences)
        given = [search.tsquery(), *sequences]
        if few:
            # Behind the fence they are found by the word index; walking by place for few of them,
            # which PostgreSQL may take for many, could go through the whole table.
            found = f"SELECT t.rowid FROM catalogue_text AS t {_where(clauses)} OFFSET 0"  # noqa: S608
            return f"FROM ({found}) AS t JOIN catalogue AS c ON c.place = t.rowid", [], given
        return source, clauses, given

    def _selection(
        self,
        chosen: dict[str, set[Any]],
        search: Search | None,
        cursor: Cursor | None,
        *,
        few: bool,
        sparse: bool,
    ) -> tuple[str, list[Any]]:
        """Return the statement for one page and its parameters but for the limit."""
        source, clauses, given = self._source(search, few=few)
        place = "c.place" if search is None else "t.rowid"
        # Few matches are found by index and sorted; many are met soon when walking by place, which
        # the plus sign asks SQLite for.  PostgreSQL knows from its statistics.
        walk = "+" if self._views.dialect.name == "sqlite" and not sparse else ""
        for name, values in chosen.items():
            clauses.append(f"{walk}c.{name} IN ({', '.join('?' * len(values))})")
            given.extend(sorted(values))
        back = cursor is not None and cursor.back
        if cursor is not None:
            clauses.append(f"{place} {'>' if back else '<'} ?")
            given.append(cursor.key[0])
        names = ", ".join(f"c.{name}" for name in _FIELDS)
        order = f"ORDER BY {place} {'ASC' if back else 'DESC'} LIMIT ?"
        return f"SELECT c.place, {names} {source} {_where(clauses)} {order}", given


def _entry(record: Folded) -> Entry:
    shown, last = record.document, record.last
    return Entry(
        record_id=record.record_id,
        handle=shown["handle"],
        title=shown["title"],
        publisher=shown["publisher"],
        kind=shown["kind"],
        submitted_on=shown["submitted_on"],
        score=shown["review"]["mean"] if shown["review"] else None,
        status=shown["verdict"]["status"],
        tier=shown["tier"]["tier"],
        level=shown["level"]["level"],
        state=shown["corrections"]["state"],
        standing=shown["corrections"]["standing"],
        basis=shown["basis"],
        doi=shown["doi"],
        policy=shown["policy"]["version"],
        version=last.event.originator_version,
        position=last.position,
        recorded_at=moment_text(last.recorded_at),
    )


def _where(clauses: list[str]) -> str:
    return f"WHERE {' AND '.join(clauses)}" if clauses else ""


def _fits(values: tuple[str | int, ...], chosen: dict[str, set[Any]], but: str = "") -> bool:
    return all(
        name == but or name not in chosen or value in chosen[name]
        for name, value in zip(FILTERS, values, strict=True)
    )


def _facets(groups: Groups, chosen: dict[str, set[Any]]) -> dict[str, dict[str, int]]:
    facets = {}
    for place, name in enumerate(FILTERS):
        counts: Counter[str] = Counter()
        for values, count in groups.items():
            if _fits(values, chosen, but=name):
                counts[str(values[place])] += count
        ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        facets[name] = dict(ordered[:FACET_VALUES_MAX])
    return facets
