"""State of a run, reduced from its events.

Live and attached dashboards, reports on finished runs and tests all use `RunState.apply`, so that
they always agree. It does no I/O, reads no clock, and raises on no events whatever: a damaged log
may contain any numbers in any order.
"""

import copy
import math
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from cnn_engine.config.renamed_keys import logged_config
from cnn_engine.runlog.best_metric import VAL_LOSS, BestMetric, best_metric
from cnn_engine.runlog.curve import MAX_POINTS, Curve
from cnn_engine.runlog.events import (
    FORMAT,
    AlarmRaised,
    CheckpointSaved,
    CommandApplied,
    CommandRefused,
    ConfigReplaced,
    EpochFinished,
    EpochStarted,
    Event,
    ImportRevised,
    LoopDescribed,
    MachineMeasured,
    Notice,
    ProcessesJoined,
    ProcessesMeasured,
    ProcessLost,
    RolledBack,
    RunFinished,
    RunImported,
    RunPrepared,
    RunQueued,
    RunResumed,
    RunStarted,
    ScalarsLogged,
    StageProgressed,
    StageStarted,
    StepsCaptured,
    StepsFinished,
    TestFinished,
    TimeLimitSet,
    ValidationProgressed,
)
from cnn_engine.runlog.position import position_of
from cnn_engine.runlog.roles import roles_of
from cnn_engine.runlog.series import SeriesByName

Phase = Literal[
    "queued",
    "starting",
    "training",
    "validating",
    "testing",
    "done",
    "stopped",
    "failed",
    "detached",
]

Status = Literal[Phase, "paused"]

ENDED: frozenset[Status] = frozenset({"done", "stopped", "failed"})
"""Phases of an ended run. `detached` is not one: another process continues."""

NEWER_FORMAT = "A newer version of cnn-tui wrote this log: values may be wrong or missing"

INFERENCE_COST = 1 / 3
"""Cost of an image in inference relative to training: the forward pass only."""

STRAGGLER_RATIO = 1.15
STRAGGLER_EVENTS = 3
"""A process is too slow if its steps take longer than the median by this factor, in as many
measurements running."""

RATE_WINDOW = 10
"""Step events over which the current speed is averaged: about five seconds."""


STEP_PARTS = ("data", "forward", "backward", "exchange", "optimizer", "other")
"""Parts of the duration of a step."""

MarkerKind = Literal["pause", "lr", "epochs", "stop", "checkpoint", "best", "resume", "rollback"]
"""`lr` and `epochs` mark a changed value, `stop` and `checkpoint` a command, `best` the best
epoch so far."""


class Marker(NamedTuple):
    """An event marked at a step of the loss curve."""

    step: int
    """Steps since the start of the run."""

    kind: MarkerKind

    text: str
    """Label of a few words."""


@dataclass(kw_only=True)
class RunState:
    """State of a run after some of its events."""

    phase: Phase = "starting"
    """Current phase, regardless of pauses."""
    paused: bool = False
    paused_time: float = 0.0
    """Time at which the current pause began."""
    pause_seconds: float = 0.0
    """Duration of the finished pauses of this session."""
    started: RunStarted | None = None
    queued: RunQueued | None = None
    """Set if the run waits, or has waited, in the queue of a machine."""
    resumed: RunResumed | None = None
    """Start of the current session; None for the first."""
    end_time: float | None = None
    """Time limit of the session in seconds since 1970; None without one."""
    stops_after_epoch: bool = False
    """True if a command asks to stop after the epoch."""
    preset: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    total_epochs: int = 0
    """Planned number of epochs, by the config or a command; 0 if unknown."""
    stages: list[StageStarted] = field(default_factory=list)
    progress: StageProgressed | None = None
    first_progress: StageProgressed | None = None
    """First report of the activity that `progress` reports."""
    prepared: RunPrepared | None = None
    imported: RunImported | None = None
    """Set if the run was imported from another program."""
    loop: LoopDescribed | None = None
    """Set if a training loop that is not cnn-tui's own logs the run."""
    epoch: int = 0
    step: int = 0
    validated_images: int = 0
    lr: float | None = None
    curve: Curve = field(default_factory=Curve)
    """Training loss by step."""
    lr_curve: Curve = field(default_factory=lambda: Curve(typecode="f"))
    """Learning rate by step, where it is known."""
    series: SeriesByName = field(default_factory=SeriesByName)
    """Values beside the losses, accuracies and rates of cnn-tui's own loop; of other loops, all."""
    busy_seconds: float = 0.0
    """Duration of steps and validations, without pauses and without undone ones."""
    undos: int = 0
    """Number of times that steps or epochs were undone; their counts may be the same again."""
    epochs: list[EpochFinished] = field(default_factory=list)
    """Finished epochs. Only the latest validated epoch and `best` keep their `confusion`,
    because all together would take megabytes."""
    best_metric: BestMetric = VAL_LOSS
    """Metric that selects the best epoch."""
    best: EpochFinished | None = None
    """Epoch with the best value of that metric, and the latest of equal ones."""
    checkpoints: list[CheckpointSaved] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    refused: list[CommandRefused] = field(default_factory=list)
    """Commands that were not carried out."""
    alarms: list[AlarmRaised] = field(default_factory=list)
    """Alarms that were recorded; `find_alarms` returns the current ones."""
    commands: list[CommandApplied] = field(default_factory=list)
    markers: list[Marker] = field(default_factory=list)
    joined: ProcessesJoined | None = None
    """Set if several processes train, since the start of the session."""
    measured: deque[ProcessesMeasured] = field(
        default_factory=lambda: deque(maxlen=STRAGGLER_EVENTS)
    )
    """Their latest measurements, the newest last."""
    machine: MachineMeasured | None = None
    is_captured: bool = False
    """True once this session replays training steps from a CUDA graph."""
    test: TestFinished | None = None
    finished: RunFinished | None = None
    last_time: float = 0.0
    part_seconds: dict[str, float] = field(default_factory=dict)
    recent: deque[StepsFinished] = field(default_factory=lambda: deque(maxlen=RATE_WINDOW))
    longest_gap: float = 0.0
    """Longest time between two events of another training loop in this session, without pauses."""
    _last_progress: float = 0.0
    """Time of the last event of another training loop, or of the end of a pause."""
    _epoch_ends: dict[int, int] = field(default_factory=dict)
    """Steps since the start of the run at the end of each epoch."""
    _counted_classes: int = 0
    """Classes of the validation with the most."""
    _former: "RunState | None" = field(default=None, repr=False, compare=False)
    """The state before this session, if the run was done or stopped, until a step is trained."""

    def apply(self, event: Event) -> None:  # noqa: C901, PLR0912, PLR0915 - one flat case per event
        """Update the state by one event."""
        if not isinstance(event, RunQueued):  # the time until then is not a part of the run
            self.last_time = max(self.last_time, event.time)
        match event:
            case StepsFinished():  # by far the most frequent
                self._add_steps(event)
            case RunStarted():
                self.started = replace(event, config=logged_config(event.config))
                self._set_config(self.started)
                if event.format > FORMAT:
                    self.notices.append(Notice(time=event.time, text=NEWER_FORMAT))
            case ConfigReplaced():
                self._set_config(replace(event, config=logged_config(event.config)))
                self.notices.append(Notice(time=event.time, text=event.reason, severity="info"))
            case ScalarsLogged():
                self._add_scalars(event)
            case TimeLimitSet():
                self.end_time = event.end
            case StageStarted():
                self.stages.append(event)
                self.progress = None
                self.phase = "testing" if event.stage == "test" else "starting"
            case StageProgressed():
                if self.progress is None or self.progress.what != event.what:
                    self.first_progress = event
                self.progress = event
            case Notice():
                self.notices.append(event)
            case AlarmRaised():
                self.alarms.append(event)
            case RunQueued():
                self.phase, self.queued, self.paused = "queued", event, False
            case RunPrepared():
                self.prepared = event
            case RunImported():
                self.imported, self.phase = event, "training"
                self.total_epochs = event.epochs
            case LoopDescribed():
                self._describe_loop(event)
            case ImportRevised():
                self._revise(event)
            case RunResumed():
                self._begin_session(event)
            case EpochStarted():
                self.phase = "training"
                self.epoch, self.step, self.validated_images = event.epoch, event.step, 0
            case ValidationProgressed():
                self.phase, self.validated_images = "validating", event.images
            case EpochFinished():
                self._add_epoch(event)
            case CheckpointSaved():
                self._add_checkpoint(event)
            case StepsCaptured():
                self._set_captured(event)
            case CommandRefused(command="checkpoint") if self.loop is None:  # a failure to save it
                self.notices.append(Notice(time=event.time, text=event.text))
            case CommandRefused():
                self.refused.append(event)
            case CommandApplied():
                self._add_command(event)
            case RolledBack():
                self._roll_back(event)
            case MachineMeasured():
                self.machine = event
            case ProcessesJoined():
                self.joined = event
                self.measured.clear()
            case ProcessesMeasured():
                self.measured.append(event)
            case ProcessLost():
                text = f"A process was lost: {event.reason}"
                self.notices.append(Notice(time=event.time, text=text))
            case TestFinished():
                self.test, self._former = event, None
            case RunFinished():
                self.phase, self.finished = event.status, event
                if event.status == "failed" and self._former is not None:
                    self._restore(self._former, event)
                self._former = None
                self.paused &= event.status == "detached"  # the next process is paused too

    def _set_config(self, event: RunStarted | ConfigReplaced) -> None:
        self.preset = event.preset
        # A damaged log may contain tables that are not dicts.
        self.config = {name: keys for name, keys in event.config.items() if isinstance(keys, dict)}
        self.best_metric = best_metric(self.setting("train.best"))
        if self.loop is None:
            epochs = self.setting("train.epochs")
            self.total_epochs = epochs if isinstance(epochs, int) else 0

    def _describe_loop(self, event: LoopDescribed) -> None:
        """Take over what is known of a loop; the steps so far remain, in epochs of a new length."""
        steps = self.steps_done
        if event.percent and not (self.loop and self.loop.percent):
            self.epochs = [_in_percent(epoch) for epoch in self.epochs]
            self.best = self._find_best()
        self.loop, self.phase = event, "training"
        self.total_epochs = event.epochs
        if self.steps_done != steps:
            self.epoch, self.step = position_of(steps, self.steps_per_epoch, self.epoch)

    def _begin_session(self, event: RunResumed) -> None:
        """Reset what belongs to the previous session, and undo what lies beyond the position."""
        self._former = copy.copy(self) if self.phase in {"done", "stopped"} else None
        if self.phase != "detached":
            self.stops_after_epoch = self.paused = False
        self.phase, self.resumed, self.end_time = "starting", event, None
        self.paused_time, self.pause_seconds = event.time, 0.0
        self.stages, self.progress = [], None
        self.machine, self.is_captured = None, False
        self.joined = None
        self.measured.clear()
        self.recent.clear()
        self.last_time = event.time
        self.longest_gap = self._last_progress = 0.0
        self._undo(event)
        if event.file or (event.epoch, event.step) > (1, 0):
            self._mark("resume", "resumed")

    def _restore(self, former: "RunState", event: RunFinished) -> None:
        """Restore the state before a session that failed before its first step."""
        kept = {"last_time": self.last_time, "undos": self.undos + 1}
        vars(self).update(vars(former) | kept)
        self.notices.append(Notice(time=event.time, text=f"Could not be resumed: {event.error}"))

    def _roll_back(self, event: RolledBack) -> None:
        self._undo(event)
        self.lr = event.lr
        self._mark("rollback", f"rolled back, lr {event.lr:g}")
        origin = event.file or "the start"
        text = f"{event.reason}; rolled back to {origin}, training continues at lr {event.lr:g}"
        self.notices.append(Notice(time=event.time, text=text))

    def _undo(self, event: RunResumed | RolledBack) -> None:
        """Remove what lies beyond the position from which training continues."""
        self.undos += 1
        position = event.epoch, event.step
        earlier_steps = (event.epoch - 1) * self.steps_per_epoch
        self.epochs = [epoch for epoch in self.epochs if epoch.epoch < event.epoch]
        if self.best is not None and self.best.epoch >= event.epoch:
            self.best = self._find_best()
        self._shorten(earlier_steps + event.step)
        self.busy_seconds = self.curve.seconds[-1] if self.curve else 0.0
        if self.epochs and not event.step:
            self.busy_seconds += self.epochs[-1].val_seconds
        self.checkpoints = [
            saved
            for saved in self.checkpoints
            if (
                saved.epoch < event.epoch
                if saved.reason == "best"
                else _position(saved) <= position
            )
        ]
        self.markers = [
            mark
            for mark in self.markers
            if mark.step <= earlier_steps + (0 if mark.kind == "best" else event.step)
        ]
        self.epoch, self.step, self.validated_images = event.epoch, event.step, 0
        if not event.step and event.epoch > 1:  # the position is the end of an epoch
            self.epoch, self.step = event.epoch - 1, self.steps_per_epoch
            self.validated_images = self.prepared.val_images if self.prepared else 0
        elif not event.step:
            self.epoch = 0
        self.test = self.finished = None

    def _revise(self, event: ImportRevised) -> None:
        """Remove the steps and epochs that the imported log no longer has."""
        self.undos += 1
        self.epochs = self.epochs[: max(0, event.finished_epochs)]
        self.best = self._find_best()
        self.epoch, self.step = event.epoch, event.step
        step = (event.epoch - 1) * self.steps_per_epoch + event.step if event.epoch else -1
        self._shorten(step)
        self.busy_seconds = self.curve.seconds[-1] if self.curve else 0.0
        self.recent.clear()

    def _shorten(self, step: int) -> None:
        """Remove the points of all curves beyond a step."""
        self.curve, self.lr_curve = self.curve.until(step), self.lr_curve.until(step)
        self.series = self.series.until(step)

    def _find_best(self) -> EpochFinished | None:
        bests = self.best_metric.bests(self.epochs)
        return bests[-1] if bests else None

    def _add_steps(self, event: StepsFinished) -> None:
        self._former = None
        self.lr = None if math.isnan(event.lr) else event.lr
        if self.loop or self.imported:  # have no EpochStarted
            self._advance(event.epoch, event.step)
            self._add_progress(event)
        else:
            self.step = event.step
        step = (event.epoch - 1) * self.steps_per_epoch + event.step
        self.busy_seconds += event.seconds
        self.curve.add(step, event.loss, event.loss_min, event.loss_max, self.busy_seconds)
        if self.lr is not None:
            self.lr_curve.add(step, self.lr, self.lr, self.lr, self.busy_seconds)
        if len(self.curve) == MAX_POINTS:
            self.curve = self.curve.halved()  # a new object, so that views redraw it
        if len(self.lr_curve) == MAX_POINTS:
            self.lr_curve = self.lr_curve.halved()
        self.recent.append(event)
        self._add_parts(event)

    def _add_scalars(self, event: ScalarsLogged) -> None:
        seconds = self.busy_seconds
        if self.loop or self.imported:
            self._former = None
            self._add_progress(event)
            self._advance(event.epoch, event.step - max(0, event.epoch - 1) * self.steps_per_epoch)
        if self.imported and self.started:
            seconds = event.time - self.started.time
        elif self.loop and not self.curve:  # no steps with a loss, and their durations
            seconds = self.busy_seconds = max(self.busy_seconds, self.elapsed_seconds)
        self.series.add(event, seconds)

    def _advance(self, epoch: int, step: int) -> None:
        """Set the position; of an import, other values may have gone ahead."""
        if self.loop or (epoch, step) >= (self.epoch, self.step):
            self.epoch, self.step = epoch, step

    def _add_progress(self, event: StepsFinished | ScalarsLogged | EpochFinished) -> None:
        """Measure the time since the last event of a loop that is not cnn-tui's own."""
        if self._last_progress and not self.paused:
            self.longest_gap = max(self.longest_gap, event.time - self._last_progress)
        self._last_progress = event.time

    def _add_parts(self, event: StepsFinished) -> None:
        data, forward = event.data_seconds, event.forward_seconds
        backward, optimizer = event.backward_seconds, event.optimizer_seconds
        exchange = event.exchange_seconds
        measured = data + forward + backward + exchange + optimizer
        if not measured:
            return
        parts = self.part_seconds
        if not parts:
            parts |= dict.fromkeys(STEP_PARTS, 0.0)
        parts["data"] += data
        parts["forward"] += forward
        parts["backward"] += backward
        parts["exchange"] += exchange
        parts["optimizer"] += optimizer
        parts["other"] += event.seconds - measured

    def _add_epoch(self, event: EpochFinished) -> None:
        if event.is_validated:
            newest_first = range(len(self.epochs) - 1, -1, -1)
            for index in (index for index in newest_first if self.epochs[index].is_validated):
                self.epochs[index] = replace(self.epochs[index], confusion=())
                break
        self._former = None
        self.epochs.append(event)
        if self.loop:
            self._add_progress(event)
        self._epoch_ends[event.epoch] = self.steps_done
        self.busy_seconds += event.val_seconds
        self.validated_images = sum(event.total)
        self._counted_classes = max(self._counted_classes, len(event.total))
        metric = self.best_metric
        best = metric.value_of(self.best) if self.best else metric.worst
        if metric.is_better(metric.value_of(event), best):
            self.best = event

    def _set_captured(self, event: StepsCaptured) -> None:
        self.is_captured = not event.reason
        if event.reason:
            text = f"Training steps are not captured as a CUDA graph, and so slower: {event.reason}"
            self.notices.append(Notice(time=event.time, text=text))

    def _add_checkpoint(self, event: CheckpointSaved) -> None:
        self._former = None
        self.checkpoints.append(event)
        if event.reason == "best":
            # At the end of its epoch, although it may be recorded later, while training continues.
            step = event.epoch * self.steps_per_epoch
            self.markers.append(Marker(step, "best", f"best, epoch {event.epoch}"))
        elif event.reason == "asked":
            self._mark("checkpoint", "checkpoint")

    def _add_command(self, event: CommandApplied) -> None:
        self.commands.append(event)
        match event.command:
            case "pause":
                if not self.paused:
                    self.paused, self.paused_time = True, event.time
                self._mark("pause", "pause")
            case "unpause":
                self._last_progress = event.time
                if self.paused:
                    self.pause_seconds += max(0.0, event.time - self.paused_time)
                self.paused = False
            case "stop":
                self._mark("stop", "stop")
            case "stop-epoch":
                self.stops_after_epoch = True
                self._mark("stop", "stop after the epoch")
            case "stop-test":
                self._mark("stop", "stop and test")
            case "lr" if event.value is not None:
                self.lr = event.value
                self._mark("lr", f"lr {event.value:g}")
            case "epochs" if event.value is not None and math.isfinite(event.value):
                self.total_epochs = int(event.value)
                self._mark("epochs", f"{event.value:g} epochs")

    def _mark(self, kind: MarkerKind, text: str) -> None:
        self.markers.append(Marker(self.steps_done, kind, text))

    @property
    def progress_seconds_left(self) -> float | None:
        """Seconds until the current activity is done, from its first second on; None if unknown."""
        first, latest = self.first_progress, self.progress
        if first is None or latest is None or not latest.total:
            return None
        seconds, done = latest.time - first.time, latest.done - first.done
        if seconds < 1 or done <= 0:
            return None
        return seconds * (latest.total - latest.done) / done

    @property
    def host(self) -> str:
        """Host name of the latest session, or of the machine in whose queue it waits.

        Empty if unknown.
        """
        session = self.resumed or self.started
        if self.phase == "queued" and self.queued:
            return self.queued.host
        return session.host if session else ""

    @property
    def processes(self) -> int:
        """Processes that train together in the latest session whose number is known."""
        first = self.started.processes if self.started else 1
        return self.resumed.processes if self.resumed and self.resumed.processes else first

    @property
    def straggler(self) -> tuple[int, float] | None:
        """Rank of a process for which all others wait, and its step relative to the median.

        None if no process has been slower in all of the latest measurements.
        """
        if len(self.measured) < STRAGGLER_EVENTS:
            return None
        ratios = [_relative_steps(event.step_seconds) for event in self.measured]
        newest = ratios[-1]
        slowest = max(range(len(newest)), key=newest.__getitem__, default=0)
        is_slow = all(len(each) > slowest and each[slowest] > STRAGGLER_RATIO for each in ratios)
        return (slowest, newest[slowest]) if is_slow else None

    @property
    def messages(self) -> list[Notice]:
        """Notices, and the reasons of refused commands, in the order of their times."""
        refused = [Notice(time=event.time, text=event.text) for event in self.refused]
        return sorted([*self.notices, *refused], key=lambda notice: notice.time)

    @property
    def last_lr(self) -> float | None:
        """Last learning rate; of a loop that logs it without a loss, from its series."""
        name = None if self.curve else roles_of(self.series).assigned.get("lr")
        if name is None:
            return self.lr
        last = self.series[name].last
        return last if math.isfinite(last) else None

    @property
    def status(self) -> Status:
        """`paused`, or the phase."""
        return "paused" if self.paused else self.phase

    @property
    def is_own(self) -> bool:
        """True if cnn-tui trains the run; False for an import and another training loop."""
        return not (self.imported or self.loop)

    @property
    def has_ended(self) -> bool:
        """True if the run has ended and no other process continues it."""
        return self.phase in ENDED

    @property
    def steps_done(self) -> int:
        """Steps since the start of the run."""
        return max(0, self.epoch - 1) * self.steps_per_epoch + self.step

    def end_of(self, epoch: EpochFinished | TestFinished) -> int:
        """Return the steps since the start of the run at the end of an epoch.

        If no steps are known at all, each epoch is one.
        """
        known = epoch.epoch * self.steps_per_epoch
        return known or self._epoch_ends.get(epoch.epoch, 0) or epoch.epoch

    @property
    def silence_start(self) -> float:
        """Time of the last event; of another training loop, of the last that it logged itself."""
        return self._last_progress or self.last_time

    def setting(self, key: str) -> object:
        """Return a config value by its dotted key; None if a damaged log lacks it."""
        table, _, name = key.partition(".")
        return self.config.get(table, {}).get(name)

    @property
    def steps_per_epoch(self) -> int:
        """Batches per epoch; 0 if unknown."""
        known = self.prepared or self.imported or self.loop
        return known.steps_per_epoch if known else 0

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; numbers for those that a loop only counts; empty if unknown."""
        if self.prepared:
            return self.prepared.classes
        names = self.loop.classes if self.loop else ()
        return (*names, *map(str, range(len(names), self._counted_classes)))

    @property
    def validated_epochs(self) -> list[EpochFinished]:
        """Finished epochs with a validation."""
        return [epoch for epoch in self.epochs if epoch.is_validated]

    @property
    def latest_counts(self) -> TestFinished | EpochFinished | None:
        """The final test, else the last validated epoch; None before both."""
        validated = self.validated_epochs
        return self.test or (validated[-1] if validated else None)

    @property
    def best_epochs(self) -> frozenset[int]:
        """Epochs that were the best so far when they finished."""
        if self.is_own:
            return frozenset(saved.epoch for saved in self.checkpoints if saved.reason == "best")
        return frozenset(epoch.epoch for epoch in self.best_metric.bests(self.epochs))

    @property
    def best_checkpoint_epoch(self) -> int | None:
        """Epoch of the saved `best.pt`; differs from `best` if that could not be saved."""
        newest_first = reversed(self.checkpoints)
        return next((saved.epoch for saved in newest_first if saved.reason == "best"), None)

    @property
    def images_per_second(self) -> float | None:
        """Training speed over the last few seconds; None if unknown.

        Of several processes of another loop the first logs its own part of each batch only.
        """
        if self.loop and self.processes > 1:
            return None
        seconds = sum(event.seconds for event in self.recent)
        images = sum(event.images for event in self.recent)
        return images / seconds if seconds > 0 and images else None

    @property
    def steps_per_second(self) -> float | None:
        """Steps per second over the last few seconds; None if unknown."""
        seconds = sum(event.seconds for event in self.recent)
        return sum(event.steps for event in self.recent) / seconds if seconds > 0 else None

    @property
    def part_fractions(self) -> dict[str, float]:
        """Fraction of the step time by part (see `STEP_PARTS`), 0 to 1, without unmeasured ones."""
        total = sum(self.part_seconds.values())
        return {
            part: seconds / total
            for part, seconds in self.part_seconds.items()
            if seconds or part in ("data", "other")
        }

    @property
    def elapsed_seconds(self) -> float:
        """Duration of all sessions up to the last event, without pauses; never negative."""
        if self.finished:
            return self.finished.seconds
        session = self.resumed or self.started
        if session is None:
            return 0.0
        end = self.paused_time if self.paused else self.last_time
        earlier = self.resumed.seconds if self.resumed else 0.0
        # Negative if the clocks of two machines differ.
        return max(0.0, earlier + end - session.time - self.pause_seconds)

    @property
    def epoch_seconds(self) -> float | None:
        """Expected duration of this epoch: that of the last one, or an estimate before it."""
        if self.epochs:
            return self.epochs[-1].train_seconds + self.epochs[-1].val_seconds
        if not self.prepared or not self.recent:
            return None
        to_validate = self._validations(0, 1) * self.prepared.val_images
        return self._train_seconds(self.steps_per_epoch) + self._seconds_to_infer(to_validate)

    @property
    def epoch_seconds_left(self) -> float | None:
        """Time left to train and validate this epoch; None until the speed is known.

        Before the first validation its speed is estimated from that of training.
        """
        if not self.prepared or not self.recent:
            return None
        to_validate = self._validations(self.epoch - 1, self.epoch) * self.prepared.val_images
        to_validate = max(0, to_validate - self.validated_images)
        return self._train_seconds(self.steps_per_epoch - self.step) + self._seconds_to_infer(
            to_validate
        )

    @property
    def seconds_left(self) -> float | None:
        """Time left until the test is done; None until the speed is known, and once ended."""
        if self.loop:
            return self._loop_seconds_left()
        this_epoch = self.epoch_seconds_left
        if self.prepared is None or this_epoch is None or self.has_ended:
            return None
        later = self.total_epochs - self.epoch
        validations = self._validations(self.epoch, self.total_epochs)
        infer_images = validations * self.prepared.val_images + self.prepared.test_images
        return (
            this_epoch
            + self._train_seconds(later * self.steps_per_epoch)
            + self._seconds_to_infer(infer_images)
        )

    def _loop_seconds_left(self) -> float | None:
        """Return the time left at the mean speed so far, with all that the loop does."""
        total = self.total_epochs * (self.steps_per_epoch or 1)
        done = self.steps_done if self.steps_per_epoch else len(self.epochs)
        if not total or done <= 0 or self.has_ended:
            return None
        return self.elapsed_seconds * max(0, total - done) / done

    def _train_seconds(self, steps: int) -> float:
        done = sum(event.steps for event in self.recent)
        seconds = sum(event.seconds for event in self.recent)
        return steps * seconds / done if done > 0 else 0.0  # a damaged log may contain 0 steps

    def _validations(self, after: int, to: int) -> int:
        """Return the number of validations after epoch `after` up to and including epoch `to`."""
        every = self.setting("train.validate_every")
        every = every if isinstance(every, int) and every > 0 else 1
        is_last = after < self.total_epochs <= to
        return to // every - after // every + (is_last and self.total_epochs % every != 0)

    def _seconds_to_infer(self, images: int) -> float:
        for epoch in reversed(self.epochs):
            if (validated := sum(epoch.total)) > 0:
                return images * epoch.val_seconds / validated
        return images * INFERENCE_COST / (self.images_per_second or math.inf)


def _position(saved: CheckpointSaved) -> tuple[int, int]:
    return saved.epoch, saved.step


def _relative_steps(seconds: tuple[float, ...]) -> list[float]:
    """Return durations relative to their lower median; nothing without durations."""
    median = sorted(seconds)[(len(seconds) - 1) // 2] if seconds else 0.0
    return [each / median for each in seconds] if median > 0 else []


def _in_percent(epoch: EpochFinished) -> EpochFinished:
    """Return an epoch whose accuracies were in percent and taken as fractions."""
    accuracy = None if epoch.accuracy is None else epoch.accuracy / 100
    return replace(epoch, accuracy=accuracy, train_accuracy=epoch.train_accuracy / 100)
