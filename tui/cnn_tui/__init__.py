"""Terminal dashboard for training convolutional networks on images, or any training loop.

`import cnn_tui` in a training loop records its run, which the dashboard shows and controls::

    run = cnn_tui.init(name="resnet-a", config=vars(args), epochs=90)
    for epoch in run.epochs():
        for images, labels in run.steps(loader):
            run.log({"train/loss": loss})
        run.log({"val/loss": val_loss, "val/accuracy": val_accuracy})
    run.finish()

`init`, `log`, `config`, `run` and `finish` are those of W&B: `import cnn_tui as wandb`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnn_engine.tracking.config import Config
    from cnn_engine.tracking.current import (
        classes,
        control,
        epochs,
        finish,
        init,
        log,
        saved,
        steps,
        validated,
    )
    from cnn_engine.tracking.run import Run
    from cnn_engine.tracking.summary import Summary

    config: Config
    summary: Summary
    run: Run | None
    should_stop: bool
    should_save: bool

__all__ = [
    "Run",
    "classes",
    "config",
    "control",
    "epochs",
    "finish",
    "init",
    "log",
    "run",
    "saved",
    "should_save",
    "should_stop",
    "steps",
    "summary",
    "validated",
]

_OF_CURRENT_RUN = {
    "run": "current",
    "config": "config",
    "summary": "summary",
    "should_stop": "should_stop",
    "should_save": "should_save",
}
"""Attributes whose value changes, and the functions that return it."""


def __getattr__(name: str) -> object:
    """Return a part of the interface; it is imported now, as commands start faster without it."""
    from cnn_engine.tracking import wandb_names  # noqa: PLC0415

    is_ignored = name in wandb_names.WITHOUT_COUNTERPART
    if name not in __all__ and not is_ignored:
        raise AttributeError(f"module 'cnn_tui' has no attribute {name!r}")
    from cnn_engine.tracking import current  # noqa: PLC0415

    if name == "init":
        from cnn_tui.settings.runs_dir import set_runs_dir_of_loops  # noqa: PLC0415

        set_runs_dir_of_loops()
    if is_ignored:
        return current.ignored(name)
    if name in _OF_CURRENT_RUN:
        return getattr(current, _OF_CURRENT_RUN[name])()
    # Stored, as a loop calls `cnn_tui.log` in each step.
    return globals().setdefault(name, getattr(current, name))
