"""How does a sequence grow without being copied?  Longer ones share the items of shorter ones.

A fold keeps what it has seen in an immutable value; with tuples, a record of n facts would copy n/2
of them at each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar, overload

Item_co = TypeVar("Item_co", covariant=True)
More = TypeVar("More")


class Grown(Sequence[Item_co]):
    """A sequence that never changes, and of which a longer one is made in constant time."""

    __slots__ = ("_items", "_size")

    def __init__(self, items: Iterable[Item_co] = ()) -> None:
        """Hold some items."""
        self._items: list[Any] = [*items]
        self._size = len(self._items)

    def plus(self: Grown[More], item: More) -> Grown[More]:
        """Return these items and one more; any thread may ask."""
        if not self._size:
            return Grown((item,))
        shared = self._items
        if len(shared) == self._size:
            shared.append(item)
        # Another may have grown from here before, or just now.
        if shared[self._size] is not item:
            shared = [*shared[: self._size], item]
        longer: Grown[More] = Grown()
        longer._items, longer._size = shared, self._size + 1
        return longer

    def __len__(self) -> int:
        """Return how many items there are."""
        return self._size

    def __iter__(self) -> Iterator[Item_co]:
        """Give the items in order."""
        return islice(self._items, self._size)

    @overload
    def __getitem__(self, index: int) -> Item_co: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Item_co, ...]: ...
    def __getitem__(self, index: int | slice) -> Item_co | tuple[Item_co, ...]:
        """Return an item, or a tuple of some."""
        places = range(self._size)[index]
        if isinstance(places, int):
            found: Item_co = self._items[places]
            return found
        return tuple(self._items[place] for place in places)

    def __eq__(self, other: object) -> bool:
        """Whether another one has equal items."""
        return isinstance(other, Grown) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        """Return the hash of the items."""
        return hash(tuple(self))

    def __repr__(self) -> str:
        """Return how to make it."""
        return f"Grown({tuple(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what another process makes it of: its own items alone."""
        return Grown, (tuple(self),)
