"""The result of a run that has ended with a test: figures, mistakes as pictures, next commands."""

from collections.abc import Iterable, Sequence
from itertools import zip_longest

from textual.content import Content

from cnn_engine.results.metrics import metrics_of
from cnn_engine.results.mistakes import Mistake
from cnn_engine.runlog.events import TestFinished
from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.widgets.panel import Panel
from cnn_tui.pictures.half_blocks import Picture, draw_picture, fit_width
from cnn_tui.text.metrics import interval_text
from cnn_tui.text.numbers import decimal, percent
from cnn_tui.text.safe import class_name
from cnn_tui.text.width import pad

PICTURES = 3
MAX_COLUMNS = 14
"""Maximum cells across a picture."""

MIN_PICTURE_LINES = 3

CAPTION_LINES = 2

NEXT = "in the shell: predict, export, test"
"""Commands, which the shell shows in full once the dashboard is closed."""

PREFERRED_LINES = 11
"""Lines if the height follows the content."""


class RunResult(Panel[RunState]):
    """Accuracy with its interval, the most confident mistakes, and what can be done next."""

    TITLE = "Result"

    def __init__(self, *, has_colors: bool) -> None:
        super().__init__()
        self._has_colors = has_colors
        self._mistakes: Sequence[Mistake] = ()

    @property
    def mistakes(self) -> Sequence[Mistake]:
        """Mistakes of the test; the first ones of different pairs of classes are drawn."""
        return self._mistakes

    @mistakes.setter
    def mistakes(self, mistakes: Sequence[Mistake]) -> None:
        self._mistakes = first_of_each_pair(mistakes, PICTURES)
        self._redraw()
        self.refresh(layout=True)  # pictures need more lines, where the height is not fixed

    def depends_on(self, state: RunState) -> object:
        """Return the test."""
        return state.test

    def draw(self, state: RunState, width: int, height: int) -> Sequence[Content]:
        """Return the figures, the pictures that fit, and the commands."""
        if state.test is None:
            return []
        height = height or PREFERRED_LINES
        first, *others = _figures(state, state.test)
        commands = [Content.styled(NEXT, "$muted")]
        lines = height - 1 - len(commands) - CAPTION_LINES
        if not self._mistakes or lines < MIN_PICTURE_LINES:
            return [first, *others, *commands][:height]
        pictures = self._pictures(state.classes, width, lines)
        room = height - 1 - len(pictures) - len(commands)
        return [first, *others[: max(0, room)], *pictures, *commands]

    def _pictures(self, classes: tuple[str, ...], width: int, lines: int) -> list[Content]:
        """Return the pictures side by side, with the true and the predicted class below."""
        columns = max(1, min(MAX_COLUMNS, (width + 1) // PICTURES - 1))
        drawn: list[list[Content]] = []
        captions: list[tuple[str, str]] = []
        for mistake in self._mistakes:
            picture = Picture(mistake.pixels, mistake.width, mistake.height, mistake.channels)
            across = fit_width(picture, columns, lines)
            rows = draw_picture(picture, across, colors=self._has_colors)[:lines]
            blank = " " * (columns - across + 1)
            drawn.append([Content.assemble(*row, blank) for row in rows])
            target, predicted = (
                class_name(classes, label, columns - 2)
                for label in (mistake.target, mistake.predicted)
            )
            captions.append((pad(target, columns + 1), pad(f"→ {predicted}", columns + 1)))
        empty = Content(" " * (columns + 1))
        return [
            *(Content("").join(row) for row in zip_longest(*drawn, fillvalue=empty)),
            Content("".join(target for target, _ in captions)),
            Content.styled("".join(predicted for _, predicted in captions), "bold"),
        ]


def first_of_each_pair(mistakes: Iterable[Mistake], count: int) -> list[Mistake]:
    """Return the first mistake of each of `count` pairs of true and predicted class."""
    first: dict[tuple[int, int], Mistake] = {}
    for mistake in mistakes:
        first.setdefault((mistake.target, mistake.predicted), mistake)
        if len(first) == count:
            break
    return list(first.values())


def _figures(state: RunState, test: TestFinished) -> list[Content]:
    """Return the lines of figures, the most important one first."""
    metrics = metrics_of(test, state.prepared)
    error = metrics.calibration_error
    calibration = "" if error is None else f"  calibration error {percent(error)}"
    lines = [
        Content.assemble(
            ("test ", "$muted"),
            (percent(test.accuracy, 2), "bold $text-success"),
            (f"  95%: {interval_text(metrics.accuracy)}", "$muted"),
        ),
        Content.assemble(
            ("macro F1 ", "$muted"),
            decimal(metrics.macro.f1),
            (calibration, "$muted"),
        ),
    ]
    if metrics.confused_pairs:
        target, predicted, images = metrics.confused_pairs[0]
        names = (class_name(state.classes, index, 12) for index in (target, predicted))
        lines.append(
            Content.assemble(("most confused ", "$muted"), " → ".join(names), f"  {images:,}")
        )
    return lines
