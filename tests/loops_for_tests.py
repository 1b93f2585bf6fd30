"""Runs that another training loop logs, made from events."""

import math
import os

from cnn_engine.runlog import events
from cnn_engine.runlog.lines import to_line
from cnn_engine.runs.directory import RunDirectory
from golden import NOW

CLASSES = ("cat", "dog", "frog", "ship")
COMMANDS = ("pause", "unpause", "stop", "checkpoint")
"""Commands that the loop obeys: neither another learning rate nor another number of epochs."""
PER_CLASS = 50
SECONDS_PER_STEP = 0.25


def classifier(epochs=6, planned=10, steps_per_epoch=40):
    """Return the events of a loop that logs losses, a rate, F1 and counts of images by class."""
    time = NOW - epochs * (steps_per_epoch * SECONDS_PER_STEP + 2.0) - 1
    yield _started(time, "resnet-a", {"config": {"lr": 0.1, "batch_size": 64}})
    yield events.LoopDescribed(
        time=time,
        epochs=planned,
        steps_per_epoch=steps_per_epoch,
        commands=COMMANDS,
        classes=CLASSES,
        framework="Lightning 2.5",
    )
    for epoch in range(1, epochs + 1):
        for step in range(2, steps_per_epoch + 1, 2):
            total = (epoch - 1) * steps_per_epoch + step
            time += 2 * SECONDS_PER_STEP
            loss, lr = 2.0 * math.exp(-total / 120) + 0.1 * (total % 3), 0.1 * 0.9 ** (epoch - 1)
            yield _steps(time, epoch, step, loss, lr)
            yield events.ScalarsLogged(
                time=time,
                step=total,
                epoch=epoch,
                values={"train/loss": (loss, loss - 0.1, loss + 0.1), "lr": (lr,)}
                | {"gradient norm": (3.0 / total, 2.0 / total, 4.0 / total)},
            )
        time += 2.0
        val_loss, f1 = 1.6 / epoch**0.5, 1 - 0.6 / epoch
        correct = tuple(PER_CLASS - 24 // (epoch + index % 2) for index in range(len(CLASSES)))
        wrong = tuple(
            (index, (index + 1) % len(CLASSES), PER_CLASS - count)
            for index, count in enumerate(correct)
        )
        accuracy = sum(correct) / PER_CLASS / len(CLASSES)
        yield events.ScalarsLogged(
            time=time,
            step=epoch * steps_per_epoch,
            epoch=epoch,
            values={"val/loss": (val_loss,), "val/accuracy": (accuracy,), "val/f1": (f1,)},
        )
        yield events.EpochFinished(
            time=time,
            epoch=epoch,
            train_loss=2.0 * math.exp(-epoch / 3),
            train_accuracy=math.nan,
            val_loss=val_loss,
            correct=correct,
            total=(PER_CLASS,) * len(CLASSES),
            confusion=wrong,
            train_seconds=steps_per_epoch * SECONDS_PER_STEP,
            val_seconds=2.0,
        )


def gan(steps=200):
    """Return the events of a loop with unknown length that logs no loss of a clear role."""
    time = NOW - steps * SECONDS_PER_STEP - 1
    yield _started(time, "gan", {"config": {"latent": 64}})
    yield events.LoopDescribed(time=time, commands=("stop",))
    for step in range(2, steps + 1, 2):
        time += 2 * SECONDS_PER_STEP
        values = {"d_loss": (1 / step,), "g_loss": (1 + 0.4 * math.sin(step / 9),)}
        yield events.ScalarsLogged(time=time, step=step, values=values)


def finished(logged, status="done", error=""):
    """Return the events followed by the end of the run."""
    logged = list(logged)
    seconds = logged[-1].time - logged[0].time
    end = events.RunFinished(
        time=logged[-1].time, status=status, exit_code=0, seconds=seconds, error=error
    )
    return [*logged, end]


def loop_run(runs_dir, logged, run_id="1128-0812-cedar"):
    """Create a run directory with a log of the events."""
    run = RunDirectory(runs_dir / run_id)
    run.path.mkdir(parents=True)
    run.events.write_text("".join(f"{to_line(event)}\n" for event in logged))
    return run


def _started(time, name, config):
    return events.RunStarted(
        time=time,
        run_id="1128-0812-cedar",
        name=name,
        preset="",
        config=config,
        pid=os.getpid(),
        host="elsewhere",
        version="0.2.0",
        command=("train.py", "--lr", "0.1"),
        directory="/home/ada/resnet",
    )


def _steps(time, epoch, step, loss, lr):
    return events.StepsFinished(
        time=time,
        epoch=epoch,
        step=step,
        steps=2,
        loss=loss,
        loss_min=loss - 0.1,
        loss_max=loss + 0.1,
        lr=lr,
        seconds=2 * SECONDS_PER_STEP,
        images=0,
    )
