"""Series in the TensorBoard event files of one run."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from cnn_engine.importers.columns import length_of_epochs
from cnn_engine.importers.event_folders import PATTERN, SERIES, folders_of_run, hparams_below
from cnn_engine.importers.series import MAX_STEP, Series
from cnn_engine.importers.settings import (
    Settings,
    flat_settings,
    settings_beside,
    settings_of_json,
)
from cnn_engine.progress import Progress, no_progress
from cnn_engine.storage.tfevents_reader import (
    DamagedFileError,
    LoggedEvent,
    RecordReader,
    read_event,
)

TAIL_BYTES = 64
"""Bytes before the position in a file that are compared to notice a file written anew."""


class EventFiles:
    """Event files in and below a directory, or a single one.

    A series is named by its directory and its tag, because TensorFlow writes the same tag, such as
    `epoch_loss`, in `train` and in `validation`. The files of a directory continue each other. A
    damaged file is not read further.
    """

    steps_are_epochs = False

    def __init__(self, path: Path, others: Sequence[Path] = ()) -> None:
        """Read a file, or the files of the run whose directory this is.

        Args:
            path: The file or directory.
            others: Directories of other runs below it, which are not read.
        """
        self.path = path
        self._others = others
        self._folders: set[Path] = set()
        """Directories of the run; one that was found stays, also if other runs begin beside it."""
        self._files: dict[Path, _File] = {}

    def poll(self, *, ended: bool = False, report: Progress = no_progress) -> bool:  # noqa: ARG002
        """Read what was added to the files; `ended` makes no difference.

        Raises:
            OSError: a file cannot be read at the moment.
        """
        found = self._find()
        vanished = self._files.keys() - found
        for path in vanished:
            del self._files[path]
        for path in sorted(found - self._files.keys()):
            self._files[path] = _File(path)
        changed = [file.poll(report) for file in self._files.values()]
        return any(changed) or bool(vanished)

    def _find(self) -> set[Path]:
        if not self.path.is_dir():
            return {self.path}
        self._folders |= folders_of_run(self.path)
        files = (file for folder in self._folders for file in folder.glob(PATTERN))
        return {file for file in files if file.is_file()}

    def series(self) -> dict[str, Series]:
        """Return the series by directory and tag."""
        found: dict[str, Series] = {}
        folders: dict[Path, list[_File]] = {}
        for path in sorted(self._files):
            folders.setdefault(path.parent, []).append(self._files[path])
        for folder, files in folders.items():
            name = folder.relative_to(self.path).as_posix() if self.path.is_dir() else "."
            for tag, series in _joined(files).items():
                found[tag if name in (".", SERIES) else f"{name}/{tag}"] = series
        return found

    @property
    def steps_per_epoch(self) -> float:
        """Steps of an epoch by a series of epochs with fractions; 0 if there is none."""
        epochs = (
            series for name, series in self.series().items() if name.split("/")[-1] == "epoch"
        )
        return max(
            (length_of_epochs(zip(s.steps, s.values, strict=True)) for s in epochs), default=0.0
        )

    def settings(self) -> Settings:
        """Return the settings in a file beside the event files, else those in them."""
        if settings := settings_beside(self.path):
            return settings
        found: Settings = {}
        if self.path.is_dir():
            found |= hparams_below(self.path, self._others)
        for path in sorted(self._files):
            found |= self._files[path].arguments | self._files[path].hparams
        return flat_settings(found)

    def notices(self) -> list[str]:
        """Return the runs that are not read, and restarts (`SummaryWriter(purge_step=…)`)."""
        others = ", ".join(map(str, self._others))
        return [f"Other runs in this directory are not imported: {others}"] * bool(others) + [
            f"Training was restarted at step {step}: earlier values from there on are undone"
            for path in sorted(self._files)
            for step in self._files[path].restarts
        ]

    def problems(self) -> list[str]:
        """Return the damaged files."""
        return [
            f"{path.name} is damaged at byte {file.reader.offset}; the rest was not read"
            for path, file in sorted(self._files.items())
            if file.is_damaged
        ]


class _File:
    """An event file, as far as it was read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._inode = 0
        self._size = -1
        self._begin()

    def _begin(self) -> None:
        self.reader = RecordReader()
        self.series: dict[str, Series] = {}
        self.restarts: list[int] = []
        """Steps at which training was restarted."""
        self.hparams: dict[str, float | str | bool] = {}
        self.arguments: Settings = {}
        """Arguments of Hugging Face's Trainer."""
        self.is_damaged = False
        self._tail = b""

    def poll(self, report: Progress) -> bool:
        """Read what was added, or all if the file was replaced; return True if it changed.

        Raises:
            OSError: the file cannot be read at the moment.
        """
        with self.path.open("rb") as file:
            stat = os.fstat(file.fileno())
            if stat.st_ino != self._inode or self._tail != self._read_tail(file):
                self._begin()
                self._inode, self._size = stat.st_ino, -1
            if self.is_damaged or stat.st_size == self._size:
                return False
            self._size = stat.st_size
            try:
                self._read(file, report)
            except DamagedFileError:
                self.is_damaged = True
            self._tail = self._read_tail(file)
        return True

    def _read(self, file: BinaryIO, report: Progress) -> None:
        task = f"reading {self.path.name}, bytes"
        for message in self.reader.poll(file):
            self._add(read_event(message))
            report(task, self.reader.offset, self._size)

    def _read_tail(self, file: BinaryIO) -> bytes:
        """Return the last bytes before the position up to which the file was read."""
        offset = self.reader.offset
        file.seek(max(0, offset - TAIL_BYTES))
        return file.read(min(offset, TAIL_BYTES))

    def _add(self, event: LoggedEvent) -> None:
        if not abs(event.step) < MAX_STEP:
            return
        if event.is_start:
            self.restarts.append(event.step)
            for series in self.series.values():
                series.cut(event.step)
        self.hparams |= event.hparams or {}
        for text in event.arguments:
            self.arguments |= settings_of_json(text)
        for tag, value in event.scalars:
            series = self.series.get(tag) or self.series.setdefault(tag, Series())
            series.add(event.step, event.time, value)


def _joined(files: list[_File]) -> dict[str, Series]:
    """Return the series of a directory, whose files continue each other, by tag."""
    if len(files) == 1:
        return files[0].series
    joined: dict[str, Series] = {}
    for file in files:
        if file.restarts:
            for series in joined.values():
                series.cut(min(file.restarts))
        for tag, series in file.series.items():
            joined.setdefault(tag, Series()).extend(series)
    return joined
