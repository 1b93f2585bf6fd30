"""Looking into a model: its layers, its first filters, and how images go through it.

Nothing here changes what is trained: the model runs in evaluation mode, without gradients, and is
then in the mode it was in before, module by module; the state of the random numbers is put back.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from cnn_engine.data import DataSet
from cnn_engine.evaluate import Answers
from cnn_engine.files import write_atomically
from cnn_engine.flops import FlopCount
from cnn_engine.inspection import (
    LAYERS_FILE,
    MAPS_FILE,
    Filters,
    Header,
    Layer,
    Layers,
    Part,
    Sample,
    Stage,
    layers_as_bytes,
    maps_as_bytes,
)

if TYPE_CHECKING:
    from cnn_engine.train import Training

MOST_SAMPLES = 20
"""Images that are kept with their maps."""

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


def keep_layers(training: "Training") -> str:
    """Write `model.json`; why it could not be, if so."""
    return _written(training, LAYERS_FILE, lambda: layers_as_bytes(_layers_of_training(training)))


def keep_maps(training: "Training", part: Part, indices: Tensor, epoch: int) -> str:
    """Write `maps.bin`; why it could not be, if so.

    Args:
        training: Whose model, with the weights that it has now.
        part: Of which set the sample images are.
        indices: int64 [n], which images those are.
        epoch: That the weights are from.
    """
    if not training.learner.weights.are_finite():
        return f"{MAPS_FILE} is not written, as weights are not numbers; an earlier one stands"
    return _written(training, MAPS_FILE, lambda: _maps_of(training, part, indices, epoch))


def _written(training: "Training", name: str, make: Callable[[], bytes]) -> str:
    """Make a file's content and write it; a model that cannot be looked into still trains."""
    try:
        write_atomically(training.recorder.run.path / name, make())
    except OSError as error:
        return f"{name} could not be written: {error.strerror}; the Model view lacks it"
    except Exception as error:  # noqa: BLE001 - a model of the user's own may do anything
        return f"{name} could not be made: {type(error).__name__}: {error}; the Model view lacks it"
    return ""


def a_few_of_each_class(data: DataSet, indices: Tensor, most: int = MOST_SAMPLES) -> Tensor:
    """The first images of each class among those at `indices`, class by class, then the second."""
    classes = min(len(data.classes), most)
    labels, each = data.labels[indices], max(1, most // classes)
    found = [indices[labels == label][:each] for label in range(classes)]
    turns = [part[turn : turn + 1] for turn in range(each) for part in found]
    return torch.cat(turns)[:most]


def right_and_wrong(data: DataSet, answers: Answers) -> Tensor:
    """Of the test images, some of each class that the model gets right, and its surest mistakes."""
    is_right = answers.predicted == answers.truth
    surest = answers.confidence[~is_right].argsort(descending=True, stable=True)
    wrong = data.test[~is_right][surest][: MOST_SAMPLES // 2]
    right = a_few_of_each_class(data, data.test[is_right], MOST_SAMPLES - len(wrong))
    return torch.cat([right, wrong])


# Layers.


@dataclass
class _Frame:
    """A module that is being carried out."""

    began: int
    """Operations counted before."""

    inner: int = 0
    """Operations of the modules within it."""


@dataclass
class _Found:
    """What is known of a module."""

    output: tuple[int, ...] = ()
    flops: int = 0


class _Walk:
    """Notes what each module makes and what it costs, without the modules within it."""

    def __init__(self, count: FlopCount) -> None:
        self.found: dict[nn.Module, _Found] = {}
        self._count = count
        self._frames: list[_Frame] = []

    def before(self, _module: nn.Module, _arguments: object) -> None:
        self._frames.append(_Frame(self._count.total))

    def after(self, module: nn.Module, _arguments: object, output: object) -> None:
        frame = self._frames.pop()
        whole = self._count.total - frame.began
        if self._frames:
            self._frames[-1].inner += whole
        found = self.found.setdefault(module, _Found())
        found.flops += whole - frame.inner
        if isinstance(output, Tensor):
            found.output = tuple(output.shape[1:])


def layers_of(model: nn.Module, images: Tensor) -> Layers:
    """The modules that compute something themselves, in the order of their first result.

    Args:
        model: Any module that takes images.
        images: float [n, C, H, W], normalised; one is enough.
    """
    names = {module: name for name, module in model.named_modules()}
    with undisturbed(model), FlopCount() as count, ExitStack() as hooks:
        walk = _Walk(count)
        for module in names:
            hooks.enter_context(_removed(module.register_forward_pre_hook(walk.before)))
            hooks.enter_context(_removed(module.register_forward_hook(walk.after)))
        model(images)
    unused = [module for module in names if module not in walk.found]
    return Layers(
        input=tuple(images.shape[1:]),
        layers=tuple(
            Layer(
                name=names[module],
                kind=type(module).__name__,
                detail=_detail(module),
                output=found.output,
                parameters=_own_parameters(module),
                flops=found.flops // len(images),
            )
            for module, found in [*walk.found.items(), *((each, _Found()) for each in unused)]
            if _computes(module, found)
        ),
    )


def _computes(module: nn.Module, found: _Found) -> bool:
    is_leaf = next(module.children(), None) is None
    return bool((is_leaf and found.output) or found.flops or _own_parameters(module))


def _own_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters(recurse=False))


def _detail(module: nn.Module) -> str:
    """The kernel, and the stride where it is not as is usual for such a layer."""
    kernel = getattr(module, "kernel_size", None)
    if kernel is None:
        return ""
    usual = 1 if isinstance(module, nn.Conv2d) else kernel
    stride = getattr(module, "stride", usual)
    text = "×".join(map(str, _pair(kernel)))
    return text if _pair(stride) == _pair(usual) else f"{text} /{_pair(stride)[0]}"


def _pair(size: Any) -> tuple[Any, ...]:  # noqa: ANN401 - as modules of all kinds have it
    return tuple(size) if isinstance(size, tuple | list) else (size, size)


def _layers_of_training(training: "Training") -> Layers:
    images, _ = next(training.batches.cut(training.data.train[:1], 1))
    with training.learner.autocast():
        return layers_of(training.learner.model, images)


# Maps.


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


def _maps_of(training: "Training", part: Part, indices: Tensor, epoch: int) -> bytes:
    model, data, config = training.learner.model, training.data, training.config.data
    images, labels = next(training.batches.cut(indices, len(indices)))
    names = {module: name for name, module in model.named_modules()}
    convolution = next((each for each in names if isinstance(each, nn.Conv2d)), None)
    with undisturbed(model), training.learner.autocast(), ExitStack() as hooks:
        others, firsts = _Taker(MOST_SIDE, names=names), _Taker(MOST_FIRST_SIDE, names=names)
        for module in names:
            taker = firsts if module is convolution else others
            hooks.enter_context(_removed(module.register_forward_hook(taker.after)))
        shares = cast("Tensor", model(images)).float().softmax(dim=1).nan_to_num().cpu()
    stages = _stages_of(model, firsts.taken | others.taken)
    pixels = _kept_images(data.images[indices.to(data.images.device)])
    filters, values = _filters_of(convolution, names, training.learner.weights.state_dict())
    likeliest = shares.topk(min(MOST_ANSWERS, shares.shape[1]))
    header = Header(
        epoch=epoch,
        part=part,
        image=tuple(pixels.shape[1:]),  # type: ignore[arg-type]  # three of four
        whole=tuple(data.images.shape[1:3]),  # type: ignore[arg-type]
        mean=config.mean,
        std=config.std,
        filters=filters,
        stages=tuple(taken.stage for taken in stages),
        samples=tuple(
            Sample(
                name=data.name_of(int(index)),
                label=int(label),
                answers=tuple(classes.tolist()),
                shares=tuple(parts.tolist()),
                lows=tuple(taken.values[number].min().item() for taken in stages),
                highs=tuple(taken.values[number].max().item() for taken in stages),
            )
            for number, (index, label, classes, parts) in enumerate(
                zip(indices, labels, likeliest.indices, likeliest.values, strict=True)
            )
        ),
    )
    content = [values]
    for number in range(len(indices)):
        content.append(pixels[number].numpy().tobytes())
        content += [_as_bytes(taken.values[number]) for taken in stages]
    return maps_as_bytes(header, b"".join(content))


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
        stride=_pair(convolution.stride),
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


# Without a trace.


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients, from which the model comes back as it was."""
    modes: Sequence[tuple[nn.Module, bool]] = [(each, each.training) for each in model.modules()]
    gpus = {each.device for each in model.parameters() if each.device.type == "cuda"}
    with torch.random.fork_rng(devices=list(gpus)), torch.no_grad():
        try:
            model.eval()
            yield
        finally:
            for module, mode in modes:
                module.training = mode


@contextmanager
def _removed(handle: Any) -> Iterator[None]:  # noqa: ANN401 - PyTorch's RemovableHandle
    """A hook that is there for a while."""
    try:
        yield
    finally:
        handle.remove()
