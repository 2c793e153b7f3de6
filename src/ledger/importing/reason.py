"""What does the reason of a verdict say was done?  Its gate, method, figures and attackers.

It must never fill in what the sentence leaves out: evidence is read wholly or not at all.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from ledger.content import Value
from ledger.evidence import Attack, Evidence, RedTeamEvidence, SandboxEvidence, Tolerance
from ledger.importing import values
from ledger.vocabulary import AttackerRole, Figure, Gate, Method

_RED_TEAM: Final = re.compile(
    r"\[Gate (?P<gate>[0-9]+) RED-TEAM(?: [A-Z-]+)?\]\s*"
    r"(?:avg_attack_score=(?P<mean>\S+?)/10\.?(?=\s|\Z))?\s*(?P<attacks>.*)\Z",
    re.DOTALL,
)
_ATTACK: Final = re.compile(r"(?:\A|; ?)(?P<role>[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)\((?P<in>[^()]*)\):")
_SANDBOX: Final = re.compile(
    rf"\bcomputed (?P<computed>{values.NUMBER}) (?:matches|≠|!=|does not match) "
    rf"expected (?P<expected>{values.NUMBER}) "
    rf"\((?:diff=(?P<difference>{values.NUMBER})%, ?)?tolerance=(?P<tolerance>{values.NUMBER})%\)",
    re.IGNORECASE,
)
_NO_SCORE: Final = re.compile(
    r"error|err|crash(?:ed)?|failed|timeout|none|n/a|nan|-*", re.IGNORECASE
)
_CRASH: Final = re.compile(
    r"\W*(?:(?:the )?attacker |agent )?(?:has )?"
    r"(?:crash|[a-z]*(?:error|exception)\s*(?:[:(\[]|\Z)|traceback\b|timed[ -]?out\b|timeout\b"
    r"|failed to (?:run|respond|finish|parse)\b|no (?:response|output)\b)",
    re.IGNORECASE,
)
_NOTHING_DONE: Final = re.compile(r"\b(?:no|nothing)\b|\bnot (?:been )?attempted\b", re.IGNORECASE)
_CLAUSE_END: Final = re.compile(r"[.;]")
_BEFORE: Final = re.compile(r"\bbefore\b", re.IGNORECASE)
_ACTIVATION: Final = re.compile(
    r"\b(?:activat(?:ed|ion)|(?:went|go(?:es|ing)?) live)\b", re.IGNORECASE
)


class Reading(Value):
    """What a reason names; ``difference`` is the printed one in per cent, kept as it stands.

    ``gate`` is the one that the reason itself claims the verdict for, None without such a claim.
    ``unread`` names what the sentence has but no field can take.
    """

    gate: Gate | None = None
    method: Method | None = None
    evidence: Evidence | None = None
    difference: Figure | None = None
    predates_activation: bool = False
    unread: tuple[str, ...] = ()


def read(text: str) -> Reading:
    """Return what the reason says, whatever it says."""
    if (found := _RED_TEAM.search(text)) is not None:
        evidence = _red_team(found)
        unread = () if evidence is not None else ("red-team attackers",)
        gate = values.gate(found[0])
        return Reading(gate=gate, method=Method.RED_TEAM, evidence=evidence, unread=unread)
    if (figures := _SANDBOX.search(text)) is not None:
        return _sandbox(figures)
    predates = says_before_activation(text)
    if predates or _NOTHING_DONE.search(text):
        return Reading(predates_activation=predates)
    if re.search(r"\bsandbox\b", text, re.IGNORECASE):
        return Reading(method=Method.SANDBOX, unread=("sandbox figures",))
    if re.search(r"\blean ?4\b", text, re.IGNORECASE):
        return Reading(method=Method.LEAN4, unread=("Lean 4 run",))
    return Reading()


def says_before_activation(text: str) -> bool:
    """Whether a clause of the text says that something was before an activation.

    Each clause is read once: one expression for both takes quadratic time on a hostile text.
    """
    return any(
        (before := _BEFORE.search(clause)) is not None and _ACTIVATION.search(clause, before.end())
        for clause in _CLAUSE_END.split(text)
    )


def _sandbox(found: re.Match[str]) -> Reading:
    computed, expected = values.figure(found["computed"]), values.figure(found["expected"])
    percent, difference = found["tolerance"], found["difference"]
    tolerance = values.figure(percent)
    gap = None if difference is None else values.figure(difference)
    evidence = None
    if computed is not None and expected is not None and tolerance is not None and tolerance >= 0:
        relative = values.fit(Figure, _per_cent(tolerance))
        if relative is not None:
            evidence = SandboxEvidence(
                computed=computed, expected=expected, tolerance=Tolerance(value=relative)
            )
    unread = [] if evidence else ["sandbox figures"]
    if difference is not None and gap is None:
        unread.append("difference")
    return Reading(
        method=Method.SANDBOX,
        evidence=evidence,
        difference=gap,
        unread=tuple(unread),
    )


def _per_cent(number: Decimal) -> Decimal:
    """Return the number divided by 100, every printed digit kept: ``5.0`` becomes ``0.050``."""
    sign, digits, exponent = number.as_tuple()
    return Decimal((sign, digits, int(exponent) - 2))


def _red_team(found: re.Match[str]) -> RedTeamEvidence | None:
    mean = None if found["mean"] is None else values.score(found["mean"])
    if found["mean"] is not None and mean is None:
        return None
    told = found["attacks"]
    heads = list(_ATTACK.finditer(told))
    if not heads or heads[0].start() != 0:
        return None
    ends = [*(head.start() for head in heads[1:]), len(told)]
    try:
        attacks = [
            _attack(head, told[head.end() : end]) for head, end in zip(heads, ends, strict=True)
        ]
        return RedTeamEvidence(attacks=tuple(attacks), mean=mean)
    except ValueError:  # pydantic's ValidationError is one, too
        return None


def _attack(head: re.Match[str], finding: str) -> Attack:
    """Return one attack; raises ValueError for an unknown role or a score that is none."""
    role = AttackerRole(head["role"])
    printed = head["in"].strip()
    said = finding if finding.strip() else None
    if _NO_SCORE.fullmatch(printed):
        return Attack(role=role, error=(said or printed or "no score").strip())
    score = values.score(printed)
    if score is None:
        message = f"{printed} is no attack score"
        raise ValueError(message)
    if score == 0 and said is not None and _CRASH.match(said):
        # The source prints 0 for an attacker that did not finish: missing is what it was.
        return Attack(role=role, error=said.strip())
    return Attack(role=role, score=score, finding=said)
