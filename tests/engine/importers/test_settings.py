"""Settings of other programs become the config of an imported run."""

import json
import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn_engine.importers.importer import Importer
from cnn_engine.importers.open import open_source
from cnn_engine.importers.settings import flat_settings
from cnn_engine.importers.simple_yaml import parse_yaml
from cnn_engine.runlog.events import ConfigReplaced
from cnn_engine.runs.directory import create_run
from cnn_engine.runs.summary import read_state
from imports_for_tests import EventFile, import_run, import_text
from runs_for_tests import events_of

LIGHTNING = """\
betas: !!python/tuple
- 0.9
- 0.999
lr: 0.001   # of Adam
name: 'it''s: "small"'
empty: null
flags:
  amp: true
  nested:
    sizes: [8, 16]
    words: [a, b]
none: {}
device: !!python/object/apply:torch.device
- cuda
"""
ULTRALYTICS = """\
task: classify
epochs: 2
imgsz: 224
amp: true
freeze: null
save_dir: /runs/classify/train
"""
TIMM = """\
aa: rand-m9-mstd0.5
crop_pct: null
scheduler: none
lr_noise:
- 0.4
- 0.9
weight_decay: 2.0e-05
description: "A caf\\xE9, and a text that is so long that it is continued on\\
  \\ the next line."
comment: plain words that are
  continued here
text: |
  first
  second
"""


def config_of(tmp_path, files):
    """Import a log beside other files; return the run's config."""
    directory = Path(tempfile.mkdtemp(dir=tmp_path))
    for name, content in files.items():
        (directory / name).write_text(content)
    return read_state(import_run(directory, directory))[0].config


TWO = "epoch,train_loss,val_loss\n0,2,3\n1,1,2\n"


def test_settings_beside_a_log_are_the_config(tmp_path):
    assert config_of(tmp_path, {"metrics.csv": TWO, "hparams.yaml": LIGHTNING}) == {
        "config": {
            "betas": [0.9, 0.999],
            "lr": 0.001,
            "name": 'it\'s: "small"',
            "flags.amp": True,
            "flags.nested.sizes": [8, 16],
            "flags.nested.words": ["a", "b"],
            "none": "{}",
            "device": ["cuda"],
        }
    }
    assert config_of(tmp_path, {"summary.csv": TWO, "args.yaml": TIMM}) == {
        "config": {
            "aa": "rand-m9-mstd0.5",
            "scheduler": "none",
            "lr_noise": [0.4, 0.9],
            "weight_decay": 2e-5,
            "description": "A café, and a text that is so long that it is continued on the "
            "next line.",
            "comment": "plain words that are continued here",
            "text": "first\nsecond",
        }
    }
    history = '{"args": {"lr": 0.1, "model": {"depth": 18}}, "history": {"loss": [2, 1]}}'
    assert config_of(tmp_path, {"history.json": history}) == {
        "config": {"lr": 0.1, "model.depth": 18}
    }
    assert config_of(tmp_path, {"log.csv": TWO}) == {}


def test_planned_epochs_are_those_of_the_settings(tmp_path):
    for name, content in (("results.csv", TWO), ("args.yaml", ULTRALYTICS)):
        (tmp_path / name).write_text(content)
    state, _ = read_state(import_run(tmp_path, tmp_path / "results.csv"))
    assert (state.total_epochs, len(state.epochs)) == (2, 2)
    assert state.setting("config.imgsz") == 224


def test_hyperparameters_of_tensorboard_are_the_config(tmp_path):
    event_file = EventFile(tmp_path / "tb").scalar("loss", 1, 2.0)
    event_file.close()
    values = {"lr": 0.1, "layers": 18, "name": "small", "amp": True, "limit": 1e30}
    EventFile(tmp_path / "tb" / "1790000000.5").hparams(values).scalar("acc", 0, 0.9).close()
    state, _ = read_state(import_run(tmp_path, tmp_path / "tb"))
    assert state.config == {"config": values}
    assert list(state.series) == ["loss"]
    EventFile(tmp_path / "one").hparams({"lr": 1.5}).scalar("loss", 1, 2.0).close()
    assert read_state(import_run(tmp_path, tmp_path / "one"))[0].setting("config.lr") == 1.5


def test_settings_that_come_later_replace_those_of_a_followed_run(tmp_path):
    (tmp_path / "metrics.csv").write_text(TWO)
    run = create_run(tmp_path / "runs")
    importer = Importer(open_source(tmp_path / "metrics.csv"), run)
    importer.poll()
    (tmp_path / "hparams.yaml").write_text("lr: 1\n")
    importer.close(ended=True)
    assert read_state(run)[0].config == {"config": {"lr": 1}}
    assert len(events_of(run, ConfigReplaced)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "- 1\n- [",
        "? x\n: y",
        "a: *b",
        "{",
        "x: {a: 1",
        "\t: \n",
        'a: "\\q',
        "a: !!x\n - y: 1\n  z",
    ],
)
def test_settings_that_are_not_understood_stop_no_import(tmp_path, text):
    (tmp_path / "args.yaml").write_text(text)
    assert len(read_state(import_text(tmp_path, TWO))[0].epochs) == 2


def test_values_that_the_log_cannot_hold_are_texts(tmp_path):
    values = {"a": math.inf, "b": math.nan, "c": 1 << 70, "d": [[1]]}
    log = json.dumps({"params": values, "loss": [2, 1]})
    state, damaged = read_state(import_text(tmp_path, log, "log.json"))
    assert damaged == 0
    assert state.config["config"] == {"a": "inf", "b": "nan", "c": str(1 << 70), "d": [[1]]}


@settings(deadline=None, max_examples=200)
@given(
    st.one_of(
        st.text(max_size=60),
        st.text(" \n-:ab1'\"[]{}#|>!&*,.", max_size=80),
        st.lists(st.sampled_from(["a:", "- ", "  ", "\n", "b: 1", "'", "|", "[1, 2]"]), max_size=20)
        .map("".join),
    )
)  # fmt: skip
def test_any_text_is_read(text):
    for value in flat_settings(parse_yaml(text)).values():
        assert isinstance(value, str | int | float | bool | list)
