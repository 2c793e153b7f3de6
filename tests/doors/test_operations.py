"""Those who run the ledger see whether it lives and is ready, and what it counts and logs."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from eventsourcing.persistence import StoredEvent
from prometheus_client.parser import text_string_to_metric_families
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from given_clock import set_clock
from given_service import ANSWER_S, Api, api, founded, served
from given_terminal import done, serving
from ledger import logs
from ledger.metrics import COUNTED_TOGETHER
from ledger.settings import Settings
from ledger.store import Append
from ledger.vocabulary import now
from ledger.web import create_app

SECRET = "s3cret-word"  # noqa: S105 - looked for where it must not be


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with api(Path(tmp_path_factory.mktemp("ledger"))) as client:
        yield client


def samples(ledger: Api) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return every sample of the metrics by name and labels."""
    text = ledger.client.get("/metrics").text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def sample(ledger: Api, name: str, **labels: str) -> float:
    return samples(ledger).get((name, frozenset(labels.items())), 0.0)


def poison(ledger: Api) -> int:
    """Append an event that no program can read; return its position."""
    event = StoredEvent(str(uuid.uuid4()), 1, "record.unheard-of:1", b"{}")
    return ledger.service.store.append(Append((event,))).result().position


# ------------------------------------------------------------ settings


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"postgresql://me:{SECRET}@db/ledger", "postgresql://me@db/ledger"),
        (f"postgres://me:{SECRET}@db:5433/ledger", "postgres://me@db:5433/ledger"),
        ("postgresql:///ledger?host=/run/pg", "postgresql:///ledger?host=/run/pg"),
        (f"postgresql://[::1]:5433/l?password={SECRET}", "postgresql://[::1]:5433/l"),
        (
            f"postgresql://me:{SECRET}@a:1,b:2/l?target_session_attrs=read-write&sslkey=x",
            "postgresql://me@a:1,b:2/l?target_session_attrs=read-write",
        ),
        ("sqlite:///folder/ledger.db", "folder/ledger.db"),
    ],
)
def test_a_database_is_shown_without_its_secrets(url: str, shown: str) -> None:
    settings = Settings(database_url=url)
    assert settings.database_shown == shown
    assert SECRET not in repr(settings)
    assert settings.is_sqlite == url.startswith("sqlite")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ledger.db",
        "sqlite:///",
        "postgresql://",
        f"mysql://me:{SECRET}@db/ledger",
        f"postgresql://me:{SECRET}/x@db/ledger",
        f"postgresql://me:{SECRET}#x@db/ledger",
        f"postgresql://me:{SECRET}@x@db/ledger",
        f"postgresql://me:{SECRET}@db:port/ledger",
        f"postgresql://me:{SECRET}@[::1/ledger",
        f"postgresql:me:{SECRET}@db/ledger",
    ],
)
def test_a_database_that_is_none_is_refused_without_saying_its_secrets(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(database_url=url)
    assert SECRET not in str(refused.value)
    (trouble,) = refused.value.errors()
    assert trouble["msg"].startswith(
        "Value error, is not of the form sqlite:///path or postgresql:"
    )


def test_a_server_has_no_file() -> None:
    with pytest.raises(ValueError, match="is not a file"):
        _ = Settings(database_url="postgresql://me@db/ledger").database_path


# ------------------------------------------------------------ alive and ready


def test_it_is_alive(ledger: Api) -> None:
    answer = ledger.client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


def test_ready_says_each_check_by_name(ledger: Api) -> None:
    receipt = ledger.submit().json()
    ledger.client.get("/v1/records", headers={"Ledger-Position": str(receipt["position"])})
    answer = ledger.client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    checks = answer.json()["checks"]
    assert list(checks) == ["store", "artifacts", "views", "projector", "log"]
    assert checks["store"] == {"status": "ready", "position": receipt["position"]}
    views = checks["views"]["views"]
    assert set(views) == {"public_view", "corrections", "catalogue", "findings", "conflicts"}
    assert views["catalogue"] == {
        "status": "ready",
        "position": receipt["position"],
        "lag": 0,
        "stopped_by": None,
    }


def test_a_poison_event_is_named_and_leaves_the_rest_serving(tmp_path: Path) -> None:
    with api(tmp_path) as ledger:
        position = poison(ledger)
        later = ledger.submit()
        assert later.status_code == 201
        # A read that waits for a stopped view is told so at once.
        waits = {"Ledger-Position": later.headers["Ledger-Position"]}
        assert ledger.client.get("/v1/records", headers=waits).status_code == 503
        answer = ledger.client.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
        view = answer.json()["checks"]["views"]["views"]["catalogue"]
        assert view["status"] == "degraded"
        assert view["position"] == position - 1
        assert "record.unheard-of:1" in view["stopped_by"]
        assert str(position) in view["stopped_by"]
        assert sample(ledger, "ledger_view_stopped", view="catalogue") == 1
        assert ledger.client.get(f"/v1/records/{later.json()['handle']}").status_code == 200


def test_without_a_folder_for_artifacts_it_is_not_ready(tmp_path: Path) -> None:
    with api(tmp_path) as ledger:
        folder = ledger.service.settings.data_dir
        folder.rename(folder.with_name("elsewhere"))
        folder.write_text("a file stands in its place")
        answer = ledger.client.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (503, "not-ready")
        checks = answer.json()["checks"]
        assert checks["artifacts"] == {"status": "not-ready", "detail": "File exists."}
        assert checks["store"]["status"] == "ready"


# ------------------------------------------------------------ metrics


@pytest.mark.parametrize("count", [3, COUNTED_TOGETHER + 3])
def test_requests_are_counted_by_route_and_never_by_path(ledger: Api, count: int) -> None:
    record = ledger.submit().json()["record_id"]
    labels = {"method": "GET", "route": "/v1/records/{address}"}
    before = samples(ledger)
    key = ("ledger_requests_total", frozenset({*labels.items(), ("status", "200")}))
    for _ in range(count):
        ledger.client.get(f"/v1/records/{record}")
    ledger.client.get("/no/such/place")
    ledger.client.request("PROPFIND", "/healthz")
    after = samples(ledger)
    assert after[key] - before.get(key, 0) == count
    timed = ("ledger_request_seconds_count", frozenset(labels.items()))
    assert after[timed] - before.get(timed, 0) == count
    routes = {value for _, pairs in after for name, value in pairs if name == "route"}
    assert "/v1/records/{address}" in routes
    assert "unrouted" in routes
    assert not [route for route in routes if record in route or "such" in route]
    assert sample(ledger, "ledger_requests_total", method="other", route="/healthz", status="405")


def test_refusals_are_counted_by_code(ledger: Api) -> None:
    before = sample(ledger, "ledger_refusals_total", code="record-unknown")
    ledger.client.get("/v1/records/SRCH:00000000")
    ledger.client.get("/records/SRCH:00000000", headers={"Accept": "text/html"})
    assert sample(ledger, "ledger_refusals_total", code="record-unknown") - before == 2


def test_every_append_is_measured_and_every_batch(tmp_path: Path) -> None:
    with api(tmp_path) as ledger:
        # Before them, the client's key was appended.
        for _ in range(5):
            assert ledger.submit().status_code == 201

        def counted(name: str) -> float:
            # An answer is given before it is counted, by a hair's breadth.
            deadline = time.monotonic() + ANSWER_S
            while (found := sample(ledger, name)) < 6 and time.monotonic() < deadline:
                pass
            return found

        for metric in ("ledger_append_seconds", "ledger_batch_appends", "ledger_commit_seconds"):
            assert counted(f"{metric}_count") == 6
        assert counted("ledger_batch_appends_sum") == 6
        assert sample(ledger, "ledger_queue_depth") == 0
        assert sample(ledger, "ledger_queue_max") == ledger.service.settings.queue_max


def test_how_far_the_log_and_each_view_are_is_measured(ledger: Api) -> None:
    receipt = ledger.submit().json()
    position = receipt["position"]
    ledger.client.get("/v1/records", headers={"Ledger-Position": str(position)})
    assert sample(ledger, "ledger_store_up") == 1
    assert sample(ledger, "ledger_log_position") == position
    assert sample(ledger, "ledger_view_position", view="catalogue") == position
    assert sample(ledger, "ledger_view_lag_events", view="catalogue") == 0
    assert sample(ledger, "ledger_view_lag_seconds", view="catalogue") == 0


def test_a_stopped_view_grows_older(tmp_path: Path) -> None:
    with api(tmp_path) as ledger, set_clock(now()) as clock:
        position = poison(ledger)
        ledger.client.get("/v1/records", headers={"Ledger-Position": str(position)})
        ages = []
        for _ in range(2):
            clock.at += timedelta(seconds=30)
            ages.append(sample(ledger, "ledger_view_lag_seconds", view="catalogue"))
        assert ages == pytest.approx([30, 60], abs=1)
        assert sample(ledger, "ledger_view_lag_events", view="catalogue") == 1


def test_two_applications_count_for_themselves(tmp_path: Path, ledger: Api) -> None:
    (tmp_path / "other").mkdir()
    ledger.submit()
    with api(tmp_path / "other") as other:
        assert not sample(
            other, "ledger_requests_total", method="POST", route="/v1/records", status="201"
        )


# ------------------------------------------------------------ names of requests, and the log


@pytest.mark.parametrize(
    "path", ["/healthz", "/v1/records/none", "/nowhere", "/", "/static/page.css"]
)
def test_every_answer_names_its_request(ledger: Api, path: str) -> None:
    names = {ledger.client.get(path).headers["X-Request-ID"] for _ in range(3)}
    assert len(names) == 3


def test_a_name_that_fits_is_kept(ledger: Api) -> None:
    given = "0af7651916cd43dd8448eb211c80319c"
    answer = ledger.client.get("/healthz", headers={"X-Request-ID": given})
    assert answer.headers["X-Request-ID"] == given


@pytest.mark.parametrize(
    "given", ["short", "x" * 129, "with space", "<script>", 'quote"d-name', "a=b;c=d&e"]
)
def test_a_name_that_does_not_fit_is_replaced(ledger: Api, given: str) -> None:
    answer = ledger.client.get("/healthz", headers={"X-Request-ID": given})
    assert answer.headers.get_list("X-Request-ID") != [given]
    assert re.fullmatch(r"[0-9a-f]{16}-[0-9a-f]+", answer.headers["X-Request-ID"])


def test_an_unforeseen_fault_is_a_problem_with_its_name_and_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(_request: Request) -> Response:
        message = "nobody thought of this"
        raise RuntimeError(message)

    async def ask(app: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://ledger") as client:
            return await client.get("/v1/broken", headers={"X-Request-ID": "fault-no-1"})

    app = create_app(founded(tmp_path))
    app.router.routes.insert(0, Route("/v1/broken", broken))
    with caplog.at_level(logging.ERROR):
        answer = asyncio.run(ask(app))
    assert (answer.status_code, answer.json()["code"]) == (500, "internal-fault")
    assert answer.headers["X-Request-ID"] == "fault-no-1"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "nobody" not in answer.text
    # Other ledgers of this process may have something to say of their own, in threads of theirs.
    here = threading.current_thread().name
    (record,) = [each for each in caplog.records if each.threadName == here]
    assert "nobody thought of this" in str(record.exc_info)


@pytest.mark.slow
def test_the_log_has_one_line_for_each_request_and_no_secret(tmp_path: Path) -> None:
    done(tmp_path, "init")
    key = done(tmp_path, "keys", "create", "--name", "pipeline", "--scope", "submit").split()[-1]
    body = {"content": {"title": f"A study of {SECRET}", "publisher": "Example Research"}}
    with serving(tmp_path, 0, "--access-log", LEDGER_LOG_FORMAT="json") as server:
        with httpx.Client(base_url=server.address, timeout=ANSWER_S) as client:
            sent = {"Authorization": f"Bearer {key}", "Idempotency-Key": SECRET}
            posted = client.post("/v1/records", json=body, headers=sent)
            client.get(f"/v1/records/x%0Ay?key={SECRET}", headers={"X-Request-ID": "request-2"})
        code, err = server.stop()
    assert (posted.status_code, code) == (201, 0)
    first, second = (json.loads(line) for line in err.splitlines())
    assert first["request_id"] == posted.headers["X-Request-ID"]
    assert {
        name: first[name] for name in ("level", "logger", "method", "path", "route", "status")
    } == {
        "level": "INFO",
        "logger": "ledger.access",
        "method": "POST",
        "path": "/v1/records",
        "route": "/v1/records",
        "status": 201,
    }
    assert (second["request_id"], second["path"]) == ("request-2", "/v1/records/x%0Ay")
    assert key not in err
    assert SECRET not in err


def test_the_log_for_people_is_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        logs.set_up(as_json=False)
        logging.getLogger("ledger.test").warning("%s waits", "catalogue")
        logging.getLogger("ledger.test").info("nobody reads this")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        logging.captureWarnings(capture=False)
    line = capsys.readouterr().err
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]{12}Z WARNING ledger.test: catalogue waits\n", line)


def test_a_complaint_is_not_repeated_at_every_request() -> None:
    now = [0.0]
    sparing = logs.Sparing(10, clock=lambda: now[0])

    def said(text: str, *figures: object, level: int = logging.ERROR) -> str | None:
        record = logging.LogRecord("ledger.store", level, __file__, 1, text, figures, None)
        return record.getMessage() if sparing.filter(record) else None

    assert said("%d appends could not be written", 1) == "1 appends could not be written"
    assert [said("%d appends could not be written", n) for n in range(50)] == [None] * 50
    assert said("%s is stopped", "catalogue") == "catalogue is stopped"
    assert said("%s is stopped", "findings") == "findings is stopped"
    assert said("in %s\n\tlines\n", "two") == "in two lines"
    assert said("a line", level=logging.INFO) == said("a line", level=logging.INFO) == "a line"
    now[0] = 10.0
    assert (
        said("%d appends could not be written", 7)
        == "7 appends could not be written (and 50 more like it)"
    )


def test_an_answer_is_counted_when_its_service_is_real(tmp_path: Path) -> None:
    service = founded(tmp_path)
    with served(service) as address:
        assert (
            httpx.get(f"{address}/metrics", timeout=ANSWER_S)
            .headers["Content-Type"]
            .startswith("text/plain; version=0.0.4")
        )
