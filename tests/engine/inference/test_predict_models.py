"""Damaged and malicious models, refused by `cnn-tui predict`."""

import io
import os
import pickle
import shutil

import pytest
import torch

from cnn_engine.checkpoints.format import START, checksum_footer
from cnn_engine.runs.directory import RunDirectory


@pytest.fixture
def copied(pets, tmp_path):
    """Return a directory with a copy of the run that a test may damage, and the copy."""
    shutil.copytree(pets[1].path, tmp_path / "runs" / pets[1].id)
    return tmp_path, RunDirectory(tmp_path / "runs" / pets[1].id)


class Malicious:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return os.mkdir, (str(self.canary),)


def checkpoint_bytes(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue() + checksum_footer(buffer.getvalue(), START)


def damage(kind, path, canary):
    match kind:
        case "missing":
            path.unlink()
        case "cut short":
            path.write_bytes(path.read_bytes()[:5000])
        case "malicious":
            path.write_bytes(checkpoint_bytes({"model": Malicious(canary)}))
        case "bare pickle":
            path.write_bytes(pickle.dumps(Malicious(canary)))
        case "no tensors":
            path.write_bytes(checkpoint_bytes({"model": {"dense.0.weight": 3}}))
        case "no epoch":
            content = torch.load(path, weights_only=True)
            del content["epoch"]
            path.write_bytes(checkpoint_bytes(content))


@pytest.mark.parametrize(
    ("kind", "code", "text"),
    [
        ("missing", 2, "has no model yet"),
        ("cut short", 3, "best.pt: is damaged, or not a checkpoint"),
        ("malicious", 3, "is not a checkpoint of cnn-tui"),
        ("bare pickle", 3, "is damaged, or not a checkpoint"),
        ("no tensors", 3, "is not a checkpoint of cnn-tui"),
        ("no epoch", 3, "does not contain its epoch"),
    ],
)
def test_damaged_model_is_refused_in_one_line(  # noqa: PLR0917
    pets, copied, command, kind, code, text
):
    directory, run = copied
    canary = directory / "canary"
    damage(kind, run.path / "best.pt", canary)
    exit_code, out, errors = command(pets[0] / "photos/test/cat/00.jpg", cwd=directory)
    assert (exit_code, out) == (code, "")
    assert text in errors
    assert errors.count("\n") == 1
    assert not canary.exists()
