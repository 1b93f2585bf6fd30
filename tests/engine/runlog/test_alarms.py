"""Alarms of runs, and their absence for good runs."""

import math
import random
from dataclasses import replace

import pytest

from cnn_engine.runlog import events
from cnn_engine.runlog.alarms import (
    SPIKE_EVENTS,
    STALL_LOOP_FACTOR,
    STALL_LOOP_SECONDS,
    STALL_SECONDS,
    find_alarms,
)
from cnn_engine.runlog.lines import from_line
from cnn_engine.runlog.state import RATE_WINDOW, RunState
from event_samples import applied, epoch_finished, prepared, started, state_after, steps
from golden import golden_lines
from loops_for_tests import classifier, gan

NOW = 2000.0


def kinds(state, now=None, live=True):
    """Return the kinds of the alarms of a run at a time, by default that of its last event."""
    now = state.last_time if now is None else now
    return [alarm.kind for alarm in find_alarms(state, now, live)]


def training(losses, **changes):
    """Return the state of a run with these training losses."""
    logged = [
        replace(steps(1, number, loss, seconds=0.5), time=NOW, **changes)
        for number, loss in enumerate(losses, start=1)
    ]
    first = replace(prepared(), time=NOW, steps_per_epoch=100_000)
    return state_after(started(), first, events.EpochStarted(time=NOW, epoch=1), *logged)


def validated(losses, train=None, epochs=40):
    """Return a state with these validation losses and falling or given training losses."""
    train = train or [1.0 / number for number in range(1, len(losses) + 1)]
    logged = (
        replace(epoch_finished(number, loss), time=NOW, train_loss=train[number - 1])
        for number, loss in enumerate(losses, start=1)
    )
    return state_after(started(epochs), replace(prepared(), time=NOW), *logged)


def measured(state, **changes):
    """Apply a measurement of the machine to the state, and return the state."""
    values = {
        "cpu": 0.5,
        "memory_bytes": 10**9,
        "memory_total_bytes": 16 * 10**9,
        "memory_available_bytes": 8 * 10**9,
        "disk_free_bytes": 100 * 10**9,
    }
    state.apply(events.MachineMeasured(time=NOW, **values | changes))
    return state


@pytest.mark.parametrize("name", ["completed", "stopped", "distributed"])
def test_good_runs_raise_no_alarm(name):
    state = RunState()
    for line in golden_lines(name):
        state.apply(from_line(line))
        assert kinds(state) == []


def test_diverged_run_has_alarm_after_its_end():
    state = RunState()
    for line in golden_lines("failed"):
        state.apply(from_line(line))
    (alarm,) = find_alarms(state, state.last_time + 1e6, live=False)
    assert (alarm.kind, alarm.severity) == ("non-finite", "error")
    assert "became nan in epoch 1" in alarm.text
    assert "1e+30" in alarm.advice


def test_non_finite_validation_loss_raises_alarm():
    assert kinds(validated([0.5, math.nan])) == ["non-finite"]


def noisy(level, count, seed=1):
    """Return losses with a standard deviation of a tenth of their mean."""
    generator = random.Random(seed)
    return [abs(generator.gauss(level, level / 10)) for _ in range(count)]


def test_loss_spike_raises_alarm_for_a_while():
    calm = noisy(0.8, 2 * SPIKE_EVENTS)
    assert kinds(training([*calm, 3.0])) == ["spike"]
    assert kinds(training([*calm, 3.0, *noisy(0.8, SPIKE_EVENTS - 1)])) == ["spike"]
    assert kinds(training([*calm, 3.0, *noisy(0.8, SPIKE_EVENTS)])) == []


@pytest.mark.parametrize("level", [0.001, 0.05, 0.8, 2.3])
def test_noise_is_not_a_spike(level):
    state = training([])
    for number, loss in enumerate(noisy(level, 1000), start=1):
        state.apply(replace(steps(1, number, loss), time=NOW))
        assert kinds(state) == []


def test_first_steps_raise_no_spike():
    assert kinds(training([2.3, 2.2, 9.0, 2.1])) == []


def test_plateau_raises_alarm():
    falling = [1.0 - number / 100 for number in range(20)]
    assert kinds(validated(falling)) == []
    flat = [falling[-1] + 0.001] * 9
    assert kinds(validated([*falling, *flat], train=[1.0] * 29)) == []
    assert kinds(validated([*falling, *flat, 0.9], train=[1.0] * 30)) == ["plateau"]
    assert kinds(validated([*falling, *flat, 0.5], train=[1.0] * 30)) == []


@pytest.mark.parametrize("losses", [[0.9, 0.8, *[0.8001] * 12], [0.9, 0.8, 1.0, 1.0, 1.0]])
def test_advice_names_epoch_of_saved_checkpoint(losses):
    state = validated(losses)
    (alarm,) = find_alarms(state, state.last_time, live=True)
    assert "best.pt" not in alarm.advice
    state.apply(events.CheckpointSaved(reason="best", epoch=1, file="best.pt"))
    (alarm,) = find_alarms(state, state.last_time, live=True)
    assert "best.pt holds epoch 1" in alarm.advice


def test_overfitting_replaces_plateau():
    rising = [0.7 + number / 20 for number in range(12)]
    assert kinds(validated([0.9, 0.8, 0.7, 0.8, 0.85, 0.9])) == ["overfitting"]
    assert kinds(validated([0.9, 0.8, *rising])) == ["overfitting"]


def test_overfitting_needs_falling_training_loss_and_minimum_rise():
    assert kinds(validated([0.9, 0.8, 0.7, 0.9, 0.9, 0.9], train=[1.0] * 6)) == []
    assert kinds(validated([0.9, 0.8, 0.7, 0.9, 0.9])) == []
    assert kinds(validated([0.9, 0.8, 0.7, 0.72, 0.71, 0.73])) == []
    assert kinds(validated([0.1, 0.05, 0.02, 0.04, 0.05, 0.06])) == []


def test_silence_of_live_run_is_a_stall():
    state = training([1.0] * 5)
    assert kinds(state, NOW + STALL_SECONDS - 1) == []
    assert kinds(state, NOW + STALL_SECONDS + 1) == ["stall"]
    assert kinds(state, NOW + STALL_SECONDS + 1, live=False) == []
    assert kinds(state, NOW - 3600) == []
    state.apply(replace(applied("pause"), time=NOW))
    assert kinds(state, NOW + 3600) == []


def test_stall_limit_is_longer_for_slow_steps_and_while_starting():
    assert kinds(training([1.0] * 5, seconds=10.0), NOW + 150) == []
    assert kinds(training([1.0] * 5, seconds=10.0), NOW + 250) == ["stall"]
    starting = state_after(started())
    assert kinds(starting, starting.last_time + 100) == []
    assert kinds(starting, starting.last_time + 200) == ["stall"]
    assert kinds(RunState(), 1e9) == []


def test_slow_data_raises_alarm():
    assert kinds(training([1.0] * RATE_WINDOW, data_seconds=0.3)) == ["slow data"]
    assert kinds(training([1.0] * (RATE_WINDOW - 1), data_seconds=0.3)) == []
    assert kinds(training([1.0] * RATE_WINDOW, data_seconds=0.1)) == []


def processes(state, *hosts, steps):
    """Apply events of processes on these hosts with the durations of their steps."""
    others = {"pids": tuple(range(len(hosts))), "devices": ("cpu",) * len(hosts)}
    state.apply(events.ProcessesJoined(hosts=hosts, **others))
    for durations in steps:
        state.apply(
            events.ProcessesMeasured(
                step_seconds=durations,
                exchange_seconds=(0.001,) * len(hosts),
                memory_bytes=(10**9,) * len(hosts),
            )
        )
    return state


def test_process_for_which_all_wait_raises_alarm_after_three_measurements():
    even, slow = (0.01, 0.0102, 0.01, 0.0101), (0.01, 0.0102, 0.01, 0.0119)
    hosts = ("a", "a", "b", "b")
    state = processes(training([1.0]), *hosts, steps=[even, slow, slow])
    assert kinds(state) == []
    state = processes(training([1.0]), *hosts, steps=[even, slow, slow, slow])
    assert kinds(state, live=False) == []
    (alarm,) = find_alarms(state, state.last_time, live=True)
    assert (alarm.kind, alarm.severity) == ("straggler", "warning")
    assert alarm.text == "Process 3 on b takes 19% longer for a step; all others wait for it"
    assert alarm.advice == "Check what else runs on b"
    state.apply(applied("pause"))
    assert kinds(state) == []


def test_straggler_on_the_only_machine_is_named_without_it():
    state = processes(training([1.0]), "a", "a", steps=[(0.02, 0.01)] * 3)
    (alarm,) = find_alarms(state, state.last_time, live=True)
    assert alarm.text.startswith("Process 0 takes 100% longer for a step")
    assert alarm.advice == "Check what else runs on the processor"
    assert kinds(processes(training([1.0]), steps=[(0.02, 0.01)] * 3)) == []  # a damaged log


def test_full_disk_and_memory_raise_alarms():
    assert kinds(measured(training([]))) == []
    assert kinds(measured(training([]), disk_free_bytes=10**8)) == ["disk"]
    assert kinds(measured(training([]), memory_available_bytes=10**8)) == ["memory"]


def test_large_model_needs_more_disk_space():
    state = state_after(started(), replace(prepared(), time=NOW, parameters=10**9))
    assert kinds(measured(state, disk_free_bytes=30 * 10**9)) == ["disk"]


def test_errors_come_first_and_ended_run_has_no_warnings():
    state = measured(training([1.0] * RATE_WINDOW, data_seconds=0.4), disk_free_bytes=10**8)
    assert kinds(state) == ["disk", "slow data"]
    state.apply(events.RunFinished(time=NOW, status="done", exit_code=0, seconds=1.0))
    assert kinds(state, NOW + 3600) == []


# No better than guessing.


def stuck(count, *, correct=(10, 0), train_accuracy=0.5, val_loss=0.7, **changes):
    """Return a state with this many equal epochs of two balanced classes."""
    first = prepared(**{"train_counts": (50, 50), "steps_per_epoch": 20} | changes)
    counts = {"correct": correct, "total": (10, 10)} if first.val_images else {}
    counts = counts or {"correct": (), "total": ()}
    loss = val_loss if first.val_images else math.nan
    finished = [
        replace(epoch_finished(number, loss), train_accuracy=train_accuracy, **counts)
        for number in range(1, count + 1)
    ]
    logged = [
        event
        for epoch in finished
        for event in (
            events.EpochStarted(epoch=epoch.epoch),
            steps(epoch.epoch, first.steps_per_epoch),
            epoch,
        )
    ]
    return state_after(started(), first, *logged)


def after_test(state, correct, loss=0.7):
    """Apply a test with these correct images of 30 and 10, and return the state."""
    state.apply(
        events.TestFinished(epoch=1, loss=loss, correct=correct, total=(30, 10), seconds=1.0)
    )
    return state


def test_stuck_at_chance_from_the_start_raises_alarm_after_three_epochs():
    """A network that learns nothing raises an alarm in a short run too (chainer/chainer#4424)."""
    assert kinds(stuck(2)) == []
    (alarm,) = find_alarms(stuck(3), NOW, live=False)
    assert (alarm.kind, alarm.severity) == ("chance", "warning")
    assert alarm.text == (
        "The validation accuracy, 50.0%, is no better than always answering 'cat'"
    )
    assert kinds(stuck(3, val_images=0)) == ["chance"]


def test_learning_is_not_chance():
    assert kinds(stuck(3, correct=(9, 8))) == []
    # The training accuracy shows it before a small validation set does.
    assert kinds(stuck(3, train_accuracy=0.9)) == []
    assert kinds(stuck(3, train_accuracy=0.9, val_images=0)) == []
    # Too few steps to have learned anything.
    assert kinds(stuck(3, steps_per_epoch=5)) == []


def test_test_at_chance_stays_an_alarm_after_the_end():
    state = after_test(stuck(1), (30, 0))
    state.apply(events.RunFinished(time=NOW, status="done", exit_code=0, seconds=1.0))
    (alarm,) = find_alarms(state, NOW, live=False)
    assert alarm.text == "The test accuracy, 75.0%, is no better than always answering 'cat'"
    assert kinds(after_test(stuck(3), (28, 5)), live=False) == []


@pytest.mark.parametrize("right", [6, 0])
def test_images_of_one_class_cannot_be_better_than_chance(right):
    """Images of a single class raise no alarm: always answering it has an accuracy of 100%."""
    tested = events.TestFinished(epoch=1, loss=0.7, correct=(right, 0), total=(6, 0), seconds=1.0)
    state = stuck(3)
    state.apply(tested)
    assert kinds(state, live=False) == []


def test_validation_images_of_one_class_leave_the_training_accuracy():
    state = stuck(3)
    state.epochs[:] = [replace(epoch, correct=(6, 0), total=(6, 0)) for epoch in state.epochs]
    (alarm,) = find_alarms(state, NOW, live=False)
    assert alarm.text == "The training accuracy, 50.0%, is no better than always answering 'cat'"


@pytest.mark.parametrize("loss", [4.9e7, 25.0])
def test_huge_loss_raises_alarm(loss):
    assert kinds(stuck(1, val_loss=loss, correct=(9, 9)), live=False) == ["huge loss"]
    assert kinds(after_test(stuck(1), (29, 9), loss=loss), live=False) == ["huge loss"]
    assert kinds(after_test(stuck(1, val_loss=loss), (29, 9)), live=False) == []


def test_loss_of_an_overconfident_model_is_not_huge():
    assert kinds(stuck(1, val_loss=8.0, correct=(9, 9))) == []


def test_test_loss_that_is_not_finite_raises_alarm():
    assert kinds(after_test(stuck(1), (30, 0), loss=math.nan), live=False) == ["non-finite"]


@pytest.mark.parametrize("loop", [classifier, gan])
def test_good_run_of_another_loop_has_no_alarm(loop):
    state = RunState()
    for event in loop():
        state.apply(event)
        assert kinds(state) == []


@pytest.mark.parametrize("name", ["train/loss", "d_loss"])
def test_loss_of_another_loop_that_is_not_finite_raises_alarm(name):
    bad = [
        events.ScalarsLogged(step=step, epoch=7, not_finite={name: "nan"}) for step in (270, 280)
    ]
    assert kinds(state_after(*classifier(), bad[0])) == []  # may be a step that is skipped
    state = state_after(*classifier(), *bad)
    (alarm,) = find_alarms(state, state.last_time, live=False)
    assert (alarm.kind, alarm.severity) == ("non-finite", "error")
    assert alarm.text == f"{name} became nan in epoch 7: the weights are unusable"
    assert alarm.advice == "Train again with a lower learning rate than 0.059"


def test_metric_of_another_loop_that_is_not_finite_raises_no_alarm():
    bad = events.ScalarsLogged(step=280, epoch=7, not_finite={"val/f1": "nan"})
    assert kinds(state_after(*classifier(), bad)) == []


def test_unknown_validation_loss_raises_no_alarm():
    """The loop of the run logs an accuracy but no such loss."""
    known = {"accuracy": 0.5, "correct": (), "total": (), "train_accuracy": math.nan}
    epoch = replace(epoch_finished(1, math.nan), **known)
    assert kinds(state_after(started(), events.LoopDescribed(), epoch)) == []


def test_another_loop_may_log_nothing_while_it_validates():
    logged = list(gan())
    last = logged[-1].time
    state = state_after(*logged)
    assert kinds(state, last + 0.9 * STALL_LOOP_SECONDS) == []
    assert kinds(state, last + 1.1 * STALL_LOOP_SECONDS) == ["stall"]
    validation = 2 * STALL_LOOP_SECONDS
    later = last + validation
    state.apply(events.ScalarsLogged(time=later, step=201, values={"d_loss": (0.1,)}))
    assert kinds(state, later + 0.9 * STALL_LOOP_FACTOR * validation) == []
    assert kinds(state, later + 1.1 * STALL_LOOP_FACTOR * validation) == ["stall"]


def test_pause_of_another_loop_is_no_silence_of_it():
    logged = list(gan())
    last = logged[-1].time
    paused = replace(applied("pause"), time=last), replace(applied("unpause"), time=last + 1e5)
    later = last + 1e5 + 1
    again = events.ScalarsLogged(time=later, step=201, values={"d_loss": (0.1,)})
    assert kinds(state_after(*logged, *paused, again), later + 2 * STALL_LOOP_SECONDS) == ["stall"]


def test_chance_of_another_loop_needs_counts_only():
    state = state_after(
        *(
            replace(event, correct=(50, 0, 0, 0))
            if isinstance(event, events.EpochFinished)
            else event
            for event in classifier()
        )
    )
    (alarm,) = find_alarms(state, state.last_time, live=True)
    assert alarm.kind == "chance"
    assert "25.0%, is no better than always answering 'cat'" in alarm.text
    assert "optimizer.lr" not in alarm.advice


def test_advice_for_another_loop_names_no_config_key():
    losses = [1.0 / number for number in range(1, 5)] + [0.5, 0.6, 0.7, 0.8]
    logged = (
        replace(epoch_finished(number, loss), time=NOW, train_loss=1.0 / number)
        for number, loss in enumerate(losses, start=1)
    )
    state = state_after(started(), replace(events.LoopDescribed(), time=NOW), *logged)
    (alarm,) = find_alarms(state, NOW, live=True)
    assert alarm.kind == "overfitting"
    assert alarm.advice == "Stop; then try more images or more regularization"
