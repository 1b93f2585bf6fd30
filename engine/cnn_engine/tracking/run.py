"""The run of a training loop, as the loop sees it."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import get_ident
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from cnn_engine.config.limits import MAX_EPOCHS
from cnn_engine.runlog.events import CheckpointSaved, RunFinished
from cnn_engine.runlog.flat_config import config_values
from cnn_engine.runlog.roles import TEST, VALIDATION, split_of
from cnn_engine.runs.marks import MAX_NAME_LENGTH, read_marks, write_marks
from cnn_engine.tracking.arguments import check_iterable, check_lengths, shown, to_integer
from cnn_engine.tracking.config import Config, stored_config
from cnn_engine.tracking.counts import count
from cnn_engine.tracking.ending import ENDING
from cnn_engine.tracking.entries import (
    EpochBegun,
    EpochEnded,
    Logged,
    PassBegun,
    PassSkipped,
    Validated,
)
from cnn_engine.tracking.guard import never_raises
from cnn_engine.tracking.iterators import Epochs, GivenEpochs, Steps
from cnn_engine.tracking.loop_control import WITH_OTHERS, LoopControl
from cnn_engine.tracking.names import clean_classes, clean_name
from cnn_engine.tracking.nothing import NOTHING, Nothing
from cnn_engine.tracking.outcome import exit_code, run_finished
from cnn_engine.tracking.rate import CallableRate, OptimizerRate
from cnn_engine.tracking.recording import Recording, say
from cnn_engine.tracking.summary import Summary
from cnn_engine.tracking.wandb_names import WITHOUT_COUNTERPART

Batch = TypeVar("Batch")

MAX_PATH = 4096
"""Characters of a path that is recorded."""

MAX_BATCH_SIZE = 1 << 24
"""Greatest size of a batch that is believed."""


class Run:
    """A run that a training loop records, and that a dashboard or the command line controls.

    `cnn_tui.init` returns it; use it as a context manager, or call `finish`. No method raises an
    exception into the loop: a problem is reported once on stderr and in the run. Only `steps` and
    `epochs` raise a TypeError, as a loop does, for what cannot be iterated over. On processes
    other than the first of a distributed training, and with `CNN_TUI_MODE=disabled`, all methods
    may be called and nothing is recorded.
    """

    def __init__(  # noqa: PLR0913 - the parts of a run
        self,
        recording: Recording | None,
        control: LoopControl,
        *,
        run_id: str = "",
        name: str = "",
        project: str = "",
        config: Any = None,
        finished_epochs: int = 0,
        has_others: bool = False,
    ) -> None:
        """Use `cnn_tui.init` instead.

        Args:
            recording: Writes the run; None if nothing is recorded.
            control: The commands to the run.
            run_id: Name of the run's directory; empty without one.
            name: Name given by the user; may be empty.
            project: What is trained, as the browser shows it.
            config: The user's config.
            finished_epochs: Epochs that earlier sessions finished.
            has_others: True if other processes train together with this one.
        """
        self._recording, self._control = recording, control
        self._warned: set[str] = set()
        self._has_ended = False
        self.thread_id = 0
        """Thread that logged last; 0 before."""
        self.id = run_id
        """Name of the run's directory; empty if nothing is recorded."""
        self._name, self.project = name, project
        self.config = Config(config_values(config), self._store_config)
        """The config given to `init`; keys are attributes too, and changes are recorded."""
        self.summary = Summary(lambda values: self.log(values, commit=False))
        """Final values, as W&B has them: its numbers are recorded as series."""
        self.path: Path | None = recording.recorder.run.path if recording else None
        """The run's directory; None if nothing is recorded."""
        if has_others:
            control.decline(WITH_OTHERS)
        self._has_others = has_others
        self._epoch_offset, self._next_epoch = 0, finished_epochs
        self._uses_epochs = self._is_cut = self._pass_is_over = False
        self._counted: int | None = None
        """Steps counted by `steps`; None if the loop does not use it."""
        self._passes = self._epoch_passes = 0
        """Passes through the data, and those of the current epoch."""
        self._uncertain_steps = 0
        """Steps of a further pass of an epoch, until it logs a value of training; 0 without one."""
        self._is_uncertain = False
        self._finished_before_stop: int | None = None
        """Epochs that were finished as a command asked to stop after one."""
        self._earlier_seconds = recording.recorder.state.elapsed_seconds if recording else 0.0
        self._began = control.clock()

    # What the loop logs.

    @never_raises(None)
    def log(
        self,
        data: Mapping[str, Any],
        step: int | None = None,
        *,
        commit: bool | None = None,
        **_: object,
    ) -> None:
        """Record values of named series; returns at once, and waits while the run is paused.

        Each call with a value that does not belong to a validation or test counts as a step, unless
        the loop uses `steps`. Values are written twice a second, as mean, minimum and maximum.

        Args:
            data: Numbers by name: Python's, NumPy's, or tensors of one element on any device,
                which are copied and read later, together. A slash in a name groups series, and
                nested dictionaries become such names. `epoch` and `step` (or `global_step`) are
                understood. Anything else is reported once and ignored.
            step: Number of the step; never lower than before. Ignored if the loop uses `steps`.
            commit: False if the call does not count as a step.
        """
        recording, control = self._recording or self._open(), self._control
        if recording is None:
            return
        self.thread_id = get_ident()
        numbers = recording.convert(data)
        if self._uncertain_steps:
            self._confirm_pass(numbers)
        if step is not None and type(step) is not int:
            step = self._whole(step)
        counted = self._counted
        recording.put(Logged(numbers, control.clock(), step, counted, commit is not False))
        if control.needs_loop:
            control.attend()

    def steps(self, loader: Iterable[Batch]) -> Steps[Batch]:
        """Return an iterable over the batches of a loader that counts each as a step.

        It waits while the run is paused, and ends early once it is stopped. The time it waits for
        batches is shown as the time for data. Each pass is an epoch, unless the loop uses `epochs`.

        A pass while PyTorch computes no gradients, as within `torch.no_grad()`, is a validation:
        it waits while the run is paused, but is always whole, and its batches are no steps. So is
        a further pass of an epoch in which nothing is logged but values of a validation.

        Args:
            loader: Anything to iterate over. Its length, if it has one, is the length of an epoch.

        Raises:
            TypeError: it cannot be iterated over.
        """
        check_iterable("steps", loader, "give it the batches, such as a DataLoader")
        return Steps(self, loader)

    @overload
    def epochs(self, epochs: int | None = None) -> Epochs: ...

    @overload
    def epochs(self, epochs: Iterable[Batch]) -> GivenEpochs[Batch]: ...

    def epochs(self, epochs: Any = None) -> Epochs | GivenEpochs[Any]:
        """Return an iterable over the numbers of epochs from 0, as `range` has them.

        A resumed run begins with its first unfinished epoch. It ends early once the run is stopped,
        and later or earlier if a command changes the number of epochs.

        Args:
            epochs: Number of epochs; None for that given to `init`, or without end. Something else,
                such as `range(5, 90)`, is iterated over as it is, and each item is an epoch.

        Raises:
            TypeError: it is neither a number nor can be iterated over.
        """
        if epochs is None:
            return Epochs(self, None)
        number = to_integer(epochs)
        if number is None:
            expected = "give it the number of epochs"
            if isinstance(epochs, str):
                raise TypeError(f"epochs: {shown(epochs)} is no number; {expected}")
            check_iterable("epochs", epochs, expected)
            return GivenEpochs(self, epochs)
        if number < 0 or number != epochs:
            text = f"epochs: a whole number from 0 is expected, not {shown(epochs)}"
            self.warn("epochs", f"{text}; {max(0, number)} is used")
        return Epochs(self, number)

    @never_raises(None)
    def validated(self, truth: Any, predicted: Any) -> None:
        """Record a validation of this epoch by its classes: accuracy per class, confusion matrix.

        Call it once with all images, or for each batch.

        Args:
            truth: True class of each image, as a number from 0, or as a name that `classes` was
                given: a list, an array or a tensor.
            predicted: Predicted class of each image, alike.
        """
        if (recording := self._open()) is not None:
            check_lengths(truth, predicted)
            counts = count(truth, predicted, recording.loop.classes)
            recording.put(Validated(counts, self._control.clock()))

    @never_raises(None)
    def classes(self, names: Sequence[str]) -> None:
        """Set the names of the classes, in the order of their numbers."""
        if self._recording is not None:
            self._recording.loop.classes = clean_classes(names)

    @never_raises(None)
    def plan(self, epochs: int = 0, steps_per_epoch: int = 0) -> None:
        """Set the planned number of epochs, and of steps in each, if they are known after `init`.

        Args:
            epochs: 0 to leave it as it is.
            steps_per_epoch: 0 to leave it as it is.
        """
        if epochs:
            self._control.epochs = min(max(0, int(epochs)), MAX_EPOCHS)
        if steps_per_epoch and self._recording is not None:
            self._recording.loop.steps_per_epoch = min(max(0, int(steps_per_epoch)), MAX_EPOCHS)

    # What the loop is asked for.

    @never_raises(None)
    def control(self, optimizer: Any, scheduler: Any = None) -> None:
        """Let commands change the learning rate, and record it.

        A new rate is set between two steps: the first parameter group gets it, and the others are
        scaled alike. A scheduler goes on from there: those of PyTorch are scaled too if they are
        given here. A scheduler that computes the rate anew each step and is not given sets it back.

        Args:
            optimizer: An object with `param_groups`, as of PyTorch, or a function that is called
                with the new rate.
            scheduler: The scheduler of the optimizer, if it has one.
        """
        if callable(optimizer) and not hasattr(optimizer, "param_groups"):
            self._control.rate = CallableRate(optimizer)
        else:
            self._control.rate = rate = OptimizerRate(optimizer, scheduler)
            if self._recording is not None:
                self._recording.device = rate.device()
        if not self._has_others:
            self._control.offer("lr")

    @property
    def should_stop(self) -> bool:
        """True once the run is to end.

        That is after a command to stop, or after the epoch in which one asked to stop after it.
        Loops over `steps` and `epochs` end by themselves.

        In a distributed training only the first process knows; it is False on others. There
        nothing ends by itself: send the answer to all processes, as with
        `torch.distributed.broadcast`, and leave the loop on all of them.
        """
        return self._should_stop()

    @property
    def should_save(self) -> bool:
        """True once after each command to save a checkpoint; call `saved` afterwards."""
        control = self._control
        control.offer("checkpoint")
        is_asked, control.should_save = control.should_save, False
        return is_asked

    @never_raises(None)
    def saved(self, path: object) -> None:
        """Record that the loop has saved a checkpoint.

        Args:
            path: File or directory of the checkpoint.
        """
        recording = self._open()
        if recording is None:
            return
        with recording.lock:
            recording.drain()
            epoch, step = recording.loop.position
            recording.record(
                CheckpointSaved(reason="asked", epoch=epoch, step=step, file=str(path)[:MAX_PATH])
            )

    # The run itself.

    @property
    def name(self) -> str:
        """Name of the run; its id if it was given none. Set it to rename the run."""
        return self._name or self.id

    @name.setter
    def name(self, name: str) -> None:
        self._rename(name)

    @property
    def step(self) -> int:
        """Steps since the start of the run."""
        return self._current_step()

    @never_raises(None)
    def finish(self, exit_code: int | None = None, **_: object) -> None:
        """End the run. Called by itself as the program ends.

        Args:
            exit_code: Exit code of the program; not 0 if it failed.
        """
        self._finish(SystemExit(exit_code) if exit_code else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end(error)

    @never_raises(None)
    def end(self, error: BaseException | None) -> None:
        """End the run: as failed or stopped with an exception, as done without."""
        self._finish(error)

    def forget(self) -> None:
        """Record nothing any more, in a process that was forked from that of the run."""
        recording, self._recording = self._recording, None
        if recording is not None:
            recording.abandon()

    def warn(self, subject: str, text: str) -> None:
        """Report a problem, once per subject."""
        if self._recording is not None:
            self._recording.warn(subject, text)
        elif subject not in self._warned:
            self._warned.add(subject)
            say(text)

    @property
    def url(self) -> str:
        """Empty, as no server has the run; for scripts that print it."""
        return ""

    @property
    def entity(self) -> str:
        """Empty, as a run has no owner; for scripts that print it."""
        return ""

    @property
    def dir(self) -> str:
        """The run's directory; the working directory if nothing is recorded."""
        return str(self.path or Path())

    def get_url(self) -> str:
        """Return `url`."""
        return self.url

    def ignored(self, name: str) -> Nothing:
        """Return an object that does nothing, and report that once."""
        self.warn(f"call {name}", f"{name} has no counterpart here, and is ignored")
        return NOTHING

    def __getattr__(self, name: str) -> Nothing:
        """Return an object that does nothing, for methods of a run of W&B."""
        if name not in WITHOUT_COUNTERPART:
            raise AttributeError(f"a run has no attribute {name!r}")
        return self.ignored(name)

    # Called by `Epochs` and `Steps`.

    def planned_epochs(self, epochs: int | None) -> range | None:
        """Return the epochs to iterate over, counted from 0; None without an end."""
        first = 0 if self._uses_epochs else self._next_epoch
        planned = self._control.epochs if epochs is None else epochs
        return range(first, max(first, planned)) if planned else None

    def begin_epochs(self, epochs: int | None, *, are_given: bool = False) -> int:
        """Begin to iterate; return the first epoch, counted from 0.

        Args:
            epochs: Number of epochs, None if it is not given.
            are_given: True if the loop gives the epochs, so that a command cannot change them.
        """
        first = 0 if self._uses_epochs or are_given else self._next_epoch
        self._epoch_offset = self._next_epoch - first
        self._uses_epochs = True
        if epochs is not None:
            self._control.epochs = min(self._epoch_offset + epochs, MAX_EPOCHS)
        elif are_given:
            self._control.epochs = 0
        if not self._has_others:
            self._control.offer("stop", "stop-epoch")
            if are_given:
                self._control.decline({"epochs": "the loop gives the epochs to run.epochs"})
            else:
                self._control.offer("epochs")
        return first

    def begin_epoch(self, epoch: int) -> bool:
        """Begin an epoch, counted from 0; return False if there is none."""
        control = self._control
        number = epoch + self._epoch_offset + 1
        if (control.stopped_by and not self._has_others) or 0 < control.epochs < number:
            return False
        control.epoch, self._next_epoch = number, number
        self._is_cut = self._pass_is_over = self._is_uncertain = False
        self._epoch_passes = 0
        self._put_epoch(EpochBegun(number, control.clock()))
        return True

    def end_epoch(self, *, is_complete: bool) -> None:
        """End the epoch."""
        self._put_epoch(EpochEnded(is_complete and not self._is_cut, self._control.clock()))
        if not self._has_others:
            self._control.stop_after_epoch()

    def begin_pass(self, loader: object) -> bool:
        """Begin a pass through the data; return False if the loop is to end."""
        control = self._control
        if control.stopped_by and not self._has_others:
            self._put_epoch(PassSkipped(control.clock()))
            return False
        self._passes += 1
        self._epoch_passes += 1
        self._pass_is_over = False
        self._is_uncertain, self._uncertain_steps = self._uses_epochs and self._epoch_passes > 1, 0
        if self._counted is None:
            self._counted = self._current_step()
        if not self._is_uncertain:
            self._put_pass(loader)
        if self._has_others:
            return True
        control.offer("stop", "stop-epoch")
        if self._passes == 1 or self._uses_epochs or not control.stop_after_epoch():
            return True
        self._put_epoch(PassSkipped(control.clock()))
        return False

    def begin_step(self) -> bool:
        """Wait while the run is paused; return False if the loop is to end."""
        control = self._control
        self.wait_while_paused()
        if control.stopped_by and not self._has_others:
            self._is_cut = True
            return False
        return True

    def count_step(self, seconds: float) -> None:
        """Count a step that waited so long for its batch."""
        if self._is_uncertain:
            self._uncertain_steps += 1
            return
        self._counted = (self._counted or 0) + 1
        if self._recording is not None:
            self._recording.loop.count_data_seconds(seconds)

    def end_pass(self) -> None:
        """End the pass, as there are no more batches."""
        self._pass_is_over, self._uncertain_steps = True, 0

    def wait_while_paused(self) -> None:
        """Wait while the run is paused."""
        if self._control.needs_loop:
            self._attend()

    # Details.

    def _confirm_pass(self, values: Iterable[str]) -> None:
        """Count the steps of a further pass of an epoch if it logs values of training.

        Otherwise it is taken as a validation.
        """
        if any(split_of(name) not in VALIDATION | TEST for name in values):
            self._counted = (self._counted or 0) + self._uncertain_steps
            self._is_uncertain, self._uncertain_steps = False, 0

    def _open(self) -> Recording | None:
        """Return the recording if there is one; warn if it has ended."""
        if self._has_ended:
            text = "the run has ended, and records nothing more: call cnn_tui.init() again"
            self.warn("ended", text)
        return self._recording

    @never_raises(None)
    def _put_epoch(self, entry: EpochBegun | EpochEnded | PassSkipped) -> None:
        if self._recording is not None:
            self._recording.put(entry)

    @never_raises(None)
    def _put_pass(self, loader: Any) -> None:
        if self._recording is None:
            return
        length, batch_size = 0, getattr(loader, "batch_size", 0)
        with suppress(TypeError):
            length = len(loader)
        if not (isinstance(batch_size, int) and 0 < batch_size < MAX_BATCH_SIZE):
            batch_size = 0
        self._recording.put(PassBegun(length, batch_size, self._control.clock()))

    @never_raises(None)
    def _attend(self) -> None:
        self._control.attend()

    @never_raises(False)
    def _should_stop(self) -> bool:
        control, recording = self._control, self._recording
        control.offer("stop")
        if recording is None or control.stopped_by:
            return bool(control.stopped_by)
        loop = recording.loop
        if loop.finished and not self._has_others:
            control.offer("stop-epoch")
        if control.stops_after_epoch is None:
            return False
        recording.drain()
        if self._finished_before_stop is None:
            self._finished_before_stop = loop.finished
        is_over = self._pass_is_over or loop.has_validation
        is_over |= loop.finished > self._finished_before_stop
        return is_over and control.stop_after_epoch()

    @never_raises(0)
    def _current_step(self) -> int:
        if self._recording is None:
            return self._counted or 0
        self._recording.drain()
        return max(self._recording.loop.step, self._counted or 0)

    @never_raises(None)
    def _rename(self, name: object) -> None:
        self._name = clean_name(str(name), MAX_NAME_LENGTH)
        if self._recording is not None:
            run = self._recording.recorder.run
            write_marks(run, replace(read_marks(run), name=self._name))

    @never_raises(None)
    def _store_config(self) -> None:
        recording = self._recording
        if recording is not None:
            recording.loop.new_config = stored_config(self.config)

    def _whole(self, step: object) -> int | None:
        try:
            return int(step)  # type: ignore[call-overload, no-any-return]  # of NumPy, or a tensor
        except Exception:  # noqa: BLE001 - an object of the user may raise anything
            self.warn("step", f"step: {type(step).__name__} is no number; steps are counted")
            return None

    def _finish(self, error: BaseException | None) -> None:
        recording, self._recording = self._recording, None
        if recording is None:
            return
        self._has_ended = True
        control, loop, run = self._control, recording.loop, recording.recorder.run

        def last_event() -> RunFinished:
            seconds = self._earlier_seconds + control.clock() - self._began
            is_done = 0 < control.epochs <= loop.finished
            stopped_by = "" if is_done and not exit_code(error) else control.stopped_by
            return run_finished(run, error, stopped_by, seconds)

        recording.finish(last_event, is_complete=not (exit_code(error) or control.stopped_by))
        ENDING.remove(self)
