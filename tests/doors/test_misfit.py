"""A body that does not fit is told where, by a pointer into it, and why, in plain words."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ledger.commands import Correct, Evaluate, Submit
from ledger.web import misfit

NAMES = st.sampled_from(
    ["content", "title", "evidence", "kind", "attacks", "changes", "sandbox", "a/b", "m~n", "gate"]
)
BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["sandbox", "red-team", "lean4"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)


def errors_of(shape: Any, body: Any) -> list[dict[str, str]]:
    try:
        shape.model_validate(body)
    except ValidationError as trouble:
        return misfit.told(trouble, body, 20)
    return []


def at(pointer: str, body: Any) -> Any:
    """Return what a pointer (RFC 6901) leads to; raises KeyError, IndexError, TypeError."""
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        body = body[int(name)] if isinstance(body, list) else body[name]
    return body


@pytest.mark.parametrize(
    ("shape", "body", "pointer", "sentence"),
    [
        (
            Evaluate,
            {"evidence": {"kind": "sandbox", "computed": "x"}},
            "/evidence/computed",
            "Is not a decimal figure as text, such as",
        ),
        (
            Evaluate,
            {"evidence": {"kind": "sandbox"}},
            "/evidence/tolerance",
            "This member is required.",
        ),
        (Evaluate, {"evidence": {}}, "/evidence", "This object says in its member 'kind' what"),
        (Correct, [], "", "An object belongs here."),
        (Correct, {"changes": "x"}, "/changes", "A list belongs here."),
        (Submit, {"content": {"title": 5}}, "/content/title", "A text belongs here."),
        (Submit, {"content": {"a/b~": 5}}, "/content/a~1b~0", "There is no such member."),
    ],
)
def test_the_place_and_the_reason_are_told(
    shape: Any, body: Any, pointer: str, sentence: str
) -> None:
    told = {each["pointer"]: each["message"] for each in errors_of(shape, body)}
    assert told[pointer].startswith(sentence)


@given(shape=st.sampled_from([Correct, Evaluate, Submit]), body=BODIES)
def test_every_pointer_leads_somewhere_or_names_what_is_lacking(shape: Any, body: Any) -> None:
    for each in errors_of(shape, body):
        assert not re.search("Decimal|[Tt]uple|Value error|dictionary", each["message"])
        if each["message"] == "This member is required.":
            parent, _, lacking = each["pointer"].rpartition("/")
            assert lacking not in at(parent, body)
        else:
            at(each["pointer"], body)
