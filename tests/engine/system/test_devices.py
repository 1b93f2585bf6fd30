"""Device placement in training, tested without a GPU on fake tensors of `cuda:0`."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)

from cnn_engine.config.presets import load_config
from cnn_engine.config.schema import TrainConfig
from cnn_engine.data import loader
from cnn_engine.data.augment.params import sample_params
from cnn_engine.data.dataset import load_dataset
from cnn_engine.data.loader import epoch_order, make_loader
from cnn_engine.errors import ConfigError
from cnn_engine.evaluation.evaluate import evaluate
from cnn_engine.evaluation.tta import TTAModel
from cnn_engine.inference.trained import TrainedModel
from cnn_engine.inspection.layers import inspect_layers
from cnn_engine.models.build import build_model
from cnn_engine.models.probe import check_model
from cnn_engine.system.device import autocast, choose_device, choose_precision
from cnn_engine.system.random_states import preserve_random_states, random_states, set_random_states
from cnn_engine.training.learner import Learner
from cnn_engine.training.step_inputs import StepInputs, plan_epoch
from cnn_engine.training.step_timer import StepTimer

SETTINGS = ("data.image_size=8", "model.filters=[8]", "model.hidden=[16]", "augment.translate=1")


pytestmark = [
    pytest.mark.filterwarnings("ignore:User provided device_type of 'cuda'"),
    pytest.mark.filterwarnings("ignore:CUDA is not available"),
]


@pytest.fixture
def gpu(monkeypatch):
    """Return the device chosen on a machine with a GPU; the CUDA driver is faked."""
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (1 << 40, 1 << 40))
    # A generator must not get a fake state.
    monkeypatch.setattr("cnn_engine.system.random_states.random_states", lambda _: {})
    monkeypatch.setattr("cnn_engine.system.random_states.set_random_states", lambda *_: None)
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: True)
        return choose_device(TrainConfig(device="cuda"))


@pytest.fixture
def config():
    return load_config("digits", SETTINGS)


@pytest.fixture
def data(config):
    """Return a data set of fake tensors."""
    real = load_dataset(config.data, 0, lambda *_: None)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        tensors = ("images", "labels", "train", "val", "test")
        yield replace(real, **{name: mode.from_tensor(getattr(real, name)) for name in tensors})


def network(config, gpu):
    with gpu:  # fake parameters cannot be moved later
        return build_model(config.model, 1, 8, 10)


def dense_layer(gpu):
    with gpu:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_chosen_device_equals_device_of_its_tensors(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: name == "cuda")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: name == "mps")
    chosen = [choose_device(TrainConfig(device=requested)) for requested in (name, "auto")]
    monkeypatch.undo()
    with FakeTensorMode():
        for device in chosen:
            assert torch.empty(1, device=device).device == device == torch.device(name, 0)


def test_batches_are_on_the_device_of_the_images(gpu, config, data):
    on_gpu = make_loader(gpu, data, config.data.mean, config.data.std)
    assert not on_gpu.is_staged
    images, labels = next(on_gpu.batches(data.train, 64))
    assert (images.device, labels.device) == (gpu, gpu)
    assert images.shape == (64, 1, 8, 8)


def test_step_inputs_are_on_the_device(gpu, config, data):
    on_gpu = make_loader(gpu, data, config.data.mean, config.data.std)
    order = epoch_order(data.train, 0, 1)
    params = sample_params(config.augment, order, data.images, (0.5,), 0, 1)
    inputs = StepInputs(on_gpu, len(order), 64, params)
    inputs.begin_epoch(plan_epoch(order, params, 64), 0)
    inputs.set_scalars(0, [(0.1, 0.2)] * 18)
    inputs.stage()
    images, labels = inputs.batch(64)
    assert (images.device, labels.device) == (gpu, gpu)
    assert [scalar.device for scalar in inputs.scalars()] == [gpu, gpu]


def test_learner_computes_loss_on_the_device(gpu, config, data, monkeypatch):
    monkeypatch.setattr(nn.Module, "to", lambda model, *_, **__: model)  # see `network`
    on_gpu = make_loader(gpu, data, config.data.mean, config.data.std)
    config = config.replaced("train", label_smoothing=0.1, precision="fp32")
    learner = Learner(network(config, gpu), config, data, on_gpu, StepTimer(gpu))
    learner.class_weights = torch.ones(10, device=gpu)
    images, labels = next(on_gpu.batches(data.train, 64))
    with learner.autocast():
        logits = learner.model(images)
        losses = learner._losses(logits, labels)
    assert {tensor.device for tensor in (logits, *losses)} == {gpu}
    assert learner.optimizer.current_lr.device == gpu


def test_evaluation_stays_on_the_device(gpu, config, data):
    """Fake tensors have no values, so evaluation fails where it counts predictions."""
    on_gpu = make_loader(gpu, data, config.data.mean, config.data.std)
    for model in (dense_layer(gpu), TTAModel(dense_layer(gpu), "mirror-shift")):
        progress = []
        with pytest.raises((DataDependentOutputException, DynamicOutputShapeException)):
            evaluate(model, on_gpu, data.test, 10, progress.append)
        assert progress == [len(data.test)]


def test_model_is_inspected_on_the_device(gpu, config, data):
    on_gpu = make_loader(gpu, data, config.data.mean, config.data.std)
    images, _ = next(on_gpu.batches(data.train[:1], 1))
    layers = inspect_layers(network(config, gpu), images).layers
    assert next(layer.name for layer in layers) == "blocks.0.0"


def test_user_model_is_checked_on_the_device(gpu, config, data, monkeypatch):
    # Copying a fake tensor would read memory that does not exist.
    monkeypatch.setattr("cnn_engine.models.probe.copy.deepcopy", lambda model: model)
    # Fake tensors have no values.
    monkeypatch.setattr("cnn_engine.models.probe._logits_warning", lambda *_: "")
    on_gpu = make_loader(gpu, data, config.data.mean, config.data.std)
    images, _ = next(on_gpu.batches(data.train[:3], 3))
    check_model(network(config, gpu), images, 10, "own:Net")


def test_trained_model_takes_images_from_the_cpu(gpu, config, data, monkeypatch):
    # Mean and standard deviation are real tensors, which cannot be moved to a fake GPU.
    normalized = torch.empty(5, 1, 8, 8, device=gpu)
    monkeypatch.setattr(TrainedModel, "normalize", lambda *_: normalized)
    trained = TrainedModel(
        model=dense_layer(gpu),
        config=config,
        classes=data.classes,
        image_shape=(1, 8, 8),
        epoch=1,
        device=gpu,
        precision="bf16",
    )
    logits = trained.logits(data.images[:5])
    assert (logits.device.type, logits.shape) == ("cpu", (5, 10))


def test_images_that_do_not_fit_stay_on_the_cpu(gpu, config, data, monkeypatch):
    monkeypatch.setattr(loader, "MAX_GPU_FRACTION", 0.0)
    staged = make_loader(gpu, data, config.data.mean, config.data.std)
    assert staged.is_staged
    assert staged.images.device.type == "cpu"
    assert (staged.labels.device, staged.scale.device) == (gpu, gpu)


def test_random_states_of_the_device_are_preserved(monkeypatch):
    state_of = {"mps": torch.tensor([1, 2], dtype=torch.uint8)}
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: state_of["mps"])
    monkeypatch.setattr(torch.mps, "set_rng_state", lambda state: state_of.update(mps=state))
    device = torch.device("mps", 0)
    before = random_states(device)
    assert before.keys() == {"cpu", "mps"}
    with preserve_random_states(device):
        state_of["mps"] = torch.tensor([9, 9], dtype=torch.uint8)
        torch.rand(3)
    assert state_of["mps"].tolist() == [1, 2]
    assert torch.equal(torch.get_rng_state(), before["cpu"])
    set_random_states(
        device, {"cpu": before["cpu"], "cuda": torch.zeros(1)}
    )  # saved on another machine
    assert state_of["mps"].tolist() == [1, 2]


def test_fp32_on_gpu_does_not_use_tf32(monkeypatch):
    cudnn, matmul = torch.backends.cudnn.conv, torch.backends.cuda.matmul
    before = cudnn.fp32_precision, matmul.fp32_precision, torch.backends.cudnn.benchmark
    for precision, used in [("fp32", "ieee"), ("tf32", "tf32")]:
        with autocast(torch.device("cuda", 0), precision, benchmark=True):
            assert (cudnn.fp32_precision, matmul.fp32_precision) == (used, used)
            assert torch.backends.cudnn.benchmark
    assert before == (cudnn.fp32_precision, matmul.fp32_precision, torch.backends.cudnn.benchmark)


@pytest.mark.parametrize("name", ["cpu", "mps"])
def test_tf32_is_refused_without_nvidia_gpu(name):
    with pytest.raises(ConfigError, match="tf32 needs an NVIDIA GPU"):
        choose_precision(TrainConfig(precision="tf32"), torch.device(name))
