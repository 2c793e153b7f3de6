"""What every arm is given: submissions and whole histories, made from real papers and verdicts.

Titles and dates are those of ACL papers; abstracts, questions, scores and counts those of published
record pages; outcomes those of real replications; corrections those of real notices.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from ledger import evaluation, rules
from ledger.codec import encode, topic_of
from ledger.commands import AssessReview, Correct, CountClaims, Evaluate, Register, Submit
from ledger.events import Event
from ledger.governance import founding
from ledger.in_force import InForce
from ledger.record import ResearchRecord, evolve

SHARED = Path(__file__).resolve().parents[2] / "shared"
DATA = SHARED / "data"
BODIES = 2_000
"""How many different submissions a load goes round."""
TEMPLATES = 2_000
"""How many different histories a bulk-loaded log goes round."""
HANDLE = "SRCH:FFFFFFFFFFFF"
DOI = "10.5281/zenodo.999999999999"
"""What stands in a template where each record has a name of its own."""

NATURES = {"Retraction": "retraction", "Expression of concern": "expression_of_concern"}


@dataclass(frozen=True)
class Template:
    """One record's history as stored: topics and bodies, with HANDLE and DOI still to be put in."""

    rows: tuple[tuple[str, bytes], ...]

    def of(self, handle: str, doi: str) -> list[tuple[str, bytes]]:
        """Return the history of a record with names of its own; the rest is shared."""
        rows = list(self.rows)
        rows[0] = (rows[0][0], rows[0][1].replace(HANDLE.encode(), handle.encode()))
        if len(rows) > 1:
            rows[1] = (rows[1][0], rows[1][1].replace(DOI.encode(), doi.encode()))
        return rows


def present() -> bool:
    """Whether the folder with the real data is there."""
    return (DATA / "acl_papers.jsonl.gz").is_file() and (SHARED / "seeds").is_dir()


def submissions(count: int = BODIES) -> list[dict[str, Any]]:
    """Return submissions of about a kilobyte, each of another paper."""
    pages = [_page(path.read_text("utf-8")) for path in sorted((SHARED / "seeds").glob("*.txt"))]
    return [_submission(*pair) for pair in zip(_papers(count), cycle(pages), strict=False)]


def bodies(count: int = BODIES) -> list[bytes]:
    """Return submissions as request bodies, each on one line."""
    return [json.dumps(one, ensure_ascii=False).encode() for one in submissions(count)]


def templates(length: int, count: int = TEMPLATES) -> list[Template]:
    """Return histories of ``length`` events each, decided by the ledger's own rules."""
    verdicts, notices = (
        cycle(_lines("forrt_verdict_events")),
        cycle(_lines("retraction_watch_events")),
    )
    return [
        _history(submission, next(verdicts), next(notices), length)
        for submission in submissions(count)
    ]


def _history(
    submission: dict[str, Any], verdict: dict[str, Any], notice: dict[str, Any], length: int
) -> Template:
    """Return a history: submitted, registered, evaluated, counted, corrected; then more counts."""
    asked = rules.Asked("pipeline", datetime.now(UTC))
    in_force = InForce()
    for fact in founding("operator", asked.at.date()):
        in_force = in_force.after(fact)
    opened = rules.submit(
        _command(Submit, submission), "01980f5e-6c1a-7cc3-9d3f-0a4f5b6c7d8e", HANDLE, asked
    )
    record = evolve(None, opened)
    rows = [_row(opened)]

    def then(event: Event) -> ResearchRecord:
        rows.append(_row(event))
        return evolve(record, event)

    for number in range(2, length + 1):
        if number == 2:
            command = _command(Register, {"value": DOI})
            record = then(rules.register(record, command, asked))
        elif number == 3:
            wish = _command(Evaluate, _evaluation(record, verdict, asked.at))
            record = then(evaluation.evaluate(record, wish, in_force.gates, asked))
        elif number == 5:
            record = then(rules.correct(record, _command(Correct, _correction(notice)), asked))
        elif number % 2 == 0:
            counted = {"claims": {"extracted": 12 + number, "grounded": 9 + number, "verified": 8}}
            command = _command(CountClaims, counted | {"claim_source": submission["claim_source"]})
            record = then(rules.count_claims(record, command, asked))
        else:
            command = _command(AssessReview, {"review": submission["review"]})
            record = then(rules.assess_review(record, command, asked))
    return Template(tuple(rows))


def _command(kind: Any, body: dict[str, Any]) -> Any:
    return kind.model_validate_json(json.dumps(body))


def _row(event: Event) -> tuple[str, bytes]:
    return topic_of(event), encode(event)


def _submission(paper: dict[str, Any], page: dict[str, str]) -> dict[str, Any]:
    score = float(page["score"])
    verified = int(page["verified"])
    return {
        "content": {
            "kind": "synthesis",
            "title": _line(paper["title"]),
            "abstract": {"text": page["abstract"]},
            "research_question": page["question"],
            "publisher": page["publisher"],
        },
        "submitted_on": paper["ingested"],
        "review": {
            "scores": {
                "challenger": f"{score - 0.4:.1f}",
                "confirmer": f"{score + 0.4:.1f}",
                "integrator": f"{score:.1f}",
            },
            "method": page["method"],
        },
        "claims": {"extracted": verified + 4, "grounded": verified, "verified": verified},
        "claim_source": "parsed-source-sections",
    }


def _evaluation(record: ResearchRecord, verdict: dict[str, Any], at: datetime) -> dict[str, Any]:
    failed = verdict.get("outcome") != "successful"
    scores = ("8.0", "7.0") if failed else ("3.0", "4.0")
    quoted = _line(verdict.get("outcome_quote") or "No quotation was kept.")
    findings = (quoted, _title(verdict))
    roles = ("COUNTEREXAMPLE_HUNTER", "CITATION_AUDITOR")
    return {
        "gate": "gate-3",
        "method": "red-team",
        "outcome": "failed" if failed else "passed",
        "subject": {"submission": 1, "digest": record.current.digest},
        "evidence": {
            "kind": "red-team",
            "attacks": [
                {"role": role, "score": score, "finding": finding}
                for role, score, finding in zip(roles, scores, findings, strict=True)
            ],
            "aggregation": {"rule": "mean", "threshold": "7.0", "quorum": 2},
            "mean": "7.5" if failed else "3.5",
        },
        "evaluator": {"id": "red-team-runner", "version": "1.4.0"},
        "evaluated_at": at.isoformat().replace("+00:00", "Z"),
    }


def _title(verdict: dict[str, Any]) -> str:
    replication = verdict.get("replication") or {}
    return _line(f"Held against: {replication.get('title') or verdict['verdict_id']}")


def _line(text: str) -> str:
    """Return a text without line breaks and controls, as a line of the ledger must be."""
    return " ".join(text.split())


def _correction(notice: dict[str, Any]) -> dict[str, Any]:
    reasons = notice["reasons"] or ["No reason was given"]
    return {
        "correction_type": "METADATA",
        "nature": NATURES.get(notice["nature"], "correction"),
        "public_note": f"{notice['nature']}: {', '.join(reasons)}.",
        "asserted_by": notice["publisher"] or "The publisher",
        "reasons": reasons[:50],
    }


def _papers(count: int) -> list[dict[str, Any]]:
    """Return papers of all years, always the same ones."""
    with gzip.open(DATA / "acl_papers.jsonl.gz", "rt", encoding="utf-8") as lines:
        papers = [json.loads(line) for line in lines]
    dated = [paper for paper in papers if paper.get("title") and paper.get("ingested")]
    random.Random(1).shuffle(dated)
    return list(islice(cycle(dated), count))


def _lines(name: str) -> list[dict[str, Any]]:
    with (DATA / f"{name}.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _page(text: str) -> dict[str, str]:
    """Return what a published page says, as far as a submission needs it."""

    def found(pattern: str, default: str) -> str:
        match = re.search(pattern, text, re.MULTILINE)
        return match[1].strip() if match else default

    return {
        "abstract": found(r"^Abstract: (.+)$", "The page has no abstract."),
        "question": found(r"^Research Question\n+(.+)$", "The page asks no question."),
        "publisher": found(r"^Publisher\s*(.+)$", "An unnamed publisher"),
        "method": found(r"^Review method\s*(.+)$", "Automated multi-reviewer assessment"),
        "score": found(r"^Review score: ([\d.]+)/10", "8.0"),
        "verified": found(r"^Verified claims: (\d+)", "8"),
    }
