"""Training in oneDNN's layout: the same values as in PyTorch's, and nothing hidden."""

import copy
import platform

import pytest
import torch
from torch.nn.functional import cross_entropy

from cnn_engine.config.schema import ModelConfig
from cnn_engine.models import mkldnn
from cnn_engine.models.build import build_model
from cnn_engine.models.cnn import CNN

HERE = platform.machine() in ("x86_64", "AMD64")
only_where_used = pytest.mark.skipif(not HERE, reason="only x86 processors train in this layout")


def network(channels: int = 3, size: int = 32, filters: tuple[int, ...] = (32, 64, 128)) -> CNN:
    torch.manual_seed(0)
    config = ModelConfig(filters=filters, hidden=(32,), dropout=0.0)
    model = build_model(config, channels, size, 5).to(memory_format=torch.channels_last)
    assert isinstance(model, CNN)
    return model


def learnt(
    model: CNN, images: torch.Tensor, dtype: torch.dtype = torch.float32
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What a step in training is made of: the loss, the gradients, and the norms' figures."""
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        loss = cross_entropy(model(images), torch.arange(len(images)) % 5)
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    figures = [figure.flatten().float() for figure in model.buffers()]
    return loss.detach(), torch.cat([each.flatten() for each in gradients]), torch.cat(figures)


@pytest.fixture(
    params=[
        (64, 3, 32, (32, 64, 128)),
        (7, 1, 28, (16, 32)),
        (5, 3, 17, (20, 10)),  # no whole blocks of channels, and maps that pooling leaves a row of
        (2, 3, 8, (1, 3, 5)),
    ],
    ids=str,
)
def task(request: pytest.FixtureRequest) -> tuple[CNN, torch.Tensor]:
    """A network and images for it."""
    batch, channels, size, filters = request.param
    return network(channels, size, filters), torch.randn(batch, channels, size, size)


@only_where_used
def test_a_step_is_the_same_as_in_pytorchs_layout(
    task: tuple[CNN, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, images = task
    plain = copy.deepcopy(model)
    ours = learnt(model, images)
    monkeypatch.setattr(mkldnn, "_is_faster", lambda _: False)
    theirs = learnt(plain, images)
    for mine, yours in zip(ours, theirs, strict=True):
        assert (mine - yours).norm() < 1e-4 * yours.norm()


@only_where_used
def test_in_bf16_a_step_is_as_near_to_that_in_fp32_as_in_pytorchs_layout(
    task: tuple[CNN, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, images = task
    plain, exact = copy.deepcopy(model), copy.deepcopy(model)
    ours = learnt(model, images, torch.bfloat16)
    monkeypatch.setattr(mkldnn, "_is_faster", lambda _: False)
    theirs, true = learnt(plain, images, torch.bfloat16), learnt(exact, images)
    for mine, yours, right in zip(ours, theirs, true, strict=True):
        assert (mine - right).norm() < 1.3 * (yours - right).norm() + 1e-2 * right.norm()
        assert (mine - right).norm() < 0.15 * right.norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("block", [0, 1, 2])
def test_a_weight_that_is_not_a_number_shows_in_the_loss(
    block: int, value: float, dtype: torch.dtype
) -> None:
    """To oneDNN's pooling it is less than any number, and its maps would be zeros."""
    model = network()
    with torch.no_grad():
        model.blocks[block][0].weight[0, 0, 0, 0] = value  # type: ignore[index]
    loss, gradients, _ = learnt(model, torch.randn(8, 3, 32, 32), dtype)
    assert loss.isnan()
    assert gradients.isnan().all()


@only_where_used
def test_training_is_in_this_layout() -> None:
    layouts = []
    model = network().train()
    model.blocks[-1].register_forward_hook(lambda *found: layouts.append(found[2].is_mkldnn))
    assert not model(torch.randn(2, 3, 32, 32)).is_mkldnn
    assert layouts == [True]


def test_elsewhere_and_in_evaluation_the_layout_is_pytorchs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(_: torch.Tensor) -> torch.Tensor:
        raise AssertionError

    monkeypatch.setattr(mkldnn, "_to_mkldnn", refused)
    images = torch.randn(2, 3, 32, 32)
    assert network().eval()(images).shape == (2, 5)
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert network().train()(images).shape == (2, 5)


@only_where_used
def test_bf16_trains_in_pytorchs_layout_where_the_processor_has_no_convolution_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    packed = []

    def noted(images: torch.Tensor) -> torch.Tensor:
        packed.append(images.dtype)
        return images.to_mkldnn()

    monkeypatch.setattr(mkldnn, "_has_bf16_convolution", lambda: False)
    monkeypatch.setattr(mkldnn, "_to_mkldnn", noted)
    images = torch.randn(2, 3, 32, 32)
    loss, gradients, _ = learnt(network(), images, torch.bfloat16)
    assert loss.isfinite()
    assert gradients.isfinite().all()
    assert packed == []
    learnt(network(), images)
    assert packed == [torch.float32]
