"""What a rule says when the record has moved on: corrected, submitted anew, withdrawn."""

from __future__ import annotations

import hashlib
import json

from ledger.content import PublicField
from ledger.vocabulary import Outcome
from projections.findings import Finding, Findings
from view_facts import DIGEST, Fact, corrected, evaluated, one_record, sandbox, submitted, uuid
from wishes import resubmitted

VERIFIED = (submitted(), evaluated(Outcome.PASSED, sandbox()))
RETITLED = corrected((PublicField.TITLE, "A survey of XTREME", "A survey of FLORES"))
FALSIFIED = (submitted(), evaluated(Outcome.FAILED, sandbox("1.0")), resubmitted())


def found(rule: str, *facts: Fact) -> list[Finding]:
    rows = Findings.rows(one_record(*facts))["finding"]
    findings = [Finding(**json.loads(row[-1])) for row in rows]
    return [finding for finding in findings if finding.rule == rule]


def test_a_later_verdict_settles_what_an_earlier_submission_left() -> None:
    anew = evaluated(Outcome.PASSED, sandbox(), number=101, submission=2)
    history = (*FALSIFIED, anew)
    assert found("earlier-submission-falsified", *history) == []
    gone = evaluated(Outcome.INVALID_CHECK, number=102, withdraws=uuid(100))
    withdrawn = (*FALSIFIED, gone)
    assert found("earlier-submission-falsified", *withdrawn) == []


def test_a_correction_is_held_against_a_verdict_as_long_as_it_changes_the_claim() -> None:
    (finding,) = found("corrected-since-evaluation", *VERIFIED, RETITLED)
    assert finding.evidence["changed"] == {
        "title": {"evaluated": "A survey of XTREME", "shown": "A survey of FLORES"}
    }
    assert (
        finding.evidence["content_digest"]
        == one_record(*VERIFIED, RETITLED).document["content_digest"]
    )
    back = corrected((PublicField.TITLE, "A survey of FLORES", "A survey of XTREME"))
    assert found("corrected-since-evaluation", *VERIFIED, RETITLED, back) == []
    before = (submitted(), RETITLED, evaluated(Outcome.PASSED, sandbox()))
    # The evaluation is bound to the bytes that were submitted, whatever was corrected before it.
    assert len(found("corrected-since-evaluation", *before)) == 1


def test_an_empty_file_is_no_evidence() -> None:
    empty = "sha256:" + hashlib.sha256(b"").hexdigest()
    history = (
        submitted(),
        evaluated(
            Outcome.PASSED,
            sandbox().model_copy(update={"script_digest": DIGEST, "results_digest": empty}),
        ),
    )
    (finding,) = found("evidence-says-nothing", *history)
    assert "repro-results" in finding.sentence
