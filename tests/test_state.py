"""What is known of a run, made from its events alone."""

import math

import pytest

from cnn_engine import events
from cnn_engine.curve import Curve, CurvePoint
from cnn_engine.runlog import LogReader
from cnn_engine.state import RunState
from golden import golden_lines

CLASSES = ("cat", "dog")


def prepared(**changes):
    values = {
        "classes": CLASSES,
        "source": "a test",
        "image_shape": (3, 8, 8),
        "train_images": 100,
        "val_images": 20,
        "test_images": 40,
        "steps_per_epoch": 10,
        "parameters": 1,
        "device": "cpu",
        "device_name": "cpu",
        "threads": 1,
        "precision": "fp32",
    }
    return events.RunPrepared(**values | changes)


def started(epochs=3):
    return events.RunStarted(
        time=1000.0,
        run_id="1124-0412-amber",
        name="",
        preset="cifar10",
        config={"train": {"epochs": epochs}},
        pid=1,
        host="here",
        version="0",
    )


def steps(epoch, step, loss=1.0, seconds=2.0, count=5):
    return events.StepsFinished(
        epoch=epoch,
        step=step,
        steps=count,
        loss=loss,
        loss_min=loss - 0.1,
        loss_max=loss + 0.1,
        lr=0.001,
        seconds=seconds,
        images=10 * count,
    )


def epoch_finished(epoch, val_loss=1.0, **changes):
    return events.EpochFinished(
        epoch=epoch,
        train_loss=1.0,
        train_accuracy=0.5,
        val_loss=val_loss,
        correct=(5, 9),
        total=(10, 10),
        train_seconds=4.0,
        val_seconds=1.0,
        **changes,
    )


def applied(command, value=None):
    return events.CommandApplied(command=command, by="key", value=value)


def state_after(*happened):
    state = RunState()
    for event in happened:
        state.apply(event)
    return state


def test_the_status_follows_the_run():
    seen = []
    state = RunState()
    for event in (
        started(),
        events.StageStarted(stage="torch"),
        prepared(),
        events.EpochStarted(epoch=1),
        steps(1, 5),
        events.ValidationProgressed(epoch=1, images=0),
        epoch_finished(1),
        events.EpochStarted(epoch=2),
        events.StageStarted(stage="test"),
        events.RunFinished(status="done", exit_code=0, seconds=9.0),
    ):
        state.apply(event)
        seen.append(state.status)
    starting, training, validating = ["starting"] * 3, ["training"] * 2, ["validating"] * 2
    assert seen == [*starting, *training, *validating, "training", "testing", "done"]
    assert state.ended


def test_time_left_is_unknown_until_both_speeds_are():
    state = state_after(started(), prepared(), events.EpochStarted(epoch=1), steps(1, 5))
    assert state.seconds_left is None
    state.apply(epoch_finished(1))
    assert state.seconds_left is not None


def test_time_left_counts_training_validation_and_test_at_their_own_speeds():
    # 0.4 s a step; 1 s for 20 images of validation, so 0.05 s each.
    state = state_after(
        started(epochs=3),
        prepared(),
        events.EpochStarted(epoch=1),
        steps(1, 5),
        steps(1, 10),
        epoch_finished(1),
        events.EpochStarted(epoch=2),
        steps(2, 5),
    )
    this_epoch = 5 * 0.4 + 20 * 0.05
    later_epoch = 10 * 0.4 + 20 * 0.05
    test = 40 * 0.05
    assert state.epoch_seconds_left == pytest.approx(this_epoch)
    assert state.seconds_left == pytest.approx(this_epoch + later_epoch + test)
    assert state.images_per_second == pytest.approx(25.0)


def test_time_left_shrinks_while_validating():
    state = state_after(
        started(), prepared(), events.EpochStarted(epoch=1), steps(1, 10), epoch_finished(1)
    )
    before = state.seconds_left
    for event in (events.EpochStarted(epoch=2), steps(2, 10)):
        state.apply(event)
    state.apply(events.ValidationProgressed(epoch=2, images=10))
    assert state.epoch_seconds_left == pytest.approx(0.5)
    assert state.seconds_left < before


def test_the_best_epoch_is_the_last_of_the_least_loss_and_never_nan():
    losses = [0.9, 0.7, math.nan, 0.7, 0.8]
    state = state_after(*(epoch_finished(n, loss) for n, loss in enumerate(losses, start=1)))
    assert state.best.epoch == 4
    assert state_after(epoch_finished(1, math.nan)).best is None


def test_the_curve_counts_steps_over_epochs():
    state = state_after(started(), prepared(), steps(1, 5, loss=2.0), steps(3, 10, loss=1.0))
    assert list(state.curve) == [CurvePoint(5, 2.0, 1.9, 2.1), CurvePoint(30, 1.0, 0.9, 1.1)]


def test_a_replaced_config_is_the_config_and_its_reason_a_notice():
    replaced = events.ConfigReplaced(preset="digits", config={"train": {"epochs": 9}}, reason="no")
    state = state_after(started(), replaced)
    assert (state.preset, state.epochs_asked) == ("digits", 9)
    assert [notice.text for notice in state.notices] == ["no"]


def test_a_clock_set_back_makes_no_negative_durations():
    state = state_after(started(), events.EpochStarted(time=10.0, epoch=1))
    assert state.elapsed_seconds == 0.0
    state.apply(events.RunFinished(time=5.0, status="done", exit_code=0, seconds=7.5))
    assert state.elapsed_seconds == 7.5


def test_a_pause_is_a_status_over_whatever_goes_on():
    state = state_after(started(), prepared(), events.EpochStarted(epoch=1), steps(1, 5))
    state.apply(applied("pause"))
    assert (state.status, state.phase, state.paused) == ("paused", "training", True)
    state.apply(applied("unpause"))
    assert (state.status, state.paused) == ("training", False)
    for event in (
        applied("pause"),
        applied("stop"),
        events.RunFinished(status="stopped", exit_code=0, seconds=1.0),
    ):
        state.apply(event)
    assert (state.status, state.paused, state.ended) == ("stopped", False, True)


def test_the_epochs_asked_for_follow_a_command_and_so_does_the_time_left():
    state = state_after(
        started(epochs=3), prepared(), events.EpochStarted(epoch=1), steps(1, 10), epoch_finished(1)
    )
    before = state.seconds_left
    state.apply(applied("epochs", 5.0))
    assert state.epochs_asked == 5
    assert state.seconds_left == pytest.approx(before + 2 * (10 * 0.4 + 20 * 0.05))


def test_markers_stand_at_the_step_where_it_happened():
    state = state_after(
        started(),
        prepared(),
        applied("pause"),
        applied("unpause"),
        events.EpochStarted(epoch=1),
        steps(1, 10),
        epoch_finished(1),
        events.CheckpointSaved(reason="best", epoch=1, file="best.pt", old_loss=2.0, new_loss=1.0),
        events.CheckpointSaved(reason="last", epoch=1, file="last.pt"),
        events.EpochStarted(epoch=2),
        steps(2, 5),
        applied("lr", 0.0003),
        applied("checkpoint"),
        events.CheckpointSaved(reason="asked", epoch=2, file="last.pt"),
    )
    assert [(marker.step, marker.kind) for marker in state.markers] == [
        (0, "pause"),
        (10, "best"),
        (15, "lr"),
        (15, "checkpoint"),
    ]
    assert state.markers[2].text == "lr 0.0003"
    assert state.lr == 0.0003


def test_only_the_latest_and_the_best_epoch_keep_their_confusion():
    wrong = ((0, 1, 5), (1, 0, 1))
    losses = [0.9, 0.5, 0.8, 0.7]
    state = state_after(
        *(epoch_finished(n, loss, confusion=wrong) for n, loss in enumerate(losses, start=1))
    )
    assert [epoch.confusion for epoch in state.epochs] == [(), (), (), wrong]
    assert (state.best.epoch, state.best.confusion) == (2, wrong)


def test_the_last_measurement_of_the_machine_is_kept():
    first, second = (
        events.MachineMeasured(
            time=1000.0 + cpu,
            cpu=cpu,
            memory_bytes=1,
            memory_total_bytes=4,
            memory_available_bytes=2,
            disk_free_bytes=3,
        )
        for cpu in (0.5, 0.75)
    )
    assert state_after(started(), first, second).machine == second


@pytest.mark.parametrize("name", ["completed", "stopped", "failed"])
def test_followed_piece_by_piece_or_read_at_once_the_state_is_one(name, tmp_path):
    log = tmp_path / "events.jsonl"
    whole = "\n".join(golden_lines(name)).encode() + b"\n"
    followed, reader = RunState(), LogReader(log)
    with log.open("ab", buffering=0) as file:
        for first in range(0, len(whole), 777):
            file.write(whole[first : first + 777])
            for event in reader.poll():
                followed.apply(event)
    read = RunState()
    for event in LogReader(log).poll():
        read.apply(event)
    assert len(read.curve) > 0
    assert repr(read) == repr(followed)  # by its text, as NaN is not equal to itself
    assert reader.damaged_lines == 0


def test_a_curve_is_a_sequence_of_points():
    points = [CurvePoint(step, 1.0 / step, 0.0, math.nan) for step in (1, 2, 3)]
    curve = Curve(points)
    assert (len(curve), curve[-1].step, [point.step for point in curve[1:]]) == (3, 3, [2, 3])
    assert curve == Curve(points)
    assert curve != Curve(points[:2])
    assert list(curve.losses) == [1.0, 0.5, 1.0 / 3]
