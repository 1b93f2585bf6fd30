"""The JSON record, validated against its schema."""

import json
from importlib.resources import files

import jsonschema
import pytest

from cnn_tui.exports.json_record import write_json
from cnn_tui.exports.record import read_record, to_dict
from exports_for_tests import export_text
from golden import golden_run, running_run


def schema():
    return json.loads(files("cnn_tui.exports").joinpath("run.schema.json").read_text())


def reject_constant(constant):
    """Reject NaN and infinities, which are not valid JSON."""
    raise AssertionError(f"{constant} is not valid JSON")


@pytest.mark.parametrize("log", ["completed", "stopped", "resumed", "failed"])
def test_json_record_matches_its_schema(tmp_path, log):
    record = read_record(golden_run(tmp_path, log))
    values = json.loads(export_text(write_json, record), parse_constant=reject_constant)
    jsonschema.validate(values, schema())
    assert values["run_id"] == record.run.id
    assert (values["process_count"], values["processes"]) == (1, None)
    assert len(values["steps"]["loss"]) == len(record.state.curve)
    assert len(values["epochs_finished"]) == len(record.state.epochs)


@pytest.mark.parametrize("lines", [1, 2, 5, 7, 40])
def test_record_of_unfinished_run_matches_its_schema(tmp_path, lines):
    record = read_record(running_run(tmp_path, lines))
    jsonschema.validate(json.loads(export_text(write_json, record)), schema())


def test_record_of_several_processes_matches_its_schema(tmp_path):
    values = json.loads(export_text(write_json, read_record(golden_run(tmp_path, "distributed"))))
    jsonschema.validate(values, schema())
    assert values["process_count"] == 2
    assert values["step_parts"]["exchange"] > 0.3
    processes = values["processes"]
    assert (processes["hosts"], processes["devices"]) == (["box", "box"], ["cpu", "cpu"])
    assert processes["restarts"] == 1
    assert [round(seconds, 4) for seconds in processes["step_seconds"]] == [0.0048, 0.0047]
    assert len(processes["exchange_seconds"]) == len(processes["memory_bytes"]) == 2


def test_schema_rejects_invalid_records(completed):
    values = to_dict(completed)
    jsonschema.validate(values, schema())
    for invalid in ({"format_version": 2}, {"best_val_accuracy": 1.5}, {"classes": "ten"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(values | invalid, schema())


def test_record_of_another_loop_has_its_series(of_loop):
    values = json.loads(export_text(write_json, of_loop), parse_constant=reject_constant)
    jsonschema.validate(values, schema())
    assert (values["is_own"], values["loop"]["epochs"], values["prepared"]) == (False, 10, None)
    assert values["classes"] == ["cat", "dog", "frog", "ship"]
    assert values["config"] == {"config": {"lr": 0.1, "batch_size": 64}}
    assert values["series"]["val/f1"] == {"last": 0.9, "minimum": 0.4, "maximum": 0.9}
    assert values["series_points"]["val/f1"]["step"] == [40, 80, 120, 160, 200, 240]
