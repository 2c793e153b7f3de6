"""The public contracts for a test: documents of a view, and two validators that are not ours."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any, Final

import jsonschema
import jsonschema_rs

from ledger.web.links import links, schemas
from projections.contracts import CONTRACTS, not_applicable

BASE: Final = "https://ledger.example"

_URI = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*:(//[^/?#\s]*)?([!$&-;=?-Z_a-z~@\[\]#]|%[0-9A-Fa-f]{2})*\Z"
)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)\Z")

FORMATS: Final = copy.deepcopy(jsonschema.Draft202012Validator.FORMAT_CHECKER)


def _is_moment(value: object) -> bool:
    if not isinstance(value, str):
        return True
    datetime.fromisoformat(value)
    return bool(_RFC3339.match(value))


def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or bool(_URI.match(value))


FORMATS.checks("date-time", raises=ValueError)(_is_moment)
FORMATS.checks("uri")(_is_uri)


@cache
def schema(name: str) -> dict[str, Any]:
    """Return the schema of a contract as this service would serve it under BASE."""
    return CONTRACTS[name].schema(schemas(BASE)[name])


def written(name: str) -> str:
    """Return the text of a contract's golden schema."""
    return json.dumps(schema(name), ensure_ascii=False, indent=2) + "\n"


def documents(view: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return every document that a view has, by the contract's name, as it is read from bytes."""
    told = json.loads(json.dumps(view))
    return {
        name: json.loads(contract.make(told, links(BASE, told)).encoded())
        for name, contract in CONTRACTS.items()
        if not_applicable(name, told) is None
    }


def validators(by: dict[str, Any]) -> tuple[Any, Any]:
    """Return two validators of a schema, which share no code and check every format."""
    first = jsonschema.Draft202012Validator(by, format_checker=FORMATS)
    return first, jsonschema_rs.Draft202012Validator(by, validate_formats=True)


@cache
def _validators(name: str) -> tuple[Any, Any]:
    return validators(schema(name))


def fits(document: Any, name: str) -> bool:
    """Whether a document fits a contract's schema; both validators have to agree."""
    first, second = [bool(each.is_valid(document)) for each in _validators(name)]
    assert first == second, document
    return first


def errors(document: Any, name: str) -> list[str]:
    """Return what is wrong with a document, in the words of both validators."""
    return [str(error) for each in _validators(name) for error in each.iter_errors(document)]


def mutants(document: Any) -> Iterator[tuple[str, Any]]:
    """Yield a document with one thing wrong, each time another, and what was done to it."""
    for path in _paths(document):
        here = _at(document, path)
        where = "/".join(map(str, path))
        if isinstance(here, dict):
            yield f"{where} with a stranger", _with(document, path, here | {"stranger": 1})
            for member in here:
                less = {key: value for key, value in here.items() if key != member}
                yield f"{where} without {member}", _with(document, path, less)
        else:
            yield f"{where} as an object", _with(document, path, {"not": "this"})


def _paths(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _paths(value, (*path, key))
    elif isinstance(tree, list):
        for number, value in enumerate(tree):
            yield from _paths(value, (*path, number))


def _at(tree: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        tree = tree[step]
    return tree


def _with(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(tree)
    _at(changed, path[:-1])[path[-1]] = value
    return changed
