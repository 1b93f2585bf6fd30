"""Commands to loops, sent through the commands file as the command line does."""

import threading

import pytest
import torch

from cnn_engine.runlog import events
from cnn_engine.runs.summary import read_state
from cnn_tui.text.other_loops import refusal_text
from recorded_loops import LoopForTests
from runs_for_tests import events_of, wait_until


@pytest.fixture
def loop(tmp_path):
    loop = LoopForTests(tmp_path, epochs=10)
    yield loop
    loop.finish()


class Optimizer:
    """An optimizer as PyTorch's are."""

    def __init__(self, *rates):
        self.param_groups = [{"params": [], "lr": rate} for rate in rates]

    @property
    def rates(self):
        return [group["lr"] for group in self.param_groups]


def applied(loop):
    return [event.command for event in events_of(loop.directory, events.CommandApplied)]


def refusals(loop):
    return [event.text for event in events_of(loop.directory, events.CommandRefused)]


def offered(loop):
    loop.flush()
    return set(read_state(loop.directory)[0].loop.commands)


def test_commands_are_offered_as_the_loop_uses_them(loop):
    run = loop.run
    assert offered(loop) == set()
    run.log({"loss": 1})
    assert offered(loop) == {"pause", "unpause"}
    assert not run.should_stop
    assert not run.should_save
    assert offered(loop) == {"pause", "unpause", "stop", "checkpoint"}
    run.control(Optimizer(0.1))
    for _ in run.epochs(1):
        assert offered(loop) == {
            *("pause", "unpause", "stop", "stop-epoch", "checkpoint", "lr", "epochs")
        }


def test_what_the_loop_cannot_do_is_refused_with_the_reason(loop):
    for name, value in (("lr", 0.1), ("epochs", 5), ("checkpoint", None), ("detach", None)):
        loop.send(name, value)
    assert not applied(loop)
    assert refusals(loop) == [
        "lr is not possible: it needs run.control(optimizer)",
        "epochs is not possible: it needs run.epochs",
        "checkpoint is not possible: it needs run.should_save",
        "detach is not possible: just quit, as its own program trains",
    ]


def test_stop_ends_steps_and_epochs_and_the_run_is_stopped(loop):
    seen = []
    for epoch in loop.run.epochs():
        for step in loop.run.steps(range(5)):
            loop.run.log({"loss": 1.0})
            seen.append((epoch, step))
            if (epoch, step) == (1, 2):
                loop.send("stop")
    assert seen == [*((0, step) for step in range(5)), (1, 0), (1, 1), (1, 2)]
    assert loop.run.should_stop
    state, _ = read_state(loop.finish())
    assert (state.status, len(state.epochs), state.steps_done) == ("stopped", 1, 8)


def test_stop_after_epoch_ends_after_it(loop):
    epochs = []
    for epoch in loop.run.epochs():
        epochs.append(epoch)
        for step in loop.run.steps(range(3)):
            if (epoch, step) == (1, 0):
                loop.send("stop-epoch")
            loop.run.log({"loss": 1.0})
    assert epochs == [0, 1]
    state, _ = read_state(loop.finish())
    assert (state.status, len(state.epochs)) == ("stopped", 2)


@pytest.mark.parametrize("uses_steps", [True, False])
def test_stop_after_epoch_is_answered_by_should_stop(loop, uses_steps):
    """In a loop with epochs of its own, the epoch ends with its validation."""
    for epoch in range(5):
        for step in loop.run.steps(range(3)) if uses_steps else range(3):
            loop.run.log({"loss": 1.0})
            loop.flush()
            assert not loop.run.should_stop
            if (epoch, step) == (2, 1):
                loop.send("stop-epoch")
        loop.run.log({"val/loss": 1.0})
        if loop.run.should_stop:
            break
    assert epoch == 2
    state, _ = read_state(loop.finish())
    assert (state.status, len(state.epochs)) == ("stopped", 3)


@pytest.mark.parametrize(("command", "epochs"), [("stop", 1), ("stop-epoch", 2)])
@pytest.mark.parametrize("keys", [(), ("epoch",)])
def test_passes_that_are_skipped_after_a_stop_are_no_epochs(loop, command, epochs, keys):
    for epoch in range(6):
        for step in loop.run.steps(range(3)):
            loop.run.log({"loss": 1.0} | dict.fromkeys(keys, epoch))
            if (epoch, step) == (1, 0):
                loop.send(command)
        loop.run.log({"train/mean": 1.0} | dict.fromkeys(keys, epoch))
    state, _ = read_state(loop.finish())
    assert (state.status, len(state.epochs)) == ("stopped", epochs)
    assert state.steps_done == (4 if command == "stop" else 6)


@pytest.mark.parametrize("uses_epochs", [True, False])
def test_a_pass_without_gradients_is_a_whole_validation(loop, uses_epochs):
    """Its batches are no steps, and a stop does not cut it, so that its mean is right."""
    passes = []
    for _ in loop.run.epochs(2) if uses_epochs else range(2):
        for _ in loop.run.steps(range(4)):
            loop.run.log({"loss": 1.0})
        with torch.no_grad():
            for batch in loop.run.steps(range(3)):
                if batch == 0:
                    loop.send("stop-epoch")
                passes.append(batch)
        loop.run.log({"val/loss": 2.0})
    assert passes == ([0, 1, 2] if uses_epochs else [0, 1, 2] * 2)
    state, _ = read_state(loop.finish())
    assert (state.status, state.steps_done, state.steps_per_epoch) == ("stopped", 4, 4)
    assert [epoch.val_loss for epoch in state.epochs] == [2.0]


def test_stop_after_the_last_epoch_is_done(loop):
    for _ in loop.run.epochs(1):
        loop.send("stop-epoch")
    assert read_state(loop.finish())[0].status == "done"


def test_pause_blocks_log_until_unpaused(loop):
    run = loop.run
    run.log({"loss": 1.0})
    loop.send("pause")
    logged = threading.Thread(target=run.log, args=({"loss": 2.0},))
    logged.start()
    logged.join(0.3)
    assert logged.is_alive()
    assert read_state(loop.directory)[0].status == "paused"
    loop.send("unpause")
    logged.join(30)
    assert not logged.is_alive()
    assert applied(loop) == ["pause", "unpause"]
    assert read_state(loop.directory)[0].status == "training"


def test_stop_of_a_paused_loop_lets_it_go_on_to_its_end(loop):
    seen = []

    def train():
        for step in loop.run.steps(range(100)):
            seen.append(step)
            if step == 1:
                loop.send("pause")

    thread = threading.Thread(target=train)
    thread.start()
    wait_until(lambda: applied(loop) == ["pause"])
    loop.send("stop")
    thread.join(30)
    assert seen == [0, 1]
    assert applied(loop) == ["pause", "unpause", "stop"]


def test_finish_ends_a_pause(loop):
    loop.run.log({"loss": 1.0})
    loop.send("pause")
    thread = threading.Thread(target=loop.run.log, args=({"loss": 2.0},))
    thread.start()
    loop.finish()
    thread.join(30)
    assert not thread.is_alive()


def test_rate_is_set_between_steps_in_proportion_and_recorded(loop):
    optimizer = Optimizer(0.1, 0.02)
    loop.run.control(optimizer)
    loop.run.log({"loss": 1.0})
    loop.send("lr", 0.05)
    assert optimizer.rates == [0.1, 0.02]
    loop.run.log({"loss": 1.0})
    assert optimizer.rates == [0.05, 0.01]
    loop.flush()
    state, _ = read_state(loop.directory)
    assert applied(loop) == ["lr"]
    assert state.series["lr"].last == pytest.approx(0.05)
    assert state.lr == 0.05
    loop.send("lr", -1)
    assert refusals(loop) == ["lr -1: a learning rate must be a positive number"]


def test_schedulers_go_on_from_the_new_rate(loop):
    torch = pytest.importorskip("torch")
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5**step)
    loop.run.control(optimizer, scheduler)
    loop.run.log({"loss": 1.0})
    loop.send("lr", 0.2)
    loop.run.log({"loss": parameter.sum()})
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1)


def test_function_sets_the_rate_and_its_error_is_the_refusal(loop):
    rates = []

    def set_rate(rate):
        rates.append(rate)
        if len(rates) == 2:
            raise ValueError("too high")

    loop.run.control(set_rate)
    for rate in (0.1, 0.2):
        loop.send("lr", rate)
        loop.run.log({"loss": 1.0})
    loop.flush()
    assert rates == [0.1, 0.2]
    assert applied(loop) == ["lr"]
    assert refusals(loop) == ["lr 0.2: ValueError: too high"]


def test_checkpoint_is_asked_for_once_and_recorded(loop):
    assert not loop.run.should_save
    for _ in range(3):
        loop.run.log({"loss": 1.0})
    loop.send("checkpoint")
    assert loop.run.should_save
    assert not loop.run.should_save
    loop.run.saved("out/model.pt")
    (saved,) = events_of(loop.directory, events.CheckpointSaved)
    assert (saved.reason, saved.file, saved.epoch, saved.step) == ("asked", "out/model.pt", 1, 3)


def test_number_of_epochs_is_changed(loop):
    seen = []
    for epoch in loop.run.epochs(10):
        seen.append(epoch)
        if epoch == 1:
            loop.send("epochs", 1)
            loop.send("epochs", 3)
    assert seen == [0, 1, 2]
    assert refusals(loop) == ["epochs 1: epoch 2 has begun; set 2 or more"]
    state, _ = read_state(loop.finish())
    assert (state.total_epochs, len(state.epochs), state.status) == (3, 3, "done")


def test_several_processes_are_not_stopped_or_changed_by_one(tmp_path, monkeypatch):
    """The other processes would wait forever, or train with another rate."""
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    loop = LoopForTests(tmp_path)
    loop.run.control(Optimizer(0.1))
    epochs = list(loop.run.epochs(2))
    assert list(loop.run.steps("ab")) == ["a", "b"]
    assert epochs == [0, 1]
    assert offered(loop) == {"pause", "unpause"}
    for name, value in (("stop", None), ("stop-epoch", None), ("lr", 0.1), ("epochs", 5)):
        loop.send(name, value)
    assert all("not possible: several processes train" in text for text in refusals(loop))
    text = refusal_text(read_state(loop.directory)[0], "stop")
    assert text == "This run cannot stop: several processes train: they must share run.should_stop"
    assert len(refusals(loop)) == 4
    assert not loop.run.should_stop  # from now on the loop decides
    loop.send("stop")
    assert list(loop.run.steps("ab")) == ["a", "b"]
    assert loop.run.should_stop
    loop.finish()
