"""Each fact says since when it holds, in one place: the member that its class names."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, get_args

import pytest

from ledger.events import AnyEvent, Event
from ledger.vocabulary import ArtifactRole
from view_facts import RECORD, attached, corrected, evaluated, registered, submitted

RECORDED = datetime(2026, 7, 9, 8, 7, 6, 5, tzinfo=UTC)
KINDS: list[type[Event]] = list(get_args(AnyEvent))


def told_time(kind: type[Event]) -> list[str]:
    """Return the members of an event that hold a day or a moment."""
    shapes = kind.model_json_schema()["properties"].items()
    times = {"date", "date-time"}
    return [
        name
        for name, shape in shapes
        if times & {each.get("format") for each in (shape, *shape.get("anyOf", ()))}
    ]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.TYPE)
def test_a_fact_that_tells_a_time_is_effective_from_it(kind: type[Event]) -> None:
    assert told_time(kind) == ([kind.EFFECTIVE] if kind.EFFECTIVE else [])


@pytest.mark.parametrize(
    ("fact", "since"),
    [
        (submitted(on=date(2026, 7, 1)), datetime(2026, 7, 1, tzinfo=UTC)),
        (submitted(on=None), RECORDED),
        (corrected(), datetime(2026, 7, 5, tzinfo=UTC)),
        (attached(ArtifactRole.REPORT), RECORDED),
        (registered(), RECORDED),
        (evaluated(at=None), RECORDED),
    ],
    ids=["day", "no day", "correction", "artifact", "undated", "evaluation undated"],
)
def test_a_day_counts_from_its_start_and_no_time_from_the_recording(
    fact: Any, since: datetime
) -> None:
    assert fact(RECORD, 1).effective(RECORDED) == since


def test_a_moment_counts_to_the_microsecond_whatever_its_offset() -> None:
    abroad = timezone(timedelta(hours=5, minutes=30))
    at = datetime(2026, 7, 2, 9, 17, 23, 123456, tzinfo=abroad)
    assert evaluated(at=at)(RECORD, 1).effective(RECORDED) == at
