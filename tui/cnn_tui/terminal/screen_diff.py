"""Output to a terminal in few bytes: over SSH they are what a dashboard costs."""

import re
from functools import lru_cache
from typing import NamedTuple, TypeAlias

TOKENS = re.compile(
    r"\x1b\[(?P<style>[0-9;]*)m"
    r"|\x1b\[(?P<row>\d+);(?P<column>\d+)H"
    r"|(?P<sync>\x1b\[\?2026[hl])"
    r"|(?P<text>[^\x00-\x1f\x7f-\x9f]+)"
    r"|(?P<message>\x07|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\))"
    r"|(?P<other>\x1b\[[^@-~]*[@-~]|\x1b[P_^][^\x1b]*\x1b\\|\x1b.|[\x00-\x1f\x7f-\x9f])"
)
"""A style, a cursor position, the start or end of a frame, what is painted, what the terminal is
told beside the screen, any other control."""

SYNC_START, SYNC_END = "\x1b[?2026h", "\x1b[?2026l"
MIN_SKIP = 5
"""Cells worth skipping: fewer are cheaper to paint again than the cursor is to move."""

NARROW = re.compile(
    "[ -~\u00a1-\u02ff\u2010-\u2027\u2030-\u205e\u2190-\u21ff\u2500-\u25ff\u2605\u2713\u2717"
    "\u2800-\u28ff]*"
)
"""Text of characters that surely take one cell each: our glyphs, and Latin letters."""

FOREGROUNDS = {*range(30, 40), *range(90, 98)}
BACKGROUNDS = {*range(40, 50), *range(100, 108)}


class CellStyle(NamedTuple):
    """Style of what is painted, as the numbers that a terminal takes for it."""

    attributes: frozenset[str]
    """Bold, underlined and the like."""

    foreground: str
    background: str
    """Empty for the terminal's own."""


PLAIN = CellStyle(frozenset(), "", "")
Cell: TypeAlias = tuple[str, CellStyle]


class ScreenDiff:
    """Rewrites output so that the screen becomes the same with less.

    It knows what it painted in each cell, and leaves out what is there already; Textual repaints
    whole widgets, and lines from their beginning. It changes of a style what differs from the
    last, where Textual sets every style whole and resets it after.
    """

    def __init__(self) -> None:
        self._cells: dict[int, dict[int, Cell]] = {}
        self._look: CellStyle | None = None
        self._wanted = PLAIN
        self._cursor: tuple[int, int] | None = None
        """Where the terminal's cursor is, row and column; None when not known."""
        self._target: tuple[int, int] | None = None
        """Where what comes next is painted; None when not known."""
        self._held_sync = False
        self._new_lines = ""
        self._written: list[str] = []

    def invalidate(self) -> None:
        """No longer trust that the screen is as it was painted."""
        self._cells.clear()
        self._look = self._cursor = self._target = None

    def minimize(self, text: str) -> str:
        """The same output in fewer bytes."""
        self._written, self._new_lines = [], ""
        for token in TOKENS.finditer(text):
            match token.lastgroup:
                case "style":
                    self._wanted = parse_style(token["style"])
                case "column":
                    self._target = int(token["row"]), int(token["column"])
                    self._new_lines = ""  # where they would have led does not matter
                case "text":
                    self._paint(token["text"])
                case "sync":
                    self._sync(token["sync"])
                case "message":
                    self._write(token["message"])
                case _:
                    self._pass_on(token[0])
        self._break_lines()
        if self._written:
            self._move_to_target()
        return "".join(self._written)

    def _sync(self, mark: str) -> None:
        """A frame that shows nothing new is not even begun."""
        if mark == SYNC_START:
            self._held_sync = True
        elif self._held_sync:
            self._held_sync = False
        else:
            self._written.append(mark)

    def _pass_on(self, control: str) -> None:
        """What is not understood may do anything to the screen; a new line only moves."""
        if control in "\r\n":
            self._new_lines += control
            return
        self._break_lines()
        if self._look != PLAIN:
            self._change_look(PLAIN)
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
        if self._target is None or not _is_narrow(text):
            self._paint_unseen(text)
            return
        row, first = self._target
        cells, look = self._cells.setdefault(row, {}), self._wanted
        changed: list[tuple[int, int]] = []
        for column, char in enumerate(text, start=first):
            cell = char, look
            if cells.get(column) != cell:
                cells[column] = cell
                if changed and column - changed[-1][1] < MIN_SKIP:
                    changed[-1] = (changed[-1][0], column + 1)
                else:
                    changed.append((column, column + 1))
        for start, end in changed:
            self._target = row, start
            self._move_to_target()
            self._change_look(look)
            self._write(text[start - first : end - first])
            self._cursor = row, end
        self._target = row, first + len(text)

    def _paint_unseen(self, text: str) -> None:
        """Paint where or what cannot be told cell by cell: wide characters, an unknown place."""
        if self._target is None:
            self._cells.clear()
        else:
            self._cells.pop(self._target[0], None)
            self._move_to_target()
        self._change_look(self._wanted)
        self._write(text)
        self._cursor = self._target = None

    def _move_to_target(self) -> None:
        if self._target is None or self._target == self._cursor:
            return
        (row, column), now = self._target, self._cursor
        if now and now[0] == row and now[1] < column:
            self._write(f"\x1b[{column - now[1]}C")
        else:
            self._write(f"\x1b[{row};{column}H")
        self._cursor = self._target

    def _change_look(self, wanted: CellStyle) -> None:
        now, self._look = self._look, wanted
        if now == wanted:
            return
        codes = []
        if now is None or now.attributes - wanted.attributes or _loses_color(now, wanted):
            codes, now = ["0"], PLAIN
        codes += sorted(wanted.attributes - now.attributes)
        if wanted.foreground != now.foreground:
            codes.append(wanted.foreground)
        if wanted.background != now.background:
            codes.append(wanted.background)
        self._write(f"\x1b[{';'.join(codes)}m")

    def _write(self, text: str) -> None:
        if self._held_sync:
            self._held_sync = False
            self._written.append(SYNC_START)
        self._written.append(text)


def _loses_color(now: CellStyle, wanted: CellStyle) -> bool:
    """Whether a colour gives way to the terminal's own, which only a reset brings back."""
    return bool(now.foreground and not wanted.foreground) or bool(
        now.background and not wanted.background
    )


@lru_cache(4096)
def _is_narrow(text: str) -> bool:
    return NARROW.fullmatch(text) is not None


@lru_cache(1024)
def parse_style(style: str) -> CellStyle:
    """What a style's numbers mean after a reset: Textual gives them all, and in one go."""
    attributes, foreground, background = set[str](), "", ""
    numbers = iter(style.split(";"))
    for number in numbers:
        code, all_of_it = int(number or 0), number
        if code in (38, 48):  # followed by 5 and a number, or by 2 and three
            kind = next(numbers)
            rest = [next(numbers) for _ in range(3 if kind == "2" else 1)]
            all_of_it = ";".join([number, kind, *rest])
        if code in FOREGROUNDS:
            foreground = all_of_it
        elif code in BACKGROUNDS:
            background = all_of_it
        elif code:
            attributes.add(number)
    return CellStyle(frozenset(attributes), foreground, background)
