"""Every refusal that the rules know is expected somewhere among the facts, by its name."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from ledger import erasure, errors, evaluation, rules

HERE = Path(__file__).parent


def named(tree: ast.AST) -> set[str]:
    """Return the refusals that a piece of code names."""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "errors"
        and node.attr != "Refusal"
    }


RULES = (rules, evaluation, erasure)
KNOWN = sorted(set().union(*(named(ast.parse(inspect.getsource(module))) for module in RULES)))
EXPECTED = {
    name
    for file in HERE.glob("test_*_rules.py")
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    if isinstance(node, ast.Call)
    and isinstance(node.func, ast.Attribute)
    and node.func.attr == "refuses"
    for name in named(node.args[0])
}


@pytest.mark.parametrize("name", KNOWN)
def test_every_refusal_of_a_rule_is_expected_by_a_test(name: str) -> None:
    assert name in EXPECTED


def test_every_refusal_has_a_code_and_a_sentence_of_its_own() -> None:
    refusals = [
        kind
        for _name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.Refusal) and "code" in vars(kind)
    ]
    assert len({kind.code for kind in refusals}) == len(refusals)
    sentences = {str(kind()) for kind in refusals}
    assert len(sentences) == len(refusals)
    assert all(sentence.endswith(".") for sentence in sentences)
