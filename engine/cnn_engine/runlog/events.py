"""What happens in a run, as typed facts in the past tense.

The engine records events; everything a person sees is made from them by `RunState.apply`. One
event is one line of strict JSON in the run's `events.jsonl`.

The legal order, where `*` is any number of times and `?` at most once::

    run
        session +
            RunStarted                    the first
            or RunResumed                 each later one: what lies beyond its point is taken back
            ConfigReplaced ?              CIFAR-10 was not to be had, digits serve instead
            StageStarted                  loading PyTorch, then data, then building the model
                StageProgressed *
            RunPrepared                   all is loaded and checked
            epoch *                       a later session's first may have been begun before
                EpochStarted
                StepsFinished *           about twice a second
                ValidationProgressed *
                EpochFinished
                CheckpointSaved best ?
                CheckpointSaved last      but for a full disk, of which a Notice tells
            StageStarted                  testing
            TestFinished
            RunFinished

`Notice`, `CommandApplied`, `CommandRefused` and `MachineMeasured` may stand anywhere between a
session's first and last event, `StepsCaptured` (on a GPU) between steps, `CheckpointSaved`
`asked`, or `last` because it was time, anywhere between `RunPrepared` and the test. On a GPU
checkpoints are written while training goes on: `best` and `last` of an epoch may then stand
anywhere after its `EpochFinished`, before the test, and of short epochs not each has them.
`RolledBack` may cut an epoch short, after `StepsFinished` or
`EpochFinished`; what lies beyond its point is taken back, and an epoch begins, or begins again. A
session can end at any point after its first event; how, stands in `RunFinished`:

=================  ==========================================================================
how it ended       what is recorded
=================  ==========================================================================
completion         all of the above; `RunFinished` with status `done`
stop               `CommandApplied`, `CheckpointSaved last` once the first epoch has started,
                   `RunFinished` with status `stopped`
stop after epoch   `CommandApplied`, the rest of the epoch, `RunFinished` with status `stopped`
detach             as for a stop, with status `detached`; another process goes on at once
failure            `RunFinished` with status `failed` and the error
killed             nothing: the log just ends, and no process holds it
=================  ==========================================================================

After any of them another session may follow.

A run of another program has `RunImported` instead of all up to the epochs, and again once the
length of an epoch is known; its epochs have `StepsFinished` and `EpochFinished` alone.
"""

import math
import time
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta

FORMAT = 1
"""Version of the log's format, written in its first event."""

Int64: TypeAlias = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
"""A whole number as a log may hold it: a line with a greater one is damaged."""

Confusion: TypeAlias = tuple[tuple[Int64, Int64, Int64], ...]
"""True class, predicted class, images: the pairs of unlike classes that occur, sorted. With the
count of right images per class it is the whole confusion matrix, and small for a thousand
classes."""

Bins: TypeAlias = tuple[tuple[Int64, Int64, float], ...]
"""Images, images classified right, and the sum of their confidences, per bin of confidence: as many
bins as there are rows, all of one width, from 0 to 1; each holds its upper edge. Confidence is the
probability that the model gives to its answer."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """What all events have."""

    time: float = field(default_factory=time.time)
    """When, in seconds since 1970 by the wall clock; for show, never to compute durations."""


@dataclass(frozen=True, kw_only=True)
class RunStarted(Event):
    """The run's directory exists and its engine is alive."""

    run_id: str
    """Name of the run's directory."""

    name: str
    """What its user calls it; may be empty."""

    preset: str
    """Name of the preset or config file."""

    config: dict[str, Any]
    """The whole config, checked."""

    pid: Int64
    """Process that trains."""

    host: str
    """Machine that trains."""

    version: str
    """Version of cnn-tui."""

    format: Int64 = FORMAT
    """Version of the log's format."""

    fallback_preset: str = ""
    """Name of the preset to train instead where the images are not to be had; may be empty."""

    fallback_config: dict[str, Any] | None = None
    """The whole config of that; None where there is nothing to train instead."""

    group: str = ""
    """Id of the first run of the series that this one belongs to; empty without one."""

    command: tuple[str, ...] = ()
    """The words of the command line that started it; none in logs of version 0.1 before they were
    recorded."""

    directory: str = ""
    """Working directory of that command."""

    like: str = ""
    """Run that this one is to be like; may be empty."""

    environment_of_like: dict[str, str] = field(default_factory=dict)
    """Environment of that run, as in `RunPrepared`."""


@dataclass(frozen=True, kw_only=True)
class RunImported(Event):
    """The run is another program's; what that does not tell is not known."""

    source: str
    """File or directory that it comes from."""

    steps_per_epoch: Int64
    """Steps between two validations; 1 as long as there was none."""


@dataclass(frozen=True, kw_only=True)
class RunResumed(Event):
    """Another process took hold of the run; what lies beyond the point it goes on from is undone.

    Whether it can go on exactly is known once all is loaded: see `RunPrepared.differences`.
    """

    pid: Int64
    """Process that trains from now on."""

    host: str
    """Machine that trains from now on."""

    version: str
    """Version of cnn-tui."""

    epoch: Int64
    """Epoch it goes on in, counted from 1; one more than asked for where only the test is left."""

    step: Int64
    """Steps of that epoch which are done."""

    file: str
    """Checkpoint it goes on from; empty when it begins anew, because there was none yet."""

    seconds: float
    """Time that all sessions before took."""


@dataclass(frozen=True, kw_only=True)
class ConfigReplaced(Event):
    """The run goes on with another config than it was started with."""

    preset: str
    """Name of the preset now used."""

    config: dict[str, Any]
    """The whole config now used."""

    reason: str
    """Why, in a sentence."""


@dataclass(frozen=True, kw_only=True)
class StageStarted(Event):
    """Something that takes a while began."""

    stage: Literal["torch", "data", "model", "test"]
    """Loading PyTorch, loading the images, building the model, or the final test."""


@dataclass(frozen=True, kw_only=True)
class StageProgressed(Event):
    """The stage got further; recorded about twice a second."""

    what: str
    """What is being done, such as `decoding images`."""

    done: Int64
    """Units done."""

    total: Int64
    """Units in all; 0 when not known."""


@dataclass(frozen=True, kw_only=True)
class Notice(Event):
    """Something the user should know, which is not an error."""

    text: str
    """A sentence."""


@dataclass(frozen=True, kw_only=True)
class RunPrepared(Event):
    """Images and model are loaded and checked; training can start."""

    classes: tuple[str, ...]
    """Class names, in the order of all per-class counts."""

    source: str
    """Where the images came from."""

    image_shape: tuple[Int64, ...]
    """Channels, height and width of one image."""

    train_images: Int64
    """Images trained on in each epoch."""

    val_images: Int64
    """Images validated on after each epoch."""

    test_images: Int64
    """Images of the final test."""

    steps_per_epoch: Int64
    """Batches in an epoch."""

    parameters: Int64
    """Trainable parameters of the model."""

    device: str
    """`cpu`, `cuda` or `mps`."""

    device_name: str
    """What the device calls itself."""

    threads: Int64
    """CPU threads that PyTorch uses."""

    precision: str
    """Arithmetic of the network: `fp32`, `tf32`, `bf16` or `fp16`."""

    train_counts: tuple[Int64, ...] = ()
    """Images trained on in each epoch, per class; empty in logs of version 0.1 before it."""

    differences: tuple[str, ...] = ()
    """What is other than where the checkpoint was made, such as `threads: 2, before 4`; with any,
    the run goes on only approximately as it would have. Empty for a first session."""

    environment: dict[str, str] = field(default_factory=dict)
    """What the figures may depend on besides the config, by name: versions of programs, device,
    threads, processor, `images` (a digest of the data set and its split), `revision` (the git
    commit of the working directory, and whether files differ from it)."""


@dataclass(frozen=True, kw_only=True)
class EpochStarted(Event):
    """An epoch began, or goes on."""

    epoch: Int64
    """Counted from 1."""

    step: Int64 = 0
    """Steps of it that are done already, from before the run was resumed or rolled back."""


@dataclass(frozen=True, kw_only=True)
class StepsCaptured(Event):
    """Steps are replayed from a CUDA graph from now on, or are called one by one all the same."""

    reason: str = ""
    """Reason why steps cannot be captured; empty if they are."""


@dataclass(frozen=True, kw_only=True)
class StepsFinished(Event):
    """Some steps were trained since the last such event; the only frequent event."""

    epoch: Int64
    """Counted from 1."""

    step: Int64
    """Steps done in this epoch so far."""

    steps: Int64
    """Steps that this event covers."""

    loss: float
    """Mean training loss over those steps."""

    loss_min: float
    """Least loss of one of them."""

    loss_max: float
    """Greatest loss of one of them."""

    lr: float
    """Learning rate of the last of them."""

    seconds: float
    """Time those steps took."""

    images: Int64
    """Images those steps trained on."""

    data_seconds: float = 0.0
    """Part of `seconds` spent making batches; like the next three measured on some of the steps
    and scaled to all of them, and what the four leave of `seconds` is anything else."""

    forward_seconds: float = 0.0
    """Part spent in the network and the loss."""

    backward_seconds: float = 0.0
    """Part spent on gradients."""

    optimizer_seconds: float = 0.0
    """Part spent changing the weights."""


@dataclass(frozen=True, kw_only=True)
class ValidationProgressed(Event):
    """Validation got further; recorded about twice a second."""

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
    """Mean loss over the images trained on, as it was when each was seen."""

    train_accuracy: float
    """Share of those images classified right when seen, 0 to 1."""

    val_loss: float
    """Mean loss over the validation images, after the epoch; not a number where they were not
    looked at, because there are none or it was not their turn: then the counts are empty."""

    correct: tuple[Int64, ...]
    """Validation images classified right, per class."""

    total: tuple[Int64, ...]
    """Validation images, per class."""

    train_seconds: float
    """Time of the training part."""

    val_seconds: float
    """Time of the validation part."""

    confusion: Confusion = ()
    """Validation images classified wrong, per pair of classes."""

    accuracy: float | None = None
    """Share of the validation images classified right where the counts are not known, as in a run
    that was imported."""

    @property
    def is_validated(self) -> bool:
        """Whether the validation images were looked at."""
        return bool(self.total) or self.accuracy is not None or not math.isnan(self.val_loss)

    @property
    def val_accuracy(self) -> float:
        """Share of the validation images classified right, 0 to 1; NaN where it is not known."""
        if images := sum(self.total):
            return sum(self.correct) / images
        return math.nan if self.accuracy is None else self.accuracy


@dataclass(frozen=True, kw_only=True)
class CheckpointSaved(Event):
    """The model is safely on disk."""

    reason: Literal["best", "last", "asked"]
    """The weights to use: of the best validation loss so far, or the latest where no images are
    held back to choose by; the latest state as a matter of course; or that as a command asked."""

    epoch: Int64
    """Epoch that it holds, or holds a part of."""

    file: str
    """File name in the run's directory."""

    step: Int64 = 0
    """Steps of that epoch which it holds; 0 in logs of version 0.1 before runs could be resumed."""

    old_loss: float | None = None
    """Best validation loss before; infinite for the first. Only with `best`, and chosen by it."""

    new_loss: float | None = None
    """Best validation loss now. Only with `best`, and chosen by it."""


@dataclass(frozen=True, kw_only=True)
class CommandApplied(Event):
    """The engine did what it was asked."""

    command: str
    """What was asked: `pause`, `unpause`, `stop`, `stop-epoch` (stop after this epoch),
    `checkpoint`, `lr`, `epochs` or `detach` (go on in the background)."""

    by: str
    """Who asked: `key`, `cli`, a signal's name, or the config's `patience` or `budget`."""

    value: float | None = None
    """The learning rate or the number of epochs that now holds. Only with `lr` and `epochs`."""


@dataclass(frozen=True, kw_only=True)
class CommandRefused(Event):
    """The engine did not do what it was asked."""

    command: str
    """What was asked, as in `CommandApplied`."""

    by: str
    """Who asked."""

    text: str
    """Why not, in a sentence."""


@dataclass(frozen=True, kw_only=True)
class RolledBack(Event):
    """The loss was no longer a number; training goes on from before, at half the rate."""

    epoch: Int64
    """Epoch it goes on in, counted from 1."""

    step: Int64
    """Steps of that epoch which are done."""

    file: str
    """Checkpoint it goes on from; empty when it begins again, because there was none yet."""

    lr: float
    """Learning rate from now on."""

    reason: str
    """Which loss it was, and where."""


@dataclass(frozen=True, kw_only=True)
class MachineMeasured(Event):
    """How busy and how full the machine that trains is; recorded about every five seconds."""

    cpu: float
    """Share of all its cores that was busy since the last such event, 0 to 1."""

    memory_bytes: Int64
    """Memory that the process that trains holds (resident)."""

    memory_total_bytes: Int64
    """Memory of the machine."""

    memory_available_bytes: Int64
    """Part of that which programs can still get."""

    disk_free_bytes: Int64
    """Room left where the run's directory is."""

    gpu_busy: float | None = None
    """Share of the last moment in which the GPU computed, 0 to 1; None where that is not told."""

    gpu_memory_bytes: Int64 | None = None
    """GPU memory in use by all processes; None without a GPU."""

    gpu_memory_total_bytes: Int64 | None = None
    """Memory of the GPU; None without one."""


@dataclass(frozen=True, kw_only=True)
class TestFinished(Event):
    """The best checkpoint was run over the test images."""

    epoch: Int64
    """Epoch of the checkpoint."""

    loss: float
    """Mean loss over the test images."""

    correct: tuple[Int64, ...]
    """Test images classified right, per class."""

    total: tuple[Int64, ...]
    """Test images, per class."""

    seconds: float
    """Time the test took."""

    confusion: Confusion = ()
    """Test images classified wrong, per pair of classes."""

    top5: Int64 | None = None
    """Test images whose class is among the five that the model finds likeliest; None of so few
    classes that it says nothing, and, as the next two are empty, in logs from before it."""

    bins: Bins = ()
    """How right the model was, by how confident it was."""

    fingerprint: str = ""
    """Tells these test images, their order and classes from others."""

    tta: str = ""
    """How the images were seen for a second figure, as in the setting `evaluate.tta`: test-time
    augmentation. Empty where there is none; all other figures are without it."""

    tta_loss: float | None = None
    """Mean loss of that."""

    tta_correct: tuple[Int64, ...] = ()
    """Test images classified right in that way, per class."""

    @property
    def tta_accuracy(self) -> float | None:
        """Share of the test images classified right in that way, 0 to 1; None without it."""
        return self._share(self.tta_correct) if self.tta else None

    @property
    def accuracy(self) -> float:
        """Share of the test images classified right, 0 to 1; NaN of none, as in a damaged log."""
        return self._share(self.correct)

    def _share(self, correct: tuple[int, ...]) -> float:
        return sum(correct) / sum(self.total) if sum(self.total) else math.nan


@dataclass(frozen=True, kw_only=True)
class RunFinished(Event):
    """The engine is done; the last event of a session."""

    status: Literal["done", "stopped", "failed", "detached"]
    """How it ended; `detached`: another process goes on at once."""

    exit_code: Int64
    """Exit code of a process that ran it for its user."""

    seconds: float
    """Time that this and all sessions before took, by a clock that is never set."""

    error: str = ""
    """What failed, in a line, and what to do."""


KINDS: dict[str, type[Event]] = {kind.__name__: kind for kind in Event.__subclasses__()}
