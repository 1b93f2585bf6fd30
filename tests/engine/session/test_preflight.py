"""Errors that are found before a run directory exists, so that no failed run is left behind."""

import pytest

from cnn_engine.config.presets import load_config
from cnn_engine.session.request import Request
from cnn_engine.system import gpu_presence
from photos_for_tests import save_images

CPU = ("--no-ui", "--epochs", "1", "--device", "cpu")


@pytest.fixture
def photos(tmp_path):
    for name in ("cat", "dog"):
        save_images(tmp_path / "photos" / name)
    return tmp_path / "photos"


@pytest.fixture
def no_gpu(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_presence, "DRIVER_FILES", ())
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("folder", "--data-dir", "phtos"), 3, "phtos: is not a folder; pass the folder"),
        (("folder", "--data-dir=~/nowhere"), 3, "/home/nowhere: is not a folder"),
        (("folder", "--data-dir", "photos/cat"), 3, "photos/cat: contains images, but no class"),
        (("folder", "--data-dir", "phtos", "--detach"), 3, "phtos: is not a folder"),
        (("folder", "--data-dir", "phtos", "--repeat", "2"), 3, "phtos: is not a folder"),
        (
            ("fashion-mnist", "--data-dir", "phtos"),
            3,
            "Fashion-MNIST: no train-images-idx3-ubyte[.gz] in ",
        ),
        (("cifar10", "--data-dir", "photos/cat/000.png"), 3, "is not a directory"),
        (("digits", "--device", "cuda"), 2, "there is no 'cuda' device here; use auto or cpu"),
        (("digits", "--sweep", "train.device=cpu,cuda"), 2, "there is no 'cuda' device here"),
    ],
)
@pytest.mark.usefixtures("photos", "no_gpu")
def test_typing_errors_leave_no_run(run_cli, tmp_path, arguments, code, message):
    preset, *rest = arguments
    exit_code, out, error = run_cli("run", preset, "--no-ui", *rest, cwd=tmp_path)
    assert (exit_code, out) == (code, "")
    assert message in error
    assert error.startswith("cnn-tui: ")
    assert error.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("value", ["", "-1"])
def test_hidden_gpus_do_not_exist(monkeypatch, value):
    monkeypatch.setattr(gpu_presence, "DRIVER_FILES", ("/dev/null",))
    assert gpu_presence.may_exist("cuda")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert not gpu_presence.may_exist("cuda")
    assert gpu_presence.may_exist("auto")


def test_run_in_the_folder_of_images_passes_over_its_runs(photos, run_cli):
    """A folder of images may be the current directory (ultralytics#4310)."""
    for _ in range(2):
        code, _, error = run_cli("run", "folder", "--data-dir", ".", *CPU, cwd=photos)
        assert code == 0, error
    assert len(list((photos / "runs").iterdir())) == 2


def test_home_directory_is_expanded_in_config_files(photos, tmp_path, monkeypatch):
    """A path in TOML may start with `~` (maaslalani/nap#36, victorskl/yawsso#33)."""
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "p.toml"
    path.write_text('[data]\nsource = "folder"\npath = "~/photos"\n')
    assert load_config(str(path)).data.path == str(photos)
    assert load_config(str(path), ["data.path='~/x'"]).data.path == str(tmp_path / "x")
    monkeypatch.setenv("HOME", "")
    assert load_config("folder", ["data.path='~nobody at all/x'"]).data.path == "~nobody at all/x"


def test_weights_in_an_unknown_home_directory_are_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    request = Request.from_preset("digits", ["model.weights='~nobody at all/x.pth'"])
    assert request.config.model.weights == str(tmp_path / "~nobody at all" / "x.pth")
