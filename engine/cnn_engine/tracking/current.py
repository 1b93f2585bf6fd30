"""The functions of `import cnn_tui`, for the current run of this process."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, overload

from cnn_engine.runlog.roles import Role
from cnn_engine.tracking.arguments import check_mode, runs_directory, whole_number
from cnn_engine.tracking.config import Config
from cnn_engine.tracking.iterators import Epochs, GivenEpochs, Steps
from cnn_engine.tracking.loop_control import LoopControl
from cnn_engine.tracking.names import clean_classes, clean_name
from cnn_engine.tracking.nothing import Nothing
from cnn_engine.tracking.run import Run
from cnn_engine.tracking.start import Plan, clean_note, clean_run_name, clean_tags, start
from cnn_engine.tracking.summary import Summary

Batch = TypeVar("Batch")

NO_RUN = Run(None, LoopControl(0))
"""Run that the functions use before `init`; it records nothing."""

_run: Run | None = None


def init(  # noqa: PLR0913 - options of the run
    name: str | None = None,
    *,
    config: Any = None,
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    classes: Sequence[str] | None = None,
    roles: Mapping[Role, str] | None = None,
    resume: str | bool | None = None,
    id: str | None = None,  # noqa: A002 - as in W&B
    runs_dir: str | Path | None = None,
    dir: str | Path | None = None,  # noqa: A002 - as in W&B
    project: str | None = None,
    tags: str | Sequence[str] | None = None,
    notes: str | None = None,
    mode: str | None = None,
    signals: bool = False,
    framework: str = "",
    **ignored: object,
) -> Run:
    """Start the run of a training loop, which becomes the current run, and end the one before.

    Everything is optional. The run can be watched with the command that is printed. If it cannot be
    written, that is reported and nothing is recorded.

    Args:
        name: Name of the run.
        config: Hyperparameters: a dictionary, the result of argparse, or a dataclass.
        epochs: Planned number of epochs, for the progress and the time left.
        steps_per_epoch: Steps of an epoch; learned if it is not given.
        classes: Names of the classes, in the order of their numbers.
        roles: Series instead of those guessed from their names, by role: `train_loss`, `val_loss`,
            `train_accuracy`, `val_accuracy`, `lr`.
        resume: Id of a run to continue, in its directory, or `latest`. With `id`, True, `allow`,
            `must` or `never`, as in W&B.
        id: Name of the run's directory; made up by default. The environment variable `CNN_TUI_RUN`
            gives one that is continued if it exists.
        runs_dir: Directory of runs; by default that of `CNN_TUI_RUNS_DIR`, or `./runs`.
        dir: Directory in which the directory `runs` is, as in W&B.
        project: What is trained; by default the name of the program.
        tags: Tags of the run.
        notes: Note on the run.
        mode: `disabled` to record nothing, as does `CNN_TUI_MODE=disabled`.
        signals: True to let SIGINT, SIGTERM, SIGUSR1, SIGUSR2 and SIGXCPU set `should_stop`.
        framework: Name and version of the framework whose loop it is.
        **ignored: Other arguments of W&B, which are reported once.

    Raises:
        ConfigError: an argument is wrong, or the run to resume does not exist.
    """
    global _run  # noqa: PLW0603 - the current run
    check_mode("mode", mode)
    where = None if runs_dir is None else runs_directory("runs_dir", runs_dir)
    if where is None and dir is not None:
        where = runs_directory("dir", dir) / "runs"
    plan = Plan(
        name=clean_run_name(name),
        project=clean_name(str(project or "")),
        config=config,
        epochs=whole_number("epochs", epochs),
        steps_per_epoch=whole_number("steps_per_epoch", steps_per_epoch),
        classes=clean_classes(classes),
        roles=roles,
        framework=str(framework or ""),
        tags=clean_tags(tags),
        notes=clean_note(notes),
        runs_dir=where,
        run_id=str(id or ""),
        resume=resume,
        signals=signals,
        is_disabled=mode == "disabled",
        ignored=tuple(sorted(ignored)),
    )
    if _run is not None:
        _run.finish()
    _run = start(plan)
    return _run


def current() -> Run | None:
    """Return the current run; None before `init`."""
    return _run


def _current() -> Run:
    if _run is None:
        NO_RUN.warn("init", "call cnn_tui.init() first: nothing is recorded")
        return NO_RUN
    return _run


def log(
    data: Mapping[str, Any], step: int | None = None, *, commit: bool | None = None, **_: object
) -> None:
    """Record values of named series; see `Run.log`."""
    _current().log(data, step, commit=commit)


def steps(loader: Iterable[Batch]) -> Steps[Batch]:
    """Return an iterable over the batches of a loader that counts steps; see `Run.steps`."""
    return _current().steps(loader)


@overload
def epochs(epochs: int | None = None) -> Epochs: ...


@overload
def epochs(epochs: Iterable[Batch]) -> GivenEpochs[Batch]: ...


def epochs(epochs: Any = None) -> Epochs | GivenEpochs[Any]:
    """Return an iterable over the numbers of epochs from 0; see `Run.epochs`."""
    found: Epochs | GivenEpochs[Any] = _current().epochs(epochs)
    return found


def control(optimizer: Any, scheduler: Any = None) -> None:
    """Let commands change the learning rate, and record it; see `Run.control`."""
    _current().control(optimizer, scheduler)


def classes(names: Sequence[str]) -> None:
    """Set the names of the classes; see `Run.classes`."""
    _current().classes(names)


def validated(truth: Any, predicted: Any) -> None:
    """Record a validation of this epoch by its classes; see `Run.validated`."""
    _current().validated(truth, predicted)


def saved(path: object) -> None:
    """Record that the loop has saved a checkpoint; see `Run.saved`."""
    _current().saved(path)


def finish(exit_code: int | None = None, **_: object) -> None:
    """End the current run; see `Run.finish`."""
    if _run is not None:
        _run.finish(exit_code)


def ignored(name: str) -> Nothing:
    """Return an object that does nothing, for a name of W&B without a counterpart."""
    return (_run or NO_RUN).ignored(name)


def config() -> Config:
    """Return the config of the current run."""
    return (_run or NO_RUN).config


def summary() -> Summary:
    """Return the final values of the current run."""
    return (_run or NO_RUN).summary


def should_stop() -> bool:
    """Return True once the current run is to end; see `Run.should_stop`."""
    return _current().should_stop


def should_save() -> bool:
    """Return True once after each command to save a checkpoint; see `Run.should_save`."""
    return _current().should_save
