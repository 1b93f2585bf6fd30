"""Minimizes the bytes written to a terminal, which matter over SSH."""

import re
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple, TypeAlias

from rich.cells import cell_len

TOKENS = re.compile(
    r"\x1b\[(?P<style>[0-9;]*)m"
    r"|\x1b\[(?P<row>\d+);(?P<column>\d+)H"
    r"|(?P<sync>\x1b\[\?2026[hl])"
    r"|(?P<text>[^\x00-\x1f\x7f-\x9f]+)"
    r"|(?P<message>\x07|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\))"
    r"|(?P<other>\x1b\[[^@-~]*[@-~]|\x1b[P_^][^\x1b]*\x1b\\|\x1b.|[\x00-\x1f\x7f-\x9f])"
)
"""Tokens: style, cursor position, start or end of a frame, text, message to the terminal (bell,
OSC), other control sequence."""

SYNC_START, SYNC_END = "\x1b[?2026h", "\x1b[?2026l"
MIN_SKIP = 5
"""Minimum gap in cells to skip: painting fewer costs less than moving the cursor."""

NARROW = re.compile(
    "[ -~\u00a1-\u02ff\u2010-\u2027\u2030-\u205e\u2190-\u21ff\u2500-\u25ff\u2605\u2713\u2717"
    "\u2800-\u28ff]*"
)
"""Text of characters that take one cell each: our glyphs and Latin letters."""

WORDS = re.compile(" +|[^ ]+")

FOREGROUNDS = {*range(30, 40), *range(90, 98)}
BACKGROUNDS = {*range(40, 50), *range(100, 108)}


class CellStyle(NamedTuple):
    """Style of a cell, as SGR codes."""

    attributes: frozenset[str]
    """Codes for bold, underlined etc."""

    foreground: str
    background: str
    """Empty for the terminal's default."""


PLAIN = CellStyle(frozenset(), "", "")
Cell: TypeAlias = tuple[str, CellStyle]


class ScreenDiff:
    """Rewrites output into shorter output with the same effect on the screen.

    Textual repaints whole widgets and lines, so the content of each cell is remembered and
    unchanged cells are skipped. Textual sets every style completely and resets it afterwards, so
    only the difference from the previous style is written.
    """

    def __init__(self) -> None:
        self._cells: dict[int, dict[int, Cell]] = {}
        self._style: CellStyle | None = None
        self._next_style = PLAIN
        self._cursor: tuple[int, int] | None = None
        """Row and column of the terminal's cursor; None if unknown."""
        self._target: tuple[int, int] | None = None
        """Row and column of the next cell to paint; None if unknown."""
        self._held_sync = False
        self._new_lines = ""
        self._written: list[str] = []

    def invalidate(self) -> None:
        """Forget the screen's content, so that all of it is painted again."""
        self._cells.clear()
        self._style = self._cursor = self._target = None

    def minimize(self, text: str) -> str:
        """Return the same output in fewer bytes."""
        self._written, self._new_lines = [], ""
        for token in TOKENS.finditer(text):
            match token.lastgroup:
                case "style":
                    self._next_style = parse_style(token["style"])
                case "column":
                    self._target = int(token["row"]), int(token["column"])
                    self._new_lines = ""  # superseded by the position
                case "text":
                    self._paint(token["text"])
                case "sync":
                    self._sync(token["sync"])
                case "message":
                    self._write(token["message"])
                case _:
                    self._write_control(token[0])
        self._break_lines()
        if self._written:
            self._move_to_target()
        return "".join(self._written)

    def _sync(self, mark: str) -> None:
        """Write the start of a frame only when the frame has content."""
        if mark == SYNC_START:
            self._held_sync = True
        elif self._held_sync:
            self._held_sync = False
        else:
            self._written.append(mark)

    def _write_control(self, control: str) -> None:
        """Write a control sequence with unknown effect; a line break only moves the cursor."""
        if control in "\r\n":
            self._new_lines += control
            return
        self._break_lines()
        if self._style != PLAIN:
            self._change_style(PLAIN)
        self._write(control)
        self.invalidate()

    def _break_lines(self) -> None:
        if self._new_lines:
            self._move_to_target()
            self._write(self._new_lines)
            self._new_lines = ""
            self._cursor = self._target = None

    def _paint(self, text: str) -> None:
        self._break_lines()
        if self._target is None:
            self._paint_untracked(text)
            return
        for is_narrow, words in groupby(WORDS.findall(text), key=_is_narrow):
            if is_narrow:
                self._paint_narrow("".join(words), *self._target)
            else:
                self._paint_wide("".join(words), *self._target)

    def _paint_narrow(self, text: str, row: int, first: int) -> None:
        """Paint the cells that changed."""
        cells, style = self._cells.setdefault(row, {}), self._next_style
        changed: list[tuple[int, int]] = []
        for column, char in enumerate(text, start=first):
            cell = char, style
            if cells.get(column) != cell:
                cells[column] = cell
                if changed and column - changed[-1][1] < MIN_SKIP:
                    changed[-1] = (changed[-1][0], column + 1)
                else:
                    changed.append((column, column + 1))
        for start, end in changed:
            self._target = row, start
            self._move_to_target()
            self._change_style(style)
            self._write(text[start - first : end - first])
            self._cursor = row, end
        self._target = row, first + len(text)

    def _paint_wide(self, text: str, row: int, first: int) -> None:
        """Paint words of any characters, unless all their cells are unchanged.

        The cursor is moved after them, because terminals differ in the width of some characters.
        """
        cells, style, end = (
            self._cells.setdefault(row, {}),
            self._next_style,
            first + cell_len(text),
        )
        painted = dict.fromkeys(range(first, end), ("", style)) | {first: (text, style)}
        if any(cells.get(column) != cell for column, cell in painted.items()):
            self._move_to_target()
            self._change_style(style)
            self._write(text)
            self._cursor = None
            # A terminal may have painted more cells than the text should take.
            kept = {column: cell for column, cell in cells.items() if column < first}
            self._cells[row] = kept | painted
        self._target = row, end

    def _paint_untracked(self, text: str) -> None:
        """Paint at an unknown position."""
        self._cells.clear()
        self._change_style(self._next_style)
        self._write(text)
        self._cursor = self._target = None

    def _move_to_target(self) -> None:
        if self._target is None or self._target == self._cursor:
            return
        (row, column), current = self._target, self._cursor
        if current and current[0] == row and current[1] < column:
            self._write(f"\x1b[{column - current[1]}C")
        else:
            self._write(f"\x1b[{row};{column}H")
        self._cursor = self._target

    def _change_style(self, wanted: CellStyle) -> None:
        current, self._style = self._style, wanted
        if current == wanted:
            return
        codes = []
        if (
            current is None
            or current.attributes - wanted.attributes
            or _loses_color(current, wanted)
        ):
            codes, current = ["0"], PLAIN
        codes += sorted(wanted.attributes - current.attributes)
        if wanted.foreground != current.foreground:
            codes.append(wanted.foreground)
        if wanted.background != current.background:
            codes.append(wanted.background)
        self._write(f"\x1b[{';'.join(codes)}m")

    def _write(self, text: str) -> None:
        if self._held_sync:
            self._held_sync = False
            self._written.append(SYNC_START)
        self._written.append(text)


def _loses_color(current: CellStyle, wanted: CellStyle) -> bool:
    """Return True if a colour returns to the terminal's default, which takes a reset."""
    return bool(current.foreground and not wanted.foreground) or bool(
        current.background and not wanted.background
    )


@lru_cache(4096)
def _is_narrow(text: str) -> bool:
    return NARROW.fullmatch(text) is not None


@lru_cache(1024)
def parse_style(style: str) -> CellStyle:
    """Return the style of an SGR sequence; Textual writes all codes of a style in one."""
    attributes, foreground, background = set[str](), "", ""
    numbers = iter(style.split(";"))
    for number in numbers:
        code, full_code = int(number or 0), number
        if code in (38, 48):  # followed by 5 and a number, or by 2 and three
            kind = next(numbers)
            rest = [next(numbers) for _ in range(3 if kind == "2" else 1)]
            full_code = ";".join([number, kind, *rest])
        if code in FOREGROUNDS:
            foreground = full_code
        elif code in BACKGROUNDS:
            background = full_code
        elif code:
            attributes.add(number)
    return CellStyle(frozenset(attributes), foreground, background)
