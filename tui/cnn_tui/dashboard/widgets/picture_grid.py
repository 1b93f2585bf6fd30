"""Images with captions side by side, or one of them enlarged."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from textual import events
from textual.content import Content
from textual.reactive import reactive

from cnn_engine.results.heatmap import Heatmap
from cnn_tui.dashboard.keys import with_keys
from cnn_tui.dashboard.picture_lists.tile import PictureList, Tile
from cnn_tui.dashboard.widgets.panel import Panel
from cnn_tui.pictures.half_blocks import Picture, draw_picture, fit_width, picture_height
from cnn_tui.pictures.heat import draw_heat
from cnn_tui.text.safe import safe_text
from cnn_tui.text.width import fold, wrap

TILE_SIZES = ((32, 8), (24, 8), (20, 8), (16, 8), (16, 4), (12, 4), (8, 1))
"""Widths of an image in cells, each with the number of images that must fit to use it."""

GAP = 2
"""Cells between two images; rows are one line apart."""

CAPTION_LINES = 3
TEXT_WIDTH = 36
"""Cells of the text beside an enlarged image."""

MAX_PATH = 60
MIN_HEIGHT_WITH_NOTES = 12


class TileLayout(NamedTuple):
    """The number of images that fit, and their size."""

    columns: int
    rows: int

    cells: int
    """Width of an image."""

    lines: int
    """Height of an image."""

    @property
    def capacity(self) -> int:
        """Images in view."""
        return self.columns * self.rows

    @property
    def height(self) -> int:
        """Lines of all rows."""
        return self.rows * (self.lines + CAPTION_LINES + 1) - 1


@dataclass(frozen=True, kw_only=True)
class GridView:
    """The selected image, and how it is drawn."""

    selected: int = 0
    """Index of the image; the last one is selected if there are fewer."""

    is_enlarged: bool = False

    has_heat: bool = False
    """True to draw the heatmaps of images that have one."""


class PictureGrid(Panel[PictureList]):
    """The images of a list side by side, or the selected one as large as fits."""

    view: reactive[GridView] = reactive(GridView(), repaint=False)

    def __init__(self, title: str, *, has_colors: bool) -> None:
        """Create the grid.

        Args:
            title: Title until there is a list.
            has_colors: True to draw half blocks in colours, False to draw characters.
        """
        super().__init__()
        self._first_title, self._has_colors = title, has_colors
        self._layout = TileLayout(1, 1, 1, 1)

    def on_mount(self) -> None:
        """Set the title, which the frame has until there is a list."""
        self._set_titles((self._first_title, ""))

    def watch_view(self) -> None:
        """Draw the new selection."""
        self._redraw()

    def depends_on(self, pictures: PictureList) -> object:
        """Return the list itself."""
        return pictures

    def show(self, data: PictureList) -> None:
        """Show a list; an image that was selected by hand stays selected if it is in it."""
        is_by_hand = self.view.is_enlarged or self.view.selected > 0
        if is_by_hand and self._data is not None and self._data.names:
            name = self._data.names[self.selected]
            if name in data.names and data.names[self._selected_in(data)] != name:
                view = replace(self.view, selected=data.names.index(name))
                self.set_reactive(PictureGrid.view, view)
        super().show(data)

    @property
    def selected_tile(self) -> Tile | None:
        """The selected image; None if there is none."""
        return self._data.tile(self.selected) if self._data and self._data.names else None

    @property
    def selected(self) -> int:
        """Index of the selected image, limited to the current list; 0 if that is empty."""
        return self._selected_in(self._data) if self._data else 0

    def _muted_lines(self, texts: Sequence[str], width: int) -> list[Content]:
        """Return texts as lines, with the names of keys in place of their ids."""
        named = (with_keys(self.app, text) for text in texts)
        return [Content.styled(line, "$muted") for text in named for line in wrap(text, width)]

    def _selected_in(self, pictures: PictureList) -> int:
        return max(0, min(self.view.selected, len(pictures.names) - 1))

    @property
    def image_cells(self) -> int:
        """Cells that the images in view take, at most."""
        if self.view.is_enlarged:
            return self.size.width * self.size.height
        return self._layout.capacity * self._layout.cells * self._layout.lines

    def select(self, index: int) -> None:
        """Select an image, or the nearest one."""
        last = len(self._data.names) - 1 if self._data else 0
        self.view = replace(self.view, selected=max(0, min(index, last)))

    def set_view(self, **changes: bool) -> None:
        """Change how the images are drawn."""
        self.view = replace(self.view, **changes)

    def move(self, columns: int, rows: int) -> None:
        """Select another image; while one is enlarged, a row is one image."""
        is_enlarged = self.view.is_enlarged
        target = self.selected + columns + rows * (1 if is_enlarged else self._layout.columns)
        count = len(self._data.names) if self._data else 0
        if columns or is_enlarged or 0 <= target < count:  # else there is no such row
            self.select(target)

    def page(self, pages: int) -> None:
        """Select the image some pages away."""
        self.move(pages * (1 if self.view.is_enlarged else self._layout.capacity), 0)

    def on_click(self, event: events.Click) -> None:
        """Select the image under the mouse; enlarge the selected one, or return to the grid."""
        offset, layout = event.get_content_offset(self), self._layout
        if self.view.is_enlarged:
            self.set_view(is_enlarged=False)
        elif offset is not None and self._data is not None:
            column = offset.x // (layout.cells + GAP)
            row = offset.y // (layout.lines + CAPTION_LINES + 1)
            first = self.selected // layout.capacity * layout.capacity
            index = first + row * layout.columns + column
            is_inside = column < layout.columns and row < layout.rows
            if is_inside and index < len(self._data.names):
                self.set_view(is_enlarged=index == self.selected)
                self.select(index)

    def titles(self, pictures: PictureList) -> tuple[str, str]:
        """Return the list's title, and the name and the number of the selected image."""
        count, view = len(pictures.names), self.view
        title = pictures.title(self.scrollable_content_region.width)
        if not count:
            return title, ""
        heat = "heatmap" if view.has_heat and pictures.tile(self.selected).heatmap else ""
        name = "" if view.is_enlarged else safe_text(pictures.names[self.selected], MAX_PATH)
        position = f"{self.selected + 1:,} of {count:,}"
        return title, " · ".join(filter(None, (heat, name, position)))

    def draw(self, pictures: PictureList, width: int, height: int) -> Sequence[Content]:
        """Return the grid, or one image, or the reason why there is none."""
        if not pictures.names:
            return self._muted_lines(pictures.reasons, width)
        if self.view.is_enlarged:
            return self._enlarged(pictures.tile(self.selected), width, height)
        notes = self._muted_lines(pictures.notes, width) if height >= MIN_HEIGHT_WITH_NOTES else []
        picture, blank = pictures.tile(0).picture, [Content("")]
        layout = tile_layout(picture, width, height)
        if layout.height + len(notes) > height:  # smaller images leave room for them
            layout = tile_layout(picture, width, height - len(notes) - 1)
        if notes and layout.height + len(notes) < height:
            notes = blank + notes
        self._layout = layout
        return [*self._tiles(pictures), *notes]

    def _tiles(self, pictures: PictureList) -> list[Content]:
        layout = self._layout
        first = self.selected // layout.capacity * layout.capacity
        end = min(first + layout.capacity, len(pictures.names))
        lines: list[Content] = []
        for start in range(first, end, layout.columns):
            tiles = [
                self._tile(pictures.tile(index), layout, is_selected=index == self.selected)
                for index in range(start, min(start + layout.columns, end))
            ]
            if lines:
                lines.append(Content(""))
            gap = Content(" " * GAP)
            lines += [gap.join(pieces) for pieces in zip(*tiles, strict=True)]
        return lines

    def _tile(self, tile: Tile, layout: TileLayout, *, is_selected: bool) -> list[Content]:
        """Return an image with its captions, all lines of one width."""
        mark = Content.styled("› ", "bold $primary") if is_selected else Content("  ")
        first, *others = tile.captions
        captions = (mark + (first.stylize("bold $primary") if is_selected else first), *others)
        is_low = picture_height(tile.picture, layout.cells) <= layout.lines
        cells = layout.cells if is_low else fit_width(tile.picture, layout.cells, layout.lines)
        drawn = list(self._draw(tile, cells))
        drawn += [Content("")] * (layout.lines - len(drawn))
        return [
            line.truncate(layout.cells, ellipsis=True, pad=True) for line in (*drawn, *captions)
        ]

    def _enlarged(self, tile: Tile, width: int, height: int) -> list[Content]:
        is_wide = width >= 2 * TEXT_WIDTH
        text_width = TEXT_WIDTH - GAP if is_wide else width
        path = [
            Content.styled(line, "$muted")
            for line in fold(safe_text(tile.name, 4 * text_width), text_width)
        ]
        blank = Content("")
        texts = [*tile.facts, blank, *path] if is_wide else [blank, *tile.facts, *path]
        room = (width - TEXT_WIDTH, height) if is_wide else (width, height - len(texts))
        columns = fit_width(tile.picture, max(1, room[0]), max(1, room[1]))
        drawn = list(self._draw(tile, columns))
        if not is_wide:
            return [*drawn, *texts]
        texts += [blank] * (len(drawn) - len(texts))
        drawn += [Content(" " * columns)] * (len(texts) - len(drawn))
        gap = Content(" " * GAP)
        return [left + gap + right for left, right in zip(drawn, texts, strict=True)]

    def _draw(self, tile: Tile, columns: int) -> tuple[Content, ...]:
        heatmap = tile.heatmap if self.view.has_heat else None
        return _draw(tile.picture, heatmap, columns, self._has_colors)


def tile_layout(picture: Picture, width: int, height: int) -> TileLayout:
    """Return the layout with the largest images in `TILE_SIZES` that fit in sufficient number."""
    for cells, min_pictures in TILE_SIZES:
        image_lines = picture_height(picture, cells)
        lines = image_lines + CAPTION_LINES + 1
        layout = TileLayout(
            max(1, (width + GAP) // (cells + GAP)),
            max(1, (height + 1) // lines),
            min(cells, width),
            image_lines,
        )
        if layout.capacity >= min_pictures and lines <= height + 1:
            break
    return layout


@lru_cache(maxsize=128)
def _draw(
    picture: Picture, heatmap: Heatmap | None, columns: int, has_colors: bool
) -> tuple[Content, ...]:
    if heatmap is None:
        rows = draw_picture(picture, columns, colors=has_colors)
    else:
        rows = draw_heat(picture, heatmap, columns, colors=has_colors)
    return tuple(Content.assemble(*row) for row in rows)
