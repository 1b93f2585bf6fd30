"""Writes the margins of the training images, and at the end those with suspicious labels."""

from collections.abc import Callable

from cnn_engine.data.dataset import DataSet
from cnn_engine.data.marks import find_run_marks
from cnn_engine.errors import StorageError, UserError
from cnn_engine.evaluation.suspects import by_label, label_margins, pictured_suspects
from cnn_engine.results.margins import MARGINS_FILE, MarginsHeader, write_epoch
from cnn_engine.results.suspects import save_suspects
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory


class MarginFiles:
    """Writes `margins.bin` and `suspects.json` of a run."""

    def __init__(
        self,
        data: DataSet,
        run: RunDirectory,
        check: Callable[[], None],
        warn: Callable[[str], None],
    ) -> None:
        """Write into the directory of `run`.

        Args:
            data: The images.
            run: The run.
            check: Called before a file is written; raises StorageError if none may be.
            warn: Called with a text if a file cannot be written.
        """
        self._data, self._run = data, run
        self._check, self._warn = check, warn
        self._header = MarginsHeader(
            images=len(data.train), classes=len(data.classes), digest=data.train_digest()
        )

    def write_epoch(self, epoch: int, record: bytes) -> None:
        """Write the margins of an epoch; see `cnn_engine.results.margins`."""
        try:
            self._check()
            write_epoch(self._run.path / MARGINS_FILE, self._header, epoch, record)
        except OSError as error:
            self._warn(f"{MARGINS_FILE} could not be written: {error.strerror}")
        except StorageError as error:
            self._warn(str(error))

    def write_suspects(self, state: RunState) -> None:
        """Write the images with suspicious labels; their margins are those of the run so far."""
        try:
            self._check()
            found = label_margins(self._run, state, self._data)
            ranking = by_label(found.margins, found.method)
            marks = find_run_marks(self._run.path)
            marked = marks.marks if marks else ()
            save_suspects(self._run, pictured_suspects(self._data, [ranking], marked))
        except UserError as error:
            self._warn(str(error))
