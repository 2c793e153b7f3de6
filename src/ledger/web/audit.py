"""What happened to a record, and what did it change?  Its history and its differences.

Facts leave as they are stored: lines are put around the bytes, which are never encoded again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from ledger import errors
from ledger.transparency.lines import dated_line
from ledger.web import requests, urls
from projections.cursor import LIMIT_DEFAULT

if TYPE_CHECKING:
    from ledger.service import Service

HISTORY_LIMIT_MAX: Final = 1_000
POSITION_MAX: Final = 2**53
POINTS: Final = {
    "from": "A version, 0 for before the first submission, or a recorded moment, or a day for its "
    "end in UTC; without it, everything since before the first submission.",
    "to": "A version, a recorded moment or a day, as above; without it, now.",
}
"""The parameters that name the ends of a difference, and what each means."""

DIFF_REFUSALS: Final[tuple[type[errors.Refusal], ...]] = (
    errors.VersionUnknown,
    errors.NotYetRecorded,
    errors.MomentInFuture,
)


class Audit:
    """The handlers, over one service."""

    def __init__(self, service: Service) -> None:
        """Keep the service."""
        self.service = service

    async def history(self, request: Request) -> Response:
        """Return a record's events in order, as stored, each with its place, times and leaf."""
        given = requests.query(request, {"after": False, "limit": False})
        after = requests.whole(given.get("after", ["0"])[0], "after", 0, POSITION_MAX)
        limit = requests.whole(
            given.get("limit", [str(LIMIT_DEFAULT)])[0], "limit", 1, HISTORY_LIMIT_MAX
        )
        record_id = await self.service.ledger.resolve(request.path_params["address"])
        rows = await self.service.store.raw.stream(record_id, after, limit + 1)
        if (
            not rows
            and await self.service.store.document(self.service.view_name, record_id) is None
        ):
            raise errors.RecordUnknown
        headers = {"Cache-Control": "no-cache"}
        if len(rows) > limit:
            del rows[limit:]
            more = {"after": rows[-1][3], "limit": limit}
            headers["Link"] = f'<{urls.history(record_id)}?{urlencode(more)}>; rel="next"'
        body = b'{"items":[%b]}' % b",".join(map(dated_line, rows))
        return Response(body, media_type="application/json", headers=headers)

    async def diff(self, request: Request) -> Response:
        """Return what changed on a record between two points, each field with its events."""
        given = requests.query(request, dict.fromkeys(POINTS, False))
        points = {name: values[0] for name, values in given.items()}
        found = await self.service.difference(request.path_params["address"], points)
        text = json.dumps(found.told, ensure_ascii=False, separators=(",", ":"))
        headers = {"Cache-Control": "no-cache"}
        return Response(text, media_type="application/json", headers=headers)
