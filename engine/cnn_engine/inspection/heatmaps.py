"""Heatmaps of the parts of images that speak for a class, by HiResCAM.

HiResCAM (Draelos and Carin, 2020, arXiv:2011.08891) multiplies the maps of the last convolution
stage by the gradient of the class's logit and adds up the channels. For networks with global
average pooling it equals Grad-CAM (Selvaraju and others, 2017, arXiv:1610.02391); unlike that, it
also shows what networks with dense layers behind their maps use.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, TypeAlias, cast

import torch
from torch import Tensor, nn

from cnn_engine.data.loader import TensorLoader
from cnn_engine.errors import error_text
from cnn_engine.evaluation.evaluate import evaluation_batch_size
from cnn_engine.inspection.downscale import downscale
from cnn_engine.inspection.eval_mode import eval_mode
from cnn_engine.results.heatmap import MAX_SIDE, Heatmap

MIN_SIDE = 6
"""Rows and columns of maps below which an earlier stage is preferred: they hardly tell places."""

MAX_PROBES = 4
"""Images with which the stage is selected."""

LOADED_PIXELS = 2**21
"""Pixels of the images that are loaded at once: 24 MB, 2,048 images of 32×32."""

Hook: TypeAlias = Callable[[nn.Module, Any, Any], Tensor | None]

RESIZING = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Upsample)
"""Modules whose maps may have more positions than the information in them."""


class Grid(NamedTuple):
    """Positions in a module's output."""

    height: int
    width: int

    is_tokens: bool
    """True for [n, (1 +) height · width, channels], False for [n, channels, height, width]."""


class _Stage(NamedTuple):
    """A module with positions in its output."""

    module: nn.Module
    grid: Grid


def heatmaps(model: nn.Module, images: Tensor, classes: Tensor) -> list[Heatmap]:
    """Return for each image a heatmap of what speaks for a class; none if the network has no maps.

    It takes the memory of an evaluation: gradients are computed behind the selected stage only.

    Args:
        model: Images to logits [n, classes], under the caller's autocast. Its modes and gradients
            and the random states are unchanged.
        images: float [n, C, H, W], normalized, on the model's device.
        classes: int64 [n].
    """
    if not len(images):
        return []
    size = evaluation_batch_size(images.device, *images.shape[2:])
    found: list[Heatmap] = []
    with torch.inference_mode(mode=False), eval_mode(model), _frozen(model), torch.enable_grad():
        # Copies, as tensors of inference mode have no gradients.
        images, classes = images.clone(), classes.to(images.device).clone()
        stage = _select_stage(model, images[:MAX_PROBES], classes[:MAX_PROBES])
        if stage is None:
            return []
        for batch, targets in zip(
            torch.split(images, size), torch.split(classes, size), strict=True
        ):
            found += _quantized(_batch_evidence(model, stage, batch, targets))
    return found


def try_heatmaps(
    model: nn.Module, images: Tensor, classes: Tensor, warn: Callable[[str], None]
) -> Sequence[Heatmap | None]:
    """Return the same; None for each image if the network has no maps, or fails.

    Args:
        model: As for `heatmaps`.
        images: Likewise.
        classes: Likewise.
        warn: Called with the problem if the network fails.
    """
    try:
        found = heatmaps(model, images, classes)
    except Exception as error:  # noqa: BLE001 - a user's own model may raise anything
        warn(f"no heatmaps of what the network looks at: {error_text(error)}")
        found = []
    return found or [None] * len(images)


def explain_images(  # noqa: PLR0913, PLR0917 - model, images, and who asks
    model: nn.Module,
    loader: TensorLoader,
    warn: Callable[[str], None],
    check: Callable[[], None],
    indices: Tensor,
    classes: Tensor,
) -> Sequence[Heatmap | None]:
    """Return heatmaps of images of a data set, as `try_heatmaps`.

    Args:
        model: As for `heatmaps`.
        loader: The images, on the model's device.
        warn: Called with the problem if the network fails.
        check: Called between batches, equally often in all processes; may raise to stop.
        indices: int64 [n], images to take.
        classes: int64 [n].
    """
    _, height, width, _ = loader.images.shape
    size = max(MAX_PROBES, LOADED_PIXELS // (height * width))
    found: list[Heatmap | None] = []
    problems: list[str] = []
    for (images, _), targets in zip(
        loader.batches(indices, size), torch.split(classes, size), strict=False
    ):
        found += try_heatmaps(model, images, targets, problems.append)
        check()
    if problems:
        warn(problems[0])
    return found


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """Disable the gradients of all parameters, so that no graph is built for them."""
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for parameter in trainable:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_()


def _select_stage(model: nn.Module, images: Tensor, classes: Tensor) -> _Stage | None:
    """Return the last module with maps or tokens that the logits depend on.

    A convolution before a normalization, whose zero means nothing, is selected only if there is
    nothing else, and one with fewer than `MIN_SIDE` rows or columns if there is no larger one.
    """
    recorder = _Recorder(len(images))
    hooks = dict.fromkeys(model.modules(), recorder.record)
    # A copy: the network may change its input in place, which autograd refuses for a leaf.
    logits = _run(model, images.detach().requires_grad_().clone(), hooks)
    gradients = _gradients(logits, classes, [output for _, output in recorder.recorded])
    used = [
        stage
        for (stage, output), gradient in zip(recorder.recorded, gradients, strict=True)
        if gradient is not None and _evidence(output, gradient, stage.grid).any()
    ]
    if any("Norm" in type(module).__name__ for module in model.modules()):
        used = [stage for stage in used if not isinstance(stage.module, nn.Conv2d)] or used
    large = [stage for stage in used if min(stage.grid.height, stage.grid.width) >= MIN_SIDE]
    candidates = large or used
    return candidates[-1] if candidates else None


class _Recorder:
    """Forward hook that collects outputs with positions, in the order of execution."""

    def __init__(self, images: int) -> None:
        self.recorded: list[tuple[_Stage, Tensor]] = []
        self._resized: list[Tensor] = []
        self._images = images

    def record(self, module: nn.Module, _arguments: object, output: object) -> None:
        """Keep the output if it has positions."""
        if not isinstance(output, Tensor) or not output.requires_grad:
            return
        if isinstance(module, RESIZING):
            self._resized.append(output)
        grid = self._grid(output)
        if grid and not any(output is resized for resized in self._resized):
            self.recorded.append((_Stage(module, grid), output))

    def _grid(self, output: Tensor) -> Grid | None:
        """Return the layout of square maps, or of tokens that are as many as the maps before."""
        if output.shape[0] != self._images:
            return None
        if output.dim() == 4 and output.shape[2] == output.shape[3] > 1:
            return Grid(output.shape[2], output.shape[3], is_tokens=False)
        if output.dim() == 3 and self.recorded:
            height, width, _ = self.recorded[-1][0].grid
            if output.shape[1] - height * width in {0, 1}:
                return Grid(height, width, is_tokens=True)
        return None


def _batch_evidence(model: nn.Module, stage: _Stage, images: Tensor, classes: Tensor) -> Tensor:
    """Return how much each position of a stage's output speaks for the classes, [n, h, w]."""
    outputs: list[Tensor] = []

    def cut(_module: nn.Module, _arguments: object, output: Tensor) -> Tensor:
        outputs.append(output.detach().clone().requires_grad_())
        return outputs[-1].clone()  # the network may change it in place

    logits = _run(model, images.clone(), {stage.module: cut})
    (gradient,) = _gradients(logits, classes, outputs[-1:])
    if gradient is None:
        return torch.zeros(len(images), stage.grid.height, stage.grid.width)
    return _evidence(outputs[-1], gradient, stage.grid)


def _run(model: nn.Module, images: Tensor, hooks: Mapping[nn.Module, Hook]) -> Tensor:
    """Return the logits, with gradients even where the network itself disables them."""

    def enable_gradients(_module: nn.Module, _arguments: object) -> None:
        torch.set_grad_enabled(mode=True)

    with ExitStack() as stack:
        for module in model.modules():
            stack.enter_context(module.register_forward_pre_hook(enable_gradients))
        for module, hook in hooks.items():
            stack.enter_context(module.register_forward_hook(hook))
        return cast("Tensor", model(images))


def _gradients(
    logits: Tensor, classes: Tensor, outputs: Sequence[Tensor]
) -> Sequence[Tensor | None]:
    """Return the gradients of the classes' logits; None for outputs that these do not depend on."""
    if not outputs:
        return []
    chosen = logits.float().gather(1, classes[:, None]).sum()
    with torch.autocast(logits.device.type, enabled=False):
        return torch.autograd.grad(chosen, outputs, allow_unused=True)


def _evidence(output: Tensor, gradient: Tensor, grid: Grid) -> Tensor:
    """Return the product, added up over the channels, [n, h, w]."""
    products = output.detach().float() * gradient.float()
    if not grid.is_tokens:
        return products.sum(dim=1)
    patches = products.sum(dim=2)[:, -grid.height * grid.width :]
    return patches.view(len(patches), grid.height, grid.width)


def _quantized(evidence: Tensor) -> list[Heatmap]:
    """Return heatmaps of evidence [n, h, w], of which only what speaks for the class is kept."""
    coarse = downscale(evidence[:, None], MAX_SIDE)[:, 0].nan_to_num(0, 0, 0).relu()
    greatest = coarse.amax(dim=(1, 2), keepdim=True)
    levels = (255 * (coarse / greatest.clamp(min=torch.finfo(coarse.dtype).tiny))).round()
    height, width = levels.shape[1:]
    return [
        Heatmap(values=values.numpy().tobytes(), width=width, height=height)
        for values in levels.to(torch.uint8).cpu()
    ]
