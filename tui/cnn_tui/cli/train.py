"""`cnn-tui run`, `resume` and `watch`: start, continue and follow a run."""

import dataclasses
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from cnn_engine.config.limits import MAX_EPOCHS, MAX_PROCESSES
from cnn_engine.config.preset_files import list_presets
from cnn_engine.distributed.place import Place, find_place
from cnn_engine.errors import ConfigError
from cnn_engine.notifications.targets import Targets, write_targets
from cnn_engine.notifications.urls import masked_words
from cnn_engine.runs.directory import RunDirectory, create_run, default_runs_dir, iter_runs
from cnn_engine.runs.lookup import LATEST
from cnn_engine.runs.summary import read_state
from cnn_engine.system.stop_signals import hold_stop_signals
from cnn_tui.cli.completion import complete_config, complete_run
from cnn_tui.cli.groups import find_group
from cnn_tui.cli.habits import check_config
from cnn_tui.cli.notify import Notify, NotifyOn, OnEnd, chosen_targets
from cnn_tui.cli.options import (
    AllowCode,
    BatchSize,
    DataDir,
    OnHangupOption,
    Overrides,
    Queued,
    ResumeOrStart,
    RunReference,
    RunsDir,
    TimeLimit,
    as_overrides,
    display_options,
    parse_time,
    resolve_run,
)
from cnn_tui.cli.queue import check_queue_options, queue_new, queue_new_series
from cnn_tui.cli.resume_or_start import find_unfinished, only_name, only_starter
from cnn_tui.settings import DEFAULT_OPTIONS, OnHangup, Options, load_settings
from cnn_tui.settings.run_defaults import with_run_defaults
from cnn_tui.terminal.tty import has_terminal, require_written
from cnn_tui.text.safe import escaped
from cnn_tui.text.shell import command_for

if TYPE_CHECKING:
    from cnn_engine.session.engine import Engine
    from cnn_engine.session.request import Request

WAIT_SECONDS = 0.2
"""Interval at which `watch` looks for a first run."""

EventsAsJson = Annotated[
    bool, typer.Option("--json", help="Print each event as a line of JSON; implies --no-ui.")
]
ProcessCount = Annotated[
    int | None,
    typer.Option(
        "--nproc",
        min=1,
        max=MAX_PROCESSES,
        metavar="N",
        help="Train in N processes on this machine, which share each batch; with GPUs, one each.",
    ),
]
NoUi = Annotated[bool, typer.Option("--no-ui", help="Print lines instead of the dashboard.")]


@display_options(bell=True)
def run(  # noqa: PLR0913 - one parameter per option
    config: Annotated[
        str | None,
        typer.Argument(
            metavar="CONFIG",
            help=f"Preset ({', '.join(list_presets())}) or TOML file. Default: cifar10, or digits "
            "if CIFAR-10 cannot be downloaded.",
            autocompletion=complete_config,
        ),
    ] = None,
    others: Annotated[list[str] | None, typer.Argument(metavar="", hidden=True)] = None,
    overrides: Overrides = None,
    epochs: Annotated[
        int | None, typer.Option(metavar="N", help="Same as --set train.epochs=N.")
    ] = None,
    lr: Annotated[
        float | None, typer.Option(metavar="LR", help="Same as --set optimizer.lr=LR.")
    ] = None,
    batch_size: BatchSize = None,
    data_dir: DataDir = None,
    runs_dir: RunsDir = None,
    name: Annotated[str, typer.Option(metavar="NAME", help="Name of the run.")] = "",
    device: Annotated[
        str | None, typer.Option(metavar="auto|cpu|cuda|mps", help="Same as --set train.device=….")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Same as --set train.seed=N.")
    ] = None,
    resume_or_start: ResumeOrStart = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Time budget, e.g. 10m or 1h30m; sets the number of epochs to fit.",
        ),
    ] = None,
    repeat: Annotated[
        int,
        typer.Option(
            min=1, max=10_000, metavar="N", help="Train with N seeds and report mean ± std."
        ),
    ] = 1,
    sweeps: Annotated[
        list[str] | None,
        typer.Option(
            "--sweep",
            metavar="KEY=VALUE,…",
            help="Train once with each value; with several --sweep, with each combination.",
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=1000,
            metavar="K",
            help="Cross-validation: train K runs, each validated on another K-th of the training "
            "images, and report mean ± std and the accuracy over all of them.",
        ),
    ] = None,
    stop_on_failure: Annotated[
        bool,
        typer.Option(
            "--stop-on-failure",
            help="With --repeat or --sweep: stop after the first failed run; --folds always does.",
        ),
    ] = False,
    like: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Start from RUN's config and seed; override with --set.",
            autocompletion=complete_run,
        ),
    ] = None,
    allow_code: AllowCode = False,
    time_limit: TimeLimit = None,  # noqa: ARG001 - its callback sets it
    detach: Annotated[
        bool,
        typer.Option("--detach", help="Train in the background; keeps running after you log out."),
    ] = False,
    queued: Queued = False,
    processes: ProcessCount = None,
    no_ui: NoUi = False,
    as_json: EventsAsJson = False,
    on_hangup: OnHangupOption = None,
    notify: Notify = None,
    notify_on: NotifyOn = None,
    on_end: OnEnd = None,
    *,
    options: Options = DEFAULT_OPTIONS,
) -> None:
    """Train a model. Shows the dashboard, or plain lines with --no-ui or outside a terminal."""
    check_config(config, others or [])
    from cnn_engine.runs.marks import checked_name
    from cnn_tui.cli.series import Shown, run_series
    from cnn_tui.headless.series import plan_series

    keys = {
        "train.epochs": epochs,
        "optimizer.lr": lr,
        "train.batch_size": batch_size,
        "data.path": data_dir,
        "train.device": device,
        "train.seed": seed,
        "train.budget_seconds": parse_time(budget) if budget else None,
    }
    settings = [*(overrides or []), *as_overrides(keys)]
    if queued:
        check_queue_options(processes, may_resume=resume_or_start is not None)
    targets = chosen_targets(notify, notify_on, on_end)
    command = masked_words(["cnn-tui", *sys.argv[1:]])
    if repeat > 1 or sweeps or folds is not None:
        refused = {"--like": like, "--nproc": processes, "--resume-or-start": resume_or_start}
        if given := [option for option, value in refused.items() if value is not None]:
            series = "--repeat, --sweep and --folds"
            raise ConfigError(f"run: {series} cannot be used with {given[0]}")
        planned = plan_series(
            config or "cifar10",
            settings,
            checked_name(name),
            repeat,
            sweeps or [],
            runs_dir,
            folds,
            stop_on_failure=stop_on_failure,
            command=command,
        )
        where = runs_dir or default_runs_dir(for_new_run=True)
        shown = Shown(options, no_ui=no_ui, as_json=as_json)
        if queued:
            _exit(queue_new_series(planned, where, targets))
        _exit(run_series(planned, where, targets, shown, detach=detach))
    request = _make_request(config, like, settings, runs_dir, allow_code=allow_code)
    request = dataclasses.replace(request, name=checked_name(name), command=command, notify=targets)
    where = runs_dir or default_runs_dir(for_new_run=True)
    if queued:
        _exit(queue_new(request, where))
    with ExitStack() as stack:
        if resume_or_start is not None:
            request = dataclasses.replace(request, name=only_name(resume_or_start, name))
            stack.enter_context(only_starter(request, where, as_json=as_json))
            if found := find_unfinished(request, where, as_json=as_json):
                directory, state = found
                own = request.config.model.name == state.setting("model.name")
                _resume(
                    directory,
                    options,
                    on_hangup,
                    chosen_targets(notify, notify_on, on_end, directory),
                    allow_code=allow_code or own,
                    processes=processes,
                    detach=detach,
                    no_ui=no_ui,
                    as_json=as_json,
                )
        _start(
            request,
            where,
            options,
            on_hangup,
            processes=processes,
            detach=detach,
            no_ui=no_ui,
            as_json=as_json,
        )


def _start(  # noqa: PLR0913 - the options of a command
    request: "Request",
    where: Path,
    options: Options,
    on_hangup: OnHangup | None,
    *,
    processes: int | None,
    detach: bool,
    no_ui: bool,
    as_json: bool,
) -> NoReturn:
    """Start a new run and exit with its exit code, or at once if it trains in the background."""
    from cnn_engine.runs.recorder import Recorder
    from cnn_engine.session.engine import Engine
    from cnn_engine.session.preflight import check_request, check_share  # imports NumPy

    check_request(request)
    hold_stop_signals()
    if (place := _find_place(processes)) is not None:
        from cnn_tui.headless.launches import run_in_launch

        _exit(run_in_launch(request, where, place, as_json=as_json))
    if processes is not None and processes > 1:
        check_share(request.config.train, processes)
        from cnn_engine.session.background import start_processes

        directory = create_run(where)
        process_id = start_processes(request, directory, processes)
        if detach:
            sys.exit(_attach(directory, options, no_ui=no_ui or as_json))
        _exit(_follow(directory, process_id, options, no_ui=no_ui, as_json=as_json))
    directory = create_run(where)
    if detach:
        from cnn_engine.session.background import start_in_background

        start_in_background(request, directory)
        sys.exit(_attach(directory, options, no_ui=no_ui or as_json))
    engine = Engine(request, Recorder(directory))
    _exit(_train(engine, directory, options, on_hangup, no_ui=no_ui, as_json=as_json))


def _make_request(
    config: str | None,
    like: str | None,
    settings: list[str],
    runs_dir: Path | None,
    *,
    allow_code: bool,
) -> "Request":
    """Return the request for a run of a config, of another run's config, or of the default.

    Raises:
        ConfigError: a config and a run are given, or one of them is invalid.
    """
    from cnn_engine.session.request import Request

    if like is None:
        fallback = None if config else Request.from_preset("digits", settings, runs_dir=runs_dir)
        preset = config or "cifar10"
        request = Request.from_preset(preset, settings, fallback=fallback, runs_dir=runs_dir)
        return with_run_defaults(request, settings)
    if config is not None:
        raise ConfigError(f"run: --like {like} already names a config; remove {config}")
    return Request.from_run(resolve_run(like, runs_dir), settings, allow_code=allow_code)


@display_options(bell=True)
def resume(  # noqa: PLR0913 - one parameter per option
    reference: RunReference = "latest",
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, max=MAX_EPOCHS, help="New total number of epochs; extends a finished run."
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Directory of the images, if they were moved."),
    ] = None,
    runs_dir: RunsDir = None,
    allow_code: AllowCode = False,
    time_limit: TimeLimit = None,  # noqa: ARG001 - its callback sets it
    processes: ProcessCount = None,
    no_ui: NoUi = False,
    as_json: EventsAsJson = False,
    on_hangup: OnHangupOption = None,
    notify: Notify = None,
    notify_on: NotifyOn = None,
    on_end: OnEnd = None,
    *,
    options: Options = DEFAULT_OPTIONS,
) -> None:
    """Resume a stopped, killed or failed run from its last checkpoint, or a series of runs.

    A series, as group:RUN, trains the runs that are missing, too.
    """
    if (group := find_group(reference, runs_dir)) is not None:
        from cnn_tui.cli.series import Shown, resume_series

        if epochs or data_dir or processes:
            raise ConfigError("resume: a series is resumed with its own config; name one run")
        targets = chosen_targets(notify, notify_on, on_end, group.first)
        shown = Shown(options, no_ui=no_ui, as_json=as_json)
        _exit(resume_series(group, targets, shown, allow_code=allow_code))
    directory = resolve_run(reference, runs_dir)
    _resume(
        directory,
        options,
        on_hangup,
        chosen_targets(notify, notify_on, on_end, directory),
        epochs=epochs,
        data_dir=data_dir,
        allow_code=allow_code,
        processes=processes,
        no_ui=no_ui,
        as_json=as_json,
    )


def _resume(  # noqa: PLR0913 - the options of a command
    directory: RunDirectory,
    options: Options,
    on_hangup: OnHangup | None,
    targets: Targets,
    *,
    epochs: int | None = None,
    data_dir: Path | None = None,
    allow_code: bool,
    processes: int | None,
    detach: bool = False,
    no_ui: bool,
    as_json: bool,
) -> NoReturn:
    """Resume a run in as many processes as before, and exit with its exit code."""
    from cnn_engine.session.engine import Engine

    hold_stop_signals()
    place = _find_place(processes)
    if place is not None and not place.is_first:
        from cnn_engine.session.member import train_as_member
        from cnn_engine.session.request import Request

        request = Request.from_state(read_state(directory)[0], allow_code=allow_code)
        _exit(train_as_member(request, place))
    engine = Engine.resume(directory, epochs, allow_code=allow_code, data_dir=data_dir, place=place)
    write_targets(directory, targets)
    if place is not None:
        from cnn_tui.headless.launches import train_in_launch

        _exit(train_in_launch(engine, directory, as_json=as_json))
    count = processes or engine.earlier_processes
    if count > 1:
        from cnn_engine.session.spawn import spawn_processes

        commands_read = engine.leave_to_others()
        seen = directory.events.stat().st_size
        process_id = spawn_processes(directory, count, commands_read)
        if detach:
            sys.exit(_attach(directory, options, no_ui=no_ui or as_json))
        _exit(_follow(directory, process_id, options, seen, no_ui=no_ui, as_json=as_json))
    if detach:
        from cnn_engine.session.background import resume_in_background

        engine.leave_to_others()
        resume_in_background(directory)
        sys.exit(_attach(directory, options, no_ui=no_ui or as_json))
    _exit(_train(engine, directory, options, on_hangup, no_ui=no_ui, as_json=as_json))


@display_options(bell=True)
def watch(
    reference: RunReference = "latest",
    runs_dir: RunsDir = None,
    no_ui: NoUi = False,
    *,
    options: Options = DEFAULT_OPTIONS,
) -> None:
    """Open the dashboard of a running or finished run (default: the latest), or of a series.

    A series, as group:RUN, shows the run that is trained, and then the next one.
    """
    is_shown = not no_ui and has_terminal()
    if is_shown and reference == LATEST:
        _wait_for_run(runs_dir or default_runs_dir())
    if (group := find_group(reference, runs_dir)) is not None:
        from cnn_tui.cli.series import Shown, watch_series

        _exit(watch_series(group, Shown(options, no_ui=not is_shown, as_json=False)))
    directory = resolve_run(reference, runs_dir)
    if not is_shown:
        from cnn_tui.headless.run import watch_headless

        _exit(watch_headless(directory))
    sys.exit(_watch(directory, options))


def _wait_for_run(runs_dir: Path) -> None:
    """Wait for the first run of a directory, if it has none yet."""
    if any(iter_runs(runs_dir)):
        return
    directory = escaped(str(runs_dir), 1000)
    print(f"Waiting for a first run in {directory}; ctrl+c quits", file=sys.stderr, flush=True)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nothing is lost yet
    while not any(iter_runs(runs_dir)):
        time.sleep(WAIT_SECONDS)


def _find_place(processes: int | None) -> Place | None:
    """Return this process's place under torchrun; None if it is alone.

    Raises:
        ConfigError: the number of processes is given, too.
    """
    place = find_place()
    if place is not None and processes is not None:
        raise ConfigError("--nproc: torchrun has started this process; give it --nproc-per-node")
    return place


def _follow(  # noqa: PLR0913 - the options of a command
    run: RunDirectory,
    process_id: int,
    options: Options,
    skip_bytes: int = 0,
    *,
    no_ui: bool,
    as_json: bool,
) -> int:
    """Show the processes of a run in the dashboard or in lines, and return the exit code."""
    if no_ui or as_json or not has_terminal():
        from cnn_tui.headless.launches import follow_launch

        return follow_launch(run, process_id, as_json=as_json, skip_bytes=skip_bytes)
    return _watch(run, options)


def _exit(code: int) -> NoReturn:
    """End with the exit code of the training.

    Raises:
        StorageError: training has succeeded, but its results could not be printed.
    """
    if code == 0:
        require_written(sys.stdout)
    sys.exit(code)


def _train(  # noqa: PLR0913 - the options of a command
    engine: "Engine",
    run: RunDirectory,
    options: Options,
    on_hangup: OnHangup | None,
    *,
    no_ui: bool,
    as_json: bool,
) -> int:
    """Train with the dashboard or with printed lines, and return the exit code."""
    on_hangup = on_hangup or load_settings().values.run.on_hangup
    if no_ui or as_json or not has_terminal():
        from cnn_tui.headless.run import run_headless

        return run_headless(engine, run, as_json, on_hangup)
    from cnn_tui.dashboard.launch import run_dashboard

    return run_dashboard(engine, run, options, on_hangup)


def _attach(run: RunDirectory, options: Options, *, no_ui: bool) -> int:
    """Watch a background run, or print how to, and return the exit code."""
    if no_ui or not has_terminal():
        print(run.id)
        print(f"Training in the background. Watch it: {command_for('watch', run)}", file=sys.stderr)
        return 0
    return _watch(run, options)


def _watch(run: RunDirectory, options: Options) -> int:
    from cnn_tui.dashboard.launch import watch_run

    return watch_run(run, options)
