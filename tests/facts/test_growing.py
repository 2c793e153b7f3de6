"""A sequence that grows is as immutable as a tuple, and a long fold copies nothing."""

from __future__ import annotations

import pickle
import threading
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.content import PublicField
from ledger.growing import Grown
from ledger.record import evolve
from projections import public_view
from view_facts import RECORD, corrected, submitted


@given(st.lists(st.tuples(st.integers(0, 20), st.integers()), max_size=40))
def test_a_sequence_is_what_it_was_however_others_grow_from_it(
    steps: list[tuple[int, int]],
) -> None:
    known: list[tuple[Grown[int], tuple[int, ...]]] = [(Grown(), ())]
    for place, item in steps:
        grown, plain = known[place % len(known)]
        known.append((grown.plus(item), (*plain, item)))
    for grown, plain in known:
        assert tuple(grown) == plain
        assert len(grown) == len(plain)
        assert bool(grown) == bool(plain)
        assert [grown[n] for n in range(-len(plain), len(plain))] == [*plain, *plain]
        assert grown[1:-1] == plain[1:-1]
        assert all(item in grown for item in plain)
        assert grown == Grown(plain) == pickle.loads(pickle.dumps(grown))  # noqa: S301 - our own
        assert hash(grown) == hash(Grown(plain))
        with pytest.raises(IndexError):
            grown[len(plain)]
    assert Grown([1]) != Grown([2])
    assert Grown([1]) != (1,)


def test_threads_that_grow_from_one_sequence_each_have_their_own_item() -> None:
    start = Grown(range(1000))
    found: list[tuple[int, Grown[int]]] = []
    together = threading.Barrier(8)

    def grow(own: int) -> None:
        together.wait()
        found.extend((own, start.plus(own)) for _ in range(200))

    threads = [threading.Thread(target=grow, args=(n,)) for n in range(10_000, 10_008)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1_600
    assert all(grown[-1] == own and len(grown) == 1_001 for own, grown in found)
    assert tuple(start) == tuple(range(1000))


def test_every_step_of_a_long_fold_can_be_kept() -> None:
    """A thousand corrections take no more than a few kilobytes each, and not all before them."""
    events = [submitted(title="Title 0")(RECORD, 1)]
    for n in range(1_000):
        change = (PublicField.TITLE, f"Title {n}", f"Title {n + 1}")
        events.append(corrected(change, number=1000 + n)(RECORD, n + 2))
    record, page, kept = None, None, []
    tracemalloc.start()
    try:
        for event in events:
            record = evolve(record, event)
            page = public_view.evolve(page, event, record.facts)
            kept.append((record, page))
        size, _peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # If only one of the two sequences were copied at each step, it would be four million more.
    assert size < 8_000_000
    assert [len(record.corrections) for record, _page in kept] == [*range(1_001)]
    assert [len(page.corrections) for _record, page in kept] == [*range(1_001)]
