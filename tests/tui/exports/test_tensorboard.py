"""TensorBoard exports, read back with TensorBoard."""

import math
from dataclasses import replace

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cnn_engine.errors import ConfigError
from cnn_engine.runlog.events import StepsFinished
from cnn_engine.runs.history import read_steps
from cnn_tui.exports.formats import export_record
from cnn_tui.exports.markdown import write_markdown
from exports_for_tests import export_text
from golden import golden_run, rewrite_events


def tensorboard_of(run, path, part):
    """Export the run, and return the accumulator of its part `train`, `val` or `test`."""
    export_record([run], "tensorboard", path)
    accumulator = EventAccumulator(
        str(path / run.id / part), size_guidance={"scalars": 0, "tensors": 0}
    )
    return accumulator.Reload()


def test_tensorboard_reads_training_loss_and_learning_rate(resumed, tmp_path):
    train = tensorboard_of(resumed.run, tmp_path / "tb", "train")
    losses = train.Scalars("loss")
    curve = resumed.state.curve
    assert [point.step for point in losses] == list(curve.steps)
    assert [point.value for point in losses] == pytest.approx(list(curve.losses), rel=1e-6)
    times = [event.time for event in read_steps(resumed.run)]
    assert [point.wall_time for point in losses] == times
    learning_rates = [point.value for point in train.Scalars("learning_rate")]
    assert learning_rates == pytest.approx([0.001] * len(curve))
    assert [point.step for point in train.Scalars("accuracy")] == [
        epoch.epoch * resumed.state.steps_per_epoch for epoch in resumed.state.epochs
    ]


def test_tensorboard_reads_validation_and_test(resumed, tmp_path):
    val = tensorboard_of(resumed.run, tmp_path / "tb", "val")
    epochs = resumed.state.epochs
    assert [point.value for point in val.Scalars("loss")] == pytest.approx(
        [epoch.val_loss for epoch in epochs], rel=1e-6
    )
    assert val.Scalars("accuracy_of_class/3")[-1].value == pytest.approx(
        epochs[-1].correct[3] / epochs[-1].total[3]
    )
    test = EventAccumulator(str(tmp_path / "tb" / resumed.run.id / "test")).Reload()
    assert test.Scalars("accuracy")[0].value == pytest.approx(resumed.state.test.accuracy)


def test_tensorboard_contains_the_report_as_text(resumed, tmp_path):
    train = tensorboard_of(resumed.run, tmp_path / "tb", "train")
    (report,) = train.Tensors("run")
    assert report.tensor_proto.string_val[0].decode() == export_text(write_markdown, resumed)
    assert train.SummaryMetadata("run").plugin_data.plugin_name == "text"


def test_tensorboard_keeps_non_finite_losses(tmp_path):
    run = golden_run(tmp_path, "failed")
    (point, *_) = tensorboard_of(run, tmp_path / "tb", "train").Scalars("loss")
    (event, *_) = read_steps(run)
    assert math.isnan(point.value) == math.isnan(event.loss)
    huge = rewrite_events(
        golden_run(tmp_path, "completed", "huge"),
        lambda event: replace(event, loss=-1e300) if isinstance(event, StepsFinished) else event,
    )
    (point, *_) = tensorboard_of(huge, tmp_path / "tb", "train").Scalars("loss")
    assert point.value == -math.inf


def test_force_replaces_event_files_only(completed, tmp_path):
    directory = tmp_path / "tb"
    export_record([completed.run], "tensorboard", directory)
    (directory / completed.run.id / "notes.txt").write_text("text")
    with pytest.raises(ConfigError, match="--force"):
        export_record([completed.run], "tensorboard", directory)
    before = sorted(directory.rglob("*"))
    export_record([completed.run], "tensorboard", directory, force=True)
    assert sorted(directory.rglob("*")) == before
    assert (directory / completed.run.id / "notes.txt").read_text() == "text"


def test_tensorboard_reads_series_of_another_loop(of_loop, tmp_path):
    series = tensorboard_of(of_loop.run, tmp_path / "tb", "series")
    assert set(series.Tags()["scalars"]) == set(of_loop.state.series)
    f1 = of_loop.state.series["val/f1"].curve
    assert [point.step for point in series.Scalars("val/f1")] == list(f1.steps)
    assert [point.value for point in series.Scalars("val/f1")] == pytest.approx(list(f1.losses))
