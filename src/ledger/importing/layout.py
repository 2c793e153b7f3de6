"""What is printed where on a page?  Bytes become sections, labelled values and paragraphs.

It must never lose a line: what has no known place is kept as unknown, with its line number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from ledger.errors import UnreadablePage
from ledger.events import StatedField
from ledger.importing import form, values
from ledger.vocabulary import Prose

PAGE_BYTES_MAX: Final = 1024 * 1024
PAGE_LINES_MAX: Final = 5_000
LINE_CHARACTERS_MAX: Final = 50_000

# Of the control characters a page holds newline and tab; DEL and U+0080 to U+009F are controls too.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

Numbered = tuple[int, str]
Dialect = Literal["plain", "table"]


@dataclass(slots=True)
class Layout:
    """What stands where; ``open_line`` is the line in which the page breaks off, if it does."""

    dialect: Dialect = "plain"
    title: str = ""
    handle: str | None = None
    texts: dict[str, str] = field(default_factory=dict)
    stated: list[StatedField] = field(default_factory=list)
    unknown: list[StatedField] = field(default_factory=list)
    open_line: int | None = None

    def find(self, section: str, label: str) -> StatedField | None:
        """Return what the page states under a label of a section, None if it does not."""
        wanted = (section, label)
        return next((f for f in self.stated if (f.section, f.label) == wanted), None)

    def keep(
        self, section: str, label: str | None, value: str, number: int, *, known: bool = True
    ) -> None:
        """Keep one value; one without text or with an impossible label is kept as unknown."""
        if label is not None and (len(label) > form.LABEL_MAX or values.line(label) is None):
            label, known = None, False
        if values.fit(Prose, value) is None or values.line(section) is None:
            message = f"What line {number} holds, or its section, cannot be kept as text."
            raise UnreadablePage(message)
        kept = StatedField(section=section, label=label, value=value, line=number)
        (self.stated if known else self.unknown).append(kept)


def text_of(source: bytes) -> str:
    """Return the text of a page; raises UnreadablePage for bytes that cannot be one."""
    if len(source) > PAGE_BYTES_MAX:
        message = f"The page is larger than {PAGE_BYTES_MAX} bytes."
        raise UnreadablePage(message)
    try:
        text = source.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as wrong:
        message = f"The page is not UTF-8: byte {wrong.start + 1} does not fit."
        raise UnreadablePage(message) from wrong
    if not text.strip():
        raise UnreadablePage("The page is empty.")
    if (control := _CONTROL.search(text)) is not None:
        line = text.count("\n", 0, control.start()) + 1
        message = f"Line {line} holds the control character U+{ord(control[0]):04X}."
        raise UnreadablePage(message)
    return text


def layout_of(text: str) -> Layout:
    """Return what is printed where; raises UnreadablePage when it is no record page."""
    lines = list(enumerate(text.split("\n"), start=1))
    if len(lines) > PAGE_LINES_MAX:
        message = f"The page has more than {PAGE_LINES_MAX} lines, which no record page has."
        raise UnreadablePage(message)
    for number, line in lines:
        if len(line) > LINE_CHARACTERS_MAX:
            message = f"Line {number} is longer than {LINE_CHARACTERS_MAX} characters."
            raise UnreadablePage(message)
    layout = Layout()
    if any(form.row(line) for _number, line in lines):
        layout.dialect = "table"
    for name, body in _sections(lines):
        if name == form.HEADER:
            _read_header(layout, body)
        else:
            _read_section(layout, name, body)
    _refuse_contradictions(layout)
    layout.open_line = _breaks_off(layout, lines)
    return layout


def _sections(lines: Iterable[Numbered]) -> Iterator[tuple[str, list[Numbered]]]:
    """Yield the header and then each known section with its lines, in order."""
    name, body = form.HEADER, list[Numbered]()
    for number, line in lines:
        if line.strip() in form.LABELS:
            yield name, body
            name, body = line.strip(), []
        else:
            body.append((number, line))
    yield name, body


def _read_header(layout: Layout, body: list[Numbered]) -> None:
    under_navigation = False
    for number, line in body:
        text = line.strip()
        if not text:
            under_navigation = False
        elif not layout.title and form.is_navigation(text):
            under_navigation = True
            layout.keep(form.HEADER, None, line, number)
        elif text.startswith("SRCH:") or (under_navigation and " " not in text):
            # Only the handle stands directly under the navigation bar.
            _keep_handle(layout, text, number)
        else:
            _read_header_line(layout, line, number)


def _keep_handle(layout: Layout, text: str, number: int) -> None:
    if layout.handle not in {None, text}:
        message = f"The page names two handles: {layout.handle} and {text[:40]}."
        raise UnreadablePage(message)
    layout.handle = text
    layout.keep(form.HEADER, None, text, number)


def _read_header_line(layout: Layout, line: str, number: int) -> None:
    label, value = form.row(line) or form.header_line(line) or (None, line.strip())
    if not layout.title and not form.is_header_value(label or "", value):
        layout.title = line.strip()
        layout.keep(form.HEADER, None, layout.title, number)
    elif not value:
        layout.keep(form.HEADER, None, line, number, known=False)
    else:
        layout.keep(form.HEADER, label, value, number, known=label in form.HEADER_LABELS)


def _read_section(layout: Layout, name: str, body: list[Numbered]) -> None:
    """Read one known section; from a line that heads something else on, all is unknown."""
    text: list[Numbered] = []
    elsewhere: str | None = None
    begun = False
    for place, (number, line) in enumerate(body):
        if not line.strip():
            continue
        labelled = form.row(line) or form.glued(line.strip(), name)
        strayed = None if labelled else form.misplaced(line.strip())
        if begun and not labelled and not strayed and _heads(layout, body, place):
            elsewhere = line.strip()
            layout.keep(elsewhere, None, line, number, known=False)
            continue
        begun = True
        label, value = labelled or strayed or (None, line)
        known = elsewhere is None and (label is None or label in form.LABELS[name])
        if elsewhere is None and label is not None and name in form.TEXTS:
            elsewhere, known = name, False
        if not value:
            label, value, known = None, line, False
        layout.keep(elsewhere or name, label, value, number, known=known)
        if known and label is None:
            text.append((number, line))
    if name in form.TEXTS and text:
        _keep_text(layout, name, body[text[0][0] - body[0][0] : text[-1][0] - body[0][0] + 1])


def _heads(layout: Layout, body: list[Numbered], place: int) -> bool:
    """Whether the line at ``place`` heads an unknown section: it looks so and stands over lines."""
    if not form.is_like_a_heading(body[place][1]):
        return False
    if not any(line.strip() for _number, line in body[place + 1 :]):
        return False
    # A plain page sets its headings off by blank lines: there a line among others is no heading.
    return layout.dialect == "table" or not (
        body[place - 1][1].strip() or body[place + 1][1].strip()
    )


def _keep_text(layout: Layout, name: str, lines: list[Numbered]) -> None:
    text = "\n".join(line for _number, line in lines)
    if layout.texts.setdefault(name, text) != text:
        message = f"The page has two different sections called {name}."
        raise UnreadablePage(message)


def _refuse_contradictions(layout: Layout) -> None:
    said: dict[tuple[str, str], StatedField] = {}
    for one in layout.stated:
        if one.label is None:
            continue
        first = said.setdefault((one.section, one.label), one)
        if first.value != one.value:
            message = (
                f"The page contradicts itself: lines {first.line} and {one.line} give two "
                f"different values for {one.label} in {one.section}."
            )
            raise UnreadablePage(message)


def _breaks_off(layout: Layout, lines: list[Numbered]) -> int | None:
    """Return the last line when the page ends inside it, too early to trust that it is whole."""
    number, line = lines[-1]
    if not line.strip() or form.row(line):
        return None
    at = next((f for f in layout.stated if f.line == number), None)
    if at is None or (at.section == form.PROVENANCE and form.closes_a_page(at.label, at.value)):
        return None
    return number
