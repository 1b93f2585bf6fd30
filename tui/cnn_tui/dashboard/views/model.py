"""View 4: the layers of the model, and the feature maps of an image."""

from textual import getters
from textual.app import ComposeResult

from cnn_engine.results.feature_maps import MAPS_FILE, read_feature_maps
from cnn_engine.results.model_layers import LAYERS_FILE, read_layers
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_tui.dashboard.keys import bindings_for
from cnn_tui.dashboard.views.view import View
from cnn_tui.dashboard.widgets.feature_maps import FeatureMaps
from cnn_tui.dashboard.widgets.layer_table import LayerTable
from cnn_tui.live.watched_file import WatchedFile


class ModelView(View):
    """The layer table beside the feature maps."""

    BINDINGS = bindings_for("model")
    has_files = True
    is_read = False
    layer_table = getters.query_one(LayerTable)
    feature_maps = getters.query_one(FeatureMaps)

    def __init__(self, run: RunDirectory, *, id: str) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self._layers_file = WatchedFile(run.path / LAYERS_FILE, read_layers)
        self._maps_file = WatchedFile(run.path / MAPS_FILE, read_feature_maps)

    def compose(self) -> ComposeResult:
        """Yield the panels."""
        yield LayerTable(self._layers_file)
        yield FeatureMaps(self._maps_file, has_colors=self.app.can_draw_images)  # type: ignore[attr-defined]

    def read(self, state: RunState) -> None:  # noqa: ARG002 - for views that depend on it
        """Read both files if they have changed."""
        self._layers_file.refresh()
        self._maps_file.refresh()
        self.is_read = True

    def action_move_image(self, images: int) -> None:
        """Show another image."""
        last = max(0, len(self.feature_maps.samples) - 1)
        self.feature_maps.sample = min(max(0, self.feature_maps.sample + images), last)

    def action_move_stage(self, stages: int) -> None:
        """Select another stage."""
        last = max(0, self.feature_maps.stage_count - 1)
        self.feature_maps.stage = min(max(0, self.feature_maps.stage + stages), last)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Return None for what needs layers, or images, perhaps misclassified ones, without any."""
        samples = self.feature_maps.samples
        is_disabled = {
            "toggle_layers": self._layers_file.value is None and not self.has_class("-layers"),
            "move_image": not samples,
            "move_stage": not samples,
            "toggle_heat": not any(sample.heatmap for sample in samples),
            "next_misclassified": all(sample.is_correct for sample in samples),
        }
        return None if is_disabled.get(action) else True

    def action_next_misclassified(self) -> None:
        """Show the next misclassified image."""
        samples, current = self.feature_maps.samples, self.feature_maps.sample
        later = [*range(current + 1, len(samples)), *range(min(current, len(samples)))]
        wrong = (index for index in later if not samples[index].is_correct)
        self.feature_maps.sample = next(wrong, current)

    def action_toggle_heat(self) -> None:
        """Draw the heatmap over the image, or not."""
        self.feature_maps.has_heat = not self.feature_maps.has_heat

    def back(self) -> bool:
        """Show the feature maps again; return False if the layers are not shown alone."""
        is_open = self.has_class("-layers")
        if is_open:
            self.action_toggle_layers()
        return is_open

    def action_toggle_layers(self) -> None:
        """Show the layers alone, or the feature maps again."""
        self.toggle_class("-layers")
        (self.layer_table if self.has_class("-layers") else self).focus()
