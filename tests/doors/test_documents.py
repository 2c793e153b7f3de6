"""The documents under the public contracts, as they are served: each fits what it names."""

from __future__ import annotations

import dataclasses
import itertools
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup

from given_contracts import BASE, validators, written
from given_records import posted, stock, submitted
from given_service import SCRIPT, Api, api, digest_of
from given_terminal import COMMAND, environment
from ledger.service import Service
from ledger.settings import Settings
from ledger.web import create_app, urls
from projections.contracts import CONTRACTS

PROOF = b"theorem one_is_one : 1 = 1 := rfl\n"
PLAIN = {name for name in CONTRACTS if name != "math-result-v1"}


@dataclasses.dataclass(frozen=True)
class Shelf:
    """A served ledger, the handles of its records, and where its files lie."""

    api: Api
    records: dict[str, str]
    folder: Path

    def get(self, address: str, **headers: str) -> Any:
        """Ask for an address of the ledger, relative or absolute."""
        return self.api.client.get(address.removeprefix(BASE), headers=headers)

    def document(self, record: str, contract: str, query: str = "") -> Any:
        """Ask for a document of a record, by what is special about the record."""
        return self.get(urls.document(contract, self.records[record]) + query)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    folder = Path(tmp_path_factory.mktemp("ledger"))
    with api(folder, base_url=BASE) as client:
        found = dataclasses.asdict(stock(client))
        found |= mathematical(client)
        last = client.client.get(urls.record(found["refuted"])).headers["Ledger-Position"]
        head = {"Ledger-Position": last}
        listed = client.client.get(urls.records(limit=100), headers=head)
        every = [item["handle"] for item in listed.json()["items"]]
        named = {handle.removeprefix("SRCH:") for handle in found.values()}
        rest = [handle for handle in every if handle.removeprefix("SRCH:") not in named]
        yield Shelf(client, found | {f"other {n}": h for n, h in enumerate(rest)}, folder)


def mathematical(api: Api) -> dict[str, str]:
    """Append a mathematical record in each state that its contract knows, and one in none."""
    found = {
        state: submitted(
            api, kind="mathematical", title=f"A theorem, {state}", publisher="Example Research"
        )
        for state in ("untouched", "proved", "attempted", "computed", "refuted")
    }
    for record in ("proved", "attempted"):
        assert api.upload(found[record], "proof-source", PROOF).status_code == 201
    posted(api, found["proved"], "gate-evaluations", lean(api, found["proved"], 0, "passed"))
    failed = lean(api, found["attempted"], 0, "inconclusive", "sorryAx")
    posted(api, found["attempted"], "gate-evaluations", failed)
    for record in ("computed", "refuted"):
        assert api.upload(found[record], "repro-script", SCRIPT).status_code == 201
    run = api.sandbox(found["computed"], outcome="inconclusive", evidence=None)
    posted(api, found["computed"], "gate-evaluations", run)
    case = b'{"n": 41}\n'
    assert api.upload(found["refuted"], "counterexample", case).status_code == 201
    against = {"kind": "counterexample", "digest": digest_of(case), "cases_tried": 41}
    refuted = api.sandbox(
        found["refuted"], method="counterexample", outcome="failed", evidence=against
    )
    posted(api, found["refuted"], "gate-evaluations", refuted)
    return found


def lean(api: Api, record: str, exit_code: int, outcome: str, *axioms: str) -> dict[str, Any]:
    evidence = {
        "kind": "lean4",
        "source_digest": digest_of(PROOF),
        "toolchain": "leanprover/lean4:v4.9.0",
        "exit_code": exit_code,
        "axioms": list(axioms),
    }
    return api.sandbox(record, method="lean4", outcome=outcome, evidence=evidence)


# ------------------------------------------------------------ every document


def checked(shelf: Shelf, document: dict[str, Any]) -> None:
    """Check a document by the schema that it names, as two validators read what is served."""
    for validator in validators(shelf.get(document["schema"]).json()):
        assert [str(error) for error in validator.iter_errors(document)] == []


def test_every_document_of_every_record_fits_the_schema_that_it_names(shelf: Shelf) -> None:
    samples = [r for r in shelf.records.values() if shelf.api.view(r)["basis"] == "stated"]
    assert len(samples) == 5
    served: set[str] = set()
    for record, contract in itertools.product(shelf.records, CONTRACTS):
        answer = shelf.document(record, contract)
        if answer.status_code == 404:
            assert contract == "math-result-v1"
            assert answer.json()["code"] == "contract-not-applicable"
            continue
        document = answer.json()
        checked(shelf, document)
        assert document["contract_version"] == contract
        assert document["schema"] == f"{BASE}/schemas/{contract}"
        assert document["work"]["handle"] == f"SRCH:{shelf.records[record].removeprefix('SRCH:')}"
        served.add(contract)
    assert served == set(CONTRACTS)


def test_every_version_of_every_record_has_its_documents(shelf: Shelf) -> None:
    for record in ("hostile", "falsified", "superseded", "imported_falsified", "refuted"):
        last = shelf.api.view(shelf.records[record])["version"]
        for version, contract in itertools.product(range(1, last + 1), sorted(PLAIN)):
            document = shelf.document(record, contract, f"?version={version}").json()
            checked(shelf, document)
            assert document["work"]["version"] == version
            assert document["work"]["view_url"].endswith(f"?version={version}")


def addresses(tree: Any) -> Iterator[str]:
    """Yield every address of this ledger in a document."""
    if isinstance(tree, dict):
        for value in tree.values():
            yield from addresses(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from addresses(value)
    elif isinstance(tree, str) and tree.startswith(BASE):
        yield tree


def test_every_address_in_a_document_leads_somewhere(shelf: Shelf) -> None:
    found: set[str] = set()
    for record, contract in itertools.product(shelf.records, CONTRACTS):
        for query in ("", "?version=1"):
            answer = shelf.document(record, contract, query)
            found.update(addresses(answer.json()) if answer.status_code == 200 else ())
    assert {
        address: code for address in found if (code := shelf.get(address).status_code) != 200
    } == {}
    assert any("/artifacts/" in address for address in found)
    assert any("manifest.json?version=" in address for address in found)


def test_the_manifest_links_the_documents_that_there_are(shelf: Shelf) -> None:
    for record in shelf.records:
        manifest = shelf.document(record, "paper-manifest-v1.1").json()
        for each in manifest["documents"]:
            answer = shelf.document(record, each["contract"])
            assert (each["url"] is not None) == (answer.status_code == 200)
            assert (each["not_applicable"] is None) == (answer.status_code == 200)
            if each["url"]:
                assert shelf.get(each["url"]).json() == answer.json()
                assert each["schema"] == answer.json()["schema"]


# ------------------------------------------------------------ one document


def test_a_document_is_sent_once_and_leads_to_schema_and_page(shelf: Shelf) -> None:
    handle = shelf.records["falsified"]
    answer = shelf.document("falsified", "gate-verdict-v1")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["etag"].startswith(f'"{answer.json()["work"]["version"]}.')
    assert answer.headers["link"] == (
        f'<{BASE}/schemas/gate-verdict-v1>; rel="describedby"; type="application/schema+json", '
        f'<{BASE}{urls.record_page(handle)}>; rel="alternate"; type="text/html"'
    )
    address = urls.document("gate-verdict-v1", handle)
    again = shelf.get(address, **{"If-None-Match": f'"other", {answer.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == answer.headers["etag"]
    assert shelf.get(address, **{"If-None-Match": '"other"'}).status_code == 200
    head = shelf.api.client.head(address)
    assert (head.status_code, head.headers["etag"]) == (200, answer.headers["etag"])


def test_a_record_is_named_by_id_handle_or_doi(shelf: Shelf) -> None:
    view = shelf.api.view(shelf.records["falsified"])
    bodies = {
        shelf.get(urls.document("quality-tiers-v1", name)).content
        for name in (view["record_id"], view["handle"], view["handle"][5:], view["doi"])
    }
    assert len(bodies) == 1


REFUSED = [
    ("/v1/records/SRCH:00000000/gate-verdict.json", 404, "record-unknown"),
    ("/v1/records/{record}/gate-verdict.json?verbose=1", 400, "invalid-parameter"),
    ("/v1/records/{record}/gate-verdict.json?version=1&version=2", 400, "invalid-parameter"),
    ("/v1/records/{record}/gate-verdict.json?version=900", 404, "version-unknown"),
    ("/v1/records/{record}/verdict.json", 404, "record-unknown"),
    ("/v1/records/{record}/math-result.json", 404, "contract-not-applicable"),
    ("/v1/records/{untouched}/math-result.json", 404, "contract-not-applicable"),
    ("/schemas/gate-verdict-v2", 404, "no-such-page"),
    ("/schemas/gate-verdict-v1.json", 404, "no-such-page"),
]


@pytest.mark.parametrize(("address", "status", "code"), REFUSED)
def test_what_is_not_there_is_refused(shelf: Shelf, address: str, status: int, code: str) -> None:
    names = {"record": shelf.records["falsified"], "untouched": shelf.records["untouched"]}
    answer = shelf.get(address.format(**names))
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )
    assert answer.json()["code"] == code


def test_a_contract_that_does_not_apply_says_why(shelf: Shelf) -> None:
    other = shelf.document("falsified", "math-result-v1").json()["detail"]
    assert other == (
        "There is no math-result-v1 of this record. The record is not of the kind mathematical."
    )
    early = shelf.document("untouched", "math-result-v1").json()["detail"]
    assert "No evaluation" in early


@pytest.mark.parametrize(
    ("record", "state", "status", "method"),
    [
        ("proved", "FORMAL_PROOF_VERIFIED", "VERIFIED", "lean4"),
        ("attempted", "FORMAL_PROOF_ATTEMPTED", "UNVERIFIED", "lean4"),
        ("computed", "COMPUTATIONAL_EVIDENCE", "UNVERIFIED", "sandbox"),
        ("refuted", "FALSIFIED", "FALSIFIED", "counterexample"),
    ],
)
def test_a_mathematical_result_is_as_far_as_its_evaluations(
    shelf: Shelf, record: str, state: str, status: str, method: str
) -> None:
    told = shelf.document(record, "math-result-v1").json()
    assert (told["verification"]["state"], told["result"]["status"]) == (state, status)
    assert told["verification"]["method"] == method
    assert told["verification"]["lean4_source_public"] == (method == "lean4")
    assert told["verification"]["counterexample_available"] == (record == "refuted")
    cases = {"proved": 0, "attempted": 0, "computed": None, "refuted": 41}
    assert told["verification"]["n_cases"] == cases[record]
    types = [each["type"] for each in told["artifact_set"]]
    assert types[0] == "manifest"
    assert len(types) == 1 + len(shelf.api.view(shelf.records[record])["artifacts"])


def test_a_correction_is_told_in_the_same_words_everywhere(shelf: Shelf) -> None:
    handle = shelf.records["hostile"]
    document = shelf.document("hostile", "correction-record-v1")
    head = {"Ledger-Position": document.headers["Ledger-Position"]}
    events = document.json()["correction_events"]
    entries = shelf.api.view(handle)["corrections"]["entries"]
    listed = shelf.get(urls.record_corrections(handle), **head).json()["items"]
    of_all = shelf.get(urls.corrections(limit=100), **head).json()["items"]
    assert [item for item in reversed(of_all) if item["record_id"] == listed[0]["record_id"]] == (
        listed
    )
    history = shelf.get(urls.history(handle)).json()["items"]
    stored = [each["event"] for each in history if each["type"] == "correction.issued"]
    assert len(events) == len(entries) == len(listed) == len(stored) == 2
    same = ["correction_type", "public_note", "nature", "changes", "asserted_by", "notice"]
    for event, entry, item, fact in zip(events, entries, listed, stored, strict=True):
        for member in [*same, "reasons", "corrects"]:
            assert event[member] == entry[member] == item[member] == fact[member], member
        assert event["event_id"] == entry["correction_id"] == item["correction_id"]
        assert event["corrected_at"] == entry["effective_on"] == item["effective_on"]
        assert event["version"] == entry["version"] == item["version"]
    assert listed[0]["changes"] == [
        {"field": "publisher", "from": "<i>Mallory & Sons</i>", "to": "Mallory & Sons"}
    ]


# ------------------------------------------------------------ schemas


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_schema_is_served_for_ever_as_it_was_pinned(shelf: Shelf, name: str) -> None:
    answer = shelf.get(urls.schema(name))
    assert answer.headers["content-type"] == "application/schema+json"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.json() == json.loads(written(name))
    again = shelf.get(urls.schema(name), **{"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_schemas_are_listed_for_people_and_for_programs(shelf: Shelf) -> None:
    listed = shelf.get(urls.SCHEMAS, Accept="application/json")
    assert listed.headers["vary"] == "Accept"
    assert [item["contract"] for item in listed.json()["items"]] == list(CONTRACTS)
    assert {item["document"] for item in listed.json()["items"]} == {
        contract.file for contract in CONTRACTS.values()
    }
    page = shelf.get(urls.SCHEMAS, Accept="text/html")
    assert page.headers["vary"] == "Accept"
    links = BeautifulSoup(page.text, "html.parser").select("main a[href]")
    assert [link["href"] for link in links] == [item["schema"] for item in listed.json()["items"]]
    assert {shelf.get(str(link["href"])).status_code for link in links} == {200}


def test_the_page_leads_to_every_document(shelf: Shelf) -> None:
    for record, applying in (("falsified", PLAIN), ("proved", set(CONTRACTS))):
        soup = BeautifulSoup(shelf.get(urls.record_page(shelf.records[record])).text, "html.parser")
        heads = {str(each["title"]): each["href"] for each in soup.select("link[title]")}
        listed = {each.get_text(): each["href"] for each in soup.select("#documents dt a")}
        assert heads == listed
        assert set(heads) == applying
        for contract, href in heads.items():
            assert shelf.get(str(href)).json()["contract_version"] == contract


def test_the_description_has_every_document_and_its_shape() -> None:
    described = create_app(Service(Settings())).openapi()
    for name, contract in CONTRACTS.items():
        operation = described["paths"][urls.DOCUMENTS[name].replace(":path", "")]["get"]
        shape = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
        component = described["components"]["schemas"][shape.rpartition("/")[2]]
        assert component["properties"]["contract_version"]["const"] == name
        assert set(component["required"]) == set(contract.schema(BASE)["required"])


# ------------------------------------------------------------ the command line


def test_the_command_line_prints_what_is_served(shelf: Shelf) -> None:
    def ran(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, "show", *words],
            env=environment(shelf.folder, LEDGER_BASE_URL=BASE),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    handle = shelf.records["hostile"]
    for name, version in (("correction-record-v1", None), ("paper-manifest-v1.1", "2")):
        more = ("--version", version) if version else ()
        served = shelf.document("hostile", name, f"?version={version}" if version else "").text
        assert ran(handle, "--contract", name, *more).stdout.rstrip("\n") == served
    refused = ran(handle, "--contract", "math-result-v1")
    assert refused.returncode == 1
    assert refused.stderr.endswith("[contract-not-applicable]\n")
    misfit = ran(handle, "--contract", "gate-verdict")
    assert misfit.returncode == 2
    assert "gate-verdict-v1" in misfit.stderr
