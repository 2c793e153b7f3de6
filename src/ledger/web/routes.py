"""Which appends does the API take?  A table: path, body, scope, what it does, what it may refuse.

Data only: how a request becomes an append, and an append an answer, is in ``ledger.web.appends``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ledger import errors
from ledger.commands import (
    AssessReview,
    Attach,
    Command,
    Correct,
    CountClaims,
    Erase,
    Evaluate,
    Register,
    Resubmit,
    Submit,
    Supersede,
)
from ledger.engine import Request
from ledger.store import Receipt
from ledger.vocabulary import Scope
from ledger.web import urls

if TYPE_CHECKING:
    from ledger.application import Ledger

Refusals = tuple[type[errors.Refusal], ...]
Act = Callable[["Ledger", str, Any, Request], Awaitable[Receipt]]
Tell = Callable[["Ledger", Receipt], Awaitable[dict[str, Any]]]

COMMON: Final[Refusals] = (
    errors.InvalidBody,
    errors.MalformedJson,
    errors.InvalidParameter,
    errors.BodyTooLarge,
    errors.UnsupportedMediaType,
    errors.IdempotencyKeyMissing,
    errors.IdempotencyKeyReused,
    errors.RequestInFlight,
    errors.NotAuthenticated,
    errors.NotAllowed,
    errors.Overloaded,
    errors.StoreUnavailable,
    errors.LogRolledBack,
)
ON_A_RECORD: Final[Refusals] = (
    errors.RecordUnknown,
    errors.PreconditionMissing,
    errors.StaleVersion,
)
EDIT: Final[Refusals] = (errors.SupersededRecord,)
DATED: Final[Refusals] = (errors.DatedInTheFuture, errors.DatedBeforeSubmission)


@dataclass(frozen=True, slots=True)
class Route:
    """One append of the API: to a new record, to a named one, or to that of an event.

    ``tell`` gives what an answer says besides the receipt; it reads that from what is stored.
    """

    name: str
    path: str
    body: type[Command]
    act: Act
    refusals: Refusals
    scope: Scope | None = None
    """None where the scope depends on the gate that the body names."""
    tell: Tell | None = None


async def _submit(ledger: Ledger, _record: str, command: Submit, request: Request) -> Receipt:
    return await ledger.submit(command, request)


async def _still_holding(ledger: Ledger, receipt: Receipt) -> dict[str, Any]:
    return {"also_at": await ledger.still_holding(receipt)}


ROUTES: Final = (
    Route(
        "submit",
        urls.RECORDS,
        Submit,
        _submit,
        (errors.HandleTaken, errors.SubmittedInTheFuture, errors.ClaimsOutOfOrder),
        Scope.SUBMIT,
    ),
    Route(
        "resubmit",
        urls.SUBMISSIONS,
        Resubmit,
        lambda ledger, record, command, request: ledger.resubmit(record, command, request),
        (
            *EDIT,
            errors.UnchangedContent,
            errors.SubmittedInTheFuture,
            errors.DatedBeforeSubmission,
        ),
        Scope.SUBMIT,
    ),
    Route(
        "register",
        urls.REGISTRATIONS,
        Register,
        lambda ledger, record, command, request: ledger.register(record, command, request),
        (
            *EDIT,
            errors.DoiAlreadyRegistered,
            errors.DoiNotAddressable,
            errors.DoiTaken,
            errors.DatedInTheFuture,
        ),
        Scope.REGISTER,
    ),
    Route(
        "assess-review",
        urls.REVIEWS,
        AssessReview,
        lambda ledger, record, command, request: ledger.assess_review(record, command, request),
        (*EDIT, *DATED),
        Scope.SUBMIT,
    ),
    Route(
        "count-claims",
        urls.CLAIMS,
        CountClaims,
        lambda ledger, record, command, request: ledger.count_claims(record, command, request),
        (*EDIT, *DATED, errors.ClaimsOutOfOrder),
        Scope.SUBMIT,
    ),
    Route(
        "evaluate",
        urls.GATE_EVALUATIONS,
        Evaluate,
        lambda ledger, record, command, request: ledger.evaluate(record, command, request),
        (
            errors.GateNotActive,
            errors.EvaluationExists,
            errors.SubjectMismatch,
            errors.EvaluatedBeforeSubmission,
            errors.EvaluatedInTheFuture,
            errors.MethodNotOfGate,
            errors.EvidenceOfAnotherMethod,
            errors.VerifiedWithoutArtifact,
            errors.FalsifiedWithoutEvidence,
            errors.OutcomeContradictsEvidence,
            errors.RelativeToleranceOfZero,
            errors.CrashedAttackerAveraged,
            errors.MeanContradictsScores,
            errors.AggregationMissing,
            errors.QuorumNotMet,
            errors.WithdrawalWithoutTarget,
            errors.EvaluationUnknown,
            errors.WithdrawalStands,
            errors.EvaluationAlreadyWithdrawn,
        ),
    ),
    Route(
        "correct",
        urls.RECORD_CORRECTIONS,
        Correct,
        lambda ledger, record, command, request: ledger.correct(record, command, request),
        (
            *EDIT,
            *DATED,
            errors.StaleCorrection,
            errors.CorrectionWithoutEffect,
            errors.CorrectionDoesNotFit,
            errors.CorrectionExists,
            errors.CorrectionUnknown,
            errors.NothingToReinstate,
            errors.SubmittedInTheFuture,
            errors.EvaluatedBeforeSubmission,
            errors.ClaimsOutOfOrder,
        ),
        Scope.CORRECT,
    ),
    Route(
        "supersede",
        urls.SUPERSESSION,
        Supersede,
        lambda ledger, record, command, request: ledger.supersede(record, command, request),
        (
            *EDIT,
            *DATED,
            errors.SupersedesItself,
            errors.SuccessorUnknown,
            errors.SupersedingCycle,
        ),
        Scope.CORRECT,
    ),
    Route(
        "erase",
        urls.ERASURE,
        Erase,
        lambda ledger, position, command, request: ledger.erase(int(position), command, request),
        (
            errors.EventUnknown,
            errors.NotErasable,
            errors.NothingToErase,
            errors.ReasonRepeatsText,
        ),
        Scope.ADMIN,
        _still_holding,
    ),
)

ATTACH_REFUSALS: Final[Refusals] = (
    *EDIT,
    errors.ArtifactAlreadyAttached,
    errors.ArtifactTooLarge,
    errors.ArtifactMissing,
    errors.DigestMismatch,
)


async def _not_sized(_ledger: Ledger, _record: str, _command: Attach, _asked: Request) -> Receipt:
    # The size of the bytes is known to the endpoint only, which puts its own act in place.
    raise errors.ArtifactMissing


ATTACHMENT: Final = Route(
    "attach", urls.ARTIFACTS, Attach, _not_sized, ATTACH_REFUSALS, Scope.ATTACH
)
"""Attaching, which takes bytes or a digest and so has an endpoint of its own."""
