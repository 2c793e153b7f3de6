"""What do some of a record's events make?  The fold for what was in effect at a moment.

Pure, and total over every selection that begins with the first event: what is left out may be what
a later event was about.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Final

from pydantic import ValidationError

from ledger.content import Facts
from ledger.events import CorrectionIssued, Event, facts_after
from projections import public_view
from projections.public_view import Page, opened, taken_in

body: Final = public_view.body


def folded(events: Iterable[Event]) -> Page:
    """Return the page of a selection, in the order of the log.

    A change of something that the others leave unsaid changes nothing.  Raises ValueError unless
    the record's first event comes first.
    """
    page: Page | None = None
    for event in events:
        if page is None:
            page = opened(event)
        else:
            page = taken_in(page, event, _facts_where_they_fit(page.facts, event))
    if page is None:
        message = "an empty selection has no page"
        raise ValueError(message)
    return page


def _facts_where_they_fit(facts: Facts, event: Event) -> Facts:
    if not isinstance(event, CorrectionIssued):
        return facts_after(facts, event)
    for change in event.changes:
        with contextlib.suppress(ValidationError):
            facts = facts.corrected(change.field, change.to)
    return facts
