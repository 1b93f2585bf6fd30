"""The most confident mistakes, as pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from textual.content import Content
from textual.reactive import reactive

from cnn_engine.results.mistakes import MAX_OVERALL, MAX_PER_PAIR, Mistake
from cnn_engine.runlog.events import TestFinished
from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.widgets.panel import Panel
from cnn_tui.pictures.half_blocks import Picture, draw_picture, fit_width, picture_height
from cnn_tui.text.numbers import percent
from cnn_tui.text.other_loops import missing_text
from cnn_tui.text.safe import class_name, safe_text
from cnn_tui.text.width import fold, wrap

TILE_SIZES = ((32, 8), (24, 8), (20, 8), (16, 8), (16, 4), (12, 4), (8, 1))
"""Widths of a picture in cells, each with the number of pictures that must fit to use it."""

GAP = 2
"""Cells between two pictures; rows are one line apart."""

CAPTION_LINES = 3
TEXT_WIDTH = 36
"""Cells of the text beside an enlarged picture."""

MAX_NAME, MAX_PATH = 24, 60

WHY_SAVED = (
    f"A run saves images of its {MAX_OVERALL} most confident mistakes, and of up to {MAX_PER_PAIR} "
    "more for each pair of classes; w writes all mistakes as CSV"
)
MIN_HEIGHT_WITH_REASON = 12


class ClassPair(NamedTuple):
    """A cell of the confusion matrix, as a filter of mistakes."""

    target: int

    predicted: int
    """The predicted class; equal to the true class for all mistakes of that class."""

    def matches(self, target: int, predicted: int) -> bool:
        """Return True if a mistake belongs to the cell."""
        return target == self.target and self.predicted in (predicted, target)


class TileLayout(NamedTuple):
    """The number of pictures that fit, and their size."""

    columns: int
    rows: int

    cells: int
    """Width of a picture."""

    @property
    def capacity(self) -> int:
        """Pictures in view."""
        return self.columns * self.rows


@dataclass(frozen=True, kw_only=True)
class GridView:
    """The selected picture, and the filter."""

    pair: ClassPair | None = None
    """The filter; None for all mistakes."""

    selected: int = 0
    """Index among the filtered mistakes."""

    is_enlarged: bool = False


class MistakeGrid(Panel[RunState]):
    """Mistakes side by side, or the selected one as large as fits."""

    TITLE = "Mistakes"

    view: reactive[GridView] = reactive(GridView(), repaint=False)

    def __init__(self, *, has_colors: bool) -> None:
        """Create the grid.

        Args:
            has_colors: True to draw half blocks in colours, False to draw characters.
        """
        super().__init__()
        self._has_colors = has_colors
        self.mistakes: Sequence[Mistake] = ()
        """Mistakes with a saved image, the most confident first; to be set before `show`."""
        self.error = ""
        """The error from reading them, if any; to be set before `show`."""
        self._layout = TileLayout(1, 1, 1)

    def watch_view(self) -> None:
        """Draw the new selection."""
        self._redraw()

    def depends_on(self, state: RunState) -> object:
        """Return the identity of the mistakes, and the state that selects the text without any."""
        return id(self.mistakes), self.error, state.test is None, state.has_ended

    @property
    def filtered(self) -> list[Mistake]:
        """The mistakes that match the filter."""
        pair = self.view.pair
        return [
            mistake
            for mistake in self.mistakes
            if pair is None or pair.matches(mistake.target, mistake.predicted)
        ]

    def show_pair(self, pair: ClassPair | None) -> None:
        """Show the mistakes of one cell of the matrix, or all with None."""
        self.view = GridView(pair=pair)

    def set_enlarged(self, is_enlarged: bool) -> None:
        """Show the selected picture alone, or the grid."""
        self.view = replace(self.view, is_enlarged=is_enlarged)

    def move(self, columns: int, rows: int) -> None:
        """Select another picture; while one is enlarged, a row is one picture."""
        is_enlarged, last = self.view.is_enlarged, len(self.filtered) - 1
        target = (
            self._selected(last) + columns + rows * (1 if is_enlarged else self._layout.columns)
        )
        if rows and not is_enlarged and not 0 <= target <= last:
            return  # there is no such row
        self.view = replace(self.view, selected=max(0, min(target, last)))

    def page(self, pages: int) -> None:
        """Select the picture some pages away."""
        self.move(pages * (1 if self.view.is_enlarged else self._layout.capacity), 0)

    def _selected(self, last: int) -> int:
        """Return the selected index, limited to the current mistakes."""
        return max(0, min(self.view.selected, last))

    def titles(self, state: RunState) -> tuple[str, str]:
        """Return the filter and the number of mistakes, and the selected image's path."""
        filtered = self.filtered
        if state.test is None or not filtered:
            return self.TITLE, ""
        count, tested = len(filtered), _count(state.test, self.view.pair)
        title = f"{self.TITLE} ─ {_pair_text(self.view.pair, state.classes)}{count:,}"
        title += f" of {tested:,}" * (count < tested) + ", the most confident first"
        selected = self._selected(count - 1)
        path = f"{safe_text(filtered[selected].name, MAX_PATH)} · "
        path = "" if self.view.is_enlarged else path
        return title, f"{path}{selected + 1} of {count:,}"

    def draw(self, state: RunState, width: int, height: int) -> Sequence[Content]:
        """Return the grid, or one picture."""
        filtered = self.filtered
        if state.test is None or not filtered:
            return [line for text in self._reasons(state) for line in _muted_lines(text, width)]
        selected = self._selected(len(filtered) - 1)
        if self.view.is_enlarged:
            return self._enlarged(filtered[selected], state.classes, width, height)
        reason = []
        if len(filtered) < _count(state.test, self.view.pair) and height >= MIN_HEIGHT_WITH_REASON:
            reason = [Content(""), *_muted_lines(WHY_SAVED, width)]
        tiles = self._tiles(filtered, selected, state.classes, width, height - len(reason))
        return [*tiles, *reason]

    def _reasons(self, state: RunState) -> list[str]:
        """Return the reason why there is no picture, in a few sentences."""
        if state.test is None:
            later = "available after the final test"
            text = "not tested: the run ended before the test" if state.has_ended else later
            return [missing_text(state, "images of mistakes") or text]
        if self.error:
            return [safe_text(self.error, 1000)]
        if self.view.pair is not None:
            if not _count(state.test, self.view.pair):
                return ["no mistakes in this cell", "esc shows all"]
            return ["no images saved for this pair", WHY_SAVED, "esc shows all"]
        return ["no mistakes"]

    def _tiles(
        self,
        mistakes: list[Mistake],
        selected: int,
        classes: Sequence[str],
        width: int,
        height: int,
    ) -> list[Content]:
        layout = self._layout = tile_layout(_picture(mistakes[0]), width, height)
        first = selected // layout.capacity * layout.capacity
        end = min(first + layout.capacity, len(mistakes))
        lines: list[Content] = []
        for start in range(first, end, layout.columns):
            tiles = [
                self._tile(mistakes[index], classes, layout.cells, is_selected=index == selected)
                for index in range(start, min(start + layout.columns, end))
            ]
            if lines:
                lines.append(Content(""))
            gap = Content(" " * GAP)
            lines += [gap.join(pieces) for pieces in zip(*tiles, strict=True)]
        return lines

    def _tile(
        self, mistake: Mistake, classes: Sequence[str], cells: int, *, is_selected: bool
    ) -> list[Content]:
        """Return a picture with its caption, all lines of one width."""
        mark, style = ("› ", "bold $primary") if is_selected else ("  ", "")
        target, predicted = _class_names(classes, mistake.target, mistake.predicted)
        captions = (
            Content.styled(f"{mark}{target}", style),
            Content.assemble("→ ", (predicted, "bold")),
            Content.styled(f"  {percent(mistake.confidence)}", "$muted"),
        )
        return [
            *_draw(mistake, cells, self._has_colors),
            *(line.truncate(cells, ellipsis=True, pad=True) for line in captions),
        ]

    def _enlarged(
        self, mistake: Mistake, classes: Sequence[str], width: int, height: int
    ) -> list[Content]:
        is_wide = width >= 2 * TEXT_WIDTH
        text_width = TEXT_WIDTH - GAP if is_wide else width
        path = [
            Content.styled(line, "$muted")
            for line in fold(safe_text(mistake.name, 4 * text_width), text_width)
        ]
        texts, blank = _facts(mistake, classes), Content("")
        texts = [*texts, blank, *path] if is_wide else [blank, *texts, *path]
        room = (width - TEXT_WIDTH, height) if is_wide else (width, height - len(texts))
        columns = fit_width(_picture(mistake), max(1, room[0]), max(1, room[1]))
        drawn = list(_draw(mistake, columns, self._has_colors))
        if not is_wide:
            return [*drawn, *texts]
        texts += [blank] * (len(drawn) - len(texts))
        drawn += [Content(" " * columns)] * (len(texts) - len(drawn))
        gap = Content(" " * GAP)
        return [left + gap + right for left, right in zip(drawn, texts, strict=True)]


def tile_layout(picture: Picture, width: int, height: int) -> TileLayout:
    """Return the layout with the largest pictures in `TILE_SIZES` that fit in sufficient number."""
    for cells, min_pictures in TILE_SIZES:
        lines = picture_height(picture, cells) + CAPTION_LINES + 1
        layout = TileLayout(
            max(1, (width + GAP) // (cells + GAP)), max(1, (height + 1) // lines), min(cells, width)
        )
        if layout.capacity >= min_pictures and lines <= height + 1:
            break
    return layout


@lru_cache(maxsize=128)
def _draw(mistake: Mistake, columns: int, has_colors: bool) -> tuple[Content, ...]:
    rows = draw_picture(_picture(mistake), columns, colors=has_colors)
    return tuple(Content.assemble(*row) for row in rows)


def _picture(mistake: Mistake) -> Picture:
    return Picture(mistake.pixels, mistake.width, mistake.height, mistake.channels)


def _muted_lines(text: str, width: int) -> list[Content]:
    return [Content.styled(line, "$muted") for line in wrap(text, width)]


def _class_names(classes: Sequence[str], *indices: int) -> list[str]:
    return [class_name(classes, index, MAX_NAME) for index in indices]


def _count(test: TestFinished, pair: ClassPair | None) -> int:
    """Return the number of mistakes of the test that match the filter."""
    return sum(
        images
        for target, predicted, images in test.confusion
        if pair is None or pair.matches(target, predicted)
    )


def _pair_text(pair: ClassPair | None, classes: Sequence[str]) -> str:
    if pair is None:
        return ""
    target, predicted = _class_names(classes, *pair)
    if pair.target == pair.predicted:
        return f"{target} misclassified ─ "
    return f"{target} predicted as {predicted} ─ "


def _facts(mistake: Mistake, classes: Sequence[str]) -> list[Content]:
    """Return the text beside an enlarged picture."""
    target, predicted = _class_names(classes, mistake.target, mistake.predicted)
    return [
        Content.assemble(("true        ", "$muted"), (target, "bold")),
        Content.assemble(("predicted   ", "$muted"), (predicted, "bold $text-error")),
        Content.assemble(("confidence  ", "$muted"), percent(mistake.confidence, 2)),
        Content.assemble(("true class  ", "$muted"), f"ranked {mistake.rank}"),
    ]
