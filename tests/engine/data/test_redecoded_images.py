"""Runs whose image files another version of Pillow decodes a little differently."""

import numpy as np
import PIL
import pytest
import torch
from PIL import Image

from cnn_engine.checkpoints import checkpoint
from cnn_engine.checkpoints.format import LAST_FILE, Position
from cnn_engine.data.sources import folder
from cnn_engine.errors import DataError
from cnn_engine.inference.retest import retest
from cnn_engine.results.comparison import compare
from cnn_engine.system.environment_diff import DECODING_NAMES, environment_diff
from runs_for_tests import RunForTests

DIFFERENCES = (
    f"Pillow: 99.0, before {PIL.__version__}",
    "the same image files are decoded differently",
)


@pytest.fixture
def run(tmp_path):
    """Return a run of one epoch on a folder of images."""
    return train(tmp_path)


def train(tmp_path):
    generator = np.random.default_rng(0)
    for name, level in (("dark", 40), ("light", 200)):
        (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
        for number in range(20):
            pixels = generator.normal(level, 90, (8, 8, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number:02}.bmp")
    settings = (f"data.path={tmp_path / 'photos'}", "train.epochs=1", "model.filters=[4]")
    return RunForTests(tmp_path / "runs", *settings, preset="folder").train()


def update_pillow(monkeypatch, change=1):
    """Make the images be decoded by Pillow 99.0, with all values changed by `change`."""
    real = folder.decode
    monkeypatch.setattr(PIL, "__version__", "99.0")
    monkeypatch.setattr(folder, "DECODING", "99.0")
    monkeypatch.setattr(folder, "decode", lambda *arguments: real(*arguments) ^ np.uint8(change))


def retest_silently(run):
    return retest(run.directory, None, lambda *_: None)


def test_run_resumes_approximately_after_an_update_of_pillow(run, monkeypatch):
    """The same files, decoded differently, do not end a long run (Pillow#6536)."""
    update_pillow(monkeypatch)
    run.resume(epochs=2)
    assert run.engine.exit_code == 0
    assert run.live_state.prepared.differences == DIFFERENCES
    assert f"Resumed approximately, not bit for bit: {'; '.join(DIFFERENCES)}" in [
        notice.text for notice in run.live_state.notices
    ]
    monkeypatch.undo()
    run.resume(epochs=3)  # and back
    assert run.live_state.prepared.differences[0] == f"Pillow: {PIL.__version__}, before 99.0"


def test_test_is_repeated_after_an_update_of_pillow(run, monkeypatch):
    """`cnn-tui test` says that the same files are decoded differently."""
    update_pillow(monkeypatch)
    assert retest_silently(run).differences[-2:] == DIFFERENCES


def test_update_without_other_pixels_is_not_mentioned(run, monkeypatch):
    """A new version that decodes all images alike changes nothing."""
    update_pillow(monkeypatch, change=0)
    assert retest_silently(run).differences == ()
    run.resume(epochs=2)
    assert run.live_state.prepared.differences == ()


@pytest.mark.parametrize("is_updated", [False, True])
def test_other_images_are_refused(run, monkeypatch, tmp_path, is_updated):
    """Replaced files are refused: of other pixels, or after an update of other sizes."""
    if is_updated:
        update_pillow(monkeypatch)
    for path in (tmp_path / "photos").glob("*/*.bmp"):
        image = Image.open(path).transpose(Image.Transpose.ROTATE_180)
        image.save(path, "PNG" if is_updated else "BMP")
    with pytest.raises(DataError, match="test images have changed since"):
        retest_silently(run)
    run.resume(epochs=2)
    assert run.engine.exit_code == 3
    assert (
        "are not those that last.pt was trained on; restore them" in run.live_state.notices[-1].text
    )


def forget_versions(run):
    """Remove from the checkpoint what older versions did not record."""
    path = run.directory.path / LAST_FILE
    state = checkpoint.load(path, torch.device("cpu"))
    for name in (*DECODING_NAMES, "files", "images"):
        del state["environment"][name]
    checkpoint.save(path, state, Position(state["epoch"], state["step"]))


def test_runs_without_a_record_of_versions_name_the_cause(run, monkeypatch):
    """A checkpoint of an older version records only decoded pixels: the error names both causes."""
    forget_versions(run)
    run.resume(epochs=2)
    assert run.live_state.prepared.differences == ()
    forget_versions(run)
    update_pillow(monkeypatch)
    run.resume(epochs=3)
    assert run.engine.exit_code == 3
    assert (
        "or another version of Pillow decodes them differently" in run.live_state.notices[-1].text
    )


def test_runs_before_and_after_an_update_are_compared(run, monkeypatch, tmp_path):
    """McNemar's test compares two runs on the same files."""
    update_pillow(monkeypatch)
    other = train(tmp_path)
    comparison = compare([run.directory, other.directory])
    assert comparison.verdicts[0].disagreement is not None


def test_environment_diff_without_records():
    """Values that older logs lack are not compared."""
    new = {"Pillow": "13", "images": "a", "files": "b", "threads": "2"}
    assert environment_diff(new, {"threads": "4"}) == ("threads: 2, before 4",)
    assert environment_diff(new, {"images": "c"}) == ("images: a, before c",)
