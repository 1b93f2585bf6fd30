"""The table of the model's layers."""

from collections.abc import Sequence
from typing import NamedTuple

from textual.content import Content

from cnn_engine.results.model_layers import Layer, Layers
from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.widgets.panel import LazyLines, Panel, justify
from cnn_tui.live.watched_file import WatchedFile
from cnn_tui.text.numbers import count_text
from cnn_tui.text.other_loops import missing_text
from cnn_tui.text.safe import safe_text
from cnn_tui.text.width import cut_start, pad, wrap

NAME_WIDTH, MIN_NAME, KIND_WIDTH, OUTPUT_WIDTH, COUNT_WIDTH = 14, 8, 13, 10, 6


class LayerRow(NamedTuple):
    """The texts of one row."""

    name: str
    kind: str
    output: str
    parameters: str
    flops: str


class LayerTable(Panel[RunState], can_focus=True):
    """Output shape, parameters and FLOP of each layer, in forward order."""

    TITLE = "Layers"

    def __init__(self, file: WatchedFile[Layers]) -> None:
        super().__init__()
        self._file = file

    def titles(self, state: RunState) -> tuple[str, str]:  # noqa: ARG002
        """Return the title, and how FLOP are counted if there are any."""
        return self.TITLE, "a multiply-add is 2 FLOP" if self._file.value else ""

    def depends_on(self, state: RunState) -> object:
        """Return the file's content, and the state that selects the text shown without it."""
        return (
            self._file.value,
            self._file.error,
            state.prepared is None,
            state.is_own,
            state.has_ended,
        )

    def draw(self, state: RunState, width: int, height: int) -> Sequence[Content]:  # noqa: ARG002
        """Return a line for each layer, and a total."""
        layers = self._file.value
        if layers is None:
            waiting = "available once the model is built"
            return missing_file_lines(
                self._file.error, state, "model.json", "layers", waiting, width
            )
        rows = layers.layers
        heading = LayerRow("layer", "", "output", "params", "FLOP")
        total = LayerRow(
            name="total",
            kind=f"{len(rows)} layers",
            output="",
            parameters=count_text(sum(layer.parameters for layer in rows)),
            flops=count_text(sum(layer.flops for layer in rows)),
        )
        image = LayerRow("image", "", _shape_text(layers.input), "", "")
        note = "FLOP per image, forward; training: about 3 times"

        def line(y: int) -> Content:
            match y:
                case 0:
                    return _line(heading, width).stylize("$muted")
                case 1:
                    return _line(image, width)
                case _ if y < len(rows) + 2:
                    return _line(_row(rows[y - 2]), width)
                case _ if y == len(rows) + 2:
                    return _line(total, width).stylize("bold")
            return Content.styled(note, "$muted")

        return LazyLines(len(rows) + 4, line)


def _row(layer: Layer) -> LayerRow:
    return LayerRow(
        name=safe_text(layer.name, 200) or "(model)",
        kind=" ".join(filter(None, (safe_text(layer.kind, 40), safe_text(layer.detail, 20)))),
        output=_shape_text(layer.output) if layer.output else "not used",
        parameters=count_text(layer.parameters) if layer.parameters else "·",
        flops=count_text(layer.flops) if layer.flops else "·",
    )


def _line(row: LayerRow, width: int) -> Content:
    """Return the row in columns; without the kind if the width is small."""
    counts = Content.assemble(
        f" {row.output:>{OUTPUT_WIDTH}}",
        (f" {row.parameters:>{COUNT_WIDTH}}", "$primary"),
        (f" {row.flops:>{COUNT_WIDTH}}", "$secondary"),
    )
    room = width - counts.cell_length
    if room <= MIN_NAME + KIND_WIDTH:
        return justify(Content(_fit_end(row.name, max(1, room))), counts, width)
    name = _fit_end(row.name, max(MIN_NAME, min(NAME_WIDTH, room - KIND_WIDTH - 1)))
    return justify(Content.assemble(name, " ", (row.kind, "$muted")), counts, width)


def _fit_end(name: str, width: int) -> str:
    """Return the name padded or cut to the width; its end is kept, which distinguishes layers."""
    return pad(cut_start(name, width), width)


def _shape_text(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))


def missing_file_lines(  # noqa: PLR0913, PLR0917 - texts for each case
    error: str, state: RunState, name: str, what: str, waiting: str, width: int
) -> list[Content]:
    """Return the lines shown in place of a file's content.

    Args:
        error: The error from reading it; empty if there is no file.
        state: The state of the run.
        name: The name of the file.
        what: Its content, such as `layers`.
        waiting: Text while the run has not ended, about when the file is written.
        width: Width in cells.
    """
    text, style = waiting, "$muted"
    if error:
        text, style = safe_text(error, 500), "$text-warning"
    elif reason := missing_text(state, what):
        text = reason
    elif state.has_ended:
        text = f"This run has no {name}: an earlier version trained it, or it could not be written."
    return [Content.styled(line, style) for line in wrap(text, width)]
