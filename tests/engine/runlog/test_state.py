"""The state of a run, computed from its events."""

import math
from dataclasses import replace

import pytest

from cnn_engine.runlog import events
from cnn_engine.runlog.curve import MAX_STEP, Curve, CurvePoint
from cnn_engine.runlog.lines import from_line
from cnn_engine.runlog.log import LogReader
from cnn_engine.runlog.state import INFERENCE_COST, RunState
from event_samples import applied, epoch_finished, prepared, started, state_after, steps
from golden import golden_lines
from loops_for_tests import classifier, gan


def test_status_follows_run():
    statuses = []
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
        statuses.append(state.status)
    starting, training, validating = ["starting"] * 3, ["training"] * 2, ["validating"] * 2
    assert statuses == [*starting, *training, *validating, "training", "testing", "done"]
    assert state.has_ended


def test_time_left_is_known_in_the_first_epoch():
    """Total and time left are shown as soon as the rate and the number of steps are known."""
    state = state_after(started(epochs=2), prepared(), events.EpochStarted(epoch=1))
    assert state.seconds_left is None
    assert state.epoch_seconds is None
    state.apply(steps(1, 5))
    # 0.4 s per step; 25 images/s are trained, and validation is faster by INFERENCE_COST.
    validation = 20 * INFERENCE_COST / 25
    assert state.epoch_seconds == pytest.approx(10 * 0.4 + validation)
    assert state.epoch_seconds_left == pytest.approx(5 * 0.4 + validation)
    test = 40 * INFERENCE_COST / 25
    assert state.seconds_left == pytest.approx(15 * 0.4 + 2 * validation + test)
    state.apply(epoch_finished(1))
    assert state.epoch_seconds == pytest.approx(5.0)


def test_time_left_includes_training_validation_and_test():
    # 0.4 s per step; 1 s for 20 validation images, so 0.05 s per image.
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


def test_best_epoch_is_latest_with_lowest_loss_and_never_nan():
    losses = [0.9, 0.7, math.nan, 0.7, 0.8]
    state = state_after(
        *(epoch_finished(epoch, loss) for epoch, loss in enumerate(losses, start=1))
    )
    assert state.best.epoch == 4
    assert state_after(epoch_finished(1, math.nan)).best is None


def test_curve_counts_steps_across_epochs():
    state = state_after(started(), prepared(), steps(1, 5, loss=2.0), steps(3, 10, loss=1.0))
    assert list(state.curve) == [
        CurvePoint(5, 2.0, 1.9, 2.1, 2.0),
        CurvePoint(30, 1.0, 0.9, 1.1, 4.0),
    ]


def test_absurd_steps_of_damaged_log_are_accepted():
    extreme = (steps(1, 5), steps((1 << 64) - 1, 5), steps(-(1 << 63), 5))
    state = state_after(started(), prepared(), *extreme)
    assert list(state.curve.steps) == [5, MAX_STEP, -MAX_STEP]
    assert len(state.curve) == len(state.curve.losses) == 3


def test_replaced_config_is_used_and_its_reason_is_a_notice():
    replaced = events.ConfigReplaced(preset="digits", config={"train": {"epochs": 9}}, reason="no")
    state = state_after(started(), replaced)
    assert (state.preset, state.total_epochs) == ("digits", 9)
    assert [notice.text for notice in state.messages] == ["no"]


def test_clock_set_back_gives_no_negative_duration():
    state = state_after(started(), events.EpochStarted(time=10.0, epoch=1))
    assert state.elapsed_seconds == 0.0
    state.apply(events.RunFinished(time=5.0, status="done", exit_code=0, seconds=7.5))
    assert state.elapsed_seconds == 7.5


def test_pause_overrides_phase_as_status():
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
    assert (state.status, state.paused, state.has_ended) == ("stopped", False, True)


def test_command_changes_total_epochs_and_time_left():
    state = state_after(
        started(epochs=3), prepared(), events.EpochStarted(epoch=1), steps(1, 10), epoch_finished(1)
    )
    before = state.seconds_left
    state.apply(applied("epochs", 5.0))
    assert state.total_epochs == 5
    assert state.seconds_left == pytest.approx(before + 2 * (10 * 0.4 + 20 * 0.05))


def test_markers_have_their_step():
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


def test_only_latest_and_best_epoch_keep_confusion():
    confusion = ((0, 1, 5), (1, 0, 1))
    losses = [0.9, 0.5, 0.8, 0.7]
    state = state_after(
        *(
            epoch_finished(epoch, loss, confusion=confusion)
            for epoch, loss in enumerate(losses, start=1)
        )
    )
    assert [epoch.confusion for epoch in state.epochs] == [(), (), (), confusion]
    assert (state.best.epoch, state.best.confusion) == (2, confusion)


def test_latest_machine_measurement_is_kept():
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


@pytest.mark.parametrize("name", ["completed", "stopped", "failed", "resumed", "distributed"])
def test_followed_and_complete_log_give_same_state(name, tmp_path):
    log = tmp_path / "events.jsonl"
    content = "\n".join(golden_lines(name)).encode() + b"\n"
    followed, reader = RunState(), LogReader(log)
    with log.open("ab", buffering=0) as file:
        for first in range(0, len(content), 777):
            file.write(content[first : first + 777])
            for event in reader.poll():
                followed.apply(event)
    read = RunState()
    for event in LogReader(log).poll():
        read.apply(event)
    assert len(read.curve) > 0
    assert repr(read) == repr(followed)  # as text, because NaN != NaN
    assert reader.damaged_lines == 0


def test_curve_is_a_sequence_of_points():
    points = [CurvePoint(step, 1.0 / step, 0.0, math.nan) for step in (1, 2, 3)]
    curve = Curve(points)
    assert (len(curve), curve[-1].step, [point.step for point in curve[1:]]) == (3, 3, [2, 3])
    assert curve == Curve(points)
    assert curve != Curve(points[:2])
    assert list(curve.losses) == [1.0, 0.5, 1.0 / 3]


def test_long_curve_is_halved_and_keeps_extremes(monkeypatch):
    monkeypatch.setattr("cnn_engine.runlog.state.MAX_POINTS", 8)
    losses = [1.0 + number % 7 for number in range(40)]
    state = state_after(*(steps(1, 5 * number, loss=loss) for number, loss in enumerate(losses, 1)))
    assert list(state.curve.steps) == [40, 80, 120, 160, 200]
    assert list(state.curve.losses) == [
        sum(losses[first : first + 8]) / 8 for first in range(0, 40, 8)
    ]
    assert list(state.curve.lows) == [
        min(losses[first : first + 8]) - 0.1 for first in range(0, 40, 8)
    ]
    assert list(state.curve.highs) == [
        max(losses[first : first + 8]) + 0.1 for first in range(0, 40, 8)
    ]
    assert list(state.curve.seconds) == [16.0, 32.0, 48.0, 64.0, 80.0]


def test_halved_curve_continues_after_resume(monkeypatch):
    monkeypatch.setattr("cnn_engine.runlog.state.MAX_POINTS", 8)
    state = state_after(started(), prepared(), *(steps(1, number) for number in range(1, 9)))
    state.apply(resumed(1, 5))
    for number in range(6, 10):
        state.apply(steps(1, number))
    assert list(state.curve.steps) == [2, 4, 7, 9]


# Resumed runs.


def resumed(epoch, step=0, file="last.pt", seconds=50.0, time=2000.0):
    return events.RunResumed(
        time=time,
        pid=2,
        host="there",
        version="0",
        epoch=epoch,
        step=step,
        file=file,
        seconds=seconds,
    )


def saved(reason, epoch, step):
    return events.CheckpointSaved(reason=reason, epoch=epoch, step=step, file=f"{reason}.pt")


def complete_epoch(epoch, val_loss):
    return [
        events.EpochStarted(epoch=epoch),
        steps(epoch, 5),
        steps(epoch, 10),
        epoch_finished(epoch, val_loss, confusion=((0, 1, 5),)),
        saved("best", epoch, 10),
        saved("last", epoch, 10),
    ]


def interrupted_events():
    """Return the events of three epochs, the last being the best, and half of a fourth."""
    return [
        started(epochs=5),
        prepared(),
        *complete_epoch(1, 0.9),
        *complete_epoch(2, 0.8),
        applied("lr", 0.5),
        *complete_epoch(3, 0.7),
        events.EpochStarted(epoch=4),
        steps(4, 5),
        saved("last", 4, 5),
        steps(4, 7),
        applied("pause"),
    ]


def checkpoint_positions(state):
    return [(saved.reason, saved.epoch, saved.step) for saved in state.checkpoints]


def test_resume_in_mid_epoch_undoes_later_events():
    state = state_after(*interrupted_events(), resumed(4, 5))
    assert (state.status, state.epoch, state.step, state.steps_done) == ("starting", 4, 5, 35)
    assert [epoch.epoch for epoch in state.epochs] == [1, 2, 3]
    assert state.best.epoch == 3
    assert list(state.curve.steps) == [5, 10, 15, 20, 25, 30, 35]
    assert [(mark.kind, mark.step) for mark in state.markers] == [
        ("best", 10),
        ("best", 20),
        ("lr", 20),
        ("best", 30),
        ("resume", 35),
    ]
    assert checkpoint_positions(state)[-1] == ("last", 4, 5)
    assert [command.command for command in state.commands] == ["lr", "pause"]


def test_series_before_the_first_step_do_not_make_a_failed_resume_count():
    done = events.RunFinished(status="done", exit_code=0, seconds=9.0)
    failed = events.RunFinished(status="failed", exit_code=4, seconds=9.0, error="no memory")
    state = state_after(started(), prepared(), *complete_epoch(1, 0.9), done, resumed(2))
    state.apply(events.ScalarsLogged(step=10, epoch=1, values={"memory/process_mb": (500.0,)}))
    state.apply(failed)
    assert state.status == "done"
    assert state.notices[-1].text == "Could not be resumed: no memory"
    assert not state.series


def test_resume_between_epochs_recomputes_best():
    state = state_after(*interrupted_events(), resumed(3))
    assert (state.epoch, state.step, state.steps_done) == (2, 10, 20)
    assert [epoch.epoch for epoch in state.epochs] == [1, 2]
    assert (state.best.epoch, state.best_epochs) == (2, {1, 2})
    assert state.validated_images == 20
    assert checkpoint_positions(state)[-1] == ("last", 2, 10)
    assert [mark.step for mark in state.markers] == [10, 20, 20, 20]


def test_resume_before_validation_drops_that_best_epoch():
    state = state_after(*interrupted_events(), resumed(3, 10))
    assert (state.epoch, state.step, state.best.epoch) == (3, 10, 2)
    assert [(mark.kind, mark.step) for mark in state.markers if mark.step == 30] == [("resume", 30)]
    assert checkpoint_positions(state)[-1] == ("last", 3, 10)
    assert state.best_epochs == {1, 2}


def test_restart_from_scratch_clears_state_without_marker():
    state = state_after(*interrupted_events(), resumed(1, file=""))
    assert (state.epoch, state.step, state.epochs, state.best) == (0, 0, [], None)
    assert (len(state.curve), state.markers, state.checkpoints) == (0, [], [])


def test_best_after_resume_is_latest_of_equal_epochs_and_never_nan():
    logged = [
        event
        for epoch, loss in enumerate((0.9, 0.8, 0.8, math.nan, 0.5), start=1)
        for event in complete_epoch(epoch, loss)
    ]
    assert state_after(started(), prepared(), *logged, resumed(5)).best.epoch == 3


def test_times_after_resume_include_all_sessions_but_speeds_do_not():
    state = state_after(*interrupted_events(), resumed(4, 5, seconds=50.0, time=2000.0))
    assert (state.elapsed_seconds, state.seconds_left) == (50.0, None)
    state.apply(events.EpochStarted(time=2003.0, epoch=4, step=5))
    assert (state.step, state.elapsed_seconds, state.seconds_left) == (5, 53.0, None)
    state.apply(steps(4, 10, seconds=10.0))
    # 2 s per step in this session; 1 s for 20 validation images, as in the first.
    assert state.seconds_left == pytest.approx(1.0 + (10 * 2.0 + 1.0) + 2.0)


def test_elapsed_time_excludes_pauses():
    state = state_after(*interrupted_events(), resumed(4, 5, seconds=50.0, time=2000.0))
    state.apply(events.CommandApplied(time=2010.0, command="pause", by="key"))
    state.apply(events.Notice(time=2500.0, text="while it is paused"))
    assert state.elapsed_seconds == 60.0
    state.apply(events.CommandApplied(time=3000.0, command="unpause", by="key"))
    state.apply(events.EpochStarted(time=3005.0, epoch=4, step=5))
    assert state.elapsed_seconds == 65.0
    state.apply(resumed(4, 5, seconds=65.0, time=4000.0))
    state.apply(events.EpochStarted(time=4001.0, epoch=4, step=5))
    assert state.elapsed_seconds == 66.0


def test_clock_set_back_before_resume_gives_no_negative_time():
    state = state_after(*interrupted_events(), resumed(4, 5, time=10.0))
    assert state.elapsed_seconds == 50.0


def test_resumed_finished_run_is_not_finished():
    state = state_after(
        *interrupted_events(),
        events.TestFinished(epoch=3, loss=1.0, correct=(1, 1), total=(2, 2), seconds=1.0),
        events.RunFinished(status="done", exit_code=0, seconds=60.0),
        resumed(4),
        applied("epochs", 9.0),
    )
    assert (state.test, state.finished, state.has_ended, state.total_epochs) == (
        None,
        None,
        False,
        9,
    )
    assert state.host == "there"


def test_detached_run_has_not_ended_and_stops_after_epoch():
    state = state_after(
        *interrupted_events(),
        applied("stop-epoch"),
        events.RunFinished(status="detached", exit_code=0, seconds=60.0),
    )
    assert (state.phase, state.has_ended, state.elapsed_seconds) == ("detached", False, 60.0)
    assert state.status == "paused"  # the process that continues is paused too
    state.apply(resumed(4, 5))
    assert state.stops_after_epoch
    assert not state_after(
        *interrupted_events(), applied("stop-epoch"), resumed(4, 5)
    ).stops_after_epoch


def test_rollback_resets_position_and_adds_notice():
    rollback = events.RolledBack(
        epoch=4, step=5, file="last.pt", lr=0.25, reason="training loss became nan"
    )
    state = state_after(*interrupted_events(), steps(4, 10, loss=math.nan), rollback)
    assert (state.epoch, state.step, state.lr, state.phase) == (4, 5, 0.25, "training")
    assert all(map(math.isfinite, state.curve.losses))
    assert (state.markers[-1].kind, state.markers[-1].step) == ("rollback", 35)
    assert "rolled back to last.pt" in state.notices[-1].text


def test_interrupted_golden_run_has_every_epoch_once():
    state = state_after(*map(from_line, golden_lines("resumed")))
    assert [epoch.epoch for epoch in state.epochs] == [1, 2, 3, 4, 5, 6]
    assert list(state.curve.steps) == sorted(set(state.curve.steps))
    assert [mark.step for mark in state.markers if mark.kind == "resume"] == [43, 57]
    assert (state.status, state.resumed.pid, state.host) == ("done", 4444, "box")


def test_busy_seconds_follow_training_and_undo():
    state = state_after(
        started(),
        prepared(),
        steps(1, 5, seconds=2.0),
        steps(1, 10, seconds=3.0),
        epoch_finished(1),
        steps(2, 5, seconds=5.0),
    )
    assert list(state.curve.seconds) == [2.0, 5.0, 11.0]
    state.apply(resumed(2, 0))
    assert state.busy_seconds == 6.0
    state.apply(steps(2, 5, seconds=1.0))
    assert state.curve.seconds[-1] == 7.0
    state.apply(resumed(1, 5))
    assert state.busy_seconds == 2.0
    state.apply(resumed(1, 0))
    assert state.busy_seconds == 0.0


def test_loop_of_unknown_length_has_the_ends_of_its_epochs_and_numbers_for_classes():
    unknown = events.LoopDescribed(commands=("stop",), classes=("cat",))
    logged = [
        unknown
        if isinstance(event, events.LoopDescribed)
        else replace(event, step=(event.epoch - 1) * 40 + event.step)
        if isinstance(event, events.StepsFinished)
        else event
        for event in classifier(epochs=2)
    ]
    state = state_after(*logged)
    assert (state.is_own, state.steps_per_epoch, state.steps_done) == (False, 0, 80)
    assert [state.end_of(epoch) for epoch in state.epochs] == [40, 80]
    assert state.classes == ("cat", "1", "2", "3")


def test_best_epochs_of_another_loop_are_those_with_the_lowest_loss_so_far():
    losses = (1.0, 0.8, math.nan, 0.9, 0.8)
    logged = (epoch_finished(number, loss) for number, loss in enumerate(losses, start=1))
    assert state_after(started(), events.LoopDescribed(), *logged).best_epochs == {1, 2, 5}


def test_last_learning_rate_of_a_loop_without_a_training_loss_is_that_of_its_series():
    logged = list(gan(10))
    rates = (
        events.ScalarsLogged(time=logged[-1].time, step=11 + index, values={"optim/lr": (rate,)})
        for index, rate in enumerate((0.1, 0.05))
    )
    assert state_after(*logged).last_lr is None
    assert state_after(*logged, replace(applied("lr"), value=0.1)).last_lr == 0.1
    assert state_after(*logged, replace(applied("lr"), value=0.2), *rates).last_lr == 0.05
    assert state_after(*classifier(epochs=2)).last_lr == pytest.approx(0.09)


def test_longest_silence_of_another_loop_excludes_pauses_and_other_events():
    logged = list(gan(10))
    last = logged[-1].time
    pause = replace(applied("pause"), time=last + 1), replace(applied("unpause"), time=last + 999)
    value = events.ScalarsLogged(time=last + 1001, step=11, values={"d_loss": (1.0,)})
    state = state_after(*logged, *pause, value)
    assert state.longest_gap == pytest.approx(2.0)
    assert state.silence_start == last + 1001


def test_time_left_of_an_activity_counts_from_its_first_report():
    """Images that an earlier process has decoded say nothing about the speed."""
    state = RunState()
    for time, done in ((100.0, 500), (100.5, 510), (110.0, 600)):
        state.apply(
            events.StageProgressed(time=time, what="decoding images", done=done, total=1_000)
        )
        assert (state.progress_seconds_left is None) == (time < 101)
    assert state.progress_seconds_left == 40.0
    state.apply(events.StageProgressed(time=120.0, what="resizing images", done=900, total=1_000))
    assert state.progress_seconds_left is None
