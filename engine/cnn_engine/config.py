"""What to train, on what, and how: typed, complete, and checked before anything starts.

A config is a TOML file of tables: `[data]`, `[augment]`, `[model]`, `[optimizer]`, `[schedule]`,
`[average]`, `[train]`, `[evaluate]`. Presets are such files, shipped with the package. Every key
has a default but `data.source`, and an unknown key is an error, so a spelling mistake cannot
silently train something else.
"""

import json
import re
import tomllib
from collections.abc import Sequence
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cnn_engine.errors import ConfigError

MAX_CONFIG_BYTES = 1_000_000

PositiveInt = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
FiniteFloat = Annotated[float, Field(allow_inf_nan=False)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1)]


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

    validation_fraction: Share = 0.2
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


MODELS = ("cnn", "resnet", "whitened", "torchvision")
"""Networks by name."""


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
    def is_own(self) -> bool:
        """Whether it is code of the user's."""
        return ":" in self.name

    @model_validator(mode="after")
    def _settings_belong_together(self) -> "ModelConfig":
        if self.is_own:
            module, _, name = self.name.partition(":")
            if not (name.isidentifier() and all(map(str.isidentifier, module.split(".")))):
                raise ValueError(f"name: {self.name!r} is not written as module:Class")
        elif self.name not in MODELS:
            raise ValueError(
                f"name: {self.name!r} is not one of {', '.join(map(repr, MODELS))}, nor of the "
                f"form module:Class{_suggest(self.name, MODELS)}"
            )
        if self.name != "torchvision" and (self.arch or self.weights or self.freeze):
            raise ValueError('arch: it, weights and freeze are for name = "torchvision" alone')
        if self.name == "torchvision" and self.arch is None:
            raise ValueError("arch: which of torchvision's networks? Such as resnet18")
        if self.freeze and self.weights is None:
            raise ValueError("freeze: keeps weights as they are; name their file as model.weights")
        if self.options and not self.is_own:
            raise ValueError("options: are for a network of your own alone, module:Class")
        return self


class OptimizerConfig(Table):
    """How weights follow gradients."""

    name: Literal["adam", "adamw", "sgd", "muon"] = "adam"
    """`adam` (Kingma and Ba, 2015), `adamw` (Loshchilov and Hutter, 2019), `sgd` (with Nesterov's
    momentum), or `muon` (K. Jordan and others, 2024), which makes the steps of filters and dense
    layers orthogonal and leaves all else to `sgd`. All as PyTorch has them, with its defaults."""

    lr: PositiveFloat = 0.001
    """Learning rate: the step size, the largest that the schedule comes to."""

    vector_lr: PositiveFloat | None = None
    """Learning rate of biases and of what scales a normalisation; without it, `lr`. It follows the
    schedule, and what is asked of a run's rate, in proportion; so does the next."""

    head_lr: PositiveFloat | None = None
    """Learning rate of the last dense layer, which gives the scores; without it, `lr`."""

    momentum: Share = 0.9
    """Share of the last step that goes on, of `sgd` and `muon`."""

    weight_decay: Annotated[FiniteFloat, Field(ge=0)] = 0.0
    """How much smaller weights become by themselves: by this times `lr` in a step, as the gradient
    of a penalty with `adam` and `sgd`, apart from gradients with `adamw` and `muon`."""

    decay_vectors: bool = True
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

    warmup: Share = 0.0
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

    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Arithmetic of the network; `auto`: bf16 where the hardware has it, else fp16 on a GPU."""

    label_smoothing: Share = 0.0
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
        size, blocks = self.data.image_size, len(self.model.filters)
        is_ours = self.model.name != "torchvision" and not self.model.is_own
        least = 2**blocks + (self.model.name == "whitened")  # its first layer takes a pixel off
        if size is not None and size < least and is_ours:
            raise ValueError(
                f"data.image_size: {size} is too small for {blocks} blocks that each halve it; "
                f"use {least} or more, or fewer model.filters"
            )
        return self


def presets() -> dict[str, Path]:
    """The shipped configs by name, sorted."""
    paths = {path.stem: path for path in _preset_dir().glob("*.toml")}
    return dict(sorted(paths.items()))


def _preset_dir() -> Path:
    installed = Path(__file__).parent / "configs"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "configs"


def load(name_or_path: str, overrides: Sequence[str] = ()) -> Config:
    """Read a preset or a TOML file, apply `KEY=VALUE` overrides in order, and check it whole.

    Raises:
        ConfigError: naming every problem with its key.
    """
    return from_dict(_read_toml(_find(name_or_path)), overrides, allow_code=True)


def from_dict(
    tables: dict[str, Any], overrides: Sequence[str] = (), *, allow_code: bool = False
) -> Config:
    """Check a config that is already in memory, such as the one in a run's log.

    Args:
        tables: The config, which is left as it is.
        overrides: Keys that have other values, each as `KEY=VALUE`.
        allow_code: Let it name a network that is imported: code, which whoever made the run's
            directory has chosen. Who writes a config and trains with it has allowed it by that.

    Raises:
        ConfigError: naming every problem with its key.
    """
    tables = deepcopy(tables)
    for override in overrides:
        _apply_override(tables, override)
    try:
        config = Config.model_validate_json(_json(tables))
    except ValidationError as error:
        raise ConfigError(*map(_problem, error.errors())) from None
    if config.model.is_own and not allow_code:
        raise ConfigError(
            f"model.name: the run's network is code, {config.model.name!r}, which would be "
            "imported from the current directory; if you trust it, add --allow-code"
        )
    return config


def _json(tables: dict[str, Any]) -> str:
    # Through JSON because pydantic's strict mode takes an array for a tuple only there. TOML's
    # dates, which JSON lacks, become text and are then refused as any other text would be.
    return json.dumps(tables, default=str)


def _find(name_or_path: str) -> Path:
    known = presets()
    if name_or_path in known:
        return known[name_or_path]
    path = Path(name_or_path)
    if path.exists():
        return path
    raise ConfigError(
        f"config: no preset and no file is named {name_or_path!r}{_suggest(name_or_path, known)} "
        f"(presets: {', '.join(known)})"
    )


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        if path.is_dir():
            raise ConfigError(f"{path}: is a directory; give a TOML file")
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ConfigError(f"{path}: is over {MAX_CONFIG_BYTES:,} bytes; not a config")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None


def _apply_override(tables: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    path = key.strip().split(".")
    if not equals or not all(path):
        raise ConfigError(f"--set {override}: write it as KEY=VALUE, such as train.epochs=5")
    table = tables
    for part in path[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ConfigError(f"--set {override}: {part} is a value, not a table")
    table[path[-1]] = value_of(text.strip())


def value_of(text: str) -> Any:  # noqa: ANN401 - any TOML value
    """`0.1`, `true` and `[1, 2]` as TOML reads them; anything else is the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def text_of(value: Any) -> str:  # noqa: ANN401 - any value of a config
    """How a value is typed, so that `value_of` reads the same; empty for one that is not set."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value if value_of(value) == value else json.dumps(value)
    return json.dumps(value)


def _problem(error: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails, or a dict like it
    """One of pydantic's errors as one line in our words."""
    path = ".".join(map(str, error["loc"]))
    match error["type"]:
        case "extra_forbidden":
            return f"{path}: unknown key{_suggest(path, keys())}"
        case "missing":
            return f"{path}: is missing"
        case "value_error":
            return f"{path}.{error['ctx']['error']}".lstrip(".")
        case "literal_error":
            given, expected = str(error["input"]), error["ctx"]["expected"]
            suggestion = _suggest(given, re.findall(r"'([^']*)'", expected))
            return f"{path}: {given!r} is not one of {expected}{suggestion}"
        case _:
            message = error["msg"].replace("Input should be", "must be")
            return f"{path}: {message} (got {error['input']!r})"


def keys() -> list[str]:
    """Every key a config may have, dotted: `data.source`, `train.epochs`, …."""
    return [
        f"{table}.{key}"
        for table, field in Config.model_fields.items()
        for key in field.annotation.model_fields  # type: ignore[union-attr]  # all are Tables
    ]


def _suggest(given: str, known: Sequence[str] | dict[str, Path]) -> str:
    """`; did you mean …?`, by the whole key or by its last part (`lr`, `epoch`)."""
    leaves = {key.rpartition(".")[2]: key for key in known}
    close = get_close_matches(given, known, n=1, cutoff=0.7)
    near = get_close_matches(given.rpartition(".")[2], leaves, n=1, cutoff=0.6)
    match = close or [leaves[leaf] for leaf in near]
    return f"; did you mean {match[0]!r}?" if match else ""
