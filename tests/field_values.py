"""What may stand in each public field: strategies of values as they come over the wire."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from hypothesis import strategies as st

from ledger.content import PublicField
from ledger.vocabulary import ClaimSource, Kind

FIRST, LAST = date(2026, 6, 1), date(2026, 7, 10)

_characters = st.characters(
    exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp"),
    exclude_characters="\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0",
)
_breaks = st.sampled_from("\n\t")
lines = st.text(_characters, min_size=1, max_size=40).filter(str.strip)
prose = st.text(_characters | _breaks, min_size=1, max_size=80).filter(str.strip)
counts = st.none() | st.integers(0, 12)

VALUES: Final[dict[PublicField, st.SearchStrategy[Any]]] = {
    PublicField.TITLE: lines,
    PublicField.KIND: st.sampled_from([kind.value for kind in Kind]),
    PublicField.ABSTRACT: prose,
    PublicField.ABSTRACT_SOURCE: st.none() | lines,
    PublicField.RESEARCH_QUESTION: st.none() | prose,
    PublicField.PUBLISHER: lines,
    PublicField.NOTE: st.none() | prose,
    PublicField.SUBMITTED_ON: st.dates(FIRST, LAST).map(date.isoformat),
    PublicField.REVIEW_METHOD: st.none() | lines,
    PublicField.CLAIMS_EXTRACTED: counts,
    PublicField.CLAIMS_GROUNDED: counts,
    PublicField.CLAIMS_VERIFIED: counts,
    PublicField.CLAIM_SOURCE: st.none() | st.sampled_from([one.value for one in ClaimSource]),
}
