"""Types and defaults of a run's config.

A config has the tables `[data]`, `[augment]`, `[model]`, `[optimizer]`, `[schedule]`, `[average]`,
`[train]` and `[evaluate]`. Every key but `data.source` has a default. Unknown keys are errors, so
that a misspelt key is not silently ignored.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from cnn_engine.config.built_in_models import BUILT_IN_MODELS
from cnn_engine.config.limits import MAX_EPOCHS
from cnn_engine.config.paths import expand_home, is_file
from cnn_engine.config.suggestion import suggest

Number = Annotated[int, Field(gt=0, le=MAX_EPOCHS)]

Width = Annotated[int, Field(gt=0, le=2**20)]
"""Filters, units or images: more of them fit no memory."""

Pixels = Annotated[int, Field(ge=0, le=1024)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
PositiveFloat = Annotated[float, Field(gt=0, le=1e30)]
Seconds = Annotated[float, Field(gt=0, le=1e9)]
PixelValue = Annotated[float, Field(ge=-1e3, le=1e3)]
PixelScale = Annotated[float, Field(ge=1e-6, le=1e3)]
FractionOrZero = Annotated[float, Field(ge=0, lt=1)]


class Table(BaseModel):
    """A TOML table: immutable, unknown keys are errors."""

    # Build validators on first use: only that of `Config` is needed.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


class DataConfig(Table):
    """Source, size, normalization and split of the images."""

    source: Literal["cifar10", "mnist", "fashion-mnist", "folder", "csv", "digits"]
    """A known data set, a folder of images with a folder per class, images whose classes are in a
    CSV file, or the bundled handwritten digits."""

    path: Annotated[str, AfterValidator(expand_home)] | None = None
    """Directory of the data set. For `folder`, the folder that contains one folder per class; for
    `csv`, the folder of the images, by default that of the table. A relative path starts from the
    current directory; `~` is the home directory."""

    table: Annotated[str, AfterValidator(expand_home)] | None = None
    """CSV or TSV file of `csv`: a header, and a row per image with its path, its class, and maybe
    its split (column `split`, `set` or `subset` with `train`, `val` or `test`). Paths may lack
    folder and suffix. A relative path starts from the current directory, or from `path`."""

    path_column: str | None = None
    """Name of the table's column of paths; by default the one that names images in `path`."""

    label_column: str | None = None
    """Name of the table's column of classes; by default found by its name or its values."""

    image_size: Annotated[int, Field(ge=8, le=1024)] | None = None
    """Side in pixels that images are resized to; by default that of the data set. For a folder of
    images of several sizes, one is chosen from them."""

    fit: Literal["crop", "pad", "stretch"] = "crop"
    """Method that makes images of a folder square: `crop` to the centre square, `pad` with grey, or
    `stretch` without keeping the aspect ratio."""

    channels: Literal[1, 3] | None = None
    """1 for grey, 3 for colour; by default that of the data set (folders: 3)."""

    max_value: PositiveFloat | None = None
    """Value that becomes white in images of a folder with more than 8 bits, such as 4095 for 12-bit
    scans in 16-bit files; by default the greatest of 16 bits. Images with 32 bits need it."""

    mean: Annotated[tuple[PixelValue, ...], Field(min_length=1, max_length=3)] = (0.5,)
    """Mean subtracted from pixels in [0, 1]: one value, or one per channel."""

    std: Annotated[tuple[PixelScale, ...], Field(min_length=1, max_length=3)] = (0.5,)
    """Standard deviation to divide by: one value, or one per channel."""

    validation_fraction: FractionOrZero = 0.2
    """Fraction of the training images used for validation, which selects the best epoch, if the
    source has no validation images. With 0 there is no validation, and the test uses the last
    epoch."""

    test_fraction: Fraction = 0.2
    """Fraction used as test set if the source has none; the same images in every run."""

    folds: Annotated[int, Field(ge=2, le=1000)] | None = None
    """Cross-validation: number of parts of equal size and class proportions into which the training
    images are divided, the same in every run. One of them, `fold`, is used for validation in place
    of `validation_fraction`. `cnn-tui run --folds N` trains a run for each."""

    fold: Annotated[int, Field(ge=1)] | None = None
    """Part used for validation, 1 to `folds`."""

    rules: Literal[1, 2] = 2
    """Version of the rules that find and split the images. Early runs, whose logs lack the key,
    have 1, so that they are resumed and tested with the same images: only `train/` and `test/` are
    splits, and class proportions in the validation and test images are left to chance."""

    marks: Literal["use", "ignore"] = "use"
    """With marks on images, which are in `cnn-tui-marks.csv` in `path`: drop and relabel images as
    they say, or ignore them."""

    unreadable: Literal["stop", "skip"] = "stop"
    """With unreadable image files, stop and list them, or skip them."""

    def moved_to(self, path: str) -> "DataConfig":
        """Return a copy with another directory of the images, and of a table that moved along."""
        table = self.table
        if table is not None and self.path is not None:
            moved = os.path.normpath(Path(path) / os.path.relpath(table, self.path))
            if Path(table).is_relative_to(self.path) or (not is_file(table) and is_file(moved)):
                table = moved
        return self.model_copy(update={"path": path, "table": table})

    @model_validator(mode="after")
    def _check_source(self) -> "DataConfig":
        if self.source == "folder" and self.path is None:
            raise ValueError("path: is missing; pass the folder of images with --data-dir FOLDER")
        if self.source == "csv" and self.table is None:
            raise ValueError("table: is missing; name the CSV file with --set data.table=FILE")
        for key in ("table", "path_column", "label_column"):
            if self.source != "csv" and getattr(self, key) is not None:
                raise ValueError(f"{key}: is only for images in a table; add --set data.source=csv")
        if self.table is not None and self.path is None:
            # Not a copy: pydantic ignores another instance that is returned here.
            self.__dict__["path"] = str(Path(self.table).parent)
        return self

    @model_validator(mode="after")
    def _check_folds(self) -> "DataConfig":
        if (self.folds is None) != (self.fold is None):
            given, missing = ("fold", "folds") if self.folds is None else ("folds", "fold")
            raise ValueError(f"{given}: needs {missing}; or train all with cnn-tui run --folds N")
        if self.folds is None or self.fold is None:
            return self
        if self.fold > self.folds:
            raise ValueError(f"fold: {self.fold} is more than the {self.folds} of data.folds")
        if not self.validation_fraction:
            raise ValueError(
                "folds: each is used for validation, which data.validation_fraction = 0 turns off; "
                "remove one of them"
            )
        return self


class AugmentConfig(Table):
    """Random augmentation of the training images, drawn again in each epoch."""

    flip: Literal["none", "random", "alternating"] = "none"
    """Horizontal flip: `random` with probability 0.5, or `alternating` in every other epoch (K.
    Jordan, 2024, arXiv:2404.00498). Not for images such as digits that change their meaning."""

    translate: Pixels = 0
    """Maximum random shift in pixels in each direction, with reflection padding."""

    cutout: Pixels = 0
    """Side in pixels of a random square filled with the mean colour (DeVries and Taylor, 2017,
    arXiv:1708.04552); 0 for none."""


class ModelConfig(Table):
    """The model."""

    name: str = "cnn"
    """`cnn`: blocks of 3×3 convolution, batch norm, ReLU and 2×2 max-pool, then dense layers.
    `resnet`: a small residual network for images of any size.
    `whitened`: the network of airbench (K. Jordan, 2024, arXiv:2404.00498): a fixed first layer
    that whitens patches, blocks of `depth` convolutions, and one dense layer.
    `torchvision`: a torchvision model, optionally with pretrained weights from a file.
    `module:Class`: your own model, imported from the current directory and called with the
    arguments `channels`, `image_size`, `class_count` and those of `options`."""

    filters: Annotated[tuple[Width, ...], Field(min_length=1, max_length=7)] = (32, 64, 128)
    """Filters per block, or per stage of `resnet`. Each halves the image's side, except for the
    first stage of `resnet`."""

    hidden: Annotated[tuple[Width, ...], Field(max_length=100)] = (256, 128)
    """Units of the hidden dense layers of `cnn`."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Dropout probability of the dense layers of `cnn`."""

    depth: Literal[2, 3] = 2
    """Convolutions per block of `whitened`; with 3, a shortcut skips the last two."""

    blocks: Annotated[int, Field(gt=0, le=1000)] = 1
    """Residual blocks per stage of `resnet`, each with two convolutions."""

    arch: str | None = None
    """Name of the torchvision model, such as `resnet18`."""

    weights: str | None = None
    """Weights to start from: a run (its id, directory or `best.pt`), or a file, `.safetensors` or
    of `torch.save`, such as torchvision's. Weights that do not fit, and the last layer unless it is
    of a run with the same classes, are initialized randomly, as all are by default. Nothing is
    downloaded."""

    freeze: bool = False
    """Train only the last layer: fast, and better for few images."""

    options: dict[str, Any] = {}
    """Further arguments of your own model."""

    @property
    def is_user_model(self) -> bool:
        """True if the network is the user's own code, `module:Class`."""
        return ":" in self.name

    @property
    def min_image_size(self) -> int | None:
        """Minimum image side in pixels; None if only a forward pass shows it."""
        model = BUILT_IN_MODELS.get(self.name)
        if model is None or "filters" not in model.settings:
            return None
        return (1 << len(self.filters)) + model.border

    @model_validator(mode="after")
    def _check_name(self) -> "ModelConfig":
        if self.is_user_model:
            module, _, name = self.name.partition(":")
            if not (name.isidentifier() and all(map(str.isidentifier, module.split(".")))):
                raise ValueError(f"name: {self.name!r} is not of the form module:Class")
        elif self.name not in BUILT_IN_MODELS:
            raise ValueError(
                f"name: {self.name!r} is not one of {', '.join(map(repr, BUILT_IN_MODELS))}, nor "
                f"of the form module:Class{suggest(self.name, BUILT_IN_MODELS)}"
            )
        return self

    @model_validator(mode="after")
    def _check_settings(self) -> "ModelConfig":
        """Refuse settings of another network; those with a default value are ignored instead."""
        model = BUILT_IN_MODELS.get(self.name)
        used = (*(model.settings if model else ("options",)), "weights")
        for key, field in type(self).model_fields.items():
            if key not in used and not field.default and getattr(self, key):
                names = [name for name, other in BUILT_IN_MODELS.items() if key in other.settings]
                users = ", ".join(f'name = "{name}"' for name in names) or "your own network"
                raise ValueError(f"{key}: is only for {users}, not for {self.name!r}")
        for key, meaning in model.required.items() if model else ():
            if not getattr(self, key):
                raise ValueError(f"{key}: is required for name = {self.name!r}: {meaning}")
        return self


class OptimizerConfig(Table):
    """The optimizer."""

    name: Literal["adam", "adamw", "sgd", "muon"] = "adam"
    """`adam` (Kingma and Ba, 2015, arXiv:1412.6980), `adamw` (Loshchilov and Hutter, 2019,
    arXiv:1711.05101), `sgd` with Nesterov momentum, or `muon` (K. Jordan and others, 2024,
    kellerjordan.github.io/posts/muon), which orthogonalizes the updates of convolutions and dense
    layers and trains all other parameters with `sgd`. PyTorch's implementations and defaults."""

    lr: PositiveFloat = 0.001
    """Peak learning rate of the schedule."""

    bias_norm_lr: PositiveFloat | None = None
    """Peak learning rate of biases and normalization weights; by default `lr`. Like `head_lr` it is
    scaled by the schedule, and by commands that change the learning rate."""

    head_lr: PositiveFloat | None = None
    """Peak learning rate of the last dense layer, the classifier; by default `lr`."""

    momentum: FractionOrZero = 0.9
    """Momentum of `sgd` and `muon`."""

    weight_decay: Annotated[float, Field(ge=0, le=1e9)] = 0.0
    """Weight decay: an L2 penalty with `adam` and `sgd`, decoupled with `adamw` and `muon`."""

    decay_bias_norm: bool = True
    """True if weight decay includes biases and normalization weights."""

    normalise: bool = False
    """True if `muon` scales each weight matrix to the norm of an orthogonal one before a step, as
    airbench does; for layers followed by normalization, where the norm has no effect."""

    clip_norm: PositiveFloat | None = None
    """Maximum global L2 norm of the gradient; by default unlimited."""


class ScheduleConfig(Table):
    """Learning rate schedule, updated every step."""

    shape: Literal["constant", "linear", "cosine"] = "constant"
    """Decay after the warm-up to `end` at the last step; `constant` for none."""

    warmup: FractionOrZero = 0.0
    """Fraction of all steps with a linear warm-up. About 0.3 with `cosine` is the one-cycle policy
    (Smith and Topin, 2018, arXiv:1708.07120); with `linear` the schedule is a triangle."""

    start: Annotated[float, Field(gt=0, le=1)] = 0.04
    """Factor of `lr` at the start of the warm-up."""

    end: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Factor of `lr` at the last step."""


class AverageConfig(Table):
    """Average of the weights that is validated, tested and saved instead of the latest ones."""

    kind: Literal["none", "ema", "lookahead"] = "none"
    """`ema`: exponential moving average. `lookahead`: training also continues from the average
    (Zhang and others, 2019, arXiv:1907.08610)."""

    decay: Fraction = 0.999
    """Decay of the average: of `ema` after its first updates, of `lookahead` at the end of the run,
    growing with the cube of the progress."""

    every: Number = 1
    """Steps between updates of the average."""


class TrainConfig(Table):
    """Training loop."""

    epochs: Number = 20
    """Number of epochs."""

    batch_size: Width = 64
    """Images per batch."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of the split, the initial weights, the shuffling, the augmentation and the dropout."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Device; `auto` selects a GPU if there is one."""

    threads: Annotated[int, Field(ge=0, le=4096)] = 0
    """CPU threads, which the processes of a machine share; 0: one per physical core that may be
    used, or OMP_NUM_THREADS. More than the CPUs that may be used have no effect."""

    precision: Literal["auto", "fp32", "tf32", "bf16", "fp16"] = "auto"
    """Precision of the model's arithmetic. `auto`: bf16 if it is fast, else fp16 on a GPU, else
    fp32.
    `tf32`: fp32 with products rounded to 10 bits of mantissa, on NVIDIA GPUs; `fp32` disables
    it."""

    graph: Literal["auto", "off"] = "auto"
    """`auto`: on an NVIDIA GPU, capture the training step as a CUDA graph and replay it, if the
    model can be captured; small networks train several times faster. `off`: call each step. Needed
    if the model's Python code behaves differently between steps, e.g. depends on a global."""

    label_smoothing: FractionOrZero = 0.0
    """Label smoothing (Szegedy and others, 2016, arXiv:1512.00567). Reported losses are without
    it."""

    validate_every: Number = 1
    """Epochs between validations; the last epoch is always validated."""

    best: Literal["val_loss", "val_accuracy", "val_macro_f1"] = "val_loss"
    """Metric of the validation that selects the best epoch, whose weights are saved and tested: the
    lowest loss, the highest accuracy, or the highest mean F1 of the classes, for classes of very
    different sizes."""

    patience: Number | None = None
    """Early stopping: epochs without a better value of `best` after which training ends; by default
    unlimited."""

    budget_seconds: Seconds | None = None
    """Time budget of the run in seconds, including loading and test, excluding pauses. It sets the
    number of epochs once the duration of one is known."""

    class_weights: Literal["none", "balanced"] = "none"
    """Class weights of the training loss. `balanced`: images / (classes · images of the class),
    as in scikit-learn. Reported losses are without them."""

    sync_batch_norm: bool = False
    """True if batch norm uses the images of all processes, which GPUs can; by default each process
    uses its own. Without effect in one process."""

    record_margins: bool = True
    """True to record how much the given class of each training image leads in each epoch, from
    which `cnn-tui data suspects` finds wrong labels: 2 bytes per image and epoch, 64 MB at most."""

    checkpoint_seconds: Seconds = 60.0
    """Seconds between checkpoints within an epoch, excluding pauses."""

    on_non_finite: Literal["stop", "rollback", "continue"] = "stop"
    """Action if the loss or a weight is NaN or infinite: stop as failed, roll back to the last
    checkpoint and halve the learning rate (at most five times), or continue."""


class EvaluateConfig(Table):
    """Final test."""

    tta: Literal["none", "mirror", "mirror-shift"] = "none"
    """Test-time augmentation, reported in addition to the plain result: mean of the logits of each
    image and its mirror image, with `mirror-shift` also of both shifted by a pixel."""


class Config(Table):
    """Complete config of a run."""

    data: DataConfig
    augment: AugmentConfig = AugmentConfig()
    model: ModelConfig = ModelConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    average: AverageConfig = AverageConfig()
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()

    def replaced(self, table: str, **values: object) -> "Config":
        """Return a copy with other values in one table, without validation."""
        changed = getattr(self, table).model_copy(update=values)
        return self.model_copy(update={table: changed})

    @model_validator(mode="after")
    def _check_freeze(self) -> "Config":
        # Not in ModelConfig: that of an exported model has no path of pretrained weights.
        if self.model.freeze and self.model.weights is None:
            raise ValueError(
                "model.freeze: needs pretrained weights; set model.weights to their file"
            )
        return self

    @model_validator(mode="after")
    def _check_image_size(self) -> "Config":
        size, min_size = self.data.image_size, self.model.min_image_size
        if size is not None and min_size is not None and size < min_size:
            blocks = len(self.model.filters)
            raise ValueError(
                f"data.image_size: {size} is too small for {blocks} blocks that each halve it; "
                f"use {min_size} or more, or fewer model.filters"
            )
        return self
