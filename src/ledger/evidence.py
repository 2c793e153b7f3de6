"""What backs a verdict?  Each form of evidence, and the outcome that its own figures imply.

Pure: the aggregate asks what a piece of evidence implies and refuses an outcome that disagrees.
"""

from __future__ import annotations

from decimal import Context, Decimal, Inexact, InvalidOperation
from fractions import Fraction
from functools import reduce
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from ledger.content import Value
from ledger.vocabulary import (
    AttackerRole,
    Count,
    Digest,
    Figure,
    Identifier,
    Line,
    Outcome,
    Prose,
    Score,
)

STANDARD_AXIOMS: Final = frozenset({"propext", "Classical.choice", "Quot.sound"})
"""Lean 4's own three axioms; any other may assume the claim, as ``sorryAx`` does."""
RELATIVE_TOLERANCE_MAX: Final = 1
"""Beyond 100 per cent even a result of 0 would be within the tolerance."""
_EXACT: Final = Context(prec=1_000, traps=[Inexact, InvalidOperation])
"""Scores have up to 60 digits and exponents down to -400, so their sums fit whole; or it raises."""
QUORUM_MIN: Final = 2
"""A single attacker is no team: its score cannot be held against another's."""


class Tolerance(Value):
    """How far computed may lie from expected: relative to ``|expected|``, or absolute."""

    kind: Literal["relative", "absolute"] = "relative"
    value: Figure = Field(ge=0, description="0.05 is five per cent when the kind is relative.")


class SandboxEvidence(Value):
    """A sealed-sandbox reproduction: what was run, what it computed, what was expected."""

    kind: Literal["sandbox"] = "sandbox"
    computed: Figure
    expected: Figure
    tolerance: Tolerance
    script_digest: Digest | None = None
    results_digest: Digest | None = None

    @property
    def scaleless(self) -> bool:
        """Whether the tolerance is relative to an expected value of 0, and so means nothing."""
        return self.tolerance.kind == "relative" and self.expected == 0

    @property
    def residual(self) -> Fraction:
        """The exact distance between computed and expected, never negative."""
        return abs(Fraction(self.computed) - Fraction(self.expected))

    def implied(self) -> Outcome | None:
        """Return passed when the residual is within the tolerance, else failed; exactly.

        A relative tolerance of more than 1 excludes nothing worth testing, and implies None.
        """
        if self.tolerance.kind == "relative" and self.tolerance.value > RELATIVE_TOLERANCE_MAX:
            return None
        scale = abs(Fraction(self.expected)) if self.tolerance.kind == "relative" else Fraction(1)
        within = self.residual <= Fraction(self.tolerance.value) * scale
        return Outcome.PASSED if within else Outcome.FAILED

    def artifacts(self) -> tuple[tuple[str, Digest | None], ...]:
        """Return the artifact roles that this evidence rests on, with their digests."""
        return (("repro-script", self.script_digest), ("repro-results", self.results_digest))


class LeanEvidence(Value):
    """A Lean 4 run over a proof source."""

    kind: Literal["lean4"] = "lean4"
    source_digest: Digest | None = None
    toolchain: Line
    exit_code: int = Field(ge=0, le=255)
    axioms: tuple[Identifier, ...] = Field(default=(), max_length=100)

    def implied(self) -> Outcome | None:
        """Return failed without a type-check, passed on the standard axioms alone, else None."""
        if self.exit_code != 0:
            return Outcome.FAILED
        return Outcome.PASSED if STANDARD_AXIOMS.issuperset(self.axioms) else None

    def artifacts(self) -> tuple[tuple[str, Digest | None], ...]:
        """Return the artifact roles that this evidence rests on, with their digests."""
        return (("proof-source", self.source_digest),)


class Attack(Value):
    """What one attacker reported: a score and a finding, or the error that it ended in."""

    role: AttackerRole
    score: Score | None = None
    finding: Prose | None = None
    error: Line | None = None

    @property
    def valid(self) -> bool:
        """Whether this attacker finished: a crashed attacker is missing, not zero."""
        return self.score is not None and self.error is None


class Aggregation(Value):
    """How attack scores become an outcome: by name, with its threshold and quorum."""

    rule: Literal["mean"] = "mean"
    threshold: Score = Field(description="A mean at or above this score is a failed gate.")
    quorum: int = Field(ge=1, le=3, description="How many valid scores are needed.")


class RedTeamEvidence(Value):
    """What the attackers of the red-team gate reported, and how it was added up."""

    kind: Literal["red-team"] = "red-team"
    attacks: tuple[Attack, ...] = Field(min_length=1, max_length=3)
    aggregation: Aggregation | None = None
    mean: Score | None = Field(default=None, description="The mean as the evaluator reported it.")

    @model_validator(mode="after")
    def _one_attack_per_role(self) -> Self:
        if len({attack.role for attack in self.attacks}) != len(self.attacks):
            message = "each attacker role may appear once"
            raise ValueError(message)
        return self

    @property
    def valid_scores(self) -> tuple[Decimal, ...]:
        """The scores of the attackers that finished."""
        return tuple(a.score for a in self.attacks if a.valid and a.score is not None)

    @property
    def dissent(self) -> tuple[AttackerRole, ...]:
        """The attackers whose own score lies below the threshold."""
        if self.aggregation is None:
            return ()
        bar = self.aggregation.threshold
        return tuple(
            a.role for a in self.attacks if a.valid and a.score is not None and a.score < bar
        )

    def recomputed_mean(self, scores: tuple[Decimal, ...] | None = None) -> Fraction | None:
        """Return the exact mean over ``scores`` (by default the valid ones), None without any."""
        counted = self.valid_scores if scores is None else scores
        return Fraction(sum(map(Fraction, counted)), len(counted)) if counted else None

    def mean_agrees(self, scores: tuple[Decimal, ...] | None = None) -> bool:
        """Whether the reported mean is the recomputed one, at the decimals that were reported."""
        counted = self.valid_scores if scores is None else scores
        if self.mean is None or not counted:
            return self.mean is None
        exponent = self.mean.as_tuple().exponent
        # A mean written as 1E+1 is no coarser than one written as 10.
        decimals = max(-exponent, 0) if isinstance(exponent, int) else 0
        # |mean - total / n| <= 10^-decimals / 2 without a division: exact, and quicker by far than
        # fractions, which every record with such evidence would pay for in every view.
        total = reduce(_EXACT.add, counted)
        off = _EXACT.subtract(_EXACT.multiply(self.mean, len(counted)), total)
        return _EXACT.abs(_EXACT.scaleb(_EXACT.multiply(off, 2), decimals)) <= len(counted)

    @property
    def scores_with_crashes_as_zero(self) -> tuple[Decimal, ...]:
        """The scores as they would be if a crashed attacker counted as 0."""
        return tuple(
            a.score if a.valid and a.score is not None else Decimal(0) for a in self.attacks
        )

    def implied(self) -> Outcome | None:
        """Return failed or passed by the aggregation rule; None without a rule or a quorum.

        None as well if a single attacker would do, or if a mean of 0 would be a failure.
        """
        exact = self.recomputed_mean()
        if (
            self.aggregation is None
            or exact is None
            or self.aggregation.quorum < QUORUM_MIN
            or self.aggregation.threshold == 0
            or len(self.valid_scores) < self.aggregation.quorum
        ):
            return None
        return Outcome.FAILED if exact >= Fraction(self.aggregation.threshold) else Outcome.PASSED

    def artifacts(self) -> tuple[tuple[str, Digest | None], ...]:
        """Return no roles: the findings are the evidence."""
        return ()


class CounterexampleEvidence(Value):
    """A counterexample to a claim of the record."""

    kind: Literal["counterexample"] = "counterexample"
    digest: Digest | None = None
    cases_tried: Count | None = None

    def implied(self) -> Outcome | None:
        """Return failed: a counterexample falsifies."""
        return Outcome.FAILED

    def artifacts(self) -> tuple[tuple[str, Digest | None], ...]:
        """Return the artifact role that this evidence rests on, with its digest."""
        return (("counterexample", self.digest),)


Evidence = Annotated[
    SandboxEvidence | LeanEvidence | RedTeamEvidence | CounterexampleEvidence,
    Field(discriminator="kind"),
]
