"""Where do two JSON documents differ?  Field by field, each named by a JSON pointer.

Pure, and it knows nothing of records.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

_ABSENT: Final = object()


def changes(before: Any, after: Any, path: str = "") -> Iterator[tuple[str, str, Any, Any]]:
    """Yield path, kind, old and new value of every field in which two documents differ.

    Objects are compared member by member, and lists of objects place by place, because they grow
    at their end; whatever came or went in a list is told whole.  What came without saying anything,
    as null or as an empty list, is no difference.  ``kind`` is added, removed or changed.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        for name in {**before, **after}:
            old, new = before.get(name, _ABSENT), after.get(name, _ABSENT)
            if old != new:
                step = f"{path}/{name.replace('~', '~0').replace('/', '~1')}"
                yield from changes(_opened(old, new), _opened(new, old), step)
    elif _of_objects(before) and _of_objects(after) and (before or after):
        for n in range(max(len(before), len(after))):
            old, new = (each[n] if n < len(each) else _ABSENT for each in (before, after))
            if old != new:
                yield from changes(old, new, f"{path}/{n}")
    elif before is _ABSENT:
        if after not in (None, [], {}):
            yield path, "added", None, after
    elif after is _ABSENT:
        yield path, "removed", before, None
    else:
        yield path, "changed", before, after


def _opened(value: Any, other: Any) -> Any:
    """Return an object or a list without members where nothing stood beside one that has some."""
    if value is _ABSENT and isinstance(other, dict) and other:
        return {}
    if value is _ABSENT and _of_objects(other) and other:
        return []
    return value


def _of_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)
