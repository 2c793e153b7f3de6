"""What does a page of the past say that it is?  A banner, a way back, and addresses that keep it.

Pure; it is made of the question and of what was found, and never of the present record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ledger.vocabulary import moment_text
from ledger.web import urls, wording

if TYPE_CHECKING:
    from ledger.past import Cut, Seen


@dataclass(frozen=True, slots=True)
class Past:
    """Which past a page shows, in words; ``parameters`` ask for the same past elsewhere."""

    headline: str
    sentence: str
    known_version: int
    parameters: Mapping[str, str]
    not_in_effect: frozenset[int] = field(default_factory=frozenset)

    def here(self, path: str) -> str:
        """Return an address with the same past in it."""
        return urls.with_query(path, self.parameters)


def build(seen: Seen) -> Past:
    """Return what a page says of the past that it shows."""
    left_out = frozenset(e.event.originator_version for e in seen.known if not e.counts)
    return Past(
        headline=_headline(seen),
        sentence=f"{_sentence(seen, len(left_out))}{_erased(seen)}",
        known_version=seen.version,
        parameters=seen.asked.parameters,
        not_in_effect=left_out,
    )


def _headline(seen: Seen) -> str:
    question = seen.asked
    parts = []
    if question.version is not None:
        parts.append(f"as of version {question.version}")
    if question.recorded_at is not None:
        parts.append(f"as recorded {_when(question.recorded_at)}")
    if question.as_of is not None:
        parts.append(f"as in effect {_when(question.as_of)}")
    text = ", ".join(parts)
    return text[:1].upper() + text[1:]


def _when(cut: Cut) -> str:
    if "T" in cut.text:
        return f"at {wording.moment(cut.text)}"
    return f"on {wording.day(cut.text)}"


def _sentence(seen: Seen, left_out: int) -> str:
    question = seen.asked
    last = (
        f"version {seen.version}, recorded at {wording.moment(moment_text(seen.last.recorded_at))}"
    )
    if question.as_of is None:
        return f"This is what was shown then: the record up to {last}, under the rules of that day."
    known = "Of everything that is known now"
    if question.recorded_at is not None or question.version is not None:
        known = f"Of what was known then, up to {last}"
    sentence = f"{known}, this counts what had taken effect"
    if left_out:
        return f"{sentence}; {wording.count(left_out, 'fact')} had not."
    return f"{sentence}, which is all of it."


def _erased(seen: Seen) -> str:
    if not seen.erased_since:
        return ""
    versions = ", ".join(map(str, seen.erased_since))
    return f" Texts of it were erased since: version {versions} of the record says when and why."
