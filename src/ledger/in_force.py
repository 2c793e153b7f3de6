"""Which gates and policies are in force?  The fold of the ledger-level facts, in log order.

Part of the published language: writers decide by it and views are derived under it.  Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final

from ledger.events import Event, GateActivated, PolicyAdopted
from ledger.vocabulary import Gate, PolicyVersion

GATE_LABELS: Final = {
    Gate.VERIFICATION: "Gate 2 — Verification (formal proof or sandbox reproduction)",
    Gate.RED_TEAM: "Gate 3 — Red team (three adversarial attackers)",
}
"""What a gate is called until its activation says otherwise."""


@dataclass(frozen=True, slots=True)
class Activation:
    """When a gate went live, and what it is called."""

    activated_on: date
    label: str


@dataclass(frozen=True, slots=True)
class InForce:
    """The facts in force after ``version`` ledger-level events."""

    version: int = 0
    gates: dict[Gate, Activation] = field(default_factory=dict)
    policies: dict[str, PolicyVersion] = field(default_factory=dict)

    def after(self, event: Event) -> InForce:
        """Return the facts in force after one more event; events of other kinds change nothing."""
        match event:
            case GateActivated(gate=gate):
                gates = self.gates | {gate: Activation(event.activated_on, event.label)}
                return replace(self, version=self.version + 1, gates=gates)
            case PolicyAdopted():
                policies = self.policies | {event.applies_to: event.policy}
                return replace(self, version=self.version + 1, policies=policies)
            case _:
                return self

    def label(self, gate: Gate) -> str:
        """Return what the gate is called."""
        return self.gates[gate].label if gate in self.gates else GATE_LABELS[gate]

    def policy(self, basis: str) -> PolicyVersion:
        """Return the policy version for records of a basis (``checked`` or ``stated``)."""
        default = PolicyVersion.V1 if basis == "stated" else PolicyVersion.V2
        return self.policies.get(basis, default)
