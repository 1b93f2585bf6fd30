"""What to train, on what, and how: typed, complete, and checked as a whole.

A config is made of tables: `[data]`, `[augment]`, `[model]`, `[optimizer]`, `[schedule]`,
`[average]`, `[train]`, `[evaluate]`. Every key has a default but `data.source`, and an unknown key
is an error, so a spelling mistake cannot silently train something else.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cnn_engine.config.built_in_models import BUILT_IN_MODELS
from cnn_engine.config.suggestion import suggest

PositiveInt = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
FiniteFloat = Annotated[float, Field(allow_inf_nan=False)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
FractionOrZero = Annotated[float, Field(ge=0, lt=1)]


class Table(BaseModel):
    """One TOML table: unknown keys refused, values fixed once read."""

    # Validators are built when first used: once for all tables, not once for each as well.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


class DataConfig(Table):
    """The images, how they are cut to size, and how they are split."""

    source: Literal["cifar10", "mnist", "fashion-mnist", "folder", "digits"]
    """Which images: a known set, a folder of one's own, or the bundled handwritten digits."""

    path: str | None = None
    """Directory that holds them. For `folder`, the folder of class folders itself."""

    image_size: Annotated[int, Field(ge=8, le=1024)] | None = None
    """Side in pixels that every image is brought to; without it, the size the set has. Of a
    folder of images of many sizes one is then chosen by looking at them, and told."""

    fit: Literal["crop", "pad", "stretch"] = "crop"
    """How images of a folder that are no squares are made so: `crop` keeps the middle square, `pad`
    keeps all and fills up with grey, `stretch` keeps all and changes its shape."""

    channels: Literal[1, 3] | None = None
    """1 for grey, 3 for colour; without it, what the set has (folders: 3)."""

    mean: tuple[FiniteFloat, ...] = (0.5,)
    """Subtracted from pixels in [0, 1]: one value, or one per channel."""

    std: tuple[Annotated[FiniteFloat, Field(gt=0)], ...] = (0.5,)
    """Divides what remains: one value, or one per channel."""

    validation_fraction: FractionOrZero = 0.2
    """Share of the training images held back to choose the best epoch. With 0 none are: nothing is
    known of how good the model is until the test, which then takes the last epoch's."""

    test_fraction: Fraction = 0.2
    """Share held back as test set where the source has none of its own; the same every run."""

    unreadable: Literal["stop", "skip"] = "stop"
    """What to do about image files that cannot be read: stop with a list, or leave them out."""

    @model_validator(mode="after")
    def _folder_needs_path(self) -> "DataConfig":
        if self.source == "folder" and self.path is None:
            raise ValueError("path: which folder of images? Give it with --data-dir FOLDER")
        return self


class AugmentConfig(Table):
    """How training images, and no others, are changed anew each time they are seen."""

    flip: Literal["none", "random", "alternating"] = "none"
    """Left and right exchanged: of half the images by chance, or `alternating`, of each image in
    every other epoch. Not for what means something else then, such as digits."""

    translate: Annotated[int, Field(ge=0)] = 0
    """Pixels that an image is moved by at most, to each side; what lies beyond its edge is its
    mirror image."""

    cutout: Annotated[int, Field(ge=0)] = 0
    """Side in pixels of a square that is covered with the mean colour; 0 for none."""


class ModelConfig(Table):
    """The network."""

    name: str = "cnn"
    """`cnn`: blocks of convolution 3×3, batch norm, ReLU, max-pool 2; then dense layers.
    `resnet`: a small residual network for images of any size.
    `whitened`: the small network of airbench, with a fixed first layer that whitens patches, blocks
    of `depth` convolutions, and nothing hidden after them.
    `torchvision`: one of torchvision's, which may begin with weights that you have.
    `module:Class`: your own, imported from the current directory and made with the arguments
    `channels`, `image_size`, `class_count` and what `options` has."""

    filters: Annotated[tuple[PositiveInt, ...], Field(min_length=1, max_length=7)] = (32, 64, 128)
    """Filters of each block, or of each stage of `resnet`. Each halves the image's side, of
    `resnet` all but the first."""

    hidden: tuple[PositiveInt, ...] = (256, 128)
    """Units of each dense layer before the last, of `cnn`."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of the dense units dropped in training, of `cnn`."""

    depth: Literal[2, 3] = 2
    """Convolutions in a block, of `whitened`; the third with a shortcut past the last two."""

    blocks: PositiveInt = 1
    """Residual blocks in each stage, of `resnet`; each has two convolutions."""

    arch: str | None = None
    """Which of torchvision's networks, such as `resnet18`."""

    weights: str | None = None
    """File of weights that the network of torchvision begins with, all but its last layer. Without
    it, it begins by chance. Nothing is ever downloaded."""

    freeze: bool = False
    """Train that last layer alone: quick, and better for few images."""

    options: dict[str, Any] = {}
    """Further arguments of your own network."""

    @property
    def is_user_model(self) -> bool:
        """True if the network is code of the user's, `module:Class`."""
        return ":" in self.name

    @property
    def min_image_size(self) -> int | None:
        """Smallest image side in pixels; None if only a forward pass can tell."""
        model = BUILT_IN_MODELS.get(self.name)
        if model is None or "filters" not in model.settings:
            return None
        return (1 << len(self.filters)) + model.border

    @model_validator(mode="after")
    def _check_name(self) -> "ModelConfig":
        if self.is_user_model:
            module, _, name = self.name.partition(":")
            if not (name.isidentifier() and all(map(str.isidentifier, module.split(".")))):
                raise ValueError(f"name: {self.name!r} is not written as module:Class")
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
        used = model.keys if model else ("options",)
        for key, field in type(self).model_fields.items():
            if key not in used and not field.default and getattr(self, key):
                names = [name for name, other in BUILT_IN_MODELS.items() if key in other.keys]
                users = ", ".join(f'name = "{name}"' for name in names) or "your own network"
                raise ValueError(f"{key}: is only for {users}, not for {self.name!r}")
        for key, meaning in model.required.items() if model else ():
            if not getattr(self, key):
                raise ValueError(f"{key}: is required for name = {self.name!r}: {meaning}")
        if self.freeze and self.weights is None:
            raise ValueError("freeze: keeps weights as they are; name their file as model.weights")
        return self


class OptimizerConfig(Table):
    """How weights follow gradients."""

    name: Literal["adam", "adamw", "sgd", "muon"] = "adam"
    """`adam` (Kingma and Ba, 2015), `adamw` (Loshchilov and Hutter, 2019), `sgd` (with Nesterov's
    momentum), or `muon` (K. Jordan and others, 2024), which makes the steps of filters and dense
    layers orthogonal and leaves all else to `sgd`. All as PyTorch has them, with its defaults."""

    lr: PositiveFloat = 0.001
    """Learning rate: the step size, the largest that the schedule comes to."""

    bias_norm_lr: PositiveFloat | None = None
    """Learning rate of biases and of what scales a normalisation; without it, `lr`. It follows the
    schedule, and what is asked of a run's rate, in proportion; so does the next."""

    head_lr: PositiveFloat | None = None
    """Learning rate of the last dense layer, which gives the scores; without it, `lr`."""

    momentum: FractionOrZero = 0.9
    """Share of the last step that goes on, of `sgd` and `muon`."""

    weight_decay: Annotated[FiniteFloat, Field(ge=0)] = 0.0
    """How much smaller weights become by themselves: by this times `lr` in a step, as the gradient
    of a penalty with `adam` and `sgd`, apart from gradients with `adamw` and `muon`."""

    decay_bias_norm: bool = True
    """Whether biases and what scales a normalisation decay as well."""

    normalise: bool = False
    """Whether `muon` first brings each matrix to the size of an orthogonal one, as airbench does;
    right for filters whose results are normalised, so that their size means nothing."""

    clip_norm: PositiveFloat | None = None
    """Longest that the gradient may be, all weights taken as one vector; without it, any."""


class ScheduleConfig(Table):
    """The learning rate in the course of the run, step by step."""

    shape: Literal["constant", "linear", "cosine"] = "constant"
    """How it falls, after the warm-up, to `end` at the last step; or that it stays."""

    warmup: FractionOrZero = 0.0
    """Share of all steps in which it first rises in a straight line. With `cosine`, about 0.3 is
    the one-cycle policy; with `linear` it makes a triangle."""

    start: Annotated[float, Field(gt=0, le=1)] = 0.04
    """Share of `lr` that a warm-up begins with."""

    end: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of `lr` that is left at the end."""


class AverageConfig(Table):
    """An average of the weights, which is validated, tested and kept instead of the last ones."""

    kind: Literal["none", "ema", "lookahead"] = "none"
    """`ema`: exponential moving average. `lookahead`: the same, and training goes on from it."""

    decay: Fraction = 0.999
    """Share of the average that stays when weights are taken into it: of `ema` once it has taken in
    some, of `lookahead` at the end of the run, growing with the cube of what is done."""

    every: PositiveInt = 1
    """Steps after which weights are taken in."""


class TrainConfig(Table):
    """The run itself."""

    epochs: PositiveInt = 20
    """Passes over the training images."""

    batch_size: PositiveInt = 64
    """Images per step."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Fixes the split, the initial weights, the order of images and the dropout."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to train; `auto` takes a GPU when there is one."""

    precision: Literal["auto", "fp32", "tf32", "bf16", "fp16"] = "auto"
    """Arithmetic of the network; `auto`: bf16 where it is fast, else fp16 on a GPU. `tf32`
    is fp32 whose products are rounded to 10 bits, on NVIDIA GPUs; `fp32` never is that."""

    graph: Literal["auto", "off"] = "auto"
    """`auto`: on an NVIDIA GPU, capture the training step as a CUDA graph and replay it, if the
    model can be captured; small networks train several times faster. `off`: call each step. Needed
    if the model's Python code changes its behavior between steps unnoticed, as by a global."""

    label_smoothing: FractionOrZero = 0.0
    """Share of the truth that is spread over all classes, so that no answer is ever quite certain
    (Szegedy and others, 2016). The losses that are shown are without it, and so comparable."""

    validate_every: PositiveInt = 1
    """Epochs after which the validation images are looked at; after the last one always."""

    patience: PositiveInt | None = None
    """Epochs without a better validation loss after which training ends; without it, any."""

    budget_seconds: PositiveFloat | None = None
    """Time that the run may take, loading and test included and pauses not: the number of epochs
    follows from it, once it is known how long one takes."""

    class_weights: Literal["none", "balanced"] = "none"
    """What an image counts in the training loss, by its class: all the same, or `balanced`, so that
    classes count alike: images / (classes · images of the class), as scikit-learn has it. The
    losses that are shown are without it, and so comparable."""

    checkpoint_seconds: Annotated[FiniteFloat, Field(gt=0)] = 60.0
    """Time after which the latest state is saved within an epoch too; pauses do not count."""

    on_non_finite: Literal["stop", "rollback", "continue"] = "stop"
    """What to do when the loss or a weight is no longer a number: stop as failed; go back to the
    last checkpoint and on at half the learning rate, at most five times; or go on all the same."""


class EvaluateConfig(Table):
    """How the final test is done."""

    tta: Literal["none", "mirror", "mirror-shift"] = "none"
    """Test-time augmentation: a second figure, told as such beside the plain one, for the mean of
    the scores of each image and its mirror image, and with `mirror-shift` of both moved by a pixel
    as well."""


class Config(Table):
    """All that a run is made from."""

    data: DataConfig
    augment: AugmentConfig = AugmentConfig()
    model: ModelConfig = ModelConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    average: AverageConfig = AverageConfig()
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()

    def replaced(self, table: str, **values: object) -> "Config":
        """The same with other values in one table; they are not checked again."""
        changed = getattr(self, table).model_copy(update=values)
        return self.model_copy(update={table: changed})

    @model_validator(mode="after")
    def _image_survives_pooling(self) -> "Config":
        size, min_size = self.data.image_size, self.model.min_image_size
        if size is not None and min_size is not None and size < min_size:
            blocks = len(self.model.filters)
            raise ValueError(
                f"data.image_size: {size} is too small for {blocks} blocks that each halve it; "
                f"use {min_size} or more, or fewer model.filters"
            )
        return self
