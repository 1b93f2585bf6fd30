"""4: what the network is made of, and what it makes of an image."""

from textual.app import ComposeResult

from cnn_engine.results.feature_maps import MAPS_FILE
from cnn_engine.results.feature_maps_reader import read_maps
from cnn_engine.results.model_layers import LAYERS_FILE, read_layers
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_tui.dashboard.keys import bindings_for
from cnn_tui.dashboard.views.view import View
from cnn_tui.dashboard.widgets.feature_maps import FeatureMaps
from cnn_tui.dashboard.widgets.layer_table import LayerTable
from cnn_tui.live.watched_file import WatchedFile


class ModelView(View):
    """The layers beside an image on its way through them."""

    BINDINGS = bindings_for("model")

    def __init__(self, run: RunDirectory, *, id: str) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self._layers = WatchedFile(run.path / LAYERS_FILE, read_layers)
        self._maps = WatchedFile(run.path / MAPS_FILE, read_maps)

    def compose(self) -> ComposeResult:
        """The panels."""
        yield LayerTable(self._layers)
        yield FeatureMaps(self._maps)

    @property
    def _panel(self) -> FeatureMaps:
        return self.query_one(FeatureMaps)

    def show(self, state: RunState) -> None:
        """Show what the files now hold."""
        self._layers.refresh()
        self._maps.refresh()
        self._panel.has_pictures = self.app.can_draw_images  # type: ignore[attr-defined]
        super().show(state)

    def action_move_image(self, images: int) -> None:
        """Go to another image."""
        self._go_to(self._panel.sample + images)

    def action_move_step(self, steps: int) -> None:
        """Go to another step on its way."""
        panel = self._panel
        panel.step = min(max(0, panel.step + steps), max(0, panel.step_count - 1))
        panel.redraw()

    def action_wrong(self) -> None:
        """Go to the next image that is taken for something else."""
        samples, at = self._panel.samples, self._panel.sample
        later = [*range(at + 1, len(samples)), *range(at)]
        self._go_to(next((index for index in later if not samples[index].is_right), at))

    def action_layers(self) -> None:
        """Give the layers the place of the pictures, or share it again."""
        self.toggle_class("-layers")
        (self.query_one(LayerTable) if self.has_class("-layers") else self).focus()

    def _go_to(self, sample: int) -> None:
        self._panel.sample = min(max(0, sample), max(0, len(self._panel.samples) - 1))
        self._panel.redraw()
