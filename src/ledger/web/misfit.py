"""Where and why does a body not fit?  Pydantic's errors as JSON pointers and plain sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

Place = Sequence[int | str]

LACKING: Final = "missing"
_OBJECT: Final = "An object belongs here."
_LIST: Final = "A list belongs here."
_FIGURE: Final = 'A decimal figure as text belongs here, such as "8.10".'
_PLAIN: Final = {
    LACKING: "This member is required.",
    "extra_forbidden": "There is no such member.",
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "dict_type": _OBJECT,
    "tuple_type": _LIST,
    "list_type": _LIST,
    "string_type": "A text belongs here.",
    "is_instance_of": _FIGURE,
    "decimal_type": _FIGURE,
    "decimal_parsing": _FIGURE,
    "union_tag_not_found": "This object says in its member {discriminator} what it is.",
    "none_required": "Null belongs here.",
}
"""What is said instead of words that only programmers of Python know, by the kind of error."""
_WORDS: Final = (
    ("Input should", "It should"),
    ("String should", "The text should"),
    ("Tuple should", "The list should"),
    (" after validation", ""),
)


def told(trouble: ValidationError, body: Any, at_most: int) -> list[dict[str, str]]:
    """Return for each error, of at most so many, its pointer (RFC 6901) and a sentence."""
    found = trouble.errors(include_url=False, include_input=False)[:at_most]
    return [
        {"pointer": pointer(each["loc"], body, each["type"]), "message": sentence(each)}
        for each in found
    ]


def pointer(place: Place, body: Any, kind: str) -> str:
    """Return where in the body an error is; steps that name a shape and no member are left out.

    A member that is lacking is named too.
    """
    steps: list[str] = []
    here: Any = body
    for number, step in enumerate(place, start=1):
        try:
            here = here[step]
        except (KeyError, IndexError, TypeError):
            if kind != LACKING or number < len(place):
                continue
        steps.append(str(step).replace("~", "~0").replace("/", "~1"))
    return "".join(f"/{step}" for step in steps)


def sentence(error: Mapping[str, Any]) -> str:
    """Return why it does not fit, in one sentence."""
    plain = _PLAIN.get(error["type"])
    if plain is not None:
        return plain.format_map({"discriminator": "", **error.get("ctx", {})})
    text = str(error["msg"]).removeprefix("Value error, ").rstrip(".")
    for theirs, ours in _WORDS:
        text = text.replace(theirs, ours)
    return f"{text[:1].upper()}{text[1:]}."
