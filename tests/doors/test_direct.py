"""The direct way to an endpoint leads where the framework's own router would."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from starlette.routing import Match, Route

from ledger.service import Service
from ledger.settings import Settings
from ledger.web import create_app

APP = create_app(Service(Settings()))
ROUTES: tuple[Route, ...] = APP.direct.routes  # type: ignore[attr-defined]
PARTS = sorted({part for route in ROUTES for part in route.path.split("/") if "{" not in part})

paths = st.lists(
    st.one_of(st.sampled_from(PARTS), st.text(max_size=6)), min_size=1, max_size=8
).map(lambda parts: "/" + "/".join(parts))


def test_the_router_comes_to_these_routes_first() -> None:
    assert tuple(APP.router.routes[: len(ROUTES)]) == ROUTES


@given(paths, st.sampled_from(["GET", "HEAD", "POST"]))
@example("/v1/records/10.5281/zenodo.4242/artifacts/sha256:ab", "GET")
@example("/v1/records/10.5281/history/history", "GET")
@example("/v1/records//corrections", "POST")
def test_direct_and_router_agree(path: str, method: str) -> None:
    scope = {"type": "http", "method": method, "path": path, "headers": []}
    matches = [(route, *route.matches(dict(scope))) for route in ROUTES]
    full = [
        (route.endpoint, child["path_params"])
        for route, match, child in matches
        if match is Match.FULL
    ]
    found = APP.direct.find(scope)  # type: ignore[attr-defined]
    if found is None:
        # What a line break ends is left to the router, which looks no further than that.
        assert not full or "\n" in path
        return
    route, parameters = found
    assert (route.endpoint, parameters) == full[0]
