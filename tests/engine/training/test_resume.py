"""A resumed run has the same results as an uninterrupted one."""

import pytest

from cnn_engine.checkpoints.format import LAST_FILE
from cnn_engine.runlog import events
from cnn_engine.runlog.log import LogReader
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.summary import read_state, read_summary
from cnn_engine.training.control import StopRequested
from grammar import SESSIONS, event_letters
from interrupted_runs import (
    EPOCH_CHECKS,
    STEPS,
    TWO_EPOCHS,
    Killed,
    assert_same,
    interrupt_at,
    load_saved,
    results,
    resumed_events,
)
from runs_for_tests import RunForTests

pytestmark = pytest.mark.usefixtures("small_validation_batches")

POINTS = {
    "after the first step": 1,
    "in the first epoch": 7,
    "after the last step": STEPS,
    "in validation": STEPS + 2,
    "in the second epoch": EPOCH_CHECKS + 5,
    "in the last validation": 2 * EPOCH_CHECKS - 1,
    "in the test": 2 * EPOCH_CHECKS + 2,
}


IN_AND_BETWEEN_STEPS = ("in the first epoch", "after the last step", "in the second epoch")


@pytest.mark.parametrize(
    ("point", "precision"),
    [*((point, "fp32") for point in POINTS), *((point, "bf16") for point in IN_AND_BETWEEN_STEPS)],
)
def test_resume_after_stop_is_bit_equal(interrupted_run, uninterrupted_run, point, precision):
    kind = f"train.precision={precision}"
    run = interrupted_run(POINTS[point], kind)
    assert (run.live_state.status, run.live_state.test) == ("stopped", None)
    run.resume()
    assert (run.live_state.status, run.engine.exit_code) == ("done", 0)
    assert run.live_state.prepared.differences == ()
    assert_same(run, uninterrupted_run(kind))


RECIPE = (
    "augment.flip=alternating",
    "augment.translate=1",
    "augment.cutout=3",
    "optimizer.name=muon",
    "optimizer.lr=0.02",
    "optimizer.bias_norm_lr=0.05",
    "optimizer.weight_decay=0.01",
    "optimizer.normalise=true",
    "optimizer.clip_norm=1.0",
    "schedule.shape=cosine",
    "schedule.warmup=0.3",
    "average.every=3",
    "train.label_smoothing=0.1",
    "evaluate.tta=mirror-shift",
)


@pytest.mark.parametrize(
    ("point", "kind"),
    [
        *((point, "ema") for point in POINTS),
        *((point, "lookahead") for point in IN_AND_BETWEEN_STEPS),
    ],
)
def test_resume_of_every_recipe_is_bit_equal(interrupted_run, uninterrupted_run, point, kind):
    recipe = (*RECIPE, f"average.kind={kind}")
    run = interrupted_run(POINTS[point], *recipe)
    run.resume()
    assert run.live_state.status == "done"
    assert_same(run, uninterrupted_run(*recipe))


@pytest.mark.parametrize("point", POINTS)
def test_resume_after_kill_is_bit_equal(interrupted_run, uninterrupted_run, point):
    run = interrupted_run(POINTS[point], error=Killed())
    assert run.live_state.finished is None
    recorded = len(run.events())
    run.resume()
    assert run.live_state.status == "done"
    assert_same(run, uninterrupted_run())
    resumed = run.events()[recorded]
    saved_epochs = (POINTS[point] - 1) // EPOCH_CHECKS
    assert (resumed.epoch, resumed.step) == (saved_epochs + 1, 0)
    assert resumed.file == (LAST_FILE if saved_epochs else "")


def test_second_resume_is_bit_equal(interrupted_run, uninterrupted_run, monkeypatch):
    run = interrupted_run(4)
    for check in (3, EPOCH_CHECKS):
        with monkeypatch.context() as patches:
            interrupt_at(patches, check, StopRequested("test"))
            run.resume()
    run.resume()
    assert_same(run, uninterrupted_run())
    assert [(event.epoch, event.step) for event in resumed_events(run)] == [(1, 4), (1, 7), (2, 7)]


def test_resume_before_first_epoch_starts_again(tmp_path, uninterrupted_run):
    run = RunForTests(tmp_path, TWO_EPOCHS)
    run.send("stop")
    run.train()
    run.resume()
    assert_same(run, uninterrupted_run())
    (resumed,) = resumed_events(run)
    assert (resumed.epoch, resumed.step, resumed.file) == (1, 0, "")


def test_checkpoint_within_epoch_is_saved_when_due(interrupted_run, uninterrupted_run):
    run = interrupted_run(10, "train.checkpoint_seconds=1e-9", error=Killed())
    assert [(saved.epoch, saved.step) for saved in run.live_state.checkpoints] == [
        (1, step) for step in range(1, 10)
    ]
    run.resume()
    assert (resumed_events(run)[0].epoch, resumed_events(run)[0].step) == (1, 9)
    assert results(run) == results(uninterrupted_run())


def test_resumed_log_has_every_epoch_once(interrupted_run):
    run = interrupted_run(EPOCH_CHECKS + 5)
    before = run.live_state.elapsed_seconds
    run.resume()
    state = run.live_state
    assert [epoch.epoch for epoch in state.epochs] == [1, 2]
    assert list(state.curve.steps) == sorted(set(state.curve.steps))
    assert sum(event.images for event in steps_events(run) if event.epoch == 2) == 1151
    assert ("resume", STEPS + 5) in [(mark.kind, mark.step) for mark in state.markers]
    assert state.resumed.seconds == before
    assert state.finished.seconds > before
    assert read_state(run.directory)[0] == state
    assert read_summary(run.directory).status == "done"
    started = [event for event in run.events() if isinstance(event, events.EpochStarted)]
    assert [(event.epoch, event.step) for event in started] == [(1, 0), (2, 0), (2, 5)]


def test_log_of_several_sessions_follows_grammar(interrupted_run, uninterrupted_run):
    stopped, killed = (
        interrupted_run(EPOCH_CHECKS + 5),
        interrupted_run(EPOCH_CHECKS + 5, error=Killed()),
    )
    for run in (stopped, killed):
        letters = event_letters(run.resume().events())
        assert SESSIONS.fullmatch(letters)
        assert letters.count("r") == 1
        assert letters.endswith("ST.")


def steps_events(run):
    return [event for event in run.events() if isinstance(event, events.StepsFinished)]


def test_follower_of_resumed_run_sees_engine_state(interrupted_run):
    run = interrupted_run(EPOCH_CHECKS + 5, error=Killed())
    followed, reader = RunState(), LogReader(run.directory.events)
    run.prepare_resume()
    run.engine.start()
    while run.engine.is_alive():
        for event in reader.poll():
            followed.apply(event)
    for event in reader.poll():
        followed.apply(event)
    assert followed == run.live_state


def test_torn_last_line_is_ignored(interrupted_run, uninterrupted_run):
    run = interrupted_run(EPOCH_CHECKS + 5, error=Killed())
    with run.directory.events.open("ab") as log:
        log.write(b'{"kind":"StepsFin')
    run.resume()
    state, damaged = read_state(run.directory)
    assert (damaged, state) == (1, run.live_state)
    assert read_summary(run.directory).damaged_lines == 1
    assert load_saved(run, LAST_FILE) == load_saved(uninterrupted_run(), LAST_FILE)


def test_temporary_files_are_removed(interrupted_run):
    run = interrupted_run(5)
    stray = run.directory.path / "last.pt.0123456789ab.tmp"
    stray.write_bytes(b"half a checkpo")
    run.prepare_resume()
    assert not stray.exists()
    run.recorder.close()


def test_resume_ignores_earlier_commands(tmp_path, monkeypatch):
    run = RunForTests(tmp_path, "train.epochs=1")
    run.send("lr", 0.002)
    run.send("stop")
    run.train()
    run.prepare_resume()
    run.send("lr", 0.003)  # once the run is locked, commands are for the new session
    run.train()
    assert run.live_state.status == "done"
    assert [command.value for command in run.live_state.commands if command.command == "lr"] == [
        0.003
    ]


def test_resumed_run_is_not_paused(tmp_path):
    run = RunForTests(tmp_path, "train.epochs=1")
    run.send("pause")
    run.send("stop")
    run.train()
    run.resume()
    assert (run.live_state.status, run.live_state.paused) == ("done", False)
