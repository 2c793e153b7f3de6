"""Gates go live once, policies come into force in turn, and keys are issued, known and revoked."""

from __future__ import annotations

from datetime import date

import pytest

from ledger import actors, errors, governance
from ledger.events import Event, GateActivated, PolicyAdopted
from ledger.in_force import GATE_LABELS, InForce
from ledger.vocabulary import Gate, PolicyVersion, Scope
from view_facts import RECORD, submitted

TODAY = date(2026, 7, 10)
FOUNDING = governance.founding("operator", TODAY)


def folded(*events: Event) -> InForce:
    in_force = InForce()
    for event in events:
        in_force = in_force.after(event)
    return in_force


def test_a_ledger_is_founded_with_both_gates_and_a_policy_for_each_basis() -> None:
    in_force = folded(*FOUNDING)
    assert [event.originator_version for event in FOUNDING] == [1, 2, 3, 4]
    assert {event.originator_id for event in FOUNDING} == {"ledger"}
    assert in_force.gates[Gate.VERIFICATION].activated_on == date(2026, 6, 10)
    assert in_force.gates[Gate.RED_TEAM].activated_on == TODAY
    assert in_force.policies == {"stated": PolicyVersion.V1, "checked": PolicyVersion.V2}
    assert {gate: in_force.label(gate) for gate in Gate} == GATE_LABELS


def test_before_the_founding_the_defaults_hold() -> None:
    assert InForce().policy("stated") is PolicyVersion.V1
    assert InForce().policy("checked") is PolicyVersion.V2
    assert {gate: InForce().label(gate) for gate in Gate} == GATE_LABELS


def test_only_what_changes_what_is_in_force_counts_as_a_version_of_it() -> None:
    assert folded(*FOUNDING, submitted()(RECORD, 1)) == folded(*FOUNDING)
    assert folded(*FOUNDING).version == 4


def test_a_gate_goes_live_once() -> None:
    event = governance.activate_gate(InForce(), Gate.RED_TEAM, TODAY, "operator", "The red team")
    assert isinstance(event, GateActivated)
    in_force = folded(event)
    assert in_force.label(Gate.RED_TEAM) == "The red team"
    with pytest.raises(errors.GateAlreadyActive):
        governance.activate_gate(in_force, Gate.RED_TEAM, TODAY, "operator")


def test_a_policy_comes_into_force_when_another_is() -> None:
    in_force = folded(*FOUNDING)
    for policy in (PolicyVersion.V2, PolicyVersion.V1):
        event = governance.adopt_policy(in_force, policy, "stated", "Because.", "operator")
        assert isinstance(event, PolicyAdopted)
        in_force = in_force.after(event)
        assert in_force.policy("stated") is policy
        assert in_force.policy("checked") is PolicyVersion.V2
        with pytest.raises(errors.PolicyInForce):
            governance.adopt_policy(in_force, policy, "stated", "Again.", "operator")


def test_the_log_never_holds_a_key() -> None:
    key, issued = actors.issue_key("pipeline", (Scope.SUBMIT, Scope.SUBMIT), 0, "operator")
    assert issued.key_digest == actors.digest(key)
    assert issued.scopes == (Scope.SUBMIT,)
    assert (issued.originator_id, issued.originator_version) == ("actor:pipeline", 1)
    secret = key.removeprefix(f"{actors.KEY_PREFIX}{issued.key_id}_")
    assert len(secret) >= 40
    assert secret not in issued.model_dump_json()
    assert secret.encode() not in actors.key_body(issued, revoked=False)


def test_a_key_allows_its_scopes_and_admin_allows_all() -> None:
    _key, issued = actors.issue_key("pipeline", (Scope.SUBMIT, Scope.ATTACH), 0, "operator")
    holder = actors.holder_of((issued,), issued.key_digest)
    assert holder is not None
    assert (holder.actor, holder.version) == ("pipeline", 1)
    assert {scope for scope in Scope if holder.allows(scope)} == {Scope.SUBMIT, Scope.ATTACH}
    _key, issued = actors.issue_key("chief", (Scope.ADMIN,), 0, "operator")
    chief = actors.holder_of((issued,), issued.key_digest)
    assert chief is not None
    assert all(chief.allows(scope) for scope in Scope)


def test_a_key_is_revoked_once_and_then_held_by_nobody() -> None:
    _key, issued = actors.issue_key("pipeline", (Scope.SUBMIT,), 0, "operator")
    keys = {issued.key_id: issued}
    revoked = actors.revoke_key(keys, set(), issued.key_id, "operator", "Lost.")
    assert (revoked.originator_version, revoked.key_digest) == (2, issued.key_digest)
    assert actors.holder_of((issued, revoked), issued.key_digest) is None
    _key, other = actors.issue_key("pipeline", (Scope.SUBMIT,), 2, "operator")
    assert actors.holder_of((issued, revoked), other.key_digest) is None
    still = actors.holder_of((issued, revoked, other), other.key_digest)
    assert still is not None
    assert still.version == 3
    with pytest.raises(errors.KeyAlreadyRevoked):
        actors.revoke_key(keys, {issued.key_id}, issued.key_id, "operator", "Lost.")
    with pytest.raises(errors.KeyUnknown):
        actors.revoke_key(keys, set(), "another", "operator", "Lost.")
