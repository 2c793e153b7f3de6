"""Who has the current view already gets 304, and a new one as soon as it is another."""

from __future__ import annotations

from pathlib import Path

import pytest

from given_service import api


@pytest.mark.parametrize("held", ["{}", "W/{}", '"other", {}', '"other",W/{}', "*"])
def test_a_reader_who_has_the_view_is_told_so(tmp_path: Path, held: str) -> None:
    with api(tmp_path) as ledger:
        address = f"/v1/records/{ledger.submit().json()['record_id']}"
        first = ledger.client.get(address)
        named = {"If-None-Match": held.format(first.headers["ETag"])}
        again = ledger.client.get(address, headers=named)
        assert (again.status_code, again.content) == (304, b"")
        kept = ("ETag", "Ledger-Position", "Cache-Control")
        assert [again.headers[name] for name in kept] == [first.headers[name] for name in kept]


def test_a_reader_who_has_another_view_gets_this_one(tmp_path: Path) -> None:
    with api(tmp_path) as ledger:
        record = ledger.submit().json()["record_id"]
        first = ledger.client.get(f"/v1/records/{record}")
        assert ledger.post(record, "registrations", {"value": "10.5281/zenodo.4242"}).is_success
        for held in (first.headers["ETag"], '"1"', "", '""'):
            now = ledger.client.get(f"/v1/records/{record}", headers={"If-None-Match": held})
            assert (now.status_code, now.json()["version"]) == (200, 2)
