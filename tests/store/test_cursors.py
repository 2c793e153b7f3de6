"""A cursor holds the root over all that was read, however far the tree itself has come."""

from __future__ import annotations

import pytest

import given_stores
from given_stores import event
from ledger import errors
from ledger.store import Append, Store
from ledger.transparency import cursors, merkle
from ledger.transparency.cursors import Cursor, Cursors
from ledger.transparency.lines import leaf_of
from ledger.transparency.reading import TreeReader
from ledger.transparency.sequencer import step

place, store = given_stores.place, given_stores.store

EVENTS = 600
"""More than two tiles hold."""


def filled(store: Store) -> list[bytes]:
    """Put events into a log; returns the root over the first of them, for every size."""
    for first in range(1, EVENTS, 100):
        rows = tuple(event("s", version) for version in range(first, first + 100))
        store.append(Append(rows)).result()
    leaves = [leaf_of(row) for row in store.rows()]
    return [merkle.root_of(leaves[:size]) for size in range(EVENTS + 1)]


@pytest.mark.parametrize("reached", [0, 1, 255, 256, 300, EVENTS])
def test_the_root_is_the_same_wherever_the_tree_is(store: Store, reached: int) -> None:
    roots = filled(store)
    if reached:
        step(store.tree, reached)
    assert store.tree.head().size == reached
    found = Cursors(store, TreeReader(store.tree))
    for size in (0, 1, 2, 255, 256, 257, 300, 511, 512, 513, EVENTS):
        assert found.at(size) == Cursor(size, roots[size])
        found.check(size, roots[size])
        with pytest.raises(errors.HistoryDiverged) as refused:
            found.check(size, roots[size - 1])
        assert refused.value.context == {"size": size, "root": roots[size].hex()}


def test_more_events_than_there_are_have_never_been_in_this_log(store: Store) -> None:
    roots = filled(store)
    with pytest.raises(errors.HistoryDiverged) as refused:
        Cursors(store, TreeReader(store.tree)).check(EVENTS + 1, roots[EVENTS])
    assert refused.value.context == {"head": EVENTS}


def test_a_tree_that_is_far_behind_gives_no_root_and_refuses_nobody_for_good(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots = filled(store)
    monkeypatch.setattr(cursors, "BEHIND_MAX", 100)
    step(store.tree, 100)
    found = Cursors(store, TreeReader(store.tree))
    assert found.at(200).root == roots[200]
    assert found.at(201) == Cursor(201, None)
    with pytest.raises(errors.ProjectionBehind):
        found.check(201, roots[201])
    step(store.tree, EVENTS)
    found.check(201, roots[201])
