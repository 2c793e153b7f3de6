"""A server that leaves the views to another process learns of their stops, and of their ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from given_service import Api, api
from ledger.service import Service
from ledger.settings import ProjectorPlace
from projections.corrections import Corrections
from projections.findings import Findings
from projections.folded import Folded
from projections.table import Rows


def states(ledger: Api) -> tuple[str, str, str]:
    """Return how the server is, and how the views of findings and of corrections are."""
    told = ledger.client.get("/readyz").json()
    views = told["checks"]["views"]["views"]
    return told["status"], *(views[view.NAME]["status"] for view in (Findings, Corrections))


def stops(ledger: Api) -> list[str]:
    """Return the views that the metrics call stopped."""
    lines = ledger.client.get("/metrics").text.splitlines()
    return [
        line for line in lines if line.startswith("ledger_view_stopped{") and line[-3:] != "0.0"
    ]


def test_a_view_that_another_process_rebuilt_is_ready_and_waited_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt(_record: Folded) -> Rows:
        raise ArithmeticError

    with (
        api(tmp_path, projector=ProjectorPlace.APART) as ledger,
        Service(ledger.service.settings) as other,
    ):
        monkeypatch.setattr(Findings, "rows", staticmethod(spoilt))
        own = {"Ledger-Position": ledger.submit().headers["Ledger-Position"]}
        other.projector.catch_up()
        assert ledger.client.get("/v1/findings", headers=own).status_code == 503
        assert ledger.client.get("/v1/corrections", headers=own).status_code == 200
        assert states(ledger) == ("degraded", "degraded", "ready")
        assert [Findings.NAME in line for line in stops(ledger)] == [True]
        monkeypatch.undo()
        other.projector.rebuild(Findings.NAME)
        assert states(ledger) == ("ready", "ready", "ready")
        assert stops(ledger) == []
        assert ledger.client.get("/v1/findings", headers=own).status_code == 200
        later = {"Ledger-Position": ledger.submit().headers["Ledger-Position"]}
        other.projector.catch_up()
        assert ledger.client.get("/v1/findings", headers=later).status_code == 200
