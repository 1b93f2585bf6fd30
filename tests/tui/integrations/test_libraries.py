"""The programs of the page on loops of one's own, and commands to the loops of libraries."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cnn_engine.runlog import events
from cnn_engine.runs.directory import list_runs
from cnn_engine.runs.summary import read_state
from runs_for_tests import events_of
from terminal import environment

PAGE = Path(__file__).parents[3] / "tui/docs/LOOPS.md"
PYTORCH, WANDB, LIGHTNING, TRANSFORMERS, KERAS = re.findall(
    r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE
)

SEND = """
import time

from cnn_engine.runs.commands import Command, send


class Examples:
    '''Examples that take a while; with the fifth, commands are sent.'''

    def __init__(self, examples):
        self.examples, self.taken = examples, 0

    def __len__(self):
        return len(self.examples)

    def __getitem__(self, index):
        time.sleep(0.005)
        self.taken += 1
        if self.taken == 5:
            commands = cnn_tui.run.path / "commands.jsonl"
            send(commands, Command(name="epochs", value=7, by="test"))
            send(commands, Command(name="lr", value=0.025, by="test"))
            send(commands, Command(name="checkpoint", by="test"))
            send(commands, Command(name="stop-epoch", by="test"))
        return self.examples[index]


import cnn_tui
"""
"""Sends commands from within a loop, as a user does from a shell."""

CONTROLLED = {
    "Lightning": (
        LIGHTNING,
        """
trainer = lightning.Trainer(
    max_epochs=500,
    logger=DashboardLogger(name="controlled"),
    callbacks=[DashboardCallback()],
    accelerator="cpu",
    enable_progress_bar=False,
    enable_model_summary=False,
)
examples = Examples([(image, label) for image, label in zip(images, labels)])
trainer.fit(Classifier(), DataLoader(examples, batch_size=16), loader)
""",
    ),
    "Transformers": (
        TRANSFORMERS,
        """
arguments.num_train_epochs = 500
trainer = Trainer(
    model=Classifier(),
    args=arguments,
    train_dataset=Examples(examples),
    eval_dataset=examples,
    callbacks=[DashboardCallback(name="controlled")],
)
trainer.train()
""",
    ),
    "Keras": (
        KERAS,
        """
class Batches(keras.utils.PyDataset):
    def __init__(self):
        super().__init__()
        parts = range(0, 128, 16)
        self.examples = Examples([(images[i : i + 16], labels[i : i + 16]) for i in parts])

    def __len__(self):
        return len(self.examples)

    def __getitem__(self, index):
        time.sleep(0.1)
        return self.examples[index]

callback = DashboardCallback(name="controlled", checkpoint="asked.keras")
model.fit(Batches(), epochs=500, verbose=0, callbacks=[callback], validation_data=(images, labels))
""",
    ),
}
"""A program of the page, and more of it, whose loop gets commands."""


@pytest.mark.parametrize("framework", CONTROLLED)
def test_loop_of_a_library_is_recorded_and_obeys_commands(tmp_path, framework):
    """The program of the page is recorded; a second training gets commands."""
    example, controlled = CONTROLLED[framework]
    (tmp_path / "program.py").write_text(example + SEND + controlled)
    settings = environment(KERAS_BACKEND="torch", HF_HUB_OFFLINE="1", CUDA_VISIBLE_DEVICES="")
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "program.py"],
        cwd=tmp_path,
        env=settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert result.returncode == 0, result.stderr
    second, first = list_runs(tmp_path / "runs")

    state, damaged = read_state(first)
    assert (state.status, damaged) == ("done", 0)
    assert state.loop.framework.startswith(framework)
    assert (state.total_epochs, len(state.epochs)) == (3, 3)
    assert [epoch.is_validated for epoch in state.epochs] == [True] * 3
    assert state.steps_done == 3 * state.steps_per_epoch > 0
    assert len(state.curve) >= 3
    assert state.lr > 0
    assert {"lr", "learning_rate"} & state.series.keys()

    state, damaged = read_state(second)
    assert (state.started.name, state.status, damaged) == ("controlled", "stopped", 0)
    applied = sorted(command.command for command in state.commands)
    assert applied == ["checkpoint", "lr", "stop-epoch"]
    (refused,) = events_of(second, events.CommandRefused)
    assert refused.command == "epochs"
    assert state.lr == pytest.approx(0.025, rel=0.1)  # a schedule may go on from there
    assert 0 < len(state.epochs) < 500
    saved = [Path(event.file) for event in state.checkpoints]
    assert saved
    assert all((tmp_path / path).exists() for path in saved)


def run_example(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "example", "exec"), {"__name__": "__main__"})  # noqa: S102 - of this repository
    (run,) = list_runs(tmp_path / "runs")
    state, damaged = read_state(run)
    assert (state.status, damaged) == ("done", 0)
    return state


def test_program_in_pytorch_is_recorded(tmp_path, monkeypatch):
    state = run_example(PYTORCH, tmp_path, monkeypatch)
    assert (state.total_epochs, len(state.epochs), state.steps_done) == (5, 5, 60)
    assert state.classes == ("dark", "bright")
    assert sum(state.epochs[-1].total) == 64
    assert state.epochs[-1].val_accuracy > 0.7
    assert {*state.loop.commands} == {
        *("pause", "unpause", "stop", "stop-epoch", "checkpoint", "lr", "epochs"),
    }  # fmt: skip
    assert state.config == {"config": {"lr": 0.05, "batch_size": 16}}


def test_program_written_for_wandb_is_recorded(tmp_path, monkeypatch):
    state = run_example(WANDB, tmp_path, monkeypatch)
    assert (len(state.epochs), state.steps_done, state.lr) == (3, 60, 0.1)
    assert [epoch.val_accuracy for epoch in state.epochs] == pytest.approx([0.5, 0.6, 0.7])
    assert json.loads(json.dumps(state.config)) == {"config": {"lr": 0.1, "epochs": 3}}
