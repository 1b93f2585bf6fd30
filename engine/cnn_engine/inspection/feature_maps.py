"""Feature maps of a model for sample images, and the filters of its first convolution."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, nn

from cnn_engine.inspection.downscale import downscale
from cnn_engine.inspection.eval_mode import eval_mode
from cnn_engine.inspection.heatmaps import try_heatmaps
from cnn_engine.inspection.layers import as_pair
from cnn_engine.inspection.samples import SampleImages
from cnn_engine.results.feature_maps import Filters, Header, Sample, Stage, encode_feature_maps
from cnn_engine.results.heatmap import Heatmap

MAX_STAGES = 8
"""Maximum number of stages whose maps are stored, besides the first convolution."""

MAX_MAPS = 16
"""Maximum number of maps stored per stage."""

MAX_FILTERS = 64
"""Maximum number of filters stored of the first convolution."""

MAX_IMAGE_SIDE, MAX_FIRST_SIDE, MAX_SIDE = 64, 32, 16
"""Maximum sides in pixels of a stored image, of a map of the first convolution, of other maps;
larger ones are averaged down."""

MAX_CLASSES = 5
"""Maximum number of most probable classes stored per sample."""


@dataclass
class _StageMaps:
    """Maps of all sample images at one stage."""

    stage: Stage
    values: Tensor
    """float32 [n, maps, h, w], as stored, on the host."""


@dataclass
class _MapRecorder:
    """Forward hook that copies the outputs of modules."""

    max_side: int
    names: dict[nn.Module, str]
    recorded: dict[nn.Module, _StageMaps] = field(default_factory=dict)

    def record(self, module: nn.Module, _arguments: object, output: object) -> None:
        """Copy the maps: the next layer may overwrite them in place."""
        if not isinstance(output, Tensor) or output.dim() != 4 or output.shape[2:].numel() == 1:
            return
        values = downscale(output[:, :MAX_MAPS].float(), self.max_side).nan_to_num().cpu()
        channels, height, width = output.shape[1:]
        stage = Stage(
            name=self.names[module],
            kind=type(module).__name__,
            shape=tuple(values.shape[1:]),  # type: ignore[arg-type]  # three of four
            total=channels,
            full_size=(height, width),
        )
        self.recorded[module] = _StageMaps(stage, values)


def _levels(model: nn.Module) -> Iterator[list[nn.Module]]:
    """Yield the modules at each depth; one without children stays in all deeper levels."""
    level = [model]
    while True:
        deeper = [child for module in level for child in (list(module.children()) or [module])]
        if deeper == level:
            return
        level = deeper
        yield level


def _select_stages(model: nn.Module, recorded: dict[nn.Module, _StageMaps]) -> list[_StageMaps]:
    """Return the first convolution and the deepest level of modules that is within the limit."""
    first = [module for module in recorded if isinstance(module, nn.Conv2d)][:1]
    stages: list[nn.Module] = []
    for level in _levels(model):
        found = [module for module in recorded if module in level]
        if len(found) <= MAX_STAGES or not stages:
            stages = found[:MAX_STAGES]
    return [
        recorded[module] for module in first + [stage for stage in stages if stage not in first]
    ]


@dataclass(frozen=True, kw_only=True)
class CapturedFeatureMaps:
    """Feature maps and predictions for sample images, on the host: the content of `maps.bin`."""

    epoch: int
    samples: SampleImages
    """The sample images, with pixels as stored."""

    original_size: tuple[int, int]
    """Height and width of the images before downscaling."""

    stages: list[_StageMaps]
    probabilities: Tensor
    """float32 [n, classes]."""

    heatmaps: Sequence[Heatmap | None]
    """Of each sample, for its most probable class."""

    filters: Filters | None
    filter_values: bytes

    def to_bytes(self) -> bytes:
        """Return the content of `maps.bin`."""
        header = Header(
            epoch=self.epoch,
            split=self.samples.split,
            image=tuple(self.samples.pixels.shape[1:]),  # type: ignore[arg-type]  # three of four
            full_size=self.original_size,
            mean=self.samples.mean,
            std=self.samples.std,
            filters=self.filters,
            stages=tuple(maps.stage for maps in self.stages),
            samples=self._sample_headers(),
        )
        content = [self.filter_values]
        for number, pixels in enumerate(self.samples.pixels):
            content.append(pixels.numpy().tobytes())
            content += [_quantize(maps.values[number]) for maps in self.stages]
        return encode_feature_maps(header, b"".join(content))

    def _sample_headers(self) -> tuple[Sample, ...]:
        """Return the header entry of each sample."""
        samples, stages = self.samples, self.stages
        top = self.probabilities.topk(min(MAX_CLASSES, self.probabilities.shape[1]))
        rows = zip(
            samples.names,
            samples.labels.tolist(),
            top.indices,
            top.values,
            self.heatmaps,
            strict=True,
        )
        return tuple(
            Sample(
                name=name,
                label=label,
                top_classes=tuple(classes.tolist()),
                probabilities=tuple(values.tolist()),
                lows=tuple(maps.values[number].min().item() for maps in stages),
                highs=tuple(maps.values[number].max().item() for maps in stages),
                heatmap=heatmap,
            )
            for number, (name, label, classes, values, heatmap) in enumerate(rows)
        )


def feature_maps(  # noqa: PLR0913, PLR0917 - model, images and warnings
    model: nn.Module,
    images: Tensor,
    samples: SampleImages,
    weights: Mapping[str, Tensor],
    epoch: int,
    warn: Callable[[str], None],
) -> CapturedFeatureMaps:
    """Run the model on sample images and return its feature maps and predictions.

    Args:
        model: Images to logits [n, classes]; its modes and the random states are restored.
        images: float [n, C, H, W], normalized, on the model's device.
        samples: The same images with their names and labels.
        weights: State dict in full precision, for the filters of the first convolution.
        epoch: Epoch that the weights are from.
        warn: Called with the problem if there are no heatmaps because the model fails.
    """
    names = {module: name for name, module in model.named_modules()}
    convolution = next((module for module in names if isinstance(module, nn.Conv2d)), None)
    stages, probabilities = _capture(model, images, names, convolution)
    filters, values = _first_filters(convolution, names, weights)
    return CapturedFeatureMaps(
        epoch=epoch,
        samples=SampleImages(
            split=samples.split,
            names=samples.names,
            labels=samples.labels.cpu(),
            pixels=_downscale_images(samples.pixels),
            mean=samples.mean,
            std=samples.std,
        ),
        original_size=(samples.pixels.shape[1], samples.pixels.shape[2]),
        stages=stages,
        probabilities=probabilities,
        heatmaps=try_heatmaps(model, images, probabilities.argmax(dim=1), warn),
        filters=filters,
        filter_values=values,
    )


def _capture(
    model: nn.Module,
    images: Tensor,
    names: dict[nn.Module, str],
    convolution: nn.Conv2d | None,
) -> tuple[list[_StageMaps], Tensor]:
    """Return the maps of the selected stages, and probabilities [n, classes], on the host."""
    others, first = _MapRecorder(MAX_SIDE, names), _MapRecorder(MAX_FIRST_SIDE, names)
    with eval_mode(model), ExitStack() as hooks:
        for module in names:
            recorder = first if module is convolution else others
            hooks.enter_context(module.register_forward_hook(recorder.record))
        probabilities = cast("Tensor", model(images)).float().softmax(dim=1).nan_to_num().cpu()
    return _select_stages(model, first.recorded | others.recorded), probabilities


def _first_filters(
    convolution: nn.Conv2d | None, names: dict[nn.Module, str], weights: Mapping[str, Tensor]
) -> tuple[Filters | None, bytes]:
    """Return the filters of a convolution and their values, little-endian float32."""
    if convolution is None:
        return None, b""
    name = names[convolution]
    weight = weights[f"{name}.weight"].detach().float().cpu()
    bias = weights.get(f"{name}.bias", torch.zeros(len(weight))).detach().float().cpu()
    stored = weight[:MAX_FILTERS].contiguous()
    filters = Filters(
        layer=name,
        shape=tuple(stored.shape),  # type: ignore[arg-type]  # a convolution's has four
        total=len(weight),
        stride=as_pair(convolution.stride),
        padding=_padding(convolution),
    )
    values = (tensor.numpy().astype("<f4").tobytes() for tensor in (stored, bias[:MAX_FILTERS]))
    return filters, b"".join(values)


def _padding(convolution: nn.Conv2d) -> tuple[int, int]:
    """Return the rows and columns added on each side."""
    if convolution.padding == "valid":
        return 0, 0
    if isinstance(convolution.padding, str):  # "same"
        height, width = convolution.kernel_size
        return (height - 1) // 2, (width - 1) // 2
    height, width = convolution.padding
    return height, width


def _downscale_images(images: Tensor) -> Tensor:
    """Return images uint8 [n, H, W, C] with sides of at most MAX_IMAGE_SIDE, on the host."""
    planes = downscale(images.permute(0, 3, 1, 2).float(), MAX_IMAGE_SIDE)
    return planes.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu()


def _quantize(values: Tensor) -> bytes:
    """Return the values in 256 steps between their minimum and maximum, as uint8."""
    low, high = values.min(), values.max()
    scaled = (values - low) * (255 / (high - low)) if high > low else torch.zeros_like(values)
    return scaled.round().to(torch.uint8).numpy().tobytes()
