"""What does a record say?  The value objects that submissions, assessments and corrections carry.

Immutable and free of I/O; a change of content is always a new value, never an edit.
"""

from __future__ import annotations

import hashlib
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import to_json, to_jsonable_python

from ledger.vocabulary import ClaimSource, Count, Day, Digest, Kind, Line, Prose, Score

REVIEWER_DECIMALS: Final = 1
CENT: Final = Decimal("0.01")


class Value(BaseModel):
    """A frozen value: unknown fields refused, nothing coerced."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, populate_by_name=True, serialize_by_alias=True
    )


def _spaced(value: Any) -> Any:
    """Return a JSON value with one space for any white space in its texts, and none at the ends."""
    if isinstance(value, dict):
        return {key: _spaced(part) for key, part in value.items()}
    return " ".join(value.split()) if isinstance(value, str) else value


def _in_order(value: Any) -> Any:
    """Return a JSON value with the members of its objects in the order of their names."""
    if not isinstance(value, dict):
        return value
    return {name: _in_order(value[name]) for name in sorted(value)}


class Abstract(Value):
    """The abstract, and the work that it was quoted from when it is not the record's own."""

    text: Prose
    quoted_from: Line | None = Field(
        default=None, description="Citation, DOI or URL of the work that the text belongs to."
    )


class Content(Value):
    """What a submission version says; its digest is what an evaluation is bound to."""

    kind: Kind = Kind.SYNTHESIS
    title: Line
    abstract: Abstract | None = None
    research_question: Prose | None = None
    publisher: Line
    note: Prose | None = None

    def digest(self) -> Digest:
        """Return the SHA-256 of the content's canonical JSON (sorted keys, compact, UTF-8)."""
        canonical = to_json(_in_order(self.model_dump(mode="json")))
        return "sha256:" + hashlib.sha256(canonical).hexdigest()

    def says_the_same(self, other: Content) -> bool:
        """Whether both say the same; how much white space stands where does not matter."""
        return bool(_spaced(self.model_dump(mode="json")) == _spaced(other.model_dump(mode="json")))


class ReviewerScores(Value):
    """One score from 0 to 10 with one decimal from each of the three reviewers."""

    challenger: Score
    confirmer: Score
    integrator: Score

    @model_validator(mode="after")
    def _one_decimal(self) -> Self:
        for score in (self.challenger, self.confirmer, self.integrator):
            if score != round(score, REVIEWER_DECIMALS):
                message = "a reviewer's score has one decimal"
                raise ValueError(message)
        return self


class Review(Value):
    """A review: the three scores, or a mean that a source stated without them."""

    scores: ReviewerScores | None = None
    stated_mean: Score | None = None
    method: Line | None = None

    @model_validator(mode="after")
    def _one_or_neither(self) -> Self:
        if self.scores is not None and self.stated_mean is not None:
            message = (
                "give the three scores or a stated mean, not both: the mean follows from the scores"
            )
            raise ValueError(message)
        return self

    @cached_property
    def mean(self) -> Decimal | None:
        """The mean as shown: two decimals from three scores, or as stated; None without either."""
        if self.scores is None:
            return self.stated_mean
        total = self.scores.challenger + self.scores.confirmer + self.scores.integrator
        return (total / 3).quantize(CENT, rounding=ROUND_HALF_UP)


_INCLUDED: Final = (
    ("cross_source_corroborated", "grounded"),
    ("cross_source_corroborated", "extracted"),
    ("artifact_inspected", "extracted"),
    ("sandbox_executed", "extracted"),
    ("independently_reproduced", "extracted"),
    ("externally_reviewed_or_formally_verified", "extracted"),
)
"""Each of these counts is of things that the other one counts, too."""


class ClaimCounts(Value):
    """How many claims reached which stage; None means that the count is not known."""

    extracted: Count | None = None
    grounded: Count | None = None
    verified: Count | None = None
    cross_source_corroborated: Count | None = None
    artifact_inspected: Count | None = None
    sandbox_executed: Count | None = None
    independently_reproduced: Count | None = None
    externally_reviewed_or_formally_verified: Count | None = None

    def disorder(self) -> str | None:
        """Return which known count exceeds one that includes it, or None.

        What is corroborated or verified is grounded, and everything that is counted was extracted.
        """
        chain = [(name, getattr(self, name)) for name in ("verified", "grounded", "extracted")]
        known = [(name, count) for name, count in chain if count is not None]
        for (inner, few), (outer, many) in pairwise(known):
            if few > many:
                return f"{inner} ({few}) exceeds {outer} ({many})"
        for inner, outer in _INCLUDED:
            part = getattr(self, inner)
            if part is None:
                continue
            whole = getattr(self, outer)
            if whole is not None and part > whole:
                return f"{inner.replace('_', ' ')} ({part}) exceeds {outer} ({whole})"
        return None


class PublicField(StrEnum):
    """A public field that a correction may change."""

    TITLE = "title"
    KIND = "kind"
    ABSTRACT = "abstract"
    ABSTRACT_SOURCE = "abstract-source"
    RESEARCH_QUESTION = "research-question"
    PUBLISHER = "publisher"
    NOTE = "note"
    SUBMITTED_ON = "submitted-on"
    REVIEW_METHOD = "review-method"
    CLAIMS_EXTRACTED = "claims-extracted"
    CLAIMS_GROUNDED = "claims-grounded"
    CLAIMS_VERIFIED = "claims-verified"
    CLAIM_SOURCE = "claim-source"


_PATHS: Final[dict[PublicField, tuple[str, ...]]] = {
    PublicField.TITLE: ("content", "title"),
    PublicField.KIND: ("content", "kind"),
    PublicField.ABSTRACT: ("content", "abstract", "text"),
    PublicField.ABSTRACT_SOURCE: ("content", "abstract", "quoted_from"),
    PublicField.RESEARCH_QUESTION: ("content", "research_question"),
    PublicField.PUBLISHER: ("content", "publisher"),
    PublicField.NOTE: ("content", "note"),
    PublicField.SUBMITTED_ON: ("submitted_on",),
    PublicField.REVIEW_METHOD: ("review", "method"),
    PublicField.CLAIMS_EXTRACTED: ("claims", "extracted"),
    PublicField.CLAIMS_GROUNDED: ("claims", "grounded"),
    PublicField.CLAIMS_VERIFIED: ("claims", "verified"),
    PublicField.CLAIM_SOURCE: ("claim_source",),
}

Scalar = (
    Annotated[str, Field(max_length=50_000)] | Annotated[int, Field(ge=0, le=10_000_000)] | None
)
"""The wire value of a correctable field: text, a whole number, or null for "none"."""


class Facts(Value):
    """The correctable public facts of a record as they now stand."""

    content: Content
    submitted_on: Day | None = None
    review: Review | None = None
    claims: ClaimCounts | None = None
    claim_source: ClaimSource | None = None

    @property
    def review_mean(self) -> Decimal | None:
        """The review score as shown, None without one."""
        return self.review.mean if self.review else None

    def value(self, field: PublicField) -> Scalar:
        """Return the wire value of one field, None where there is none."""
        found: Any = self
        for step in _PATHS[field]:
            found = None if found is None else getattr(found, step)
        value: Scalar = to_jsonable_python(found)
        return value

    def corrected(self, field: PublicField, to: Scalar) -> Facts:
        """Return the facts with one field replaced; raises ValidationError if it does not fit."""
        whole: dict[str, Any] = self.model_dump(mode="json")
        *way, last = _PATHS[field]
        place = whole
        for step in way:
            place[step] = place[step] if place[step] is not None else {}
            place = place[step]
        place[last] = to
        return Facts.model_validate_json(to_json(whole))
