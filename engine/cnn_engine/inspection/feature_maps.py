"""What a model makes of a few images on their way through it, and its first filters."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from cnn_engine.config.schema import DataConfig
from cnn_engine.inspection.eval_mode import eval_mode, removed
from cnn_engine.inspection.layers import pair
from cnn_engine.results.feature_maps import Filters, Header, Part, Sample, Stage, maps_as_bytes

if TYPE_CHECKING:
    from cnn_engine.training.trainer import Training

MOST_STAGES = 8
"""Points on the way whose maps are kept, beside the first convolution."""

MOST_MAPS = 16
"""Maps kept of each."""

MOST_FILTERS = 64
"""Filters kept of the first convolution."""

MOST_IMAGE_SIDE, MOST_FIRST_SIDE, MOST_SIDE = 64, 32, 16
"""Pixels of a side that are kept of an image, of a map of the first convolution, of another map;
what is larger is kept as means."""

MOST_ANSWERS = 5


@dataclass
class _Taken:
    """Maps of some images at one stage."""

    stage: Stage
    values: Tensor
    """float [n, maps, h, w], as kept."""


@dataclass
class _Taker:
    """Keeps a bounded copy of what modules make."""

    most_side: int
    taken: dict[nn.Module, _Taken] = field(default_factory=dict)
    names: dict[nn.Module, str] = field(default_factory=dict)

    def after(self, module: nn.Module, _arguments: object, output: object) -> None:
        """Keep it now: the next layer may write over it."""
        if not isinstance(output, Tensor) or output.dim() != 4 or output.shape[2:].numel() == 1:
            return
        values = _reduced(output[:, :MOST_MAPS].float(), self.most_side).nan_to_num().cpu()
        channels, height, width = output.shape[1:]
        stage = Stage(
            name=self.names[module],
            kind=type(module).__name__,
            shape=tuple(values.shape[1:]),  # type: ignore[arg-type]  # three of four
            of=channels,
            whole=(height, width),
        )
        self.taken[module] = _Taken(stage, values)


def _reduced(values: Tensor, most: int) -> Tensor:
    """Maps [n, C, h, w] with sides of at most so many pixels, as means; always a copy."""
    height, width = values.shape[2:]
    if max(height, width) <= most:
        return values.clone()
    scale = most / max(height, width)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    return adaptive_avg_pool2d(values, size)


def _levels(model: nn.Module) -> Iterator[list[nn.Module]]:
    """The modules of the model at each depth; one without children stays in all that follow."""
    level = [model]
    while True:
        deeper = [child for module in level for child in (list(module.children()) or [module])]
        if deeper == level:
            return
        level = deeper
        yield level


def _stages_of(model: nn.Module, taken: dict[nn.Module, _Taken]) -> list[_Taken]:
    """The first convolution, and the deepest level of modules that is not too many."""
    first = [module for module in taken if isinstance(module, nn.Conv2d)][:1]
    stages: list[nn.Module] = []
    for level in _levels(model):
        found = [module for module in taken if module in level]
        if len(found) <= MOST_STAGES or not stages:
            stages = found[:MOST_STAGES]
    return [taken[module] for module in first + [each for each in stages if each not in first]]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A model's feature maps and predictions for some images, on the host, for `maps.bin`."""

    epoch: int
    part: Part
    config: DataConfig
    whole: tuple[int, int]
    """Sides of the images."""
    names: list[str]
    labels: Tensor
    """int64 [n]."""
    pixels: Tensor
    """uint8 [n, H, W, C], as kept."""
    stages: list[_Taken]
    shares: Tensor
    """float [n, classes], probabilities."""
    filters: Filters | None
    filter_values: bytes

    def as_bytes(self) -> bytes:
        """Return the content of `maps.bin`."""
        header = Header(
            epoch=self.epoch,
            part=self.part,
            image=tuple(self.pixels.shape[1:]),  # type: ignore[arg-type]  # three of four
            whole=self.whole,
            mean=self.config.mean,
            std=self.config.std,
            filters=self.filters,
            stages=tuple(taken.stage for taken in self.stages),
            samples=_samples(self.names, self.labels, self.shares, self.stages),
        )
        content = [self.filter_values]
        for number, pixels in enumerate(self.pixels):
            content.append(pixels.numpy().tobytes())
            content += [_as_bytes(taken.values[number]) for taken in self.stages]
        return maps_as_bytes(header, b"".join(content))


def seen_by(training: "Training", part: Part, indices: Tensor, epoch: int) -> Seen:
    """Run the model over some images, and keep what it makes of them.

    Args:
        training: Whose model, with the weights that it has now.
        part: Of which set the sample images are.
        indices: int64 [n], which images those are.
        epoch: That the weights are from.
    """
    learner, data = training.learner, training.data
    images, labels = next(training.batches.batches(indices, len(indices)))
    names = {module: name for name, module in learner.model.named_modules()}
    convolution = next((each for each in names if isinstance(each, nn.Conv2d)), None)
    with learner.arithmetic():
        stages, shares = _seen(learner.model, images, names, convolution)
    filters, values = _filters_of(convolution, names, learner.weights.state_dict())
    return Seen(
        epoch=epoch,
        part=part,
        config=training.config.data,
        whole=(data.images.shape[1], data.images.shape[2]),
        names=list(map(data.name_of, indices.tolist())),
        labels=labels.cpu(),
        pixels=_kept_images(data.images[indices.to(data.images.device)]),
        stages=stages,
        shares=shares,
        filters=filters,
        filter_values=values,
    )


def _seen(
    model: nn.Module,
    images: Tensor,
    names: dict[nn.Module, str],
    convolution: nn.Conv2d | None,
) -> tuple[list[_Taken], Tensor]:
    """Maps of images at each stage to be kept, and probabilities [n, classes], on the host."""
    others, firsts = _Taker(MOST_SIDE, names=names), _Taker(MOST_FIRST_SIDE, names=names)
    with eval_mode(model), ExitStack() as hooks:
        for module in names:
            taker = firsts if module is convolution else others
            hooks.enter_context(removed(module.register_forward_hook(taker.after)))
        shares = cast("Tensor", model(images)).float().softmax(dim=1).nan_to_num().cpu()
    return _stages_of(model, firsts.taken | others.taken), shares


def _samples(
    names: list[str], labels: Tensor, shares: Tensor, stages: list[_Taken]
) -> tuple[Sample, ...]:
    """What the header tells of each image: probabilities [n, classes], ranges of its maps."""
    likeliest = shares.topk(min(MOST_ANSWERS, shares.shape[1]))
    each = zip(names, labels.tolist(), likeliest.indices, likeliest.values, strict=True)
    return tuple(
        Sample(
            name=name,
            label=label,
            answers=tuple(classes.tolist()),
            shares=tuple(parts.tolist()),
            lows=tuple(taken.values[number].min().item() for taken in stages),
            highs=tuple(taken.values[number].max().item() for taken in stages),
        )
        for number, (name, label, classes, parts) in enumerate(each)
    )


def _filters_of(
    convolution: nn.Conv2d | None, names: dict[nn.Module, str], weights: dict[str, Tensor]
) -> tuple[Filters | None, bytes]:
    """The filters of a convolution and their values, in full precision."""
    if convolution is None:
        return None, b""
    name = names[convolution]
    weight = weights[f"{name}.weight"].detach().float().cpu()
    bias = weights.get(f"{name}.bias", torch.zeros(len(weight))).detach().float().cpu()
    kept = weight[:MOST_FILTERS].contiguous()
    filters = Filters(
        layer=name,
        shape=tuple(kept.shape),  # type: ignore[arg-type]  # a convolution's has four
        of=len(weight),
        stride=pair(convolution.stride),
        padding=_padding(convolution),
    )
    little = (values.numpy().astype("<f4").tobytes() for values in (kept, bias[:MOST_FILTERS]))
    return filters, b"".join(little)


def _padding(convolution: nn.Conv2d) -> tuple[int, int]:
    """Rows and columns added on each side."""
    if isinstance(convolution.padding, str):  # "valid" or "same"
        share = 0 if convolution.padding == "valid" else 1
        height, width = convolution.kernel_size
        return share * (height - 1) // 2, share * (width - 1) // 2
    height, width = convolution.padding
    return height, width


def _kept_images(images: Tensor) -> Tensor:
    """Images uint8 [n, H, W, C], brought to a bounded size."""
    planes = _reduced(images.permute(0, 3, 1, 2).float(), MOST_IMAGE_SIDE)
    return planes.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu()


def _as_bytes(values: Tensor) -> bytes:
    """Between their least and their greatest value in 256 steps."""
    low, high = values.min(), values.max()
    scaled = (values - low) * (255 / (high - low)) if high > low else torch.zeros_like(values)
    return scaled.round().to(torch.uint8).numpy().tobytes()
