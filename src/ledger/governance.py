"""How do gates go live and policies come into force?  The rules of the ledger's own stream.

Pure.  All these facts live on one stream, so that its version names exactly what is in force.
"""

from __future__ import annotations

from datetime import date
from typing import Final, Literal

from ledger import errors
from ledger.events import GateActivated, LogBegun, PolicyAdopted
from ledger.in_force import GATE_LABELS, InForce
from ledger.vocabulary import Gate, PolicyVersion

STREAM: Final = "ledger"
GATE_2_LIVE: Final = date(2026, 6, 10)
"""The day on which Gate 2 went live, as the published record pages state it."""


def activate_gate(
    in_force: InForce, gate: Gate, on: date, actor: str, label: str | None = None
) -> GateActivated:
    """Decide that a gate goes live on a day; once per gate."""
    if gate in in_force.gates:
        raise errors.GateAlreadyActive
    return GateActivated(
        originator_id=STREAM,
        originator_version=in_force.version + 1,
        actor=actor,
        gate=gate,
        activated_on=on,
        label=label or GATE_LABELS[gate],
    )


def adopt_policy(
    in_force: InForce,
    policy: PolicyVersion,
    applies_to: Literal["checked", "stated"],
    reason: str,
    actor: str,
) -> PolicyAdopted:
    """Decide that records of one basis are shown under a policy version from now on."""
    if in_force.policies.get(applies_to) is policy:
        raise errors.PolicyInForce
    return PolicyAdopted(
        originator_id=STREAM,
        originator_version=in_force.version + 1,
        actor=actor,
        policy=policy,
        applies_to=applies_to,
        reason=reason,
    )


def begin_log(
    version: int, origin: str, before: tuple[str, int, bytes] | None, reason: str, actor: str
) -> LogBegun:
    """Decide that the log is signed under a new name; ``version`` is that of its own stream.

    ``before`` is the name, size and root of the last checkpoint under the earlier name.
    """
    name, size, root = before or (None, None, None)
    return LogBegun(
        originator_id=LogBegun.STREAM,
        originator_version=version + 1,
        actor=actor,
        origin=origin,
        follows=name,
        follows_size=size,
        follows_root=None if root is None else f"sha256:{root.hex()}",
        reason=reason,
    )


def founding(actor: str, today: date) -> tuple[GateActivated | PolicyAdopted, ...]:
    """Return the first events of a new ledger: both gates live, a policy for each basis."""
    nothing = InForce()
    gate_2 = activate_gate(nothing, Gate.VERIFICATION, GATE_2_LIVE, actor)
    with_2 = nothing.after(gate_2)
    gate_3 = activate_gate(with_2, Gate.RED_TEAM, today, actor)
    with_3 = with_2.after(gate_3)
    stated = adopt_policy(
        with_3,
        PolicyVersion.V1,
        "stated",
        "Imported records are shown as they were published.",
        actor,
    )
    with_stated = with_3.after(stated)
    checked = adopt_policy(
        with_stated,
        PolicyVersion.V2,
        "checked",
        "Records whose evidence the ledger checks are derived from that evidence.",
        actor,
    )
    return gate_2, gate_3, stated, checked
