"""The files that the lists of images are made from, read again after each change."""

from pathlib import Path
from typing import Literal, TypeAlias

from cnn_engine.data.marks import MARKS_FILE, Marked, Marks, change_marks, read_marks
from cnn_engine.errors import DataError, UserError
from cnn_engine.results.mistakes import (
    MISTAKES_FILE,
    VALIDATION_MISTAKES_FILE,
    Mistake,
    ValidationMistakes,
    read_mistakes,
    read_validation_mistakes,
)
from cnn_engine.results.suspects import SUSPECTS_FILE, Suspects, read_suspects
from cnn_engine.runlog.events import TestFinished
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_tui.dashboard.picture_lists.marks import count_text, folder_to_mark
from cnn_tui.live.watched_file import WatchedFile
from cnn_tui.text.safe import safe_text

ListName: TypeAlias = Literal["test", "validation", "suspects"]


class PictureFiles:
    """Mistakes, suspects and marks of a run; of a running one, as far as they were written."""

    def __init__(self, run: RunDirectory) -> None:
        self._run, self._state = run, RunState()
        self._test: TestFinished | None = None
        self.mistakes: WatchedFile[list[Mistake]] | None = None
        """Mistakes of the test; None before it."""
        self.validation: ValidationMistakes | None = None
        """Mistakes of the latest validation for which they were written."""
        self.validation_error = ""
        self._validation = WatchedFile(
            run.path / VALIDATION_MISTAKES_FILE,
            lambda _: read_validation_mistakes(run, self._state),
        )
        self._failed_before = False
        self.suspects: WatchedFile[Suspects] = WatchedFile(
            run.path / SUSPECTS_FILE, lambda _: read_suspects(run)
        )
        self._folder: Path | None = None
        self._marks: WatchedFile[Marks] | None = None
        self.mark_error = ""
        """Reason that the images of the run cannot be marked; empty if they can."""

    def refresh(self, state: RunState) -> None:
        """Read what has changed; of a test, only the mistakes that belong to it."""
        self._state = state
        self._refresh_test(state.test)
        self._refresh_validation()
        self.suspects.refresh()
        self._refresh_marks(state)

    def _refresh_test(self, test: TestFinished | None) -> None:
        if test is None:
            self.mistakes = None
        elif self.mistakes is None or test is not self._test:
            read = lambda _: read_mistakes(self._run, test)  # noqa: E731 - bound to this test
            self.mistakes = WatchedFile(self._run.path / MISTAKES_FILE, read)
        self._test = test
        if self.mistakes is not None:
            self.mistakes.refresh()

    def _refresh_validation(self) -> None:
        """Read the file; an error counts only if it lasts.

        The file may be of a validation whose event was written after the log was read.
        """
        self._validation.refresh()
        value, error = self._validation.value, self._validation.error
        if not error or self._failed_before:
            self.validation, self.validation_error = value, error
        self._failed_before = bool(error)

    def _refresh_marks(self, state: RunState) -> None:
        try:
            folder, self.mark_error = folder_to_mark(state), ""
        except UserError as error:
            self._folder, self._marks, self.mark_error = None, None, str(error)
            return
        if self._marks is None or folder != self._folder:
            self._marks = WatchedFile(folder / MARKS_FILE, lambda path: read_marks(path.parent))
        self._folder = folder
        self._marks.refresh()

    @property
    def marks(self) -> Marks:
        """Marks of the images, also those that other programs have made."""
        return self._marks.value or {} if self._marks else {}

    @property
    def marks_note(self) -> str:
        """The number of marks, or the error from reading them; empty without marks."""
        error = self._marks.error if self._marks else ""
        return safe_text(error, 1000) or count_text(self.marks)

    def mark(self, name: str, marked: Marked | None) -> None:
        """Mark an image, or remove its mark with None.

        Raises:
            ConfigError, DataError: the images cannot be marked, or their marks cannot be read.
            StorageError: the marks cannot be written.
        """
        if self._folder is None or self._marks is None:
            raise DataError(self.mark_error)
        change_marks(self._folder, {name: marked})
        self._marks.refresh()

    def names(self, state: RunState) -> list[ListName]:
        """Return the names of the lists that exist."""
        exists: dict[ListName, bool] = {
            "test": state.test is not None and state.is_own,
            "validation": self.validation is not None or bool(self.validation_error),
            "suspects": self.suspects.exists,
        }
        return [name for name in exists if exists[name]]
