"""Why was it refused?  Every refusal of the ledger: a class, a stable code, one sentence.

The class docstring is the general sentence; an instance may say it more exactly.
This room knows no HTTP: the web maps families of refusals to statuses in one table.
"""

from __future__ import annotations

from typing import ClassVar


class Refusal(Exception):
    """The request was refused."""

    code: ClassVar[str] = "refused"

    def __init__(self, detail: str | None = None, **context: object) -> None:
        """Say it with ``detail`` or the class's own sentence; ``context`` is for machines."""
        self.detail = detail or " ".join((type(self).__doc__ or "").split())
        self.context = context
        super().__init__(self.detail)


# ---------------------------------------------------------------- families


class Malformed(Refusal):
    """The request cannot be read as what it claims to be."""


class RuleBroken(Refusal):
    """The request is well formed, but a rule of the ledger forbids it."""


class Conflict(Refusal):
    """The request contradicts what the ledger already holds."""


class NotFound(Refusal):
    """There is no such thing in the ledger."""


class Unavailable(Refusal):
    """The ledger cannot answer now; the same request may succeed later."""


# ---------------------------------------------------------------- requests


class InvalidBody(Malformed):
    """The body does not have the documented shape."""

    code = "invalid-body"


class InvalidParameter(Malformed):
    """A path, query or header value does not have the documented shape."""

    code = "invalid-parameter"


class MalformedJson(Malformed):
    """The body is not JSON that the ledger can read."""

    code = "malformed-json"


class UnsupportedMediaType(Malformed):
    """This content type is not taken here."""

    code = "unsupported-media-type"


class NoSuchPage(NotFound):
    """There is nothing at this address."""

    code = "no-such-page"


class MethodNotTaken(Refusal):
    """This address does not take this method."""

    code = "method-not-taken"


class InternalFault(Refusal):
    """Something went wrong inside the ledger; the request was not carried out."""

    code = "internal-fault"


class BodyTooLarge(Malformed):
    """The body is larger than the stated limit."""

    code = "body-too-large"


class NotAuthenticated(Refusal):
    """This needs an API key in the Authorization header, as a Bearer token."""

    code = "not-authenticated"


class NotAllowed(Refusal):
    """The API key does not have the scope that this needs."""

    code = "not-allowed"


class IdempotencyKeyMissing(Malformed):
    """Every append needs an Idempotency-Key header, so that a retry cannot append twice."""

    code = "idempotency-key-missing"


class IdempotencyKeyReused(RuleBroken):
    """This Idempotency-Key was used before with another request."""

    code = "idempotency-key-reused"


class RequestInFlight(Conflict):
    """A request with this Idempotency-Key is being worked on."""

    code = "request-in-flight"


class PreconditionMissing(Refusal):
    """An append to an existing record needs If-Match with the ETag of the version that you saw."""

    code = "precondition-missing"


class StaleVersion(Refusal):
    """The record has changed since the version that you named."""

    code = "stale-version"


class Overloaded(Unavailable):
    """The queue of appends is full."""

    code = "overloaded"


class ProjectionBehind(Unavailable):
    """The view has not reached the position that you asked for."""

    code = "projection-behind"


class TooManyStreams(Unavailable):
    """As many readers as there may be follow the log here already."""

    code = "too-many-streams"


class StoreUnavailable(Unavailable):
    """The store cannot be reached or written."""

    code = "store-unavailable"


# ---------------------------------------------------------------- records


class RecordUnknown(NotFound):
    """No record has this id, handle or DOI."""

    code = "record-unknown"


class VersionUnknown(NotFound):
    """The record has no such version yet."""

    code = "version-unknown"


class NotYetRecorded(NotFound):
    """Nothing of the record was recorded at that moment yet."""

    code = "not-yet-recorded"


class NotYetInEffect(NotFound):
    """Nothing of the record was in effect at that moment yet."""

    code = "not-yet-in-effect"


class MomentInFuture(RuleBroken):
    """The moment that you ask about lies in the future."""

    code = "moment-in-future"


class MomentsContradict(RuleBroken):
    """The version is not the one that the record had at the moment that you ask about."""

    code = "moments-contradict"


class ContractNotApplicable(NotFound):
    """The record has no document under this contract."""

    code = "contract-not-applicable"


class ArtifactUnknown(NotFound):
    """No public artifact has this digest."""

    code = "artifact-unknown"


class HistoryDiverged(Conflict):
    """This log does not hold the events that you have seen: it is another one, or an older one."""

    code = "history-diverged"


class HandleTaken(Conflict):
    """Another record holds this handle."""

    code = "handle-taken"


class RecordExists(Conflict):
    """This record has been submitted already."""

    code = "record-exists"


class SourceAlreadyImported(Conflict):
    """This source has been imported already."""

    code = "source-already-imported"


class DoiTaken(Conflict):
    """Another record of this ledger is registered under this DOI."""

    code = "doi-taken"


class DoiNotAddressable(RuleBroken):
    """This DOI ends in a word that names a part of a record, so nobody could ask for it."""

    code = "doi-not-addressable"


class DoiAlreadyRegistered(Conflict):
    """This record has its DOI already, and a record has one."""

    code = "doi-already-registered"


class SupersededRecord(Conflict):
    """This record is superseded: nothing on it is edited any more."""

    code = "record-superseded"


class SuccessorUnknown(RuleBroken):
    """The superseding record is not in this ledger."""

    code = "successor-unknown"


class SupersedesItself(RuleBroken):
    """A record cannot supersede itself."""

    code = "supersedes-itself"


class SupersedingCycle(RuleBroken):
    """The superseding record is, directly or through others, superseded by this one."""

    code = "superseding-cycle"


class UnchangedContent(Conflict):
    """The content is the same as that of the current submission."""

    code = "unchanged-content"


class SubmittedInTheFuture(RuleBroken):
    """The submission date lies in the future."""

    code = "submitted-in-the-future"


class DatedInTheFuture(RuleBroken):
    """The date of this fact lies in the future."""

    code = "dated-in-the-future"


class DatedBeforeSubmission(RuleBroken):
    """The date of this fact lies before the record's submission."""

    code = "dated-before-submission"


class ClaimsOutOfOrder(RuleBroken):
    """The claim counts break verified <= grounded <= extracted."""

    code = "claims-out-of-order"


class ArtifactAlreadyAttached(Conflict):
    """This artifact is attached in this role already."""

    code = "artifact-already-attached"


class DigestMismatch(RuleBroken):
    """The bytes do not have the digest that was announced."""

    code = "digest-mismatch"


class ArtifactMissing(RuleBroken):
    """No public artifact has this digest: upload the bytes."""

    code = "artifact-missing"


class ArtifactTooLarge(Malformed):
    """The artifact is larger than the stated limit."""

    code = "artifact-too-large"


# ---------------------------------------------------------------- gates and evidence


class GateNotActive(RuleBroken):
    """This gate has not been activated in this ledger."""

    code = "gate-not-active"


class EvaluationExists(Conflict):
    """An evaluation with this id is recorded already."""

    code = "evaluation-exists"


class SubjectMismatch(RuleBroken):
    """The record has no submission version with this number and digest."""

    code = "subject-mismatch"


class EvaluatedBeforeSubmission(RuleBroken):
    """An evaluation cannot be older than the submission that it is about."""

    code = "evaluated-before-submission"


class EvaluatedInTheFuture(RuleBroken):
    """An evaluation cannot lie in the future."""

    code = "evaluated-in-the-future"


class MethodNotOfGate(RuleBroken):
    """This gate does not evaluate by this method."""

    code = "method-not-of-gate"


class EvidenceOfAnotherMethod(RuleBroken):
    """The evidence is of another kind than the method."""

    code = "evidence-of-another-method"


class VerifiedWithoutArtifact(RuleBroken):
    """Passing needs the artifact attached: proof source, or repro script and repro results."""

    code = "verified-without-artifact"


class FalsifiedWithoutEvidence(RuleBroken):
    """Failing needs the evidence of the failure, with the artifacts that it names attached."""

    code = "falsified-without-evidence"


class OutcomeContradictsEvidence(RuleBroken):
    """The outcome disagrees with the evidence's own figures."""

    code = "outcome-contradicts-evidence"


class RelativeToleranceOfZero(RuleBroken):
    """A relative tolerance means nothing when the expected value is 0: give an absolute one."""

    code = "relative-tolerance-of-zero"


class CrashedAttackerAveraged(RuleBroken):
    """The mean counts a crashed attacker: a failed attacker is missing, not zero."""

    code = "crashed-attacker-averaged"


class MeanContradictsScores(RuleBroken):
    """The reported mean is not the mean of the valid attack scores."""

    code = "mean-contradicts-scores"


class AggregationMissing(RuleBroken):
    """A red-team evaluation names its aggregation rule, threshold and quorum."""

    code = "aggregation-missing"


class QuorumNotMet(RuleBroken):
    """Too few attackers finished for the outcome to stand."""

    code = "quorum-not-met"


class WithdrawalWithoutTarget(RuleBroken):
    """An invalid-check outcome names the evaluation that it withdraws, and only it may name one."""

    code = "withdrawal-without-target"


class EvaluationUnknown(RuleBroken):
    """The record has no evaluation of this gate with this id."""

    code = "evaluation-unknown"


class WithdrawalStands(RuleBroken):
    """An invalid-check outcome cannot be withdrawn itself: evaluate again with a sound check."""

    code = "withdrawal-stands"


class EvaluationAlreadyWithdrawn(Conflict):
    """This evaluation is withdrawn already."""

    code = "evaluation-already-withdrawn"


# ---------------------------------------------------------------- corrections


class StaleCorrection(Conflict):
    """A field does not say what the correction says it says."""

    code = "stale-correction"


class CorrectionWithoutEffect(RuleBroken):
    """A change has the same value before and after, or names a field twice."""

    code = "correction-without-effect"


class CorrectionDoesNotFit(RuleBroken):
    """The new value does not fit the field."""

    code = "correction-does-not-fit"


class CorrectionExists(Conflict):
    """A correction with this id is recorded already."""

    code = "correction-exists"


class CorrectionUnknown(RuleBroken):
    """The record has no correction with this id."""

    code = "correction-unknown"


class NothingToReinstate(Conflict):
    """The record's standing is not in doubt, so there is nothing to reinstate."""

    code = "nothing-to-reinstate"


# ---------------------------------------------------------------- erasure


class EventUnknown(NotFound):
    """The log has no event at this position."""

    code = "event-unknown"


class NotErasable(RuleBroken):
    """Only texts of a record's event can be erased, nothing that a verdict or a proof rests on."""

    code = "not-erasable"


class NothingToErase(Conflict):
    """This member holds no text, or its text was erased before."""

    code = "nothing-to-erase"


class ReasonRepeatsText(RuleBroken):
    """The reason or the legal basis repeats a text that it is to erase, and both are public."""

    code = "reason-repeats-text"


# ---------------------------------------------------------------- the ledger itself


class GateAlreadyActive(Conflict):
    """This gate was activated already."""

    code = "gate-already-active"


class PolicyInForce(Conflict):
    """This policy version is in force already."""

    code = "policy-in-force"


class KeyUnknown(NotFound):
    """There is no such API key."""

    code = "key-unknown"


class KeyAlreadyRevoked(Conflict):
    """This API key is revoked already."""

    code = "key-already-revoked"


class UnreadablePage(Malformed):
    """The file is not a record page in a dialect that the ledger reads."""

    code = "unreadable-page"


class UnreadableFeed(Malformed):
    """The file is not a feed of corrections that the ledger reads."""

    code = "unreadable-feed"


class UnreadableEvent(Refusal):
    """A stored event cannot be read by this program."""

    code = "unreadable-event"


class NotInitialised(Refusal):
    """There is no ledger here: run ``ledger init`` first."""

    code = "not-initialised"


class LedgerNotEmpty(Conflict):
    """The ledger holds events already; an archive is imported where there is none."""

    code = "ledger-not-empty"


class BrokenArchive(Malformed):
    """The archive is not whole, or not what its checkpoint says it is."""

    code = "broken-archive"


class ErasureNotCovered(Unavailable):
    """An erasure is in no checkpoint yet, so that an archive could not show it."""

    code = "erasure-not-covered"


class AnotherArchive(Conflict):
    """The folder holds something else than an archive of this ledger; nothing was written."""

    code = "another-archive"


class WrongSchema(Refusal):
    """The database has another schema version than this program."""

    code = "wrong-schema"


# ---------------------------------------------------------------- the signed log


class LogNotSigned(NotFound):
    """The log has published no checkpoint: it has no key to sign one, or nothing to sign yet."""

    code = "log-not-signed"


class LogKeyUnusable(Refusal):
    """The log's key, or what is remembered beside it, cannot be used."""

    code = "log-key-unusable"


class LogKeyExists(Conflict):
    """There is a key of the log already."""

    code = "log-key-exists"


class LogRolledBack(Unavailable):
    """The database holds less or other than was published, so nothing is appended or published."""

    code = "log-rolled-back"


class LogStopped(Conflict):
    """The log publishes nothing more, because it would contradict what it has published."""

    code = "log-stopped"


class LogAltered(Conflict):
    """The rows of the log are not those that were published."""

    code = "log-altered"


class WitnessesMissing(Unavailable):
    """Too few witnesses have cosigned a checkpoint, so it is not published."""

    code = "witnesses-missing"


class WitnessesUnusable(Refusal):
    """The witnesses of the log are not said as they have to be."""

    code = "witnesses-unusable"


class TileUnknown(NotFound):
    """The log has published no such tile or bundle."""

    code = "tile-unknown"
