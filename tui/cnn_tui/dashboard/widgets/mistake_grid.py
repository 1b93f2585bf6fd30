"""The most confident mistakes, as pictures."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from textual.content import Content

from cnn_engine.results.mistakes import Mistake
from cnn_engine.runlog.events import TestFinished
from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.widgets.panel import Panel
from cnn_tui.pictures.half_blocks import Picture, draw_picture, fit_width, picture_height
from cnn_tui.text.numbers import percent
from cnn_tui.text.safe import safe_text

SIZES = ((32, 8), (24, 8), (20, 8), (16, 8), (16, 4), (12, 4), (8, 1))
"""Cells across for a picture, and how many have to fit for it to be that large."""

GAP = 2
"""Cells between two pictures; between two rows, a line."""

CAPTION_LINES = 3
TEXT_WIDTH = 36
"""Cells for what is said beside a picture that is enlarged."""

LONGEST_NAME, LONGEST_PATH = 24, 60


class ClassPair(NamedTuple):
    """Which mistakes: those of one cell of the confusion matrix."""

    truth: int
    predicted: int
    """Equal to the true class for all that it is taken for."""

    def holds(self, truth: int, predicted: int) -> bool:
        """Whether an image is one of them."""
        return truth == self.truth and self.predicted in (predicted, truth)


class TileLayout(NamedTuple):
    """How many pictures there is room for, and how large."""

    columns: int
    rows: int
    cells: int
    """Width of each."""

    @property
    def places(self) -> int:
        """Pictures in all."""
        return self.columns * self.rows


class MistakeGrid(Panel):
    """Mistakes side by side, of which one is chosen, or that one as large as there is room."""

    def __init__(self) -> None:
        super().__init__()
        self.mistakes: Sequence[Mistake] = ()
        """Those there are pictures of, the most confident first."""
        self.error = ""
        """Why there are none, where they cannot be read."""
        self.pair: ClassPair | None = None
        """Which are shown; None: all."""
        self.selected = 0
        self.is_enlarged = False
        self.has_colors = True
        """Whether pictures are drawn in colours, or else in characters."""
        self._grid = TileLayout(1, 1, 1)

    def on_mount(self) -> None:
        """Name the panel."""
        self.retitle("Mistakes")

    def depends_on(self, state: RunState) -> object:
        """The pictures, which are made once, and which of them are to be seen."""
        chosen = (self.pair, self.selected, self.is_enlarged, self.has_colors)
        return id(self.mistakes), self.error, chosen, state.test is None, state.has_ended

    @property
    def shown(self) -> list[Mistake]:
        """Those that are to be seen."""
        pair = self.pair
        return [of for of in self.mistakes if pair is None or pair.holds(of.truth, of.predicted)]

    def move(self, columns: int, rows: int) -> None:
        """Choose another; rows are those of the grid, or when one is enlarged the next one."""
        step = columns + rows * (1 if self.is_enlarged else self._grid.columns)
        target = self.selected + step
        last = len(self.shown) - 1
        if rows and not self.is_enlarged and not 0 <= target <= last:
            return  # there is no such row
        self.selected = max(0, min(target, last))
        self.redraw()

    def page(self, pages: int) -> None:
        """Choose one a page away."""
        self.move(pages * (1 if self.is_enlarged else self._grid.places), 0)

    def draw(self, state: RunState, width: int, height: int) -> Sequence[Content]:
        """The grid, or one picture."""
        shown, test = self.shown, state.test
        self.selected = max(0, min(self.selected, len(shown) - 1))
        classes = state.prepared.classes if state.prepared else ()
        self._name_panel(test, classes, len(shown), shown[self.selected].name if shown else "")
        if test is None or not shown:
            return [Content.styled(text, "$muted") for text in self._reasons(state)]
        if self.is_enlarged:
            return self._large(shown[self.selected], classes, width, height)
        return self._tiles(shown, classes, width, height)

    def _reasons(self, state: RunState) -> list[str]:
        """Why there is nothing to see."""
        if state.test is None and state.has_ended:
            return ["this run was not tested: it ended before"]
        if state.test is None:
            return ["after the test, once training is done"]
        if self.error:
            return [safe_text(self.error, 1000)]
        if self.pair is not None:
            return ["no picture is kept of these", "esc shows all"]
        return ["nothing was mistaken"]

    def _name_panel(
        self, test: TestFinished | None, classes: Sequence[str], count: int, name: str
    ) -> None:
        title, subtitle = "Mistakes", ""
        if test is not None and count:
            counted = _counted(test, self.pair)
            title += f" ─ {_which(self.pair, classes)}{count:,}"
            title += f" of {counted:,}" * (count < counted) + ", the most confident first"
            path = "" if self.is_enlarged else f"{safe_text(name, LONGEST_PATH)} · "
            subtitle = f"{path}{self.selected + 1} of {count:,}"
        self.retitle(title, subtitle)

    def _tiles(
        self, shown: list[Mistake], classes: Sequence[str], width: int, height: int
    ) -> list[Content]:
        grid = self._grid = tile_layout(_picture(shown[0]), width, height)
        first = self.selected // grid.places * grid.places
        lines: list[Content] = []
        for start in range(first, min(first + grid.places, len(shown)), grid.columns):
            places = range(start, min(start + grid.columns, len(shown), first + grid.places))
            tiles = [self._tile(shown[place], classes, grid, place) for place in places]
            if lines:
                lines.append(Content(""))
            gap = Content(" " * GAP)
            lines += [gap.join(pieces) for pieces in zip(*tiles, strict=True)]
        return lines

    def _tile(
        self, mistake: Mistake, classes: Sequence[str], grid: TileLayout, place: int
    ) -> list[Content]:
        """A picture with its caption, all lines of one width."""
        is_selected, cells = place == self.selected, grid.cells
        mark, style = ("› ", "bold $primary") if is_selected else ("  ", "")
        names = [safe_text(_name(classes, of), LONGEST_NAME) for of in _answers(mistake)]
        captions = (
            Content.styled(f"{mark}{names[0]}", style),
            Content.assemble("→ ", (names[1], "bold")),
            Content.styled(f"  {percent(mistake.confidence)}", "$muted"),
        )
        return [
            *_drawn(mistake, cells, self.has_colors),
            *(line.truncate(cells, ellipsis=True, pad=True) for line in captions),
        ]

    def _large(
        self, mistake: Mistake, classes: Sequence[str], width: int, height: int
    ) -> list[Content]:
        is_wide = width >= 2 * TEXT_WIDTH
        text_width = TEXT_WIDTH - GAP if is_wide else width
        path = _folded(safe_text(mistake.name, 4 * text_width), text_width)
        texts, blank = _facts(mistake, classes), Content("")
        texts = [*texts, blank, *path] if is_wide else [blank, *texts, *path]
        room = (width - TEXT_WIDTH, height) if is_wide else (width, height - len(texts))
        columns = fit_width(_picture(mistake), max(1, room[0]), max(1, room[1]))
        drawn = list(_drawn(mistake, columns, self.has_colors))
        if not is_wide:
            return [*drawn, *texts]
        texts += [blank] * (len(drawn) - len(texts))
        drawn += [Content(" " * columns)] * (len(texts) - len(drawn))
        gap = Content(" " * GAP)
        return [left + gap + right for left, right in zip(drawn, texts, strict=True)]


def tile_layout(picture: Picture, width: int, height: int) -> TileLayout:
    """How many pictures there is room for, in the largest size that shows enough of them."""
    for cells, enough in SIZES:
        lines = picture_height(picture, cells) + CAPTION_LINES + 1
        grid = TileLayout(
            max(1, (width + GAP) // (cells + GAP)), max(1, (height + 1) // lines), min(cells, width)
        )
        if grid.places >= enough and lines <= height + 1:
            break
    return grid


@lru_cache(maxsize=128)
def _drawn(mistake: Mistake, columns: int, colors: bool) -> tuple[Content, ...]:
    rows = draw_picture(_picture(mistake), columns, colors=colors)
    return tuple(Content.assemble(*row) for row in rows)


def _picture(mistake: Mistake) -> Picture:
    return Picture(mistake.pixels, mistake.width, mistake.height, mistake.channels)


def _answers(mistake: Mistake) -> tuple[int, int]:
    return mistake.truth, mistake.predicted


def _name(classes: Sequence[str], index: int) -> str:
    return classes[index] if index < len(classes) else f"class {index + 1}"


def _counted(test: TestFinished, pair: ClassPair | None) -> int:
    """How many such mistakes the test counted."""
    return sum(
        images
        for truth, predicted, images in test.confusion
        if pair is None or pair.holds(truth, predicted)
    )


def _which(pair: ClassPair | None, classes: Sequence[str]) -> str:
    if pair is None:
        return ""
    truth, predicted = (safe_text(_name(classes, of), LONGEST_NAME) for of in pair)
    called = "something else" if pair.truth == pair.predicted else predicted
    return f"{truth} called {called} ─ "


def _facts(mistake: Mistake, classes: Sequence[str]) -> list[Content]:
    """What is said of a mistake that is enlarged."""
    truth, predicted = (safe_text(_name(classes, of), LONGEST_NAME) for of in _answers(mistake))
    return [
        Content.assemble(("is      ", "$muted"), (truth, "bold")),
        Content.assemble(("called  ", "$muted"), (predicted, "bold $text-error")),
        Content.assemble(("sure    ", "$muted"), percent(mistake.confidence, 2)),
        Content.assemble(("truth   ", "$muted"), f"was answer {mistake.rank}"),
    ]


def _folded(text: str, width: int) -> list[Content]:
    """A path in pieces of that width."""
    return [
        Content.styled(text[at : at + width], "$muted") for at in range(0, len(text), max(1, width))
    ]
