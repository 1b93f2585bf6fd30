"""An image with its feature maps at every stage of the network, and its predictions."""

from collections.abc import Sequence
from dataclasses import dataclass

from textual.content import Content
from textual.reactive import reactive

from cnn_engine.results.feature_maps import MapsFile, Sample
from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.widgets.layer_table import missing_file_lines
from cnn_tui.dashboard.widgets.panel import Panel, colored_bar, justify
from cnn_tui.live.watched_file import WatchedFile
from cnn_tui.pictures.half_blocks import Picture, draw_picture, fit_width
from cnn_tui.pictures.heat import SHADES, draw_heat
from cnn_tui.pictures.maps import (
    draw_row,
    draw_rows,
    filter_pictures,
    filter_range,
    image_picture,
    stage_pictures,
    tile_height,
    tiles_per_row,
)
from cnn_tui.text.numbers import percent
from cnn_tui.text.safe import class_name, safe_text
from cnn_tui.text.width import pad, widest

TILE_SIZES = (32, 24, 16, 12, 8)
"""Widths in cells of a map of the selected stage; the largest at which all maps fit is used."""

STRIP_TILE = 8
"""Width in cells of a map of the other stages."""

MAX_NAME = 30
NAME_WIDTH, BAR_WIDTH = 12, 20


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A point in the network with pictures: the filters of the first layer, or feature maps."""

    name: str

    kind: str
    """Kind and shape of the pictures, such as `maps 32×32`."""

    total: int
    """Pictures at this point of the network; not all of them are saved."""

    low: float
    high: float
    pictures: list[Picture]

    def title(self, shown: int, *, is_selected: bool, width: int) -> Content:
        """Return the name, the number of pictures, and the values of black and white."""
        name = ("▸ " if is_selected else "  ") + safe_text(self.name, 60)
        count = f"{shown} of {self.total} {self.kind}" if shown else f"{self.total} {self.kind}"
        style = "bold $primary" if is_selected else ""
        left = Content.assemble((name, style), ("  " + count, "$muted"))
        scale = Content.styled(f" {self.low:.3g} … {self.high:.3g}", "$muted")
        return justify(left, scale, width)


class FeatureMaps(Panel[RunState]):
    """An image with its predictions, and below it the stages, the selected one large."""

    TITLE = "Feature maps"

    sample: reactive[int] = reactive(0, repaint=False)
    """Index of the image."""

    stage: reactive[int] = reactive(0, repaint=False)
    """Index of the selected stage."""

    has_heat: reactive[bool] = reactive(False, repaint=False)
    """True to draw the heatmap over the image."""

    def __init__(self, file: WatchedFile[MapsFile], *, has_colors: bool) -> None:
        """Create the panel.

        Args:
            file: The file with the maps.
            has_colors: True to draw half blocks in colours, False to draw characters.
        """
        super().__init__()
        self._file, self._has_colors = file, has_colors

    def watch_sample(self) -> None:
        """Draw another image."""
        self._redraw()

    def watch_stage(self) -> None:
        """Draw another stage large."""
        self._redraw()

    def watch_has_heat(self) -> None:
        """Draw the image with or without its heatmap."""
        self._redraw()

    @property
    def samples(self) -> Sequence[Sample]:
        """The images in the file."""
        return self._file.value.header.samples if self._file.value else ()

    @property
    def stage_count(self) -> int:
        """Stages of an image."""
        maps = self._file.value
        return len(maps.header.stages) + (maps.header.filters is not None) if maps else 0

    def depends_on(self, state: RunState) -> object:
        """Return the file's content, and the state that selects the text shown without it."""
        return (
            self._file.value,
            self._file.error,
            state.prepared is None,
            state.is_own,
            state.has_ended,
        )

    def titles(self, state: RunState) -> tuple[str, str]:
        """Return the epoch of the maps, and the meaning of black and white, or of the heatmap."""
        if self._file.value is None:
            return self.TITLE, ""
        epoch = self._file.value.header.epoch
        subtitle = "black = min, white = max" if self._has_colors else "blank = min, @ = max"
        if self.has_heat and (sample := self._shown_sample()) and sample.heatmap:
            marks = "yellow and orange" if self._has_colors else " ".join(SHADES[2] + SHADES[1])
            name = class_name(state.classes, sample.top_classes[0], MAX_NAME)
            subtitle = f"{marks} speak for {name}; maps: {subtitle}"
        return f"{self.TITLE} ─ {f'after epoch {epoch}' if epoch else 'before training'}", subtitle

    def _shown_sample(self) -> Sample | None:
        """Return the selected sample; None without any."""
        samples = self.samples
        return samples[min(self.sample, len(samples) - 1)] if samples else None

    def draw(self, state: RunState, width: int, height: int) -> Sequence[Content]:
        """Return the image with its predictions, and the stages below it."""
        maps = self._file.value
        if maps is None:
            waiting = "available once the model is built; updated after each epoch"
            return missing_file_lines(
                self._file.error, state, "maps.bin", "feature maps", waiting, width
            )
        if not maps.header.samples:
            return [Content.styled("no images saved", "$muted")]
        sample = min(self.sample, len(self.samples) - 1)
        stage = min(self.stage, max(0, self.stage_count - 1))
        top = self._image(maps, sample, state.classes, width, _image_lines(height))
        return [*top, *self._stages(_stages(maps, sample), stage, width, height - len(top))]

    def _image(
        self, maps: MapsFile, sample: int, classes: Sequence[str], width: int, height: int
    ) -> list[Content]:
        """Return the image, and beside it its class and the predictions."""
        picture = image_picture(maps, sample)
        columns = fit_width(picture, width // 2, height)
        heatmap = self.samples[sample].heatmap if self.has_heat else None
        rows = (
            draw_picture(picture, columns, colors=self._has_colors)
            if heatmap is None
            else draw_heat(picture, heatmap, columns, colors=self._has_colors)
        )
        drawn = [Content.assemble(*row) for row in rows]
        texts = self._texts(maps, sample, classes, width - columns - 2)
        lines = []
        for y in range(height):
            left = drawn[y] if y < len(drawn) else Content(" " * columns)
            lines.append(left + Content("  ") + (texts[y] if y < len(texts) else Content("")))
        return lines

    def _texts(
        self, maps: MapsFile, index: int, classes: Sequence[str], width: int
    ) -> list[Content]:
        sample = self.samples[index]
        number = f"{maps.header.split} image {index + 1} of {len(self.samples)}"
        target = class_name(classes, sample.label, MAX_NAME)
        predicted = class_name(classes, sample.top_classes[0], MAX_NAME)
        verdict = (
            Content.styled(f"✓ {target}", "bold $text-success")
            if sample.is_correct
            else Content.styled(f"✗ {target}, predicted {predicted}", "bold $text-error")
        )
        lines = [Content.assemble(number, (f"  {safe_text(sample.name, 200)}", "$muted")), verdict]
        name_width = min(NAME_WIDTH, max(4, width - 12))
        names = [class_name(classes, label, name_width) for label in sample.top_classes]
        name_width = widest(names)
        bar_width = max(0, min(BAR_WIDTH, width - name_width - 9))
        predictions = zip(names, sample.top_classes, sample.probabilities, strict=True)
        for name, label, probability in predictions:
            mark = "✓" if label == sample.label else " "
            lines.append(
                Content.assemble(
                    f"{mark} {pad(name, name_width)} ",
                    colored_bar(probability, bar_width),
                    (f" {percent(probability, 0):>4}", "$muted"),
                )
            )
        return lines

    def _stages(self, stages: list[Stage], selected: int, width: int, height: int) -> list[Content]:
        """Return the selected stage large, and the other stages as strips as far as they fit."""
        if not stages or height < 2:
            return []
        min_lines = len(stages) + tile_height(stages[selected].pictures[0], TILE_SIZES[-1])
        indices = range(len(stages)) if height >= min_lines else [selected]
        room = height - len(indices)
        strips = _strip_lines(stages, indices, selected, room)
        room -= sum(strips.values())
        lines: list[Content] = []
        for index in indices:
            stage, is_selected = stages[index], index == selected
            drawn, count = list[Content](), 0
            if is_selected:
                drawn, count = self._large(stage, width, room)
            elif index in strips:
                count = min(len(stage.pictures), tiles_per_row(width, STRIP_TILE))
                drawn = draw_row(stage.pictures[:count], STRIP_TILE, colors=self._has_colors)
            lines += [stage.title(count, is_selected=is_selected, width=width), *drawn]
        return lines

    def _large(self, stage: Stage, width: int, height: int) -> tuple[list[Content], int]:
        """Return the lines and the number of pictures, in the largest size in which all fit."""
        drawn: tuple[list[Content], int] = [], 0
        for tile in TILE_SIZES:
            if tile > width or tile_height(stage.pictures[0], tile) > height:
                continue
            drawn = draw_rows(stage.pictures, tile, width, height, colors=self._has_colors)
            if drawn[1] == len(stage.pictures):
                break
        return drawn


def _image_lines(height: int) -> int:
    """Return the number of lines for the image and its predictions."""
    return 8 if height >= 17 else 7 if height >= 14 else max(1, height // 2)


def _stages(maps: MapsFile, sample: int) -> list[Stage]:
    header = maps.header
    stages = []
    if filters := header.filters:
        low, high = filter_range(maps)
        shape = "×".join(map(str, filters.shape[1:]))
        stages.append(
            Stage(
                name=f"{filters.layer} filters",
                kind=f"filters {shape}",
                total=filters.total,
                low=low,
                high=high,
                pictures=filter_pictures(maps),
            )
        )
    for index, stage in enumerate(header.stages):
        low, high = header.samples[sample].lows[index], header.samples[sample].highs[index]
        shape = "×".join(map(str, stage.full_size))
        stages.append(
            Stage(
                name=stage.name or stage.kind,
                kind=f"maps {shape}",
                total=stage.total,
                low=low,
                high=high,
                pictures=stage_pictures(maps, sample, index),
            )
        )
    return stages


def _strip_lines(
    stages: list[Stage], indices: Sequence[int], selected: int, room: int
) -> dict[int, int]:
    """Return the lines of the stages drawn as strips, those next to the selected one first."""
    reserved = tile_height(stages[selected].pictures[0], TILE_SIZES[-2])
    strips: dict[int, int] = {}
    for index in sorted(indices, key=lambda index: abs(index - selected)):
        lines = tile_height(stages[index].pictures[0], STRIP_TILE)
        if index != selected and room - sum(strips.values()) - lines >= reserved:
            strips[index] = lines
    return strips
