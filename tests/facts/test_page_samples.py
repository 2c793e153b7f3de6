"""The sample pages come with the program and carry the figures and the defects of real ones."""

from __future__ import annotations

from given_pages import load_samples
from ledger.evidence import RedTeamEvidence, SandboxEvidence
from ledger.vocabulary import Gate, Status


def test_five_samples_are_read_without_a_rest() -> None:
    samples = load_samples()
    assert [(p.handle, str(p.review_mean), p.grounded_claims, p.doi) for p in samples] == [
        ("SRCH:B0E046B6", "8.07", 8, "10.5281/zenodo.21147963"),
        ("SRCH:9F810E9F", "8.50", 24, "10.5281/zenodo.21073815"),
        ("SRCH:BA7A9361", "9.33", 9, "10.5281/zenodo.21122311"),
        ("SRCH:0D4B1FA4", "7.20", 14, None),
        (None, "None", 22, None),
    ]
    assert [page.unknown for page in samples] == [()] * 5
    assert [page.missing for page in samples[:4]] == [()] * 4


def test_the_samples_carry_the_defects_of_their_originals() -> None:
    first, second, third, fourth, fifth = load_samples()
    for page in (first, second, fourth):
        assert page.verdict is not None
        assert page.verdict.claims_predates_activation
        assert page.submitted_on is not None
        assert page.submitted_on.isoformat() > "2026-06-10"
    assert third.verdict is not None
    assert (third.verdict.status, third.tier) == (Status.FALSIFIED, "Flagship candidate")
    assert (third.verdict.gate, third.gate) == (Gate.VERIFICATION, Gate.RED_TEAM)
    evidence = third.reading.evidence
    assert isinstance(evidence, RedTeamEvidence)
    assert [len(attack.finding or "") for attack in evidence.attacks] == [80, 80, 80]
    assert fifth.verdict is not None
    assert (fifth.verdict.status, fifth.level) == (Status.VERIFIED, (2, "Source-grounded claims"))
    run = fifth.reading.evidence
    assert isinstance(run, SandboxEvidence)
    assert run.residual == 0


def test_every_abstract_of_the_samples_is_cut_at_600_bytes() -> None:
    for page in load_samples():
        assert page.abstract is not None
        assert len(page.abstract.removeprefix("Abstract: ").encode()) == 600
