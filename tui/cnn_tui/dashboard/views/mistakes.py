"""View 3: mistakes of the test and of the last validation, and suspicious labels."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from textual import getters, work
from textual.app import ComposeResult
from textual.message import Message

from cnn_engine.data.marks import Mark, Marked
from cnn_engine.errors import UserError
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_tui.dashboard.keys import Key, bindings_for, with_keys
from cnn_tui.dashboard.picture_lists.files import ListName, PictureFiles
from cnn_tui.dashboard.picture_lists.lists import Choice, make_list, other_lists_text
from cnn_tui.dashboard.picture_lists.mistakes import ClassPair, MistakeList, Part
from cnn_tui.dashboard.picture_lists.suspects import SuspectList
from cnn_tui.dashboard.picture_lists.tile import PictureList
from cnn_tui.dashboard.views.view import View
from cnn_tui.dashboard.widgets.picture_grid import GridView, PictureGrid
from cnn_tui.exports.mistakes import write_list, write_mistakes
from cnn_tui.exports.suspects import write_suspects
from cnn_tui.live.threads import in_thread

MARK_KEYS = {"relabel", "drop", "keep", "unmark"}
"""Names of the keys that change the mark of an image."""

CHANGES_TEST = (
    "This is a test image: without it, or with another label, the next run has another test, which "
    "is not comparable with this one"
)
NO_HEATMAP = "No heatmap is saved: the network has no feature maps, or an older version tested it"
NO_HEATMAP_YET = (
    "No heatmap of this image is saved: mistakes of the test have one, and suspects once "
    "`cnn-tui data suspects` has found them"
)

BYTES_PER_CELL = 34
"""Bytes that a cell of an image takes on a terminal with true colour, about."""

IMAGE_BYTES_PER_SECOND = 1_500
"""Part of the byte budget for the images of a running validation."""

FILE_NAMES: dict[ListName, str] = {
    "test": "mistakes",
    "validation": "validation-mistakes",
    "suspects": "suspects",
}
"""Ends of the names of CSV files."""


class MistakesView(View):
    """Images of one list: all of them, those in a cell of the confusion matrix, or of one kind."""

    BINDINGS = bindings_for("mistakes")
    has_files = True
    is_read = False
    grid = getters.query_one(PictureGrid)

    @dataclass
    class Reported(Message):
        """A message about a key that was pressed."""

        text: str
        """The message, for the user."""

    def __init__(self, run: RunDirectory, *, id: str) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self._run, self._files = run, PictureFiles(run)
        self._state = RunState()
        self._choice = Choice()
        self.pictures: PictureList | None = None
        """The list that is shown."""
        self._next_images = 0.0
        """Time before which new images of a validation are drawn only after a key."""
        self._has_warned = False
        """True once the user knows about marks of test images."""
        self._marking = asyncio.Lock()
        """Held while a mark is written, so that several are written one after the other."""

    def compose(self) -> ComposeResult:
        """Yield the panel."""
        has_colors = self.app.can_draw_images  # type: ignore[attr-defined]
        yield PictureGrid("Mistakes", has_colors=has_colors)

    def read(self, state: RunState) -> None:
        """Read the files that have changed."""
        self._files.refresh(state)
        self.is_read = True

    def show(self, state: RunState) -> None:
        """Show the selected list, or the most important one; a new validation may have to wait."""
        self._state = state
        pictures = make_list(self._files, self._run, state, self._choice)
        if time.monotonic() >= self._next_images or not _differ_in_images(self.pictures, pictures):
            self._draw(pictures)

    def _draw(self, pictures: PictureList) -> None:
        if pictures != self.pictures:  # an equal list is not drawn again
            if _differ_in_images(self.pictures, pictures):
                seconds = self.grid.image_cells * BYTES_PER_CELL / IMAGE_BYTES_PER_SECOND
                self._next_images = time.monotonic() + seconds
            self.pictures = pictures
            self.grid.show(pictures)

    def _choose(self, choice: Choice) -> None:
        """Show another list, or other images of it, from the first one on."""
        self._choice = choice
        self.grid.view = GridView(has_heat=self.grid.view.has_heat)
        self._refresh()

    def _refresh(self) -> None:
        self._draw(make_list(self._files, self._run, self._state, self._choice))
        self.refresh_bindings()

    @property
    def _names(self) -> list[ListName]:
        """Names of the lists that exist."""
        return self._files.names(self._state)

    @property
    def _shown_name(self) -> ListName | None:
        return self._choice.shown(self._names)

    @property
    def _is_filtered(self) -> bool:
        return self._choice.pair is not None or self._choice.kind is not None

    def show_pair(self, part: Part, target: int, predicted: int) -> None:
        """Show the mistakes of one cell; with two equal classes, all mistakes of the class.

        Args:
            part: The part of the images that the confusion matrix is of.
            target: Index of the true class.
            predicted: Index of the predicted class.
        """
        self._choose(Choice(part, pair=ClassPair(target, predicted)))

    def back(self) -> bool:
        """Return to the grid, or from a filter to all images; return False if already there."""
        if self.grid.view.is_enlarged:
            self.grid.set_view(is_enlarged=False)
        elif self._is_filtered:
            self._choose(self._choice.without_filter(self._names))
        else:
            return False
        self.refresh_bindings()
        return True

    # Keys.

    def label(self, key: Key) -> str:
        """Return the word for a key; `v` has the name of the next list, `a` of suspects `kind`."""
        if key.name == "next_list":
            following = self._choice.next(self._names).shown(self._names)
            return following if following and len(self._names) > 1 else key.label
        if key.name == "show_all" and self._shown_name == "suspects":
            return "kind"
        return key.label

    def is_useless(self, key: Key) -> bool:
        """Return True if a key only reports why there is no mark, heatmap or other list."""
        if key.name == "next_list":
            return len(self._names) < 2
        if key.name == "toggle_heat":
            tile = self.grid.selected_tile
            return tile is None or tile.heatmap is None
        return key.name in MARK_KEYS and bool(self._files.mark_error)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Return None for what needs images without any, and for `show_all` if all are shown."""
        is_all = self._shown_name != "suspects" and not self._is_filtered
        needs_images = ("enlarge", "move", "page", "mark", "unmark", "toggle_heat")
        has_images = self.grid.selected_tile is not None
        is_disabled = (action in needs_images and not has_images) or (
            action == "show_all" and is_all
        )
        return None if is_disabled else True

    def action_move(self, columns: int, rows: int) -> None:
        """Select another image."""
        self.grid.move(columns, rows)

    def action_page(self, pages: int) -> None:
        """Select an image some pages away."""
        self.grid.page(pages)

    def action_enlarge(self) -> None:
        """Show the selected image alone, or the grid again."""
        self.grid.set_view(is_enlarged=not self.grid.view.is_enlarged)

    def action_next_list(self) -> None:
        """Show the next list that exists, or report why there is none."""
        if len(self._names) > 1:
            self._choose(self._choice.next(self._names))
        else:
            self._report(other_lists_text(self._state, self._run))

    def action_show_all(self) -> None:
        """Show the mistakes of all classes, or the next kind of suspects."""
        if isinstance(self.pictures, SuspectList):
            self._choose(self._choice._replace(kind=self.pictures.next_kind))
        else:
            self._choose(self._choice.without_filter(self._names))

    def action_toggle_heat(self) -> None:
        """Draw the heatmaps or not, or report that there are none."""
        tile = self.grid.selected_tile
        if tile is not None and tile.heatmap is None and not self.grid.view.has_heat:
            self._report(NO_HEATMAP if self._shown_name == "test" else NO_HEATMAP_YET)
        else:
            self.grid.set_view(has_heat=not self.grid.view.has_heat)

    # Marks.

    def action_mark(self, mark: Mark) -> None:
        """Mark the selected image, and select the next one."""
        tile = self.grid.selected_tile
        if tile is None:
            return
        if mark == "relabel" and not tile.likely:
            text = "No class is known to be likelier: {mistakes.drop} drops the image, "
            self._report(with_keys(self.app, text + "{mistakes.keep} keeps it"))
            return
        self._mark(tile.name, Marked(mark, tile.likely if mark == "relabel" else ""))

    def action_unmark(self) -> None:
        """Remove the mark of the selected image, and select the next one."""
        tile = self.grid.selected_tile
        if tile is not None:
            self._mark(tile.name, None)

    def _mark(self, name: str, marked: Marked | None) -> None:
        if self._files.mark_error:
            self._report(self._files.mark_error)
            return
        changes_test = marked is not None and marked.mark != "keep"
        if self._shown_name == "test" and changes_test and not self._has_warned:
            self._report(CHANGES_TEST)
            self._has_warned = True
        # The end of training must not show another list under the fingers.
        self._choice = self._choice._replace(list_name=self._shown_name)
        self._write_mark(self.grid.selected, name, marked)
        self.grid.move(1, 0)

    @work
    async def _write_mark(self, index: int, name: str, marked: Marked | None) -> None:
        """Write a mark, or report the reason and select the image again."""
        async with self._marking:
            try:
                await in_thread(lambda: self._files.mark(name, marked))
            except UserError as error:
                self.grid.select(index)
                self._report(str(error))
        self._refresh()

    def _report(self, text: str) -> None:
        self.post_message(self.Reported(text))

    @work
    async def action_export(self) -> None:
        """Write the list as CSV into the working directory."""
        state, pictures = self._state, self.pictures
        name = self._shown_name or "test"
        path = Path(f"{self._run.id}-{FILE_NAMES[name]}.csv").absolute()
        try:
            text = await in_thread(lambda: write_csv(self._run, state, pictures, path))
        except UserError as error:
            self._report(str(error))
        else:
            self._report(f"{text} written to {path}")


def _differ_in_images(old: PictureList | None, new: PictureList) -> bool:
    """Return True if the images of a list are others, as after each validation."""
    return (
        isinstance(old, MistakeList)
        and isinstance(new, MistakeList)
        and (old.part, old.pair) == (new.part, new.pair)
        and old.mistakes != new.mistakes
    )


def write_csv(run: RunDirectory, state: RunState, pictures: PictureList | None, path: Path) -> str:
    """Write the images of a list as CSV, and return their number in words.

    Of the test, all mistakes are written, of all classes and with and without a saved image.

    Raises:
        ConfigError: there are no mistakes yet.
        DataError: the predictions of the test cannot be read.
        StorageError: the file cannot be written.
    """
    if isinstance(pictures, SuspectList):
        write_suspects(pictures.rows, path)
        count = len(pictures.rows)
        return "1 suspect" if count == 1 else f"{count:,} suspects"
    if isinstance(pictures, MistakeList) and pictures.part == "validation":
        count = write_list(pictures.mistakes, pictures.classes, path)
    else:
        count = write_mistakes(run, state, path)
    return "1 mistake" if count == 1 else f"{count:,} mistakes"
