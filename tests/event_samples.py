"""Sample events for tests."""

from cnn_engine.runlog import events
from cnn_engine.runlog.state import RunState

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


def state_after(*logged):
    """Return the state of a run after these events."""
    state = RunState()
    for event in logged:
        state.apply(event)
    return state
