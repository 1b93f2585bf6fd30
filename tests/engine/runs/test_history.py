"""Steps read back from the log of a run."""

import pytest

from cnn_engine.runlog.curve import CurvePoint
from cnn_engine.runlog.events import StepsFinished
from cnn_engine.runlog.log import LogReader
from cnn_engine.runs.history import read_steps
from cnn_engine.runs.summary import read_state
from golden import golden_run


@pytest.mark.parametrize("log", ["completed", "stopped", "resumed", "failed"])
def test_read_steps_returns_the_points_of_the_curve(tmp_path, log):
    run = golden_run(tmp_path, log)
    state, _ = read_state(run)
    per_epoch = state.steps_per_epoch
    steps = [
        CurvePoint(
            (event.epoch - 1) * per_epoch + event.step,
            event.loss,
            event.loss_min,
            event.loss_max,
            point.seconds,
        )
        for event, point in zip(read_steps(run), state.curve, strict=True)
    ]
    # NaN != NaN, so the losses of the failed run are compared as text.
    assert repr(steps) == repr(list(state.curve))


def test_steps_before_a_resume_are_dropped_back_to_the_earliest_position(tmp_path):
    run = golden_run(tmp_path, "resumed")
    logged = [event for event in LogReader(run.events).poll() if isinstance(event, StepsFinished)]
    steps = list(read_steps(run))
    assert len(steps) < len(logged)
    positions = [(event.epoch, event.step) for event in steps]
    assert positions == sorted(set(positions))
