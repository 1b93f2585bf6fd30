"""A run that starts from the weights of another one (`model.weights`)."""

import pytest
import torch

from cnn_engine.checkpoints import checkpoint
from cnn_engine.checkpoints.format import Position
from cnn_engine.export import safetensors_file
from cnn_engine.export.folder import write_folder
from cnn_engine.runlog.events import Notice
from cnn_engine.runs.lookup import find_run
from photos_for_tests import save_images
from runs_for_tests import RunForTests, events_of, last_weights

FROZEN = (
    "optimizer.name=sgd",
    *(f"optimizer.{key}=1e-30" for key in ("lr", "bias_norm_lr", "head_lr")),
)
"""Learning rates with which the weights stay as they are."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return a directory with the image folders `p`, of two classes, and `q`, of three."""
    directory = tmp_path_factory.mktemp("photos")
    for shade, name in enumerate(("p/cat", "p/dog", "q/red", "q/green", "q/blue")):
        save_images(directory / name, shade=60 * shade, count=20)
    return directory


NETWORKS = {
    "cnn": ("model.filters=[8, 8]", "model.hidden=[16]"),
    "resnet": ("model.name=resnet", "model.filters=[8, 8]"),
    "whitened": ("model.name=whitened", "model.filters=[8]", "data.image_size=16"),
    "torchvision": ("model.name=torchvision", "model.arch=shufflenet_v2_x0_5"),
}


def train(runs_dir, data, *settings):
    """Train one epoch on a folder."""
    settings = (*settings, f"data.path={data}", "train.epochs=1", "train.precision=fp32")
    run = RunForTests(runs_dir, *settings, preset="folder").train()
    assert run.live_state.status == "done", run.live_state.finished
    return run


def notices(run):
    return [event.text for event in events_of(run.directory, Notice)]


@pytest.mark.parametrize("network", NETWORKS)
def test_run_starts_from_the_best_weights_of_another(tmp_path, folders, network):
    """best.pt of a run is the next one's model.weights (ultralytics/ultralytics#25051)."""
    settings = NETWORKS[network]
    first = train(tmp_path, folders / "p", *settings)
    best = first.directory.path / "best.pt"
    second = train(tmp_path, folders / "q", *settings, *FROZEN, f"model.weights={best}")
    before = checkpoint.load(best, torch.device("cpu"))["model"]
    after = last_weights(second.directory)
    changed = {
        name
        for name in before
        if before[name].shape != after[name].shape
        or not torch.allclose(before[name], after[name], atol=1e-20)
    }
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    changed = {name for name in changed if not name.endswith(buffers)}
    (text,) = [text for text in notices(second) if text.startswith("Starts from")]
    heads = {name for name in after if after[name].shape != before[name].shape}
    assert changed == heads
    assert f"Starts from {best}: " in text
    assert f"all but {', '.join(heads_in_order(after, heads))}" in text
    assert not any("normalizes differently" in text for text in notices(second))


def heads_in_order(weights, heads):
    return [name for name in weights if name in heads]


def test_last_layer_is_kept_for_the_same_classes_only(tmp_path, folders):
    first = train(tmp_path, folders / "p", *NETWORKS["cnn"])
    other = tmp_path / "other"
    for shade, name in enumerate(("yes", "no")):
        save_images(other / name, shade=60 * shade, count=20)
    for data, expected in ((folders / "p", "16 of 16 tensors"), (other, "14 of 16 tensors, all")):
        run = train(
            tmp_path, data, *NETWORKS["cnn"], *FROZEN, f"model.weights={first.directory.path}"
        )
        assert any(f"best.pt: {expected}" in text for text in notices(run)), notices(run)


@pytest.mark.parametrize(
    "form", ["id", "word", "directory", "best.pt", "last.pt", "latest", "exported"]
)
def test_every_way_to_name_a_run(tmp_path, run_cli, form):
    first = RunForTests(tmp_path / "runs", "train.epochs=1").train().directory
    if form == "exported":
        write_folder(
            tmp_path / "runs" / first.id / form, safetensors_file.export(first), replace=False
        )
    reference = {
        "id": first.id,
        "word": first.id.rpartition("-")[2],
        "directory": f"runs/{first.id}",
        "latest": "latest",
    }.get(form, f"runs/{first.id}/{form}")
    small = ("data.image_size=8", "model.filters=[8]", "model.hidden=[16]", "train.device=cpu")
    settings = [word for key in small for word in ("--set", key)]
    code, _, errors = run_cli(
        *("run", "digits", "--no-ui", "--epochs", "1", "--set", f"model.weights={reference}"),
        *settings,
        cwd=tmp_path,
    )
    assert code == 0, errors
    file = {"last.pt": form, "exported": "exported/model.safetensors"}.get(form, "best.pt")
    second = find_run(tmp_path / "runs", "latest")
    assert second.id != first.id
    (notice,) = events_of(second, Notice)  # none about another normalization
    assert notice.text == f"Starts from {first.path.absolute() / file}: 10 of 10 tensors"


def test_unknown_run_is_refused_before_a_run_exists(tmp_path, run_cli):
    RunForTests(tmp_path / "runs", "train.epochs=1").train()
    code, _, errors = run_cli("run", "digits", "--set", "model.weights=nosuch", cwd=tmp_path)
    assert code == 2
    assert "model.weights: run 'nosuch': not found" in errors
    assert len([*(tmp_path / "runs").iterdir()]) == 1


def test_weights_of_another_network_are_refused(tmp_path, folders):
    first = train(tmp_path, folders / "p", *NETWORKS["cnn"])
    weights = f"model.weights={first.directory.path}"
    run = RunForTests(
        tmp_path, *NETWORKS["resnet"], weights, f"data.path={folders / 'p'}", preset="folder"
    ).train()
    finished = run.live_state.finished
    assert finished.exit_code == 2
    assert "best.pt fits this network" in finished.error


def test_part_of_a_network_is_loaded_and_listed(tmp_path, folders):
    first = train(tmp_path, folders / "p", *NETWORKS["cnn"])
    wider = ("model.filters=[8, 16]", "model.hidden=[16]")
    run = train(tmp_path, folders / "p", *wider, f"model.weights={first.directory.path}")
    (text,) = [text for text in notices(run) if text.startswith("Starts from")]
    assert "and" in text
    assert " more" in text


def test_other_normalization_is_reported(tmp_path, folders):
    first = train(tmp_path, folders / "p", *NETWORKS["cnn"], "data.mean=[0.1]")
    run = train(tmp_path, folders / "p", *NETWORKS["cnn"], f"model.weights={first.directory.path}")
    assert any("expect data.mean = [0.1] and data.std" in text for text in notices(run))


@pytest.mark.parametrize("damage", ["cut", "nan"])
def test_damaged_checkpoint_is_refused(tmp_path, folders, damage):
    first = train(tmp_path, folders / "p", *NETWORKS["cnn"])
    best = first.directory.path / "best.pt"
    if damage == "cut":
        best.write_bytes(best.read_bytes()[:500])
    else:
        content = checkpoint.load(best, torch.device("cpu"))
        next(iter(content["model"].values())).fill_(float("nan"))
        checkpoint.save(best, content, Position(1, 0))
    weights = f"model.weights={best}"
    run = RunForTests(
        tmp_path, *NETWORKS["cnn"], weights, f"data.path={folders / 'p'}", preset="folder"
    ).train()
    assert run.live_state.finished.exit_code == 3
    expected = {"cut": "is damaged", "nan": "has values that are NaN or infinite"}
    assert expected[damage] in run.live_state.finished.error


CODE = """
from torch import nn

def Net(*, channels, image_size, class_count):
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(4 * (image_size - 2) ** 2, class_count),
    )
"""


def test_network_of_the_user_starts_from_a_state_dict(tmp_path, write_module):
    """Weights of a wrapped network (`module.`) fit too."""
    write_module("startnet", CODE)
    weight = torch.randn(4, 1, 3, 3)
    torch.save({"module.0.weight": weight, "module.0.bias": torch.zeros(4)}, tmp_path / "x.pth")
    run = RunForTests(
        tmp_path / "runs", "model.name='startnet:Net'", "model.weights=x.pth", *FROZEN
    ).train()
    assert torch.equal(last_weights(run.directory)["0.weight"], weight)
    assert notices(run)[0].endswith("x.pth: 2 of 4 tensors, all but 3.weight, 3.bias")
