"""The formats a run's record is handed on in, by what they are called on the command line."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

from cnn_engine.errors import ConfigError, StorageError
from cnn_engine.export.folder import check_target
from cnn_engine.runs.directory import RunDirectory
from cnn_tui.exports.csv_tables import write_epochs, write_long, write_steps
from cnn_tui.exports.html_report import write_html
from cnn_tui.exports.json_record import write_json
from cnn_tui.exports.markdown import write_markdown
from cnn_tui.exports.output import STDOUT, text_output
from cnn_tui.exports.record import Record, read_record
from cnn_tui.exports.tensorboard import write_tensorboard


class ExportResult(NamedTuple):
    """Something that was handed on."""

    path: Path
    damaged_lines: int
    """Lines of the logs that could not be read, and so are not in it."""


class TextFormat(NamedTuple):
    """A format that is one text."""

    ending: str
    """Of the file's name, after the run's id."""

    write: Callable[[Sequence[Record], TextIO], None]
    takes_many: bool = False
    """Whether several runs fit into one."""


def _single_run(
    write: Callable[[Record, TextIO], None],
) -> Callable[[Sequence[Record], TextIO], None]:
    return lambda records, out: write(records[0], out)


TEXT_FORMATS = {
    "csv": TextFormat(".csv", write_epochs, takes_many=True),
    "csv-steps": TextFormat("-steps.csv", write_steps, takes_many=True),
    "csv-long": TextFormat("-long.csv", write_long, takes_many=True),
    "json": TextFormat(".json", _single_run(write_json)),
    "html": TextFormat(".html", _single_run(write_html)),
    "markdown": TextFormat(".md", _single_run(write_markdown)),
}
TENSORBOARD = "tensorboard"
RECORD_FORMATS = (*TEXT_FORMATS, TENSORBOARD)


def export_record(
    runs: Sequence[RunDirectory], to: str, path: Path | None, *, force: bool = False
) -> ExportResult:
    """Write the record of some runs.

    Args:
        runs: One run or, where the format takes them, several.
        to: One of `RECORD_FORMATS`.
        path: Where; None for a file named after the first run in the working directory, `-` for
            standard output.
        force: Whether to replace what is there.

    Raises:
        ConfigError: the format takes one run, or no standard output, or there is a file already.
        StorageError: it cannot be written, or a log not be read.
    """
    if to == TENSORBOARD:
        return _export_tensorboard(runs, path, force=force)
    form = TEXT_FORMATS[to]
    if len(runs) > 1 and not form.takes_many:
        raise ConfigError(f"--to {to}: takes one run, and there are {len(runs)}")
    path = path or Path(f"{runs[0].id}{form.ending}")
    if path != STDOUT:
        check_target(path, replace=force)  # sooner than a long log is read
    records = _read_records(runs)
    with text_output(path, force=force) as out:
        form.write(records, out)
    return _result(path, records)


def _export_tensorboard(
    runs: Sequence[RunDirectory], path: Path | None, *, force: bool
) -> ExportResult:
    """Write a directory for each run, all into one for `tensorboard --logdir`."""
    if path == STDOUT:
        raise ConfigError(f"--to {TENSORBOARD}: is a directory of files; name it with -o")
    directory = path or Path("tensorboard")
    for run in runs:
        check_target(directory / run.id, replace=force)
    records = _read_records(runs)
    for record in records:
        try:
            write_tensorboard(record, directory / record.run.id)
        except OSError as error:
            raise StorageError(f"{directory}: cannot be written: {error.strerror}") from None
    return _result(directory, records)


def _result(path: Path, records: list[Record]) -> ExportResult:
    return ExportResult(path, sum(record.summary.damaged_lines for record in records))


def _read_records(runs: Sequence[RunDirectory]) -> list[Record]:
    records = []
    for run in runs:
        try:
            records.append(read_record(run))
        except OSError as error:
            raise StorageError(f"run {run.id}: cannot be read: {error.strerror}") from None
    return records
