"""All that is known of a run, made from its events and from nothing else.

`RunState.apply` is the only place where events become knowledge. The live dashboard, an attached
one, a finished run and a test all call it, so they cannot disagree. It does no I/O, reads no
clock, and takes any prefix of a legal log.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from cnn_engine.events import (
    CheckpointSaved,
    CommandApplied,
    ConfigReplaced,
    EpochFinished,
    EpochStarted,
    Event,
    Notice,
    RunFinished,
    RunPrepared,
    RunStarted,
    StageProgressed,
    StageStarted,
    StepsFinished,
    TestFinished,
    ValidationProgressed,
)

Status = Literal["starting", "training", "validating", "testing", "done", "stopped", "failed"]

ENDED: frozenset[Status] = frozenset({"done", "stopped", "failed"})

RATE_WINDOW = 10
"""Events that the current speed is averaged over: about five seconds."""


class CurvePoint(NamedTuple):
    """Training loss over a few steps, which keeps their extremes."""

    step: int
    """Steps since the start of the run, at the end of these."""

    loss: float
    """Mean."""

    low: float
    """Least."""

    high: float
    """Greatest."""


@dataclass(kw_only=True)
class RunState:
    """A run as far as its log tells."""

    status: Status = "starting"
    started: RunStarted | None = None
    preset: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    stages: list[StageStarted] = field(default_factory=list)
    progress: StageProgressed | None = None
    prepared: RunPrepared | None = None
    epoch: int = 0
    step: int = 0
    validated_images: int = 0
    lr: float | None = None
    curve: list[CurvePoint] = field(default_factory=list)
    epochs: list[EpochFinished] = field(default_factory=list)
    checkpoints: list[CheckpointSaved] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    commands: list[CommandApplied] = field(default_factory=list)
    test: TestFinished | None = None
    finished: RunFinished | None = None
    last_time: float = 0.0
    recent: deque[StepsFinished] = field(default_factory=lambda: deque(maxlen=RATE_WINDOW))

    def apply(self, event: Event) -> None:  # noqa: C901, PLR0912 - one flat case per event
        """Take in one event."""
        self.last_time = max(self.last_time, event.time)
        match event:
            case RunStarted():
                self.started, self.preset, self.config = event, event.preset, event.config
            case ConfigReplaced():
                self.preset, self.config = event.preset, event.config
                self.notices.append(Notice(time=event.time, text=event.reason))
            case StageStarted():
                self.stages.append(event)
                self.progress = None
                self.status = "testing" if event.stage == "test" else "starting"
            case StageProgressed():
                self.progress = event
            case Notice():
                self.notices.append(event)
            case RunPrepared():
                self.prepared = event
            case EpochStarted():
                self.status = "training"
                self.epoch, self.step, self.validated_images = event.epoch, 0, 0
            case StepsFinished():
                self._add_steps(event)
            case ValidationProgressed():
                self.status, self.validated_images = "validating", event.images
            case EpochFinished():
                self.epochs.append(event)
                self.validated_images = sum(event.total)
            case CheckpointSaved():
                self.checkpoints.append(event)
            case CommandApplied():
                self.commands.append(event)
            case TestFinished():
                self.test = event
            case RunFinished():
                self.status, self.finished = event.status, event

    def _add_steps(self, event: StepsFinished) -> None:
        self.step, self.lr = event.step, event.lr
        step = (event.epoch - 1) * self.steps_per_epoch + event.step
        self.curve.append(CurvePoint(step, event.loss, event.loss_min, event.loss_max))
        self.recent.append(event)

    @property
    def ended(self) -> bool:
        """Whether the engine said that it is done."""
        return self.status in ENDED

    @property
    def epochs_asked(self) -> int:
        """Epochs the config asks for; 0 while that is not known."""
        return int(self.config.get("train", {}).get("epochs", 0))

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch; 0 while that is not known."""
        return self.prepared.steps_per_epoch if self.prepared else 0

    @property
    def best(self) -> EpochFinished | None:
        """The epoch of least validation loss; of equals the latest, as the procedure keeps it."""
        finite = [epoch for epoch in self.epochs if epoch.val_loss == epoch.val_loss]  # not NaN
        return min(reversed(finite), key=lambda epoch: epoch.val_loss, default=None)

    @property
    def best_epochs(self) -> frozenset[int]:
        """Epochs that were the best so far when they ended."""
        return frozenset(saved.epoch for saved in self.checkpoints if saved.reason == "best")

    @property
    def images_per_second(self) -> float | None:
        """Training speed over the last few seconds."""
        seconds = sum(event.seconds for event in self.recent)
        return sum(event.images for event in self.recent) / seconds if seconds > 0 else None

    @property
    def elapsed_seconds(self) -> float:
        """Time from the start to the last event; never negative, whatever clocks did."""
        if self.finished:
            return self.finished.seconds
        return max(0.0, self.last_time - self.started.time) if self.started else 0.0

    @property
    def epoch_seconds_left(self) -> float | None:
        """Time until this epoch is trained and validated; None until both speeds are known."""
        if not self.prepared or not self.epochs or not self.recent:
            return None
        to_validate = self.prepared.val_images - self.validated_images
        return self._train_seconds(self.steps_per_epoch - self.step) + self._seconds_to_infer(
            to_validate
        )

    @property
    def seconds_left(self) -> float | None:
        """Time until the test is done; None until both speeds are known, and once ended."""
        this_epoch = self.epoch_seconds_left
        if self.prepared is None or this_epoch is None or self.ended:
            return None
        later = self.epochs_asked - self.epoch
        infer_images = later * self.prepared.val_images + self.prepared.test_images
        return (
            this_epoch
            + self._train_seconds(later * self.steps_per_epoch)
            + self._seconds_to_infer(infer_images)
        )

    def _train_seconds(self, steps: int) -> float:
        recent = self.recent
        return steps * sum(event.seconds for event in recent) / sum(event.steps for event in recent)

    def _seconds_to_infer(self, images: int) -> float:
        last = self.epochs[-1]
        return images * last.val_seconds / sum(last.total)
