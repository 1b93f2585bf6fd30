"""Schedules checkpoints, writes them and records them in the log."""

import math
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Literal

import torch

from cnn_engine.checkpoints import checkpoint
from cnn_engine.checkpoints.format import BEST_FILE, LAST_FILE
from cnn_engine.checkpoints.writer import Writer
from cnn_engine.errors import StorageError
from cnn_engine.runlog.best_metric import VAL_LOSS, BestMetric
from cnn_engine.runlog.events import CheckpointSaved
from cnn_engine.runs.recorder import Recorder
from cnn_engine.training.flat_parameters import all_finite
from cnn_engine.training.progress import TrainProgress

MIN_SAVE_SECONDS = 1.0
"""Minimum time between two saves of `last.pt` after an epoch, for the short epochs of a GPU."""


def writes_in_background(device: torch.device) -> bool:
    """Return True if checkpoints are written in a thread while training continues.

    On a GPU training would wait for the disk. On a CPU the thread would slow down training as much
    as it saves, and need memory for a copy of the state.
    """
    return device.type == "cuda"


class Checkpointer:
    """Writes `best.pt` and `last.pt` of a run."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a run that it uses
        self,
        recorder: Recorder,
        progress: TrainProgress,
        clock: Callable[[], float],
        seconds: float,
        warn: Callable[[str], None],
        infinite_buffers: Callable[[], Collection[str]],
        writer: Writer,
        metric: BestMetric,
    ) -> None:
        """Write into the recorder's run.

        Args:
            recorder: Records the saves.
            progress: The run's counters, kept up to date by the loop.
            clock: Returns the time in seconds, without pauses.
            seconds: Time between two saves of `last.pt` within an epoch.
            warn: Called with a text if a file cannot be written.
            infinite_buffers: Returns the names of buffers that need not be finite.
            writer: Writes the files.
            metric: Selects the best epoch.
        """
        self._recorder, self._progress = recorder, progress
        self._clock, self._seconds, self._warn = clock, seconds, warn
        self._infinite_buffers = infinite_buffers
        self._due_at, self._saved_at = math.inf, -math.inf
        self.writer, self._metric = writer, metric
        self.best_value_on_disk = metric.worst
        """Value of the metric for the weights in `best.pt`; infinitely bad if there are none."""
        self.save_seconds: float | None = None
        """Longest time until a checkpoint was written; None before the first."""

    def restart_timer(self) -> None:
        """Make `last.pt` due again after the configured time."""
        self._due_at = self._clock() + self._seconds

    def is_due(self) -> bool:
        """Return True if `last.pt` is older than the configured time."""
        return self._clock() >= self._due_at

    def is_due_after_epoch(self) -> bool:
        """Return True if `last.pt` is due after an epoch that is not the last one."""
        return not self.writer.in_background or self._clock() - self._saved_at >= MIN_SAVE_SECONDS

    def save_last(self, state: dict[str, Any]) -> None:
        """Save the full training state; on failure, warn and continue."""
        self._save_state("last", state, self._warn_about)

    def save_requested(self, state: dict[str, Any]) -> None:
        """Save the full training state because of a command, and wait until it is written.

        Raises:
            StorageError: it could not be saved.
        """
        errors: list[StorageError] = []
        self._save_state("asked", state, errors.append)
        self.writer.wait()
        if errors:
            raise errors[0]

    def _save_state(
        self,
        reason: Literal["last", "asked"],
        state: dict[str, Any],
        failed: Callable[[StorageError], None],
    ) -> None:
        progress = self._progress
        event = CheckpointSaved(
            reason=reason, epoch=progress.epoch, step=progress.step, file=LAST_FILE
        )
        self._saved_at = self._clock()
        self._save(event, state, failed)
        self.restart_timer()

    def save_best(self, state: dict[str, Any], value: float | None) -> None:
        """Save the weights as the best so far.

        Args:
            state: Content of `best.pt` without `best_value`.
            value: Their value of the metric; None without validation images.
        """
        progress, old = self._progress, self._progress.best_value
        progress.best_value = old if value is None else value
        change = (None, None) if value is None else (old, value)
        by_loss = change if self._metric is VAL_LOSS else (None, None)
        by_other = (None, None) if self._metric is VAL_LOSS else change
        event = CheckpointSaved(
            reason="best",
            epoch=progress.epoch,
            step=progress.step,
            file=BEST_FILE,
            metric=self._metric.key,
            old_loss=by_loss[0],
            new_loss=by_loss[1],
            old_value=by_other[0],
            new_value=by_other[1],
        )
        self._save(event, state | {"best_value": progress.best_value}, self._keep_old_best)

    def _keep_old_best(self, error: StorageError) -> None:
        # best.pt still holds an older epoch, so compare later epochs with that.
        self._progress.best_value = self.best_value_on_disk
        self._warn_about(error)

    def _warn_about(self, error: StorageError) -> None:
        self._warn(str(error))

    def _save(
        self,
        event: CheckpointSaved,
        content: dict[str, Any],
        failed: Callable[[StorageError], None],
    ) -> None:
        def report(error: StorageError) -> None:
            failed(StorageError(f"{error}; {self._older_checkpoint(event.file)}"))

        ignored, weights = self._infinite_buffers(), content["model"].items()
        checked = [tensor for name, tensor in weights if name not in ignored]
        if not all_finite(tensor for tensor in checked if tensor.is_floating_point()):
            report(StorageError(f"{event.file} is not saved because weights are not finite"))
            return
        position, start = self._progress.position, time.monotonic()
        if self.writer.in_background:
            content = checkpoint.copy_to_host(content)

        def job() -> None:
            if event.file == LAST_FILE:
                content["best_value"] = self.best_value_on_disk
            try:
                self._recorder.sync()  # so that no checkpoint is ahead of the log
                checkpoint.save(self._recorder.run.path / event.file, content, position)
            except OSError as error:
                raise StorageError(f"{event.file} could not be saved: {error.strerror}") from None
            self.save_seconds = max(self.save_seconds or 0.0, time.monotonic() - start)
            if event.change is not None:
                _, self.best_value_on_disk = event.change

        self.writer.write(job, partial(self._recorder.record, event), report)

    def _older_checkpoint(self, file: str) -> str:
        """Return a text about the checkpoint on disk when a newer one could not be saved."""
        saved = [event for event in self._recorder.state.checkpoints if event.file == file]
        return f"that of epoch {saved[-1].epoch} is kept" if saved else "there is none yet"
