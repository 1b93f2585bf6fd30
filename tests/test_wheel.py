"""The wheel alone, from another directory, without a network: it trains on its bundled digits."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from terminal import SET_SMALL

pytestmark = pytest.mark.xdist_group("wheel")  # built once

ROOT = Path(__file__).parents[1]
NO_NETWORK = Path(__file__).parent / "no_network"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pytest.importorskip("hatchling")
    directory = tmp_path_factory.mktemp("dist")
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(directory),
    ]
    subprocess.run([*command, str(ROOT)], check=True, capture_output=True)
    (built,) = directory.glob("*.whl")
    return built


def test_wheel_contains_its_data_files_and_only_its_packages(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for name in (
        "cnn_engine/configs/cifar10.toml",
        "cnn_engine/configs/config.schema.json",
        "cnn_engine/data/sources/digits/digits-images-idx3-ubyte.gz",
        "cnn_engine/data/sources/digits/LICENSE.md",
        "cnn_engine/py.typed",
        "cnn_tui/dashboard/app.tcss",
        "cnn_tui/doctor/doctor.schema.json",
        "cnn_tui/dashboard/screens/run.py",
    ):
        assert name in names
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"cnn_engine", "cnn_tui"}


def test_wheel_trains_on_digits_with_sockets_blocked(wheel, tmp_path):
    installed, elsewhere, home = (tmp_path / name for name in ("installed", "elsewhere", "home"))
    elsewhere.mkdir()
    home.mkdir(mode=0o500)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(installed), str(wheel)], check=True)
    attempts = tmp_path / "attempts"
    code = (
        "import cnn_engine, cnn_tui, sys; from cnn_tui.cli.app import main\n"
        "print(cnn_engine.__file__, cnn_tui.__file__, file=sys.stderr); main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "run", "digits", "--epochs", "2", *SET_SMALL],
        cwd=elsewhere,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "OMP_NUM_THREADS": "1",
            # Before the directories of an editable install, which come from a .pth file.
            "PYTHONPATH": os.pathsep.join([str(NO_NETWORK), str(installed)]),
            "NOTE_CONNECTIONS_IN": str(attempts),
        },
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert result.returncode == 0, result.stderr
    first_line = result.stderr.splitlines()[0]
    assert first_line.count(str(installed)) == 2, (
        f"the code that ran is not the wheel's: {first_line}"
    )
    assert "Test Accuracy (Overall)" in result.stdout
    assert not attempts.exists()
    assert [path.name for path in elsewhere.iterdir()] == ["runs"]
