"""Renamed config keys are still read from files, overrides, run logs and summaries."""

import json

import pytest

from cnn_engine.config.presets import from_dict, load_config
from cnn_engine.errors import ConfigError
from cnn_engine.runlog.events import ConfigReplaced, RunStarted
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.summary import read_state, read_summary
from cnn_engine.session.request import Request
from event_samples import state_after
from golden import golden_run, rewrite_events
from runs_for_tests import RunForTests

OLD_KEYS = {"vector_lr": 0.02, "decay_vectors": False}


def test_old_keys_are_read_from_toml(tmp_path):
    path = tmp_path / "old.toml"
    path.write_text(
        '[data]\nsource = "digits"\n[optimizer]\nvector_lr = 0.02\ndecay_vectors = false\n'
    )
    optimizer = load_config(str(path)).optimizer
    assert (optimizer.bias_norm_lr, optimizer.decay_bias_norm) == (0.02, False)


def test_old_keys_are_read_from_overrides():
    overrides = ["optimizer.bias_norm_lr=1", "optimizer.vector_lr=0.02"]
    optimizer = load_config("digits", [*overrides, "optimizer.decay_vectors=false"]).optimizer
    assert (optimizer.bias_norm_lr, optimizer.decay_bias_norm) == (0.02, False)


def test_old_keys_are_read_from_run_config():
    tables = {"data": {"source": "digits"}, "optimizer": OLD_KEYS}
    optimizer = from_dict(tables).optimizer
    assert (optimizer.bias_norm_lr, optimizer.decay_bias_norm) == (0.02, False)
    assert tables["optimizer"] == OLD_KEYS
    optimizer = from_dict(tables, ["optimizer.bias_norm_lr=0.3"]).optimizer
    assert optimizer.bias_norm_lr == 0.3


def test_old_key_beside_new_key_is_an_error():
    tables = {"data": {"source": "digits"}, "optimizer": {"bias_norm_lr": 0.1, "vector_lr": 0.2}}
    with pytest.raises(ConfigError, match=r"optimizer\.vector_lr: unknown key"):
        from_dict(tables)


def with_old_keys(run: RunDirectory) -> RunDirectory:
    """Rewrite the run's log with the old config keys, and return the run."""

    def change(event):
        if isinstance(event, RunStarted):
            event.config["optimizer"] |= OLD_KEYS
            event.config["optimizer"].pop("bias_norm_lr", None)
            event.config["optimizer"].pop("decay_bias_norm", None)
        return event

    return rewrite_events(run, change)


def test_state_has_current_keys():
    tables = {"optimizer": OLD_KEYS | {"lr": 0.1}}
    replaced = ConfigReplaced(preset="digits", config=tables, reason="")
    expected = {"optimizer": {"bias_norm_lr": 0.02, "decay_bias_norm": False, "lr": 0.1}}
    assert state_after(replaced).config == expected


def test_summary_and_request_of_old_run_have_current_keys(tmp_path):
    run = with_old_keys(golden_run(tmp_path, "completed"))
    state, _ = read_state(run)
    assert state.started.config == state.config
    assert read_summary(run).config["optimizer"]["bias_norm_lr"] == 0.02
    optimizer = Request.from_run(run).config.optimizer
    assert (optimizer.bias_norm_lr, optimizer.decay_bias_norm) == (0.02, False)


def test_cached_summary_of_old_version_has_current_keys(tmp_path):
    run = golden_run(tmp_path, "completed")
    read_summary(run)
    cached = json.loads(run.summary.read_text())
    cached["config_json"] = json.dumps({"optimizer": OLD_KEYS})
    run.summary.write_text(json.dumps(cached))
    expected = {"optimizer": {"bias_norm_lr": 0.02, "decay_bias_norm": False}}
    assert read_summary(run).config == expected


def test_resume_of_old_run_keeps_its_values(tmp_path):
    settings = ("optimizer.bias_norm_lr=0.02", "optimizer.decay_bias_norm=false", "train.epochs=1")
    run = RunForTests(tmp_path, *settings).train()
    with_old_keys(run.directory)
    run.resume(epochs=2)
    assert (run.live_state.status, len(run.live_state.epochs)) == ("done", 2)
    assert run.live_state.setting("optimizer.bias_norm_lr") == 0.02
    assert run.live_state.setting("optimizer.decay_bias_norm") is False
