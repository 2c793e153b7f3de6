"""What do a page's own words betray?  Texts, counts and names that contradict each other.

Texts are compared as they are printed; nothing is ever completed, trimmed or repaired.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from projections.rules.case import Case, Found, cut

ABSTRACT_PREFIX: Final = "Abstract:"
ABSTRACT_LIMIT: Final = 600
ABSTRACT_SLACK: Final = 3
"""A limit in bytes can cost a last character of up to four bytes whole."""

OTHER_CONTRACTS: Final = frozenset(
    {
        "gate-verdict-v1",
        "quality-tiers-v1",
        "verification-levels-v1",
        "quality-dimensions-v1",
        "math-result-v1",
    }
)
"""The contracts that the ledger serves besides those that every document names."""

_TOKEN: Final = re.compile(r"[^\W_]+(?:[-+][^\W_]+)*")
_PLURAL: Final = re.compile(r"(?<=[A-Z0-9])s\Z")


def verified_count_repeats_grounded(case: Case) -> Iterator[Found]:
    """One printed number stands for both the grounded and the verified claims."""
    claims, verdict = case.shown["claims"], case.shown["verdict"]["status"]
    repeated = claims["verified"] and claims["verified"] == claims["grounded"]
    if repeated and case.shown["basis"] == "stated" and verdict != "VERIFIED":
        count = claims["verified"]
        yield Found(
            f"{count} claims are stated as verified because {count} are grounded, on a record that "
            f"is {verdict}.",
            {"verified": count, "grounded": claims["grounded"], "status": verdict},
            case.source.originator_version if case.source else case.version,
        )


def abstract_source_unnamed(case: Case) -> Iterator[Found]:
    """The abstract looks like another work's, and that work is not named."""
    abstract = case.shown["abstract"]
    if abstract is None or abstract["quoted_from"] is not None or case.shown["basis"] != "stated":
        return
    marks = [f"starts with “{ABSTRACT_PREFIX}”"] * abstract["text"].startswith(ABSTRACT_PREFIX)
    marks += ["is cut off"] * _abstract_cut(abstract["text"])
    if marks:
        yield Found(
            f"The abstract {' and '.join(marks)}, as a quoted one does, but no source is named.",
            {"begins": abstract["text"][:40], "ends": abstract["text"][-40:]},
            case.version,
        )


def text_cut(case: Case) -> Iterator[Found]:
    """The abstract ends in the middle of a sentence, at its limit."""
    abstract = case.shown["abstract"]
    if abstract is not None and _abstract_cut(abstract["text"]):
        size = len(_own(abstract["text"]).encode())
        yield Found(
            f"The abstract ends in the middle of a sentence after {size} bytes.",
            {"bytes": size, "ends": abstract["text"][-40:]},
            case.version,
        )


def _own(text: str) -> str:
    return text.removeprefix(ABSTRACT_PREFIX).strip()


def _abstract_cut(text: str) -> bool:
    return len(_own(text).encode()) >= ABSTRACT_LIMIT - ABSTRACT_SLACK and cut(text)


def title_question_disagree(case: Case) -> Iterator[Found]:
    """The title names a benchmark or model that the research question does not."""
    title, question = case.shown["title"], case.shown["research_question"]
    if question is None or title.isupper():
        return
    asked = question.casefold()
    absent = [name for name in names(title) if _PLURAL.sub("", name).casefold() not in asked]
    if absent:
        yield Found(
            f"The title names {', '.join(absent)}, which the research question does not.",
            {"absent": absent, "title": title, "research_question": question},
            case.version,
        )


def names(text: str) -> list[str]:
    """Return the words that look like names of benchmarks or models, each once, in order.

    A part of the word has two capitals (``XTREME-R``, ``mBERT``), or the word has a capital and a
    digit (``Llama-2``).
    """
    found = []
    for token in _TOKEN.findall(text):
        if token.isalpha() and token[1:].islower():
            continue  # an ordinary word, as most are
        parts = re.split(r"[-+]", token)
        capitals = max(sum(sign.isupper() for sign in part) for part in parts)
        with_digit = capitals and any(sign.isdigit() for sign in token)
        if capitals > 1 or with_digit:
            found.append(token)
    return list(dict.fromkeys(found))


def contract_version_disagrees(case: Case) -> Iterator[Found]:
    """The page names a contract that the ledger does not know."""
    if case.source is None:
        return
    known = sorted({*case.shown["contracts"].values(), *OTHER_CONTRACTS})
    for printed in (*case.source.stated, *case.source.unknown):
        if "contract" in (printed.label or "").casefold() and printed.value.strip() not in known:
            yield Found(
                f"The page names {printed.value.strip()} as its {printed.label}, which is not a "
                "contract that the ledger knows.",
                {
                    "label": printed.label,
                    "stated": printed.value,
                    "line": printed.line,
                    "known": known,
                },
                case.source.originator_version,
            )
