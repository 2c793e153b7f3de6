"""The load that every arm gets: one submission of about a kilobyte."""

from __future__ import annotations

import json

ABSTRACT = (
    "We compare two training recipes on three small test sets and measure calibration before and "
    "after temperature scaling. Five seeds per setting; intervals by bootstrap over examples. "
)
SUBMISSION = {
    "content": {
        "kind": "empirical",
        "title": "Does label smoothing change calibration on small test sets?",
        "abstract": {"text": (ABSTRACT * 4).strip()},
        "research_question": "Does label smoothing lower calibration error below 500 examples?",
        "publisher": "Example Research",
    },
    "submitted_on": "2026-07-01",
    "review": {"scores": {"challenger": "7.9", "confirmer": "8.4", "integrator": "8.1"}},
    "claims": {"extracted": 12, "grounded": 9, "verified": 0},
    "claim_source": "parsed-source-sections",
}
BODY = json.dumps(SUBMISSION).encode()
