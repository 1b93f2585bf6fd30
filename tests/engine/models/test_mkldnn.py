"""Training in oneDNN's layout gives the same results as in PyTorch's, and keeps NaN."""

import copy
import platform

import pytest
import torch
from torch.nn.functional import cross_entropy

from cnn_engine.config.schema import ModelConfig
from cnn_engine.models import mkldnn
from cnn_engine.models.build import build_model
from cnn_engine.models.cnn import CNN

IS_X86 = platform.machine() in ("x86_64", "AMD64")
only_on_x86 = pytest.mark.skipif(not IS_X86, reason="the layout is used on x86 CPUs only")


def network(channels: int = 3, size: int = 32, filters: tuple[int, ...] = (32, 64, 128)) -> CNN:
    torch.manual_seed(0)
    config = ModelConfig(filters=filters, hidden=(32,), dropout=0.0)
    model = build_model(config, channels, size, 5).to(memory_format=torch.channels_last)
    assert isinstance(model, CNN)
    return model


def train_step(
    model: CNN, images: torch.Tensor, dtype: torch.dtype = torch.float32
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the loss, the gradients and the buffers of batch norm after a training step."""
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        loss = cross_entropy(model(images), torch.arange(len(images)) % 5)
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    buffers = [buffer.flatten().float() for buffer in model.buffers()]
    flat_gradients = torch.cat([gradient.flatten() for gradient in gradients])
    return loss.detach(), flat_gradients, torch.cat(buffers)


@pytest.fixture(
    params=[
        (64, 3, 32, (32, 64, 128)),
        (7, 1, 28, (16, 32)),
        (5, 3, 17, (20, 10)),  # channels that do not fill a block, and an odd side
        (2, 3, 8, (1, 3, 5)),
    ],
    ids=str,
)
def task(request: pytest.FixtureRequest) -> tuple[CNN, torch.Tensor]:
    """Return a network, and images for it."""
    batch, channels, size, filters = request.param
    return network(channels, size, filters), torch.randn(batch, channels, size, size)


@only_on_x86
def test_training_step_equals_pytorch_layout(
    task: tuple[CNN, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, images = task
    plain = copy.deepcopy(model)
    results = train_step(model, images)
    monkeypatch.setattr(mkldnn, "_is_faster", lambda _: False)
    references = train_step(plain, images)
    for result, reference in zip(results, references, strict=True):
        assert (result - reference).norm() < 1e-4 * reference.norm()


@only_on_x86
def test_bf16_step_is_as_accurate_as_in_pytorch_layout(
    task: tuple[CNN, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, images = task
    plain, fp32 = copy.deepcopy(model), copy.deepcopy(model)
    results = train_step(model, images, torch.bfloat16)
    monkeypatch.setattr(mkldnn, "_is_faster", lambda _: False)
    references, exact = train_step(plain, images, torch.bfloat16), train_step(fp32, images)
    for result, reference, value in zip(results, references, exact, strict=True):
        error, limit = (result - value).norm(), (reference - value).norm()
        assert error < 1.3 * limit + 1e-2 * value.norm()
        assert error < 0.15 * value.norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("block", [0, 1, 2])
def test_non_finite_weight_makes_the_loss_nan(block: int, value: float, dtype: torch.dtype) -> None:
    """oneDNN's max-pool and ReLU would turn NaN into 0."""
    model = network()
    with torch.no_grad():
        model.blocks[block][0].weight[0, 0, 0, 0] = value  # type: ignore[index]
    loss, gradients, _ = train_step(model, torch.randn(8, 3, 32, 32), dtype)
    assert loss.isnan()
    assert gradients.isnan().all()


@only_on_x86
def test_training_uses_the_mkldnn_layout() -> None:
    layouts = []
    model = network().train()
    model.blocks[-1].register_forward_hook(
        lambda *arguments: layouts.append(arguments[2].is_mkldnn)
    )
    assert not model(torch.randn(2, 3, 32, 32)).is_mkldnn
    assert layouts == [True]


def test_evaluation_and_other_processors_use_pytorch_layout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: torch.Tensor) -> torch.Tensor:
        raise AssertionError

    monkeypatch.setattr(mkldnn, "_to_mkldnn", refuse)
    images = torch.randn(2, 3, 32, 32)
    assert network().eval()(images).shape == (2, 5)
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert network().train()(images).shape == (2, 5)


@only_on_x86
def test_bf16_uses_pytorch_layout_without_avx512(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    converted = []

    def record(images: torch.Tensor) -> torch.Tensor:
        converted.append(images.dtype)
        return images.to_mkldnn()

    monkeypatch.setattr(mkldnn, "_has_bf16_convolution", lambda: False)
    monkeypatch.setattr(mkldnn, "_to_mkldnn", record)
    images = torch.randn(2, 3, 32, 32)
    loss, gradients, _ = train_step(network(), images, torch.bfloat16)
    assert loss.isfinite()
    assert gradients.isfinite().all()
    assert converted == []
    train_step(network(), images)
    assert converted == [torch.float32]
