"""Does the page on failover show the settings that the drill runs with?"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.repo


@pytest.fixture
def shown() -> dict[str, Any]:
    page = (ROOT / "docs/failover.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"<!-- patroni.yml -->\n```yaml\n(.*?)```", page, re.DOTALL)
    settings: dict[str, Any] = yaml.safe_load(example)
    return settings


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT / "drills")
    return importlib.import_module("cluster")


def test_the_nodes_of_the_page_agree_on_what_the_drill_s_agree_on(
    shown: dict[str, Any], cluster: Any
) -> None:
    assert shown["bootstrap"]["dcs"] == cluster.AGREED
    assert shown["bootstrap"]["initdb"] == cluster.INITDB


def test_the_lease_leaves_time_for_a_retry(cluster: Any) -> None:
    agreed = cluster.AGREED
    assert agreed["loop_wait"] + 2 * agreed["retry_timeout"] <= agreed["ttl"]


def test_the_page_promises_the_bound_that_the_drill_holds(cluster: Any) -> None:
    page = (ROOT / "docs/failover.md").read_text(encoding="utf-8")
    assert f"within {cluster.RECOVERY_S_MAX:.0f} seconds" in page
    assert cluster.AGREED["ttl"] + 2 * cluster.AGREED["loop_wait"] < cluster.RECOVERY_S_MAX
