"""Typed events of a run, named in the past tense.

The engine records events, and `RunState.apply` makes everything shown to a user from them. An event
is one line of strict JSON in the run's `events.jsonl`.

Order of events, where `*` means any number of times, `+` at least once and `?` at most once::

    run
        session +
            RunStarted                    in the first session
            RunQueued ?                   the run waits for its turn; also after RunFinished
            or RunResumed                 in later ones: undoes what lies beyond its position
            TimeLimitSet ?                the session must end in time
            ConfigReplaced ?              digits replace CIFAR-10, which could not be downloaded;
                                          after RunPrepared: the images of a resumed run were moved
            StageStarted                  loading PyTorch, loading data, building the model
                StageProgressed *
            RunPrepared                   everything is loaded and validated
            epoch *                       the first epoch of a later session may be partly done
                EpochStarted
                StepsFinished *           about twice a second
                ValidationProgressed *
                EpochFinished
                CheckpointSaved best ?
                CheckpointSaved last      missing if the disk is full, which a Notice reports
            StageStarted                  testing
            TestFinished
            RunFinished

`Notice`, `AlarmRaised`, `CommandApplied`, `CommandRefused`, `MachineMeasured`, `ProcessesJoined`,
`ProcessesMeasured` and `ProcessLost` may occur anywhere
between the first and the last event of a session, `StepsCaptured` (on a GPU) between steps, and
`CheckpointSaved` with reason `asked`, or `last` after `train.checkpoint_seconds`, anywhere between
`RunPrepared` and the test. On a GPU checkpoints are written while training continues: `best` and
`last` of an epoch may then occur anywhere between its `EpochFinished` and the test, and short
epochs may have none. `RolledBack` may end an epoch early, after `StepsFinished` or `EpochFinished`;
it undoes what lies beyond its position, and an epoch starts or continues. A session can end at any
point after its first event, and `RunFinished` says how:

=================  ==========================================================================
end                events
=================  ==========================================================================
completion         all of the above; `RunFinished` with status `done`
stop               `CommandApplied`, `CheckpointSaved last` if the first epoch has started,
                   `RunFinished` with status `stopped`
stop after epoch   `CommandApplied`, the rest of the epoch, the test, `RunFinished` with status
                   `stopped`, or `done` if it was the last epoch
stop and test      `CommandApplied`, `CheckpointSaved last`, the test, `RunFinished` with status
                   `stopped`; like a stop if nothing is trained yet
detach             like a stop, with status `detached`; another process continues at once
cancelled          after `RunQueued`: `CommandApplied`, `RunFinished` with status `stopped`
failure            `RunFinished` with status `failed` and the error
killed             none: the log just ends, and no process holds it
=================  ==========================================================================

Another session may follow any of them. If the run was done or stopped and the session fails before
its first step, the run stays as it was before, with a notice.

The run of another program has `RunImported` instead of the events before the epochs, and again once
the length of an epoch is known. Its epochs have `StepsFinished`, `ScalarsLogged` and
`EpochFinished` only, each in the order of their steps; where its log was changed while it was
followed, `ImportRevised` undoes what lies beyond its position.

The run of a training loop that is not cnn-tui's own has `LoopDescribed` after the first event of a
session, and again whenever more is known of the loop. Its epochs have `StepsFinished`,
`ScalarsLogged` and `EpochFinished` only, and it may have `CheckpointSaved asked`. In all runs
`ScalarsLogged` may occur anywhere after `RunPrepared`, `RunImported` or `LoopDescribed`.
"""

import math
import re
import time
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta

FORMAT = 1
"""Version of the log's format, written in its first event."""

Int64: TypeAlias = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
"""Integer of at most 64 bits; a line with a greater one is damaged."""

Confusion: TypeAlias = tuple[tuple[Int64, Int64, Int64], ...]
"""Off-diagonal entries of a confusion matrix that are not 0, sorted: true class, predicted class,
images. Small even for a thousand classes; the counts of correct images are the diagonal."""

Bins: TypeAlias = tuple[tuple[Int64, Int64, float], ...]
"""Images, correctly classified images, and sum of confidences per confidence bin. The bins have
equal width from 0 to 1 and include their upper edge. Confidence is the probability of the
predicted class."""


_SOURCE_PLACE = re.compile(r"^\[[^\]]*:[0-9]+\] ")
"""Beginning of a message of gloo, which names the line that raised the error."""

LOOP_TABLE = "config"
"""Table of the config of another training loop or program, with all its keys."""


Scalar: TypeAlias = tuple[float, ...]
"""Mean, minimum, maximum and last of a few values of a series, all finite, or the value alone if
these are equal. Older logs lack the last."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """Base of all events."""

    time: float = field(default_factory=time.time)
    """Seconds since 1970 by the wall clock; only for display, not to compute durations."""


@dataclass(frozen=True, kw_only=True)
class RunStarted(Event):
    """The run's directory exists and its engine is running."""

    run_id: str
    """Name of the run's directory."""

    name: str
    """Name given by the user; may be empty."""

    preset: str
    """Name of the preset or config file."""

    config: dict[str, Any]
    """Complete, validated config."""

    pid: Int64
    """Id of the training process."""

    host: str
    """Host name of the machine."""

    version: str
    """Version of cnn-tui."""

    format: Int64 = FORMAT
    """Version of the log's format."""

    fallback_preset: str = ""
    """Preset to train instead if the images cannot be downloaded; may be empty."""

    fallback_config: dict[str, Any] | None = None
    """Complete config of the fallback; None if there is none."""

    group: str = ""
    """Id of the first run of its series; empty if it belongs to none."""

    member: Int64 = 0
    """Number in its series, from 1; 0 if unknown, as in early logs."""

    members: Int64 = 0
    """Planned number of runs of its series; 0 if unknown."""

    setting: str = ""
    """Values by which its series differs, such as `optimizer.lr=0.003`; may be empty."""

    command: tuple[str, ...] = ()
    """Words of the command line; empty in early logs of version 0.1."""

    directory: str = ""
    """Working directory of that command."""

    processes: Int64 = 1
    """Processes that train together in the loop of another program."""

    launch: str = ""
    """Name of torchrun's launch, which may start the processes again; empty without one."""

    like: str = ""
    """Id of the run whose config was cloned; may be empty."""

    environment_of_like: dict[str, str] = field(default_factory=dict)
    """Environment of the cloned run, as in `RunPrepared`."""


@dataclass(frozen=True, kw_only=True)
class RunQueued(Event):
    """The run waits in the queue of a machine until a device is free; no process trains it."""

    host: str
    """Host name of the machine."""

    device: str
    """Kind of device that it waits for: `cpu`, `cuda` or `mps`."""


@dataclass(frozen=True, kw_only=True)
class RunImported(Event):
    """The run of another program was imported; values that it does not log are unknown."""

    source: str
    """Imported file or directory."""

    steps_per_epoch: Int64
    """Steps of an epoch, which is taken to end with a validation; 0 if unknown."""

    epochs: Int64 = 0
    """Planned number of epochs; 0 if unknown."""


@dataclass(frozen=True, kw_only=True)
class LoopDescribed(Event):
    """A training loop that is not cnn-tui's own logs this run, or more is known of it."""

    epochs: Int64 = 0
    """Planned number of epochs; 0 if unknown."""

    steps_per_epoch: Int64 = 0
    """0 if unknown."""

    commands: tuple[str, ...] = ()
    """Names of the commands that the loop obeys."""

    classes: tuple[str, ...] = ()
    """Names of the classes; empty if unknown."""

    framework: str = ""
    """Name and version of the framework with the loop; empty for one's own."""

    percent: bool = False
    """True once an accuracy above 1 was logged, so that all are in percent; those of epochs before
    were recorded as fractions."""


@dataclass(frozen=True, kw_only=True)
class ImportRevised(Event):
    """The imported log was changed: later steps and epochs are undone, and follow anew."""

    epoch: Int64
    """Epoch of the last step that stays valid; 0 if none does."""

    step: Int64
    """Number of that step within its epoch."""

    finished_epochs: Int64
    """Number of `EpochFinished` that stay valid, from the first."""


@dataclass(frozen=True, kw_only=True)
class RunResumed(Event):
    """Another process continues the run; steps and epochs beyond its position are undone.

    It continues exactly if `RunPrepared.differences` is empty.
    """

    pid: Int64
    """Id of the new process."""

    host: str
    """Host name of its machine."""

    version: str
    """Version of cnn-tui."""

    epoch: Int64
    """Epoch in which training continues, counted from 1; one more than planned if only the test is
    left."""

    step: Int64
    """Steps of that epoch that are done."""

    file: str
    """Checkpoint from which training continues; empty if there was none and training restarts."""

    seconds: float
    """Duration of all earlier sessions."""

    processes: Int64 = 0
    """Processes that train together from now on, as in `RunStarted`; 0 in logs that lack it."""


@dataclass(frozen=True, kw_only=True)
class ConfigReplaced(Event):
    """The run continues with another config than it was started with."""

    preset: str
    """Name of the new preset."""

    config: dict[str, Any]
    """Complete new config."""

    reason: str
    """Reason, as a sentence."""


@dataclass(frozen=True, kw_only=True)
class TimeLimitSet(Event):
    """The session stops with a checkpoint in time to have ended at a time limit."""

    end: float
    """Time limit in seconds since 1970: of the user, or of the job of a batch system."""


@dataclass(frozen=True, kw_only=True)
class StageStarted(Event):
    """A stage outside the training loop started."""

    stage: Literal["torch", "data", "model", "test"]
    """Loading PyTorch, loading the images, building the model, or the final test."""


@dataclass(frozen=True, kw_only=True)
class StageProgressed(Event):
    """Progress of the stage; recorded about twice a second."""

    what: str
    """Activity, such as `decoding images`."""

    done: Int64
    """Units done."""

    total: Int64
    """Total units; 0 if unknown."""


@dataclass(frozen=True, kw_only=True)
class Notice(Event):
    """Message to the user that is not an error."""

    text: str
    """The message, as a sentence, its main clause first."""

    severity: Literal["info", "warning"] = "warning"
    """`warning`: something is missing or damaged; `info`: it is as it should be."""


@dataclass(frozen=True, kw_only=True)
class AlarmRaised(Event):
    """A problem of the run was detected; recorded once, until it is gone and comes back."""

    alarm: str
    """Kind of the problem, as in `cnn_engine.runlog.alarms`, such as `overfitting`."""

    severity: Literal["error", "warning"]
    """`error`: the run may be lost if nothing is done; `warning`: it could be better."""

    text: str
    """The problem, as a sentence."""

    advice: str
    """Suggested fix, as a sentence."""


@dataclass(frozen=True, kw_only=True)
class RunPrepared(Event):
    """Images and model are loaded and validated; training can start."""

    classes: tuple[str, ...]
    """Class names, in the order of all counts per class."""

    source: str
    """Origin of the images."""

    image_shape: tuple[Int64, ...]
    """Channels, height and width of one image."""

    train_images: Int64
    """Number of training images."""

    val_images: Int64
    """Number of validation images."""

    test_images: Int64
    """Number of test images."""

    steps_per_epoch: Int64
    """Batches per epoch."""

    parameters: Int64
    """Trainable parameters of the model."""

    device: str
    """`cpu`, `cuda` or `mps`."""

    device_name: str
    """Model name of the device."""

    threads: Int64
    """CPU threads that PyTorch uses."""

    precision: str
    """`fp32`, `tf32`, `bf16` or `fp16`."""

    train_counts: tuple[Int64, ...] = ()
    """Training images per class; empty in early logs of version 0.1."""

    differences: tuple[str, ...] = ()
    """Differences from the environment of the checkpoint, such as `threads: 2, before 4`. With any,
    results are only approximately those of an uninterrupted run. Empty in the first session."""

    environment: dict[str, str] = field(default_factory=dict)
    """Values besides the config that results depend on, by name: versions, device, threads, CPU,
    `images` (digest of the data set and its split), `files` (digest of the image files and their
    split), `Pillow`, `libjpeg` and `decoding` (versions that decode them), `revision` (git
    commit of the working directory and `with changes` if tracked files differ)."""

    brightness: tuple[float, ...] = ()
    """Mean and standard deviation of the mean values of training images, 0 to 1; empty in old
    logs."""


@dataclass(frozen=True, kw_only=True)
class EpochStarted(Event):
    """An epoch started or continues."""

    epoch: Int64
    """Counted from 1."""

    step: Int64 = 0
    """Steps of the epoch already done before the run was resumed or rolled back."""


@dataclass(frozen=True, kw_only=True)
class StepsCaptured(Event):
    """Training steps are replayed from a CUDA graph from now on, or could not be captured."""

    reason: str = ""
    """Reason why steps are not captured; empty if they are."""


@dataclass(frozen=True, kw_only=True)
class StepsFinished(Event):
    """Training steps since the last such event; the only frequent event."""

    epoch: Int64
    """Counted from 1."""

    step: Int64
    """Steps of this epoch done so far; since the start of the run if the steps per epoch of another
    loop are unknown."""

    steps: Int64
    """Steps covered by this event."""

    loss: float
    """Mean training loss over those steps."""

    loss_min: float
    """Minimum loss of a step."""

    loss_max: float
    """Maximum loss of a step."""

    lr: float
    """Learning rate of the last step."""

    seconds: float
    """Duration of the steps."""

    images: Int64
    """Training images of the steps."""

    data_seconds: float = 0.0
    """Part of `seconds` spent on making batches. This and the next four are sampled and scaled to
    all steps; the rest of `seconds` is overhead."""

    forward_seconds: float = 0.0
    """Part spent in the forward pass and the loss."""

    backward_seconds: float = 0.0
    """Part spent in the backward pass."""

    optimizer_seconds: float = 0.0
    """Part spent in the optimizer step."""

    exchange_seconds: float = 0.0
    """Part spent in the exchange of gradients with other processes, and in waiting for them."""


@dataclass(frozen=True, kw_only=True)
class ScalarsLogged(Event):
    """Values of named series were logged; at most about twice a second."""

    step: Int64
    """Steps since the start of the run at the last of these values."""

    epoch: Int64 = 0
    """Number of the epoch; 0 if unknown."""

    values: dict[str, Scalar] = field(default_factory=dict)
    """Values since the last event by the name of their series, in which `/` separates groups."""

    not_finite: dict[str, str] = field(default_factory=dict)
    """Series with values that are not finite, and the last of them: `nan`, `inf` or `-inf`."""


@dataclass(frozen=True, kw_only=True)
class ValidationProgressed(Event):
    """Progress of validation; recorded about twice a second."""

    epoch: Int64
    """Counted from 1."""

    images: Int64
    """Images validated so far."""


@dataclass(frozen=True, kw_only=True)
class EpochFinished(Event):
    """An epoch was trained and validated."""

    epoch: Int64
    """Counted from 1."""

    train_loss: float
    """Mean loss over the training images, from the training steps."""

    train_accuracy: float
    """Accuracy on the training images, from the training steps, 0 to 1."""

    val_loss: float
    """Mean loss over the validation images after the epoch. NaN, with empty counts, if there was no
    validation after this epoch."""

    correct: tuple[Int64, ...]
    """Correctly classified validation images, per class."""

    total: tuple[Int64, ...]
    """Validation images, per class."""

    train_seconds: float
    """Duration of training."""

    val_seconds: float
    """Duration of validation."""

    confusion: Confusion = ()
    """Misclassified validation images, per pair of classes."""

    accuracy: float | None = None
    """Validation accuracy of an imported run, whose counts are unknown, 0 to 1."""

    val_macro_f1: float | None = None
    """Mean F1 of the classes in the validation, 0 to 1; None in older logs, and if unknown."""

    @property
    def is_validated(self) -> bool:
        """True if there was a validation after the epoch."""
        return bool(self.total) or self.accuracy is not None or not math.isnan(self.val_loss)

    @property
    def known_train_loss(self) -> float | None:
        """Mean training loss; None if its loop logs none."""
        # cnn-tui's own loop knows the accuracy even where the loss is NaN.
        is_unknown = math.isnan(self.train_loss) and math.isnan(self.train_accuracy)
        return None if is_unknown else self.train_loss

    @property
    def known_val_loss(self) -> float | None:
        """Mean validation loss; None if there was no validation, or its loop logs no such loss."""
        has_only_accuracy = self.accuracy is not None or math.isnan(self.train_accuracy)
        is_unknown = math.isnan(self.val_loss) and (has_only_accuracy or not self.is_validated)
        return None if is_unknown else self.val_loss

    @property
    def val_accuracy(self) -> float:
        """Validation accuracy, 0 to 1; NaN if unknown."""
        if images := sum(self.total):
            return sum(self.correct) / images
        return math.nan if self.accuracy is None else self.accuracy


@dataclass(frozen=True, kw_only=True)
class CheckpointSaved(Event):
    """A checkpoint was written to disk."""

    reason: Literal["best", "last", "asked"]
    """`best`: the best weights so far by `metric`, or the latest without validation; `last`: latest
    training state; `asked`: the same, saved by a command."""

    epoch: Int64
    """Epoch of the checkpoint, complete or partial."""

    file: str
    """File name in the run directory."""

    step: Int64 = 0
    """Steps of that epoch that are done; 0 in early logs of version 0.1."""

    old_loss: float | None = None
    """Previous lowest validation loss, infinite at first. Only with `best` chosen by it."""

    new_loss: float | None = None
    """New lowest validation loss. Only with `best` chosen by it."""

    metric: str = "val_loss"
    """Metric that chose it, as in `train.best`."""

    old_value: float | None = None
    """Previous best value of another metric than the loss, -inf at first."""

    new_value: float | None = None
    """New best value of another metric than the loss."""

    @property
    def change(self) -> tuple[float, float] | None:
        """Previous (NaN if unknown) and new best value; None if no validation chose the weights."""
        old = self.old_loss if self.old_value is None else self.old_value
        new = self.new_loss if self.new_value is None else self.new_value
        return None if new is None else (math.nan if old is None else old, new)


@dataclass(frozen=True, kw_only=True)
class CommandApplied(Event):
    """The engine carried out a command."""

    command: str
    """`pause`, `unpause`, `stop`, `stop-epoch` (stop after this epoch), `stop-test` (stop now, and
    test), `checkpoint`, `lr`, `epochs` or `detach` (continue in the background)."""

    by: str
    """Sender: `key`, `cli`, the name of a signal, `time-limit`, or the config's `patience` or
    `budget`."""

    value: float | None = None
    """New learning rate or total number of epochs. Only with `lr` and `epochs`."""


@dataclass(frozen=True, kw_only=True)
class CommandRefused(Event):
    """The engine refused a command."""

    command: str
    """Command, as in `CommandApplied`."""

    by: str
    """Sender, as in `CommandApplied`."""

    text: str
    """Reason, as a sentence."""


@dataclass(frozen=True, kw_only=True)
class RolledBack(Event):
    """The loss became NaN or infinite; training continues from a checkpoint at half the rate."""

    epoch: Int64
    """Epoch in which training continues, counted from 1."""

    step: Int64
    """Steps of that epoch that are done."""

    file: str
    """Checkpoint from which training continues; empty if there was none and training restarts."""

    lr: float
    """New learning rate."""

    reason: str
    """Description of the loss and its position."""


@dataclass(frozen=True, kw_only=True)
class MachineMeasured(Event):
    """Utilization of the training machine; recorded about every five seconds."""

    cpu: float
    """CPU utilization of all cores since the last such event, 0 to 1."""

    memory_bytes: Int64
    """Resident memory of the training process."""

    memory_total_bytes: Int64
    """Total memory of the machine."""

    memory_available_bytes: Int64
    """Memory available to programs."""

    disk_free_bytes: Int64
    """Free space on the disk of the run directory."""

    gpu_busy: float | None = None
    """GPU utilization, 0 to 1; None if unknown."""

    gpu_memory_bytes: Int64 | None = None
    """GPU memory in use by all processes; None without a GPU."""

    gpu_memory_total_bytes: Int64 | None = None
    """Total memory of the GPU; None without a GPU."""


@dataclass(frozen=True, kw_only=True)
class ProcessesJoined(Event):
    """Several processes train together from now on; all tuples are by rank."""

    hosts: tuple[str, ...]
    """Host names of their machines."""

    pids: tuple[Int64, ...]

    devices: tuple[str, ...]
    """Names of their devices, such as `cpu`."""

    restarts: Int64 = 0
    """Number of times that torchrun has started them again after one was lost."""


@dataclass(frozen=True, kw_only=True)
class ProcessesMeasured(Event):
    """Time and memory of each process; recorded about every five seconds. Tuples are by rank.

    All of them take the same steps: the slowest one has the longest step and waits least.
    """

    step_seconds: tuple[float, ...]
    """Mean duration of a step without the exchange with the others, since the last such event."""

    exchange_seconds: tuple[float, ...]
    """Mean duration of the exchange in a step, with the time to wait for slower processes."""

    memory_bytes: tuple[Int64, ...]
    """Resident memory."""


@dataclass(frozen=True, kw_only=True)
class ProcessLost(Event):
    """A process has ended without a word; torchrun may start all of them again."""

    text: str
    """Message of the exchange that failed."""

    @property
    def reason(self) -> str:
        """First sentence of the message, without the place in PyTorch's source."""
        return _SOURCE_PLACE.sub("", self.text).partition(". ")[0]


@dataclass(frozen=True, kw_only=True)
class TestFinished(Event):
    """The best checkpoint was evaluated on the test images."""

    epoch: Int64
    """Epoch of the checkpoint."""

    loss: float
    """Mean loss over the test images."""

    correct: tuple[Int64, ...]
    """Correctly classified test images, per class."""

    total: tuple[Int64, ...]
    """Test images, per class."""

    seconds: float
    """Duration of the test."""

    confusion: Confusion = ()
    """Misclassified test images, per pair of classes."""

    top5: Int64 | None = None
    """Test images whose true class is among the five most probable; None with few classes, and, as
    the next two are empty, in old logs."""

    bins: Bins = ()
    """Accuracy by confidence."""

    fingerprint: str = ""
    """Digest of the test images, their order and classes."""

    tta: str = ""
    """Test-time augmentation, as in `evaluate.tta`; empty if there is none. All other values are
    without it."""

    tta_loss: float | None = None
    """Mean loss with test-time augmentation."""

    tta_correct: tuple[Int64, ...] = ()
    """Correctly classified test images with test-time augmentation, per class."""

    @property
    def tta_accuracy(self) -> float | None:
        """Test accuracy with test-time augmentation, 0 to 1; None without it."""
        return self._fraction(self.tta_correct) if self.tta else None

    @property
    def accuracy(self) -> float:
        """Test accuracy, 0 to 1; NaN without images, as in a damaged log."""
        return self._fraction(self.correct)

    def _fraction(self, correct: tuple[int, ...]) -> float:
        return sum(correct) / sum(self.total) if sum(self.total) else math.nan


@dataclass(frozen=True, kw_only=True)
class RunFinished(Event):
    """The engine has ended; the last event of a session."""

    status: Literal["done", "stopped", "failed", "detached"]
    """Outcome; with `detached` another process continues at once."""

    exit_code: Int64
    """Exit code of a foreground process."""

    seconds: float
    """Duration of this and all earlier sessions without pauses, by a monotonic clock."""

    error: str = ""
    """One line that says what failed and what to do."""


KINDS: dict[str, type[Event]] = {kind.__name__: kind for kind in Event.__subclasses__()}
