"""The layers of the model."""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from textual.content import Content

from cnn_engine.results.model_layers import Layer, Layers
from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.widgets.panel import LazyLines, Panel, justify
from cnn_tui.live.watched_file import WatchedFile
from cnn_tui.text.numbers import count_text
from cnn_tui.text.safe import safe_text

NAME_WIDTH, LEAST_NAME, KIND_WIDTH, OUTPUT_WIDTH, COUNT_WIDTH = 14, 8, 13, 10, 6


class LayerRow(NamedTuple):
    """What stands in a row."""

    name: str
    kind: str
    output: str
    parameters: str
    flops: str


class LayerTable(Panel, can_focus=True):
    """Shapes, parameters and operations, in the order in which an image goes through."""

    def __init__(self, file: WatchedFile[Layers]) -> None:
        super().__init__()
        self._file = file

    def on_mount(self) -> None:
        """Name the panel."""
        self.border_title = "Layers"
        self.border_subtitle = "a multiply-add is 2 FLOP"

    def depends_on(self, state: RunState) -> object:
        """The file."""
        return self._file.value, self._file.error, state.prepared is None, state.has_ended

    def draw(self, state: RunState, width: int, height: int) -> Sequence[Content]:  # noqa: ARG002
        """A line for each layer, and one for all."""
        layers = self._file.value
        if layers is None:
            return why_nothing(
                self._file.error, state, "model.json", "once the model is built", width
            )
        rows = layers.layers
        heading = LayerRow("layer", "", "output", "params", "FLOP")
        total = LayerRow(
            name="all",
            kind=f"{len(rows)} layers",
            output="",
            parameters=count_text(sum(layer.parameters for layer in rows)),
            flops=count_text(sum(layer.flops for layer in rows)),
        )
        image = LayerRow("image", "", _shape(layers.input), "", "")
        training = "of one image, forward; training: three times that"

        def line(y: int) -> Content:
            match y:
                case 0:
                    return _row(heading, width).stylize("$muted")
                case 1:
                    return _row(image, width)
                case _ if y < len(rows) + 2:
                    return _row(_cells(rows[y - 2]), width)
                case _ if y == len(rows) + 2:
                    return _row(total, width).stylize("bold")
            return Content.styled(training, "$muted")

        return LazyLines(len(rows) + 4, line)


def _cells(layer: Layer) -> LayerRow:
    return LayerRow(
        name=safe_text(layer.name, 200) or "(itself)",
        kind=" ".join(filter(None, (safe_text(layer.kind, 40), safe_text(layer.detail, 20)))),
        output=_shape(layer.output) if layer.output else "not used",
        parameters=count_text(layer.parameters) if layer.parameters else "·",
        flops=count_text(layer.flops) if layer.flops else "·",
    )


def _row(cells: LayerRow, width: int) -> Content:
    """The cells in columns; on the narrow, not what kind it is."""
    figures = Content.assemble(
        f" {cells.output:>{OUTPUT_WIDTH}}",
        (f" {cells.parameters:>{COUNT_WIDTH}}", "$primary"),
        (f" {cells.flops:>{COUNT_WIDTH}}", "$secondary"),
    )
    room = width - figures.cell_length
    if room <= LEAST_NAME + KIND_WIDTH:
        return justify(Content(_end_of(cells.name, max(1, room))), figures, width)
    name = _end_of(cells.name, max(LEAST_NAME, min(NAME_WIDTH, room - KIND_WIDTH - 1)))
    return justify(Content.assemble(name, " ", (cells.kind, "$muted")), figures, width)


def _end_of(name: str, width: int) -> str:
    """A name so wide: of a long one its end, which tells it from its neighbours."""
    return f"{name:<{width}}" if len(name) <= width else f"…{name[1 - width :]}"


def _shape(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))


def why_nothing(trouble: str, state: RunState, file: str, when: str, width: int) -> list[Content]:
    """Why there is nothing to see: not yet, not at all, or not readable."""
    text, style = when, "$muted"
    if trouble:
        text, style = safe_text(trouble, 500), "$text-warning"
    elif state.has_ended:
        text = f"This run has no {file}: an earlier version trained it, or it could not be written."
    return [Content.styled(line, style) for line in textwrap.wrap(text, max(1, width))]
