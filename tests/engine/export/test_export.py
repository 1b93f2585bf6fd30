"""`cnn-tui export`: other programs get the same predictions from exported models."""

import json
import os
import runpy
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cnn_engine.config.schema import TrainConfig
from cnn_engine.data import preprocess
from cnn_engine.errors import ConfigError, StorageError
from cnn_engine.export import folder, onnx_file, torch_program
from cnn_engine.export.model import Exported, load
from cnn_engine.inference.trained import load_trained_model
from cnn_engine.system.installation import extra_command
from recorded_loops import recorded_loop
from runs_for_tests import RunForTests
from terminal import environment

pytestmark = pytest.mark.xdist_group("export")  # one worker exports for all of them

FORMATS = ("onnx", "safetensors", "torch-export")

BLOCKED = {
    "onnx": ("torch", "cnn_engine", "cnn_tui", "safetensors"),
    "torch-export": ("cnn_engine", "cnn_tui", "onnx", "onnxruntime", "safetensors"),
    "safetensors": ("onnx", "onnxruntime", "onnxscript"),
}
"""Packages that the example of a format must run without."""

OWN_NETWORK = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self, *, channels, image_size, class_count):
        super().__init__(nn.Flatten(), nn.Linear(channels * image_size ** 2, class_count))
"""

TOLERANCE = 1e-5
"""Maximum absolute difference of probabilities."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a directory with an fp32 run on colour images, and the run."""
    directory = tmp_path_factory.mktemp("work")
    generator = np.random.default_rng(0)
    for label, name in enumerate(("cat", "a\x1b[2J[red]", "=dog")):
        path = directory / "photos" / name
        path.mkdir(parents=True)
        for number in range(20):
            noise = generator.integers(0, 100, (20, 30, 3)) + 70 * label
            Image.fromarray(noise.astype(np.uint8)).save(path / f"{number}.png")
    settings = (f"data.path={directory / 'photos'}", "train.epochs=2", "train.precision=fp32")
    settings += ("data.mean=[0.4, 0.5, 0.6]", "data.std=[0.2, 0.25, 0.3]", "data.fit=pad")
    settings += ("data.max_value=4095",)
    run = RunForTests(directory / "runs", *settings, preset="folder").train().directory
    return directory, run


@pytest.fixture(scope="module")
def exported(trained):
    """Export in each format; return the directory with the folders."""
    directory, _ = trained
    exports = [["export", "latest", "--to", name, "-o", name] for name in FORMATS]
    for name, (code, out, errors) in zip(FORMATS, run_in_turn(exports, directory), strict=True):
        assert (code, out) == (0, f"{name}\n"), errors
        assert errors == f"Try it: python {name}/example.py IMAGE\n"  # no warnings of PyTorch
    return directory


IN_TURN = """
import json, sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from cnn_tui.cli.app import main
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["cnn-tui", *arguments]
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as errors:
        try:
            main()
        except SystemExit as end:
            code = end.code
    print(json.dumps([code, out.getvalue(), errors.getvalue()]))
"""


def run_in_turn(commands, directory):
    """Run commands in one new process; return exit code, stdout and stderr of each."""
    result = subprocess.run(
        [sys.executable, "-c", IN_TURN, json.dumps(commands)],
        check=False,
        capture_output=True,
        text=True,
        cwd=directory,
        env=environment(),
    )
    assert (result.returncode, result.stderr) == (0, "")  # nothing from native code either
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def export(run_cli, trained):
    """Return a function that runs `export latest`: exit code, stdout, stderr."""
    return lambda *arguments: run_cli("export", "latest", *arguments, cwd=trained[0])


def block_imports(directory, *names):
    """Create a folder that, first on the path, makes imports of these modules fail."""
    directory.mkdir(exist_ok=True)
    for name in names:
        text = f"raise ModuleNotFoundError('not installed', name={name!r})"
        (directory / f"{name}.py").write_text(text)
    return str(directory)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Create image files: rotated, transparent, of 12 bits, with damaged or much metadata."""
    directory = tmp_path_factory.mktemp("photographs")
    shades = np.linspace(0, 255, 300 * 200 * 3).reshape(300, 200, 3).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(shades).save(directory / "rotated.jpg", exif=exif)
    transparent = Image.fromarray(shades[:30, :20]).convert("RGBA")
    transparent.putalpha(Image.linear_gradient("L").resize(transparent.size))
    transparent.save(directory / "transparent.png")
    deep = shades[:30, :20, 0].astype(np.uint16) * 16
    Image.fromarray(deep).save(directory / "deep.png")
    damaged = b"Exif\0\0II*\0\x08\0\0\0\x05\0\x0f\x01"
    Image.fromarray(shades).save(directory / "damaged.png", exif=damaged)
    text = PngInfo()
    text.add_text("workflow", "x" * 1_200_000, zip=True)
    Image.fromarray(shades).save(directory / "text.png", pnginfo=text)
    names = ("rotated.jpg", "transparent.png", "deep.png", "damaged.png", "text.png")
    return [directory / name for name in names]


@pytest.fixture
def predicted(trained, photos, run_cli):
    """Return the predictions of `predict` for the photos."""
    _, out, _ = run_cli("predict", "latest", "--json", *photos, cwd=trained[0])
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.parametrize(
    ("name", "number"),
    [*(("onnx", number) for number in range(5)), ("torch-export", 0), ("safetensors", 0)],
)
def test_example_predicts_the_same_as_predict(  # noqa: PLR0917
    exported, photos, predicted, tmp_path, name, number
):
    paths = [block_imports(tmp_path / "blocked", *BLOCKED[name])]
    if name == "safetensors":
        paths += environment()["PYTHONPATH"].split(os.pathsep)
    result = subprocess.run(
        [sys.executable, str(exported / name / "example.py"), str(photos[number])],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
    )
    assert result.stderr == ""
    predicted_class, _, probability = result.stdout.rstrip("\n").rpartition(" ")
    assert predicted_class == predicted[number]["class"]
    assert abs(float(probability) - predicted[number]["probability"]) < TOLERANCE


@pytest.fixture
def example_error(exported, tmp_path, monkeypatch, capsys):
    """Return a function that runs an example in this process; it returns the message of the end."""
    monkeypatch.chdir(tmp_path)

    def run(name, *arguments):
        program = exported / name / "example.py"
        monkeypatch.setattr(sys, "argv", [str(program), *arguments])
        monkeypatch.delitem(sys.modules, "preprocess", raising=False)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(program.parent)
            with pytest.raises(SystemExit) as end:
                runpy.run_path(str(program), run_name="__main__")
        assert sys.modules.pop("preprocess").__file__ == str(program.parent / "preprocess.py")
        assert capsys.readouterr() == ("", "")
        return end.value.code  # Python prints a text, and ends with exit code 1

    return run


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("onnx", []), ("onnx", ["nowhere.jpg"]), ("torch-export", []), ("safetensors", [])],
)
def test_example_without_an_image_says_how_it_is_called(exported, example_error, name, arguments):
    """`python example.py` ended in an IndexError."""
    program = exported / name / "example.py"
    assert example_error(name, *arguments) == f"usage: python {program} IMAGE"


@pytest.mark.parametrize("name", FORMATS)
def test_example_names_a_file_that_cannot_be_used(example_error, tmp_path, name):
    Image.new("P", (9, 9)).save(tmp_path / "unsupported.pcx")
    (tmp_path / "text.png").write_text("text")
    for file, reason in (
        ("unsupported.pcx", "has the unsupported format PCX"),
        ("text.png", "cannot identify image file"),
    ):
        error = example_error(name, file)
        assert error.startswith(f"{file}: cannot be used: {reason}")
        assert "\n" not in error


def test_safetensors_export_names_the_module_of_ones_own_network(write_module, tmp_path, run_cli):
    write_module("ownnet", OWN_NETWORK)
    settings = ("model.name='ownnet:Net'", "train.epochs=1", "train.precision=fp32")
    run = RunForTests(tmp_path / "runs", *settings).train()
    assert run.live_state.status == "done"
    options = ("--allow-code", "--to", "safetensors", "-o", "model")
    code, _, errors = run_cli("export", "latest", *options, cwd=tmp_path)
    assert code == 0, errors
    needed = "the module ownnet in that folder or the current directory"
    assert errors.splitlines()[-1] == f"It needs {needed}"
    program = tmp_path / "model" / "example.py"
    first_line = program.read_text().splitlines()[0]
    assert "Needs: cnn-tui, safetensors, and the module ownnet" in first_line
    image = tmp_path / "grey.png"
    Image.new("L", (8, 8)).save(image)
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(tmp_path / "ownnet.py", tmp_path / "model")
    result = subprocess.run(
        [sys.executable, program, image],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path / "elsewhere",
        env=environment(),
    )
    assert result.stdout[0].isdigit()


@pytest.mark.parametrize("count", [1, 7, 64])
def test_onnx_model_matches_for_any_batch_size(exported, trained, count):
    session = onnxruntime.InferenceSession(exported / "onnx" / "model.onnx")
    (images_info,), (output_info,) = session.get_inputs(), session.get_outputs()
    assert (images_info.name, images_info.type, images_info.shape) == (
        "images",
        "tensor(uint8)",
        ["N", 8, 8, 3],
    )
    assert (output_info.name, output_info.type, output_info.shape) == (
        "probabilities",
        "tensor(float)",
        ["N", 3],
    )
    images = np.random.default_rng(count).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    (probabilities,) = session.run(None, {"images": images})
    model = load_trained_model(trained[1], TrainConfig(device="cpu", precision="fp32"))
    expected = model.logits(torch.from_numpy(images)).softmax(1).numpy()
    assert np.abs(probabilities - expected).max() < TOLERANCE


@pytest.mark.parametrize(("opset", "ir", "runtime"), [(None, 8, "1.14"), (20, 9, "1.17")])
def test_onnx_export_states_the_runtime_it_needs(  # noqa: PLR0917
    exported, export, tmp_path, opset, ir, runtime
):
    """The operator set, IR version and oldest runtime are stated (microsoft/onnxruntime#20559)."""
    path = exported / "onnx"
    if opset is not None:
        path = tmp_path / "model"
        code, _, errors = export("--to", "onnx", "--opset", opset, "-o", path)
        assert code == 0, errors
    about = json.loads((path / "model.json").read_text())
    assert (about["opset"], about["ir_version"]) == (opset or 18, ir)
    assert about["needs"] == f"onnxruntime>={runtime}"
    proto = onnx.load(path / "model.onnx")
    assert proto.ir_version == ir
    assert {(item.domain, item.version) for item in proto.opset_import} == {("", opset or 18)}
    assert b"site-packages" not in proto.SerializeToString()  # no stack traces
    program = (path / "example.py").read_text()
    assert f"onnxruntime>={runtime}" in program.splitlines()[0]
    compile(program, "example.py", "exec")


def test_opset_that_cannot_be_written_is_refused(export, tmp_path):
    code, _, errors = export("--to", "onnx", "--opset", "11", "-o", tmp_path / "model")
    assert (code, errors.splitlines()[-1]) == (
        2,
        "cnn-tui: --opset 11: PyTorch writes operator sets 18 to 23",
    )
    code, _, errors = export("--to", "safetensors", "--opset", "18", "-o", tmp_path / "model")
    assert code == 2
    assert "--opset: is only for --to onnx, not for --to safetensors" in errors
    assert not (tmp_path / "model").exists()


def test_torch_export_program_matches_for_any_batch_size(exported, trained):
    program = torch.export.load(exported / "torch-export" / "model.pt2").module()
    images = torch.randint(0, 256, (5, 8, 8, 3), dtype=torch.uint8)
    model = load_trained_model(trained[1], TrainConfig(device="cpu", precision="fp32"))
    assert torch.allclose(program(images), model.logits(images).softmax(1), atol=TOLERANCE)


def test_safetensors_weights_equal_the_checkpoint(exported, trained):
    best = torch.load(trained[1].path / "best.pt", weights_only=True)["model"]
    with safetensors.safe_open(exported / "safetensors" / "model.safetensors", "pt") as file:
        assert set(file.keys()) == set(best)
        for name, values in best.items():
            assert file.get_tensor(name).equal(values)


@pytest.mark.parametrize("name", FORMATS)
def test_export_contains_files_to_use_the_model(exported, trained, name):
    text = (exported / name / "model.json").read_text()
    metadata = json.loads(text)
    assert metadata["format"] == name
    assert metadata["classes"] == ["=dog", "a\x1b[2J[red]", "cat"]
    assert (metadata["size"], metadata["channels"], metadata["fit"]) == (8, 3, "pad")
    assert metadata["max_value"] == 4095
    assert metadata["normalisation"] == {
        "done_by_the_model": name != "safetensors",
        "mean": [0.4, 0.5, 0.6],
        "std": [0.2, 0.25, 0.3],
    }
    assert metadata["run"] == trained[1].id
    assert 0 <= metadata["test_accuracy"] <= 1
    assert (exported / name / metadata["file"]).is_file()
    assert (exported / name / "preprocess.py").read_bytes() == Path(
        preprocess.__file__
    ).read_bytes()
    assert "photos" not in text  # no path of the images


# The output folder.


def test_default_folder_is_named_after_the_run_and_not_overwritten(export, trained):
    name = f"{trained[1].id}-safetensors"
    assert export("--to", "safetensors")[:2] == (0, f"{name}\n")
    model = trained[0] / name / "model.safetensors"
    before = model.stat().st_ino
    code, out, errors = export("--to", "safetensors")
    assert (code, out) == (2, "")
    assert f"{name}: already exists; replace it with --force" in errors
    assert model.stat().st_ino == before
    (trained[0] / name / "__pycache__").mkdir()
    assert export("--to", "safetensors", "--force")[0] == 0
    assert model.stat().st_ino != before
    assert sorted(path.name for path in trained[0].iterdir() if name in path.name) == [name]


def test_folder_with_other_files_is_not_replaced(export, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    code, _, errors = export("--to", "safetensors", "--force", "-o", tmp_path)
    assert code == 2
    assert "contains a file that is not part of this export (letter.txt)" in errors
    code, _, errors = export("--to", "safetensors", "--force", "-o", tmp_path / "letter.txt")
    assert code == 2
    assert "is not a folder" in errors
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_unwritable_directory_is_reported(export, tmp_path):
    (tmp_path / "file").touch()
    code, out, errors = export("--to", "safetensors", "-o", tmp_path / "file" / "model")
    assert (code, out) == (5, "")
    assert "file/model: cannot be written: Not a directory" in errors


FILES = {"a": b"1", "b": b"2"}


@pytest.mark.parametrize("failing", [1, 2])
def test_full_disk_keeps_previous_export(tmp_path, monkeypatch, failing):
    folder.write_folder(tmp_path / "x", FILES, replace=False)
    calls, real = [], folder.write_atomically

    def write(path, content):
        calls.append(path)
        if len(calls) == failing:
            raise OSError(28, "No space left on device")
        real(path, content)

    monkeypatch.setattr(folder, "write_atomically", write)
    with pytest.raises(StorageError, match="No space left"):
        folder.write_folder(tmp_path / "x", {"a": b"3", "b": b"4"}, replace=True)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "x").iterdir()} == FILES


def test_failed_rename_keeps_previous_export(tmp_path, monkeypatch):
    folder.write_folder(tmp_path / "x", FILES, replace=False)
    real = Path.rename

    def rename(path, target):
        if path.name.endswith(".new"):
            raise OSError(5, "Input/output error")
        return real(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(StorageError, match="Input/output error"):
        folder.write_folder(tmp_path / "x", {"a": b"3", "b": b"4"}, replace=True)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "x").iterdir()} == FILES


# Requirements.


@pytest.mark.parametrize(
    ("name", "missing"),
    [("safetensors", "safetensors"), ("onnx", "onnx"), ("onnx", "onnxscript")],
)
def test_error_names_missing_library_and_how_to_install_it(
    export, monkeypatch, tmp_path, name, missing
):
    for module in [module for module in sys.modules if module.split(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.syspath_prepend(block_imports(tmp_path / "blocked", missing))
    code, out, errors = export("--to", name, "-o", tmp_path / "model")
    assert (code, out) == (2, "")
    command = extra_command("export")
    assert errors == f"cnn-tui: export: needs {missing}; install it with: {command}\n"
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("network", ["whitened", "resnet"])
def test_every_model_can_be_exported(trained, tmp_path, network):
    settings = (f"data.path={trained[0] / 'photos'}", f"model.name={network}", "train.epochs=1")
    run = RunForTests(tmp_path, *settings, "train.precision=fp32", preset="folder").train()
    session = onnxruntime.InferenceSession(onnx_file.export(run.directory)["model.onnx"])
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    (probabilities,) = session.run(None, {"images": images})
    expected = load(run.directory).classifier(torch.from_numpy(images)).detach().numpy()
    assert np.abs(probabilities - expected).max() < TOLERANCE
    program = torch.export.load(BytesIO(torch_program.export(run.directory)["model.pt2"]))
    probabilities = program.module()(torch.from_numpy(images)).detach().numpy()
    assert np.abs(probabilities - expected).max() < TOLERANCE


class DataDependent(torch.nn.Module):
    """A network with control flow that depends on its values."""

    def forward(self, images):
        return images.flatten(1)[:, :3] if images.sum() > 0 else images.flatten(1)[:, 1:4]


def test_unexportable_model_is_reported(trained):
    model = load(trained[1])
    model.classifier.network = DataDependent()
    with pytest.raises(ConfigError, match=r"cannot export this network \(.*--to safetensors"):
        Exported.program(model)


def test_damaged_model_is_not_exported(export, trained, tmp_path, monkeypatch):
    best = trained[1].path / "best.pt"
    content = best.read_bytes()
    try:
        best.write_bytes(content[:3000])
        code, out, errors = export("--to", "onnx", "-o", tmp_path / "model")
    finally:
        best.write_bytes(content)
    assert (code, out) == (3, "")
    assert "best.pt: is damaged" in errors
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(("to", "library"), [("onnx", "onnx"), ("safetensors", "safetensors")])
def test_missing_model_is_reported_before_a_missing_library(
    tmp_path, run_cli, monkeypatch, to, library
):
    recorded_loop(tmp_path / "runs", epochs=1)
    monkeypatch.setitem(sys.modules, library, None)
    code, _, errors = run_cli("export", "latest", "--to", to, cwd=tmp_path)
    assert code == 2
    assert "another program trains it: it has no model of cnn-tui" in errors


def test_onnx_export_of_too_many_weights_names_other_formats(trained, monkeypatch):
    monkeypatch.setattr(onnx_file, "MAX_BYTES", 1_000)
    with pytest.raises(ConfigError, match=r"an ONNX file holds at most 2 GB; use --to torch-exp"):
        onnx_file.export(trained[1])
