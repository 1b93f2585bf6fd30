"""The command line. The only module that starts the engine, and only when a run is asked for."""

import dataclasses
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from cnn_engine.errors import ConfigError, TrainingError, UserError
from cnn_engine.runs.directory import RunDirectory, create_run, default_runs_dir
from cnn_engine.system.out_of_memory import is_out_of_memory, out_of_memory_text
from cnn_tui.cli.bench import bench
from cnn_tui.cli.compare import compare
from cnn_tui.cli.completion import (
    complete_config,
    complete_preset,
    complete_run,
    complete_sort_key,
)
from cnn_tui.cli.control import checkpoint, pause, set_values, stop, unpause
from cnn_tui.cli.data import data
from cnn_tui.cli.explain import explain
from cnn_tui.cli.export import export
from cnn_tui.cli.import_ import import_run
from cnn_tui.cli.mark import delete, mark, trash
from cnn_tui.cli.options import (
    AllowCode,
    Ascii,
    AsJson,
    Bell,
    DataDir,
    NoMouse,
    OnHangupOption,
    Overrides,
    RunReference,
    RunsDir,
    Theme,
    as_overrides,
    parse_time,
    resolve_run,
)
from cnn_tui.cli.predict import predict
from cnn_tui.cli.test import repeat_final_test
from cnn_tui.settings import OnHangup, Options, ThemeName
from cnn_tui.terminal.tty import has_terminal
from cnn_tui.text.json import to_json
from cnn_tui.text.safe import safe_text
from cnn_tui.text.shell import command_for

if TYPE_CHECKING:
    from cnn_engine.session.engine import Engine

cli = typer.Typer(
    help="Train a convolutional network on images and watch it learn, in a terminal.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)

EventsAsJson = Annotated[
    bool, typer.Option("--json", help="Print one event per line as JSON; implies --no-ui.")
]
NoUi = Annotated[bool, typer.Option("--no-ui", help="Print lines instead of the dashboard.")]


def main() -> None:
    """Run the command line: a user's mistake is one line each on stderr, and an exit code."""
    # Else pydantic looks for plugins in every installed package before a config can be checked.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        cli()
    except UserError as error:
        _exit_with(error)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):  # else a GPU may be full, as in `test` and `predict`
            raise
        _exit_with(TrainingError(out_of_memory_text(error)))


def _exit_with(error: UserError) -> NoReturn:
    for line in str(error).splitlines():
        print(f"cnn-tui: {safe_text(line, 4000)}", file=sys.stderr)
    sys.exit(error.exit_code)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"cnn-tui {version('cnn-tui')}")
        raise typer.Exit


@cli.callback(invoke_without_command=True)
def home(
    context: typer.Context,
    theme: Theme = ThemeName.DARK,
    ascii_only: Ascii = False,
    no_mouse: NoMouse = False,
    bell: Bell = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Without a command: browse the runs."""
    if context.invoked_subcommand is not None:
        # Given before a command, they are that command's defaults, where it has such options.
        given = {"theme": theme, "ascii_only": ascii_only, "no_mouse": no_mouse, "bell": bell}
        context.default_map = {context.invoked_subcommand: given}
        return
    directory = default_runs_dir()
    if not has_terminal():
        list_runs()
        return
    from cnn_tui.dashboard.launch import show_runs

    sys.exit(show_runs(directory, Options(theme, ascii_only, not no_mouse, bell)))


@cli.command()
def run(  # noqa: PLR0913 - one parameter per option
    config: Annotated[
        str | None,
        typer.Argument(
            metavar="[CONFIG]",
            help="A preset's name or a TOML file. Default: cifar10, or digits where CIFAR-10 is "
            "not to be had.",
            autocompletion=complete_config,
        ),
    ] = None,
    overrides: Overrides = None,
    epochs: Annotated[int | None, typer.Option(help="Same as --set train.epochs=N.")] = None,
    data_dir: DataDir = None,
    runs_dir: RunsDir = None,
    name: Annotated[str, typer.Option(help="A name of your own for the run.")] = "",
    device: Annotated[
        str | None, typer.Option(metavar="auto|cpu|cuda|mps", help="Same as --set train.device=….")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Same as --set train.seed=N.")] = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Plan the epochs so that all ends within 10m, 1h30m, …."),
    ] = None,
    repeat: Annotated[
        int, typer.Option(min=1, metavar="N", help="Train N seeds, and print mean and deviation.")
    ] = 1,
    sweeps: Annotated[
        list[str] | None,
        typer.Option("--sweep", metavar="KEY=VALUE,…", help="Train with each of these values."),
    ] = None,
    stop_on_failure: Annotated[
        bool, typer.Option("--stop-on-failure", help="Of several runs, none after one that failed.")
    ] = False,
    like: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Repeat this run: the same config and seed, but for --set.",
            autocompletion=complete_run,
        ),
    ] = None,
    allow_code: AllowCode = False,
    detach: Annotated[
        bool,
        typer.Option(
            "--detach", help="Train in the background, beyond this terminal and its session."
        ),
    ] = False,
    no_ui: NoUi = False,
    as_json: EventsAsJson = False,
    theme: Theme = ThemeName.DARK,
    ascii_only: Ascii = False,
    no_mouse: NoMouse = False,
    bell: Bell = False,
    on_hangup: OnHangupOption = OnHangup.TRAIN,
) -> None:
    """Train, and watch: the dashboard, or lines with --no-ui or without a terminal."""
    from cnn_engine.runs.marks import checked_name
    from cnn_engine.runs.recorder import Recorder
    from cnn_engine.session.engine import Engine
    from cnn_engine.session.request import Request

    options = {
        "train.epochs": epochs,
        "data.path": data_dir,
        "train.device": device,
        "train.seed": seed,
        "train.budget_seconds": parse_time(budget) if budget else None,
    }
    settings = [*(overrides or []), *as_overrides(options)]
    if repeat > 1 or sweeps:
        from cnn_tui.headless.series import Series, plan_series
        from cnn_tui.reports.series import run_series

        if detach or like is not None:
            raise ConfigError("run: --repeat and --sweep go with neither --detach nor --like")
        planned = plan_series(
            config or "cifar10", settings, checked_name(name), repeat, sweeps or []
        )
        series = Series(planned, runs_dir or default_runs_dir(), stop_on_failure)
        sys.exit(run_series(series, as_json=as_json))
    if like is None:
        fallback = None if config else Request.from_preset("digits", settings)
        request = Request.from_preset(config or "cifar10", settings, fallback=fallback)
    elif config is None:
        request = Request.from_run(resolve_run(like, runs_dir), settings, allow_code=allow_code)
    else:
        raise ConfigError(f"run: --like {like} names a config already; leave out {config}")
    words = ("cnn-tui", *sys.argv[1:])
    request = dataclasses.replace(request, name=checked_name(name), command=words)
    directory = create_run(runs_dir or default_runs_dir())
    look = Options(theme, ascii_only, not no_mouse, bell)
    if detach:
        from cnn_engine.session.background import start_in_background

        start_in_background(request, directory)
        sys.exit(_attach(directory, look, no_ui=no_ui or as_json))
    engine = Engine(request, Recorder(directory))
    sys.exit(_train(engine, directory, look, on_hangup, no_ui=no_ui, as_json=as_json))


@cli.command()
def resume(  # noqa: PLR0913 - one parameter per option
    reference: RunReference = "latest",
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs to train in all; more than are done.")
    ] = None,
    runs_dir: RunsDir = None,
    allow_code: AllowCode = False,
    no_ui: NoUi = False,
    as_json: EventsAsJson = False,
    theme: Theme = ThemeName.DARK,
    ascii_only: Ascii = False,
    no_mouse: NoMouse = False,
    bell: Bell = False,
    on_hangup: OnHangupOption = OnHangup.TRAIN,
) -> None:
    """Go on with a run that was stopped, killed or failed, exactly where its checkpoint is."""
    from cnn_engine.session.engine import Engine

    directory = resolve_run(reference, runs_dir)
    engine = Engine.resume(directory, epochs, allow_code=allow_code)
    look = Options(theme, ascii_only, not no_mouse, bell)
    sys.exit(_train(engine, directory, look, on_hangup, no_ui=no_ui, as_json=as_json))


@cli.command()
def watch(  # noqa: PLR0913 - one parameter per option
    reference: RunReference = "latest",
    runs_dir: RunsDir = None,
    no_ui: NoUi = False,
    theme: Theme = ThemeName.DARK,
    ascii_only: Ascii = False,
    no_mouse: NoMouse = False,
    bell: Bell = False,
) -> None:
    """Open a live or finished run of any process; the latest when RUN is omitted."""
    directory = resolve_run(reference, runs_dir)
    if no_ui or not has_terminal():
        from cnn_tui.headless.run import watch_headless

        watch_headless(directory)
        return
    from cnn_tui.dashboard.launch import watch_run

    sys.exit(watch_run(directory, Options(theme, ascii_only, not no_mouse, bell)))


@cli.command("runs")
def list_runs(
    runs_dir: RunsDir = None,
    filter_: Annotated[
        str,
        typer.Option(
            "--filter",
            metavar="EXPR",
            help="Only such runs: 'acc>0.9 lr<=0.001 status=done model~cnn tag=paper started>7d'.",
        ),
    ] = "",
    sort: Annotated[
        str,
        typer.Option(
            metavar="KEY",
            help="By this figure or key of a config; -KEY: the greatest first.",
            autocompletion=complete_sort_key,
        ),
    ] = "-started",
    as_json: AsJson = False,
) -> None:
    """List the runs, newest first."""
    from cnn_engine.runs.run_list import RunList
    from cnn_engine.runs.selection import select_runs

    directory = runs_dir or default_runs_dir()
    found = RunList(directory)
    found.refresh()
    chosen = select_runs(found.runs, filter_, sort)
    if as_json:
        print(to_json([run.as_dict() for run in chosen.runs]))
    elif chosen.runs:
        from cnn_tui.reports.runs import print_runs

        print_runs(chosen.runs, chosen.columns)
    elif found.runs:
        text = f"None of {len(found.runs):,} runs in {directory} matches: {filter_}"
        print(f"cnn-tui: {safe_text(text, 4000)}", file=sys.stderr)
    else:
        print(f"No runs in {directory} yet. Start one: cnn-tui run", file=sys.stderr)


@cli.command()
def show(
    reference: RunReference = "latest",
    mistakes: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write all mistakes of its test as CSV instead."),
    ] = None,
    runs_dir: RunsDir = None,
    as_json: AsJson = False,
) -> None:
    """Print one run's summary: figures, curve, the classes and the test."""
    directory = resolve_run(reference, runs_dir)
    if mistakes is not None:
        from cnn_engine.runs.summary import read_state
        from cnn_tui.exports.mistakes import write_mistakes

        count = write_mistakes(directory, read_state(directory)[0], mistakes)
        print(f"{count:,} mistakes are in {safe_text(str(mistakes), 1000)}", file=sys.stderr)
        return
    if as_json:
        from cnn_tui.exports.record import read_record, to_dict

        print(to_json(to_dict(read_record(directory))))
        return
    from cnn_tui.reports.run import show_run

    show_run(directory)


@cli.command()
def configs(
    name: Annotated[
        str | None,
        typer.Argument(help="Print this preset, to make your own.", autocompletion=complete_preset),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the presets, or print one."""
    from cnn_engine.config.presets import list_presets

    known = list_presets()
    if name is None:
        about = {
            preset: path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
            for preset, path in known.items()
        }
        lines = [f"{preset:<14} {text}" for preset, text in about.items()]
        print(to_json(about) if as_json else "\n".join(lines))
    elif name in known:
        print(known[name].read_text(encoding="utf-8"), end="")
    else:
        raise ConfigError(f"configs: no preset is named {name!r}; there are {', '.join(known)}")


# Help lists commands in the order of their registration: what is used most stands first.
CONTROL = "Commands for a run that goes on"
KEPT = "Commands for runs that are kept"
for control in (pause, unpause, stop, checkpoint):
    cli.command(rich_help_panel=CONTROL)(control)
cli.command("set", rich_help_panel=CONTROL)(set_values)
cli.command()(compare)
cli.command("test")(repeat_final_test)
cli.command()(predict)
cli.command()(export)
cli.command()(explain)
cli.command("import")(import_run)
cli.command()(bench)
cli.command(rich_help_panel=KEPT)(mark)
cli.command(rich_help_panel=KEPT)(delete)
cli.add_typer(trash, name="trash", rich_help_panel=KEPT)
cli.add_typer(data, name="data")


def _train(  # noqa: PLR0913 - what the options come to
    engine: "Engine",
    run: RunDirectory,
    look: Options,
    on_hangup: OnHangup,
    *,
    no_ui: bool,
    as_json: bool,
) -> int:
    """Train under the dashboard, or printing lines; the exit code."""
    if no_ui or as_json or not has_terminal():
        from cnn_tui.headless.run import run_headless

        return run_headless(engine, run, as_json, on_hangup)
    from cnn_tui.dashboard.launch import run_dashboard

    return run_dashboard(engine, run, look, on_hangup)


def _attach(run: RunDirectory, look: Options, *, no_ui: bool) -> int:
    """Watch a run that begins in the background, or say how to; the exit code."""
    if no_ui or not has_terminal():
        print(run.id)
        print(f"Trains in the background; watch it: {command_for('watch', run)}", file=sys.stderr)
        return 0
    from cnn_tui.dashboard.launch import watch_run

    return watch_run(run, look)
