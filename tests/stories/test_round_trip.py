"""The real pages go in as files and come out, field by field, as view and as rendered page.

They lie beside the repository and are not ours to ship: ``../shared/seeds``, or where LEDGER_SEEDS
points.  What is expected is read off their raw text here, with one expression per dialect.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from bs4 import BeautifulSoup
from typer.testing import CliRunner

from given_contracts import validators
from given_service import founded, served, settings_in
from ledger.cli import app
from projections.contracts import CONTRACTS

pytestmark = pytest.mark.repo

ROOT = Path(__file__).resolve().parents[2]
SEEDS = Path(os.environ.get("LEDGER_SEEDS") or ROOT / "../shared/seeds")
SECTIONS = (
    "Verification Level",
    "Truth-Engine Gate Verdict",
    "Quality Tier",
    "Quality Dimensions",
    "Correction Record",
    "Provenance",
)
LABELS = (
    "Paper level|Source-grounded claims|Claim record source|Status|Gate|Reason|Evaluated|Tier|"
    "Basis|"
    "Evidence strength|Citation grounding|Uncertainty disclosure|Reproducibility status|"
    "Correction count|Manifest contract|Correction contract|Publisher|Public provenance|"
    "Report artifact|External record|Claim lineage|Review method|Provenance contract|Note"
)
PLAIN = re.compile(rf"^({LABELS}) ?(\S.*)$")
TABLE = re.compile(rf"^\| ({LABELS}) \| (.*?) \|")
HEADER = re.compile(
    r"^(Submitted|Review score|Verification|Gate status|Quality tier|Verified claims|DOI): (.*)$"
)

FINDINGS = {
    "000": {"reason-predates-activation", "verified-count-repeats-grounded"},
    "001": {"reason-predates-activation", "verified-count-repeats-grounded"},
    "002": {"gate-mislabelled", "findings-cut", "tier-ignores-falsification"},
    "003": {"reason-predates-activation", "verified-count-repeats-grounded"},
    "004": {"no-test-power", "level-below-verdict", "artifact-missing", "input-missing"},
}


@dataclass(frozen=True)
class Seed:
    """A real page by its raw text, and what became of it."""

    name: str
    header: dict[str, str]
    printed: dict[tuple[str, str], str]
    lines: list[str]
    view: dict[str, Any]
    shown: dict[tuple[str, str], str]
    findings: set[str]
    documents: dict[str, Any]


def raw(text: str) -> tuple[dict[str, str], dict[tuple[str, str], str]]:
    """Return header fields, and section fields by (section, label), as the page prints them."""
    header: dict[str, str] = {}
    printed: dict[tuple[str, str], str] = {}
    section = ""
    for line in text.split("\n"):
        if line in SECTIONS:
            section = line
        elif not section:
            if found := HEADER.match(line):
                header[found[1]] = found[2]
        elif found := PLAIN.match(line) or TABLE.match(line):
            # The first match wins: the paragraphs below a block may start with one of its words.
            printed.setdefault((section, found[1]), found[2])
    return header, printed


def rendered(html: str) -> dict[tuple[str, str], str]:
    """Return what a rendered page shows, by (section, term)."""
    page = BeautifulSoup(html, "html.parser")
    shown: dict[tuple[str, str], str] = {}
    for block in page.select(".lead, main section"):
        for term in block.select("dt"):
            value = term.find_next_sibling("dd")
            assert value is not None
            key = (str(block.get("id") or "header"), term.get_text(strip=True))
            shown.setdefault(key, " ".join(value.get_text(" ", strip=True).split()))
    return shown


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Seed, ...]]:
    """The real pages, imported by the command line into a new ledger and served."""
    files = sorted(SEEDS.glob("*.txt"))
    if not files:
        message = f"no real pages in {SEEDS}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    folder = tmp_path_factory.mktemp("seeds")
    service = founded(folder)
    settings = settings_in(folder)
    environment = {
        "LEDGER_DATABASE_URL": settings.database_url,
        "LEDGER_DATA_DIR": str(settings.data_dir),
    }
    arguments = ["import", "pages", *map(str, files)]
    done = CliRunner().invoke(app, arguments, env=environment)
    assert done.exit_code == 0, done.output
    again = CliRunner().invoke(app, arguments, env=environment)
    assert again.output.count("imported before") == len(files), again.output
    with served(service) as address, httpx.Client(base_url=address, timeout=120) as client:
        # Every list is asked below, and none may be behind.
        assert asyncio.run(service.caught_up(service.store.head()))
        views = client.get("/v1/records").json()["items"]
        by_title = {view["title"]: view["record_id"] for view in views}
        assert len(by_title) == len(files)
        yield tuple(_seed(client, file, by_title) for file in files)


def _seed(client: httpx.Client, file: Path, by_title: dict[str, str]) -> Seed:
    text = file.read_text()
    record = next(id_ for title, id_ in by_title.items() if title in text.split("\n"))
    found = client.get(f"/v1/records/{record}/findings").json()["items"]
    header, printed = raw(text)
    return Seed(
        name=file.name[:3],
        header=header,
        printed=printed,
        lines=text.split("\n"),
        view=client.get(f"/v1/records/{record}").json(),
        shown=rendered(client.get(f"/records/{record}").text),
        findings={finding["rule"] for finding in found},
        documents=_documents(client, record),
    )


def _documents(client: httpx.Client, record: str) -> dict[str, Any]:
    """Return the documents of a record by contract, each checked by the schema that it names."""
    manifest = client.get(f"/v1/records/{record}/manifest.json").json()
    found = {each["contract"]: each["url"] for each in manifest["documents"]}
    served = {name: client.get(httpx.URL(url).path).json() for name, url in found.items() if url}
    served[manifest["contract_version"]] = manifest
    for document in served.values():
        for validator in validators(client.get(httpx.URL(document["schema"]).path).json()):
            assert [str(error) for error in validator.iter_errors(document)] == []
    return served


def test_every_printed_field_is_the_field_of_the_view(seeds: tuple[Seed, ...]) -> None:
    for seed in seeds:
        view, printed = seed.view, seed.printed
        verdict, provenance = view["verdict"], view["provenance"]
        told = {
            ("Verification Level", "Paper level"): _level(view["level"]),
            ("Verification Level", "Source-grounded claims"): str(view["claims"]["grounded"]),
            ("Verification Level", "Claim record source"): view["claims"]["source"].replace(
                "-", " "
            ),
            ("Truth-Engine Gate Verdict", "Status"): verdict["label"],
            ("Truth-Engine Gate Verdict", "Gate"): verdict["gate_label"],
            ("Truth-Engine Gate Verdict", "Reason"): verdict["reason"]["text"],
            ("Quality Tier", "Tier"): view["tier"]["label"],
            ("Quality Tier", "Basis"): view["tier"]["basis"],
            ("Correction Record", "Status"): view["corrections"]["state"],
            ("Correction Record", "Correction count"): str(view["corrections"]["count"]),
            ("Correction Record", "Manifest contract"): view["contracts"]["manifest"],
            ("Correction Record", "Correction contract"): view["contracts"]["corrections"],
            ("Provenance", "Publisher"): view["publisher"],
            ("Provenance", "Public provenance"): _level(provenance),
            ("Provenance", "Report artifact"): "Available" if provenance["report_artifact"] else "",
            ("Provenance", "External record"): (
                "Registered" if provenance["external_record"] else "Not registered"
            ),
            ("Provenance", "Claim lineage"): (
                f"{provenance['claim_lineage']} aggregate source-grounded claims"
            ),
            ("Provenance", "Review method"): provenance["review_method"],
            ("Provenance", "Provenance contract"): view["contracts"]["provenance"],
            ("Provenance", "Note"): view["note"],
        } | {
            ("Quality Dimensions", dimension["label"]): dimension["level"]
            for dimension in view["dimensions"].values()
            if dimension["level"] != "UNASSESSED"
        }
        if verdict["evaluated_at"] is not None:
            evaluated = verdict["evaluated_at"].replace("Z", "+00:00")
            told["Truth-Engine Gate Verdict", "Evaluated"] = evaluated
        assert told == printed, seed.name


def _level(part: dict[str, Any]) -> str:
    return f"L{part['level']}, {part['label']}"


def test_every_header_field_is_the_field_of_the_view(seeds: tuple[Seed, ...]) -> None:
    for seed in seeds:
        view = seed.view
        told: dict[str, str] = {}
        if seed.header:
            assert view["handle"] in seed.lines
            told = {
                "Submitted": _day(view["submitted_on"]),
                "Review score": f"{view['review']['mean']}/10",
                "Verification": _level(view["level"]),
                "Gate status": view["verdict"]["label"],
                "Quality tier": view["tier"]["label"],
                "Verified claims": str(view["claims"]["verified"]),
            }
            if view["doi"]:
                told["DOI"] = view["doi"]
        assert told == seed.header, seed.name
        assert view["title"] in seed.lines
        assert view["abstract"]["text"] in seed.lines
        assert view["research_question"] in seed.lines


def _day(text: str) -> str:
    months = "January February March April May June July August September October November December"
    year, month, day = map(int, text.split("-"))
    return f"{day} {months.split()[month - 1]} {year}"


def test_every_printed_field_is_shown_on_the_rendered_page(seeds: tuple[Seed, ...]) -> None:
    places = dict(
        zip(
            SECTIONS,
            ("level", "verdict", "tier", "dimensions", "corrections", "provenance"),
            strict=True,
        )
    )
    for seed in seeds:
        for (section, label), printed in seed.printed.items():
            shown = seed.shown[places[section], label]
            if label == "Claim lineage":
                # Our own words around the same count.
                assert shown.split()[0] == printed.split()[0]
                continue
            assert shown.startswith(printed), (seed.name, label, shown)
        for label, printed in seed.header.items():
            assert seed.shown["header", label] == printed, (seed.name, label)


def test_the_gate_that_decided_is_shown_beside_the_printed_one(seeds: tuple[Seed, ...]) -> None:
    decided = {seed.name: seed.view["verdict"]["decided_by"] for seed in seeds}
    assert decided == {"000": None, "001": None, "002": "gate-3", "003": None, "004": "gate-2"}
    falsified = next(seed for seed in seeds if seed.name == "002")
    assert falsified.view["verdict"]["gate"] == "gate-2"
    assert falsified.shown["verdict", "Decided by"].startswith("Gate 3")


def test_the_findings_name_what_the_pages_contradict(seeds: tuple[Seed, ...]) -> None:
    for seed in seeds:
        assert FINDINGS[seed.name] <= seed.findings, (seed.name, seed.findings)
        # A rule that finds what another page has must not fire here.
        elsewhere = {"reason-predates-activation", "gate-mislabelled", "no-test-power"}
        assert elsewhere & seed.findings == elsewhere & FINDINGS[seed.name], seed.name


def test_policy_v2_says_what_it_would_make_of_the_stated_verdicts(seeds: tuple[Seed, ...]) -> None:
    for seed in seeds:
        assert seed.view["policy"]["version"] == "v1"
        other = seed.view["policy"]["others"]["v2"]
        # v2 counts checked verdicts only, and a page states its verdict.
        assert other["status"] == "UNVERIFIED"
        assert other["tier"] in {"DOI_GRADE", "WATCHLIST", "PUBLIC_RECORD"}


def test_every_printed_field_is_in_the_documents_for_programs(seeds: tuple[Seed, ...]) -> None:
    for seed in seeds:
        made, printed = seed.documents, dict(seed.printed)
        assert set(made) == set(CONTRACTS) - {"math-result-v1"}
        level, verdict = made["verification-levels-v1"], made["gate-verdict-v1"]
        tier, corrections = made["quality-tiers-v1"], made["correction-record-v1"]
        source, claims = made["source-provenance-v1"], level["claim_summary"]
        registered = source["external_record"]["registered"]
        told = {
            ("Verification Level", "Paper level"): (
                f"L{level['paper_level']}, {level['paper_level_label']}"
            ),
            ("Verification Level", "Source-grounded claims"): str(claims["source_grounded_claims"]),
            ("Verification Level", "Claim record source"): (
                claims["claim_record_source"].replace("-", " ")
            ),
            ("Truth-Engine Gate Verdict", "Status"): verdict["label"],
            ("Truth-Engine Gate Verdict", "Gate"): verdict["gate"],
            ("Truth-Engine Gate Verdict", "Reason"): verdict["reason"],
            ("Quality Tier", "Tier"): tier["label"],
            ("Quality Tier", "Basis"): tier["basis"],
            ("Correction Record", "Status"): corrections["correction_state"],
            ("Correction Record", "Correction count"): str(corrections["correction_count"]),
            ("Correction Record", "Manifest contract"): corrections["manifest"]["contract_version"],
            ("Correction Record", "Correction contract"): corrections["contract_version"],
            ("Provenance", "Publisher"): source["publisher"],
            ("Provenance", "Public provenance"): _level(source["public_provenance"]),
            ("Provenance", "Report artifact"): (
                "Available" if source["report_artifact_available"] else ""
            ),
            ("Provenance", "External record"): "Registered" if registered else "Not registered",
            ("Provenance", "Claim lineage"): (
                f"{source['claim_lineage']['source_grounded_claims']} aggregate source-grounded "
                "claims"
            ),
            ("Provenance", "Review method"): source["review_method"],
            ("Provenance", "Provenance contract"): source["contract_version"],
            ("Provenance", "Note"): source["note"],
        } | {
            ("Quality Dimensions", dimension["label"]): dimension["level"]
            for dimension in made["quality-dimensions-v1"]["dimensions"].values()
            if dimension["level"] != "UNASSESSED"
        }
        if verdict["evaluated_at"] is not None:
            evaluated = verdict["evaluated_at"].replace("Z", "+00:00")
            told["Truth-Engine Gate Verdict", "Evaluated"] = evaluated
        assert told == printed, seed.name
