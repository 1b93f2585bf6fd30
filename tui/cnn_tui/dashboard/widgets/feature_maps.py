"""How an image goes through the network."""

from collections.abc import Sequence
from dataclasses import dataclass

from textual.content import Content

from cnn_engine.results.feature_maps import Maps, Sample
from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.widgets.layer_table import why_nothing
from cnn_tui.dashboard.widgets.panel import Panel, colored_bar, justify
from cnn_tui.live.watched_file import WatchedFile
from cnn_tui.pictures.half_blocks import Picture, draw_picture, fit_width
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
from cnn_tui.text.safe import safe_text

TILES = (32, 24, 16, 12, 8)
"""Cells across for a map that is looked at: the largest of which all fit."""

STRIP_TILE = 8
"""Cells across for a map that is not."""

NAME_WIDTH, BAR_WIDTH = 12, 20


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A step on the way through the network."""

    name: str
    what: str
    """What its pictures are."""

    of: int
    """How many there are in the network."""

    low: float
    high: float
    pictures: list[Picture]

    def title(self, shown: int, *, chosen: bool, width: int) -> Content:
        """Its name, what is shown of it, and the values of black and white."""
        name = ("▸ " if chosen else "  ") + safe_text(self.name, 60)
        count = f"{shown} of {self.of} {self.what}" if shown else f"{self.of} {self.what}"
        left = Content.assemble((name, "bold $primary" if chosen else ""), ("  " + count, "$muted"))
        scale = Content.styled(f" {self.low:.3g} … {self.high:.3g}", "$muted")
        return justify(left, scale, width)


class FeatureMaps(Panel):
    """An image and its answers; the first filters and each stage's maps, one of them large."""

    def __init__(self, file: WatchedFile[Maps]) -> None:
        super().__init__()
        self._file = file
        self.sample = self.step = 0
        """Which image, and which step on its way, are looked at."""
        self.has_pictures = True
        """Whether the terminal has colours and half blocks to draw pictures with."""

    @property
    def samples(self) -> Sequence[Sample]:
        """The images there are."""
        return self._file.value.header.samples if self._file.value else ()

    @property
    def step_count(self) -> int:
        """Steps on the way of one."""
        maps = self._file.value
        return len(maps.header.stages) + (maps.header.filters is not None) if maps else 0

    def depends_on(self, state: RunState) -> object:
        """The file."""
        return self._file.value, self._file.error, state.prepared is None, state.has_ended

    def draw(self, state: RunState, width: int, height: int) -> Sequence[Content]:
        """The image with its answers on top, and the steps below it."""
        self._name_panel()
        maps = self._file.value
        if maps is None:
            when = "once the model is built, and anew after each epoch"
            return why_nothing(self._file.error, state, "maps.bin", when, width)
        if not maps.header.samples:
            return [Content.styled("no images are kept", "$muted")]
        self.sample = min(self.sample, len(self.samples) - 1)
        self.step = min(self.step, max(0, self.step_count - 1))
        classes = state.prepared.classes if state.prepared else ()
        top = self._image(maps, classes, width, _image_lines(height))
        return [*top, *self._steps(_steps_of(maps, self.sample), width, height - len(top))]

    def _name_panel(self) -> None:
        maps = self._file.value
        title, subtitle = "What the network sees", ""
        if maps:
            epoch = maps.header.epoch
            title += f" ─ after epoch {epoch}" if epoch else " ─ before training"
            subtitle = (
                "black least, white greatest" if self.has_pictures else "blank least, @ greatest"
            )
        self.retitle(title, subtitle)

    def _image(self, maps: Maps, classes: Sequence[str], width: int, height: int) -> list[Content]:
        """The image, and beside it what it is and what it is taken for."""
        picture = image_picture(maps, self.sample)
        columns = fit_width(picture, width // 2, height)
        drawn = [
            Content.assemble(*row)
            for row in draw_picture(picture, columns, colors=self.has_pictures)
        ]
        sample = self.samples[self.sample]
        texts = self._texts(maps, sample, classes, width - columns - 2)
        lines = []
        for y in range(height):
            left = drawn[y] if y < len(drawn) else Content(" " * columns)
            lines.append(left + Content("  ") + (texts[y] if y < len(texts) else Content("")))
        return lines

    def _texts(
        self, maps: Maps, sample: Sample, classes: Sequence[str], width: int
    ) -> list[Content]:
        number = f"{maps.header.part} image {self.sample + 1} of {len(self.samples)}"
        truth = _class_name(classes, sample.label)
        taken = _class_name(classes, sample.answers[0])
        verdict = (
            Content.styled(f"✓ {truth}", "bold $text-success")
            if sample.is_right
            else Content.styled(f"✗ {truth}, taken for {taken}", "bold $text-error")
        )
        lines = [
            Content.assemble(number, (f"  {safe_text(sample.name, 200)}", "$muted")),
            verdict,
        ]
        names = [_class_name(classes, answer)[:NAME_WIDTH] for answer in sample.answers]
        name_width = min(max(map(len, names)), max(4, width - 12))
        bar_width = max(0, min(BAR_WIDTH, width - name_width - 9))
        for name, answer, share in zip(names, sample.answers, sample.shares, strict=True):
            mark = "✓" if answer == sample.label else " "
            lines.append(
                Content.assemble(
                    f"{mark} {name[:name_width]:<{name_width}} ",
                    colored_bar(share, bar_width),
                    (f" {percent(share, 0):>4}", "$muted"),
                )
            )
        return lines

    def _steps(self, steps: list[Stage], width: int, height: int) -> list[Content]:
        """The chosen step large, the others small beside their names as far as there is room."""
        if not steps or height < 2:
            return []
        chosen = steps[self.step]
        names = (
            steps if height >= len(steps) + tile_height(chosen.pictures[0], TILES[-1]) else [chosen]
        )
        room = height - len(names)
        strips = _strips(names, chosen, room)
        room -= sum(strips.values())
        lines: list[Content] = []
        for index, step in enumerate(steps):
            if step not in names:
                continue
            shown, count = list[Content](), 0
            if step is chosen:
                shown, count = self._large(step, width, room)
            elif index in strips:
                count = min(len(step.pictures), tiles_per_row(width, STRIP_TILE))
                shown = draw_row(step.pictures[:count], STRIP_TILE, colors=self.has_pictures)
            lines += [step.title(count, chosen=step is chosen, width=width), *shown]
        return lines

    def _large(self, step: Stage, width: int, height: int) -> tuple[list[Content], int]:
        """All its pictures in the largest size in which they fit, or as many as do."""
        drawn: tuple[list[Content], int] = [], 0
        for tile in TILES:
            if tile > width or tile_height(step.pictures[0], tile) > height:
                continue
            drawn = draw_rows(step.pictures, tile, width, height, colors=self.has_pictures)
            if drawn[1] == len(step.pictures):
                break
        return drawn


def _image_lines(height: int) -> int:
    """Lines for the image and its answers."""
    return 8 if height >= 17 else 7 if height >= 14 else max(1, height // 2)


def _steps_of(maps: Maps, sample: int) -> list[Stage]:
    header = maps.header
    steps = []
    if filters := header.filters:
        low, high = filter_range(maps)
        shape = "×".join(map(str, filters.shape[1:]))
        steps.append(
            Stage(
                name=f"{filters.layer} filters",
                what=f"filters {shape}",
                of=filters.of,
                low=low,
                high=high,
                pictures=filter_pictures(maps),
            )
        )
    for index, stage in enumerate(header.stages):
        low, high = header.samples[sample].lows[index], header.samples[sample].highs[index]
        whole = "×".join(map(str, stage.whole))
        steps.append(
            Stage(
                name=stage.name or stage.kind,
                what=f"maps {whole}",
                of=stage.of,
                low=low,
                high=high,
                pictures=stage_pictures(maps, sample, index),
            )
        )
    return steps


def _strips(names: list[Stage], chosen: Stage, room: int) -> dict[int, int]:
    """Lines of each step that is drawn small, nearest to the chosen one first."""
    at = names.index(chosen)
    least = tile_height(chosen.pictures[0], TILES[-2])
    strips: dict[int, int] = {}
    for index in sorted(range(len(names)), key=lambda index: abs(index - at)):
        lines = tile_height(names[index].pictures[0], STRIP_TILE)
        if index != at and room - sum(strips.values()) - lines >= least:
            strips[index] = lines
    return strips


def _class_name(classes: Sequence[str], index: int) -> str:
    return safe_text(classes[index], 30) if index < len(classes) else f"class {index + 1}"
