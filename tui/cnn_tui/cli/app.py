"""The command line: all commands, and the errors that end them."""

import os
import sys
from functools import partial
from typing import Annotated, NoReturn

import typer

from cnn_engine.errors import TrainingError, UserError
from cnn_engine.runs.directory import default_runs_dir
from cnn_engine.system.out_of_memory import is_out_of_memory, out_of_memory_text
from cnn_engine.system.program import module_name
from cnn_tui.cli.bench import bench
from cnn_tui.cli.commands import Command, Commands, Group
from cnn_tui.cli.compare import compare
from cnn_tui.cli.configs import configs
from cnn_tui.cli.control import checkpoint, pause, set_values, stop, unpause
from cnn_tui.cli.data import data
from cnn_tui.cli.doctor import doctor
from cnn_tui.cli.explain import explain
from cnn_tui.cli.export import export
from cnn_tui.cli.import_ import import_run
from cnn_tui.cli.mark import delete, mark, trash
from cnn_tui.cli.options import Ascii, Bell, Mouse, RunsDir, Theme, chosen_options
from cnn_tui.cli.predict import predict
from cnn_tui.cli.queue import queue
from cnn_tui.cli.runs import list_runs, show
from cnn_tui.cli.settings import report_problems, settings
from cnn_tui.cli.test import retest_run
from cnn_tui.cli.train import resume, run, watch
from cnn_tui.settings import load_settings
from cnn_tui.settings.runs_dir import set_default_runs_dir
from cnn_tui.terminal.ascii import for_locale
from cnn_tui.terminal.tty import has_terminal
from cnn_tui.text.safe import escaped

cli = Commands(
    cls=Group,
    help="Train convolutional networks on images and follow the training in a terminal.\n\n"
    "Without a command, open the run browser; outside a terminal, list the runs.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line; an error of the user is printed on stderr, one problem per line.

    `cnn_tui.terminal.output` defines the exit after output that cannot be written.
    """
    # Otherwise pydantic looks for plugins in every installed package before checking a config.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    sys.stderr = for_locale(sys.stderr)  # also for Typer's own errors
    set_default_runs_dir()
    try:
        try:
            cli(prog_name=module_name())
        finally:
            sys.stdout.flush()  # may fail, like every other output
    except UserError as error:
        _exit_with(error)
    except (MemoryError, RuntimeError, ImportError, OSError) as error:
        if not is_out_of_memory(error):  # `test` and `predict` can fill a GPU
            raise
        _exit_with(TrainingError(out_of_memory_text(error)))


def _exit_with(error: UserError) -> NoReturn:
    for line in str(error).splitlines():
        print(f"cnn-tui: {escaped(line, 4000)}", file=sys.stderr)
    sys.exit(error.exit_code)


def _print_version(is_given: bool) -> None:
    if is_given:
        from importlib.metadata import version

        print(f"cnn-tui {version('cnn-tui')}")
        raise typer.Exit


@cli.callback(invoke_without_command=True)
def home(  # noqa: PLR0913 - one parameter per option
    context: typer.Context,
    theme: Theme = None,
    ascii: Ascii = None,  # noqa: A002 - name of the option
    mouse: Mouse = None,
    bell: Bell = None,
    runs_dir: RunsDir = None,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Open the run browser if no command is given."""
    if context.invoked_subcommand not in ("settings", "doctor"):  # which print them themselves
        report_problems(load_settings().problems)
    display = {"theme": theme, "ascii": ascii, "mouse": mouse, "bell": bell}
    if context.invoked_subcommand is not None:
        # Options before a command become that command's defaults, if it has such options.
        given = {**display, "runs_dir": runs_dir}
        subcommands = ("restore", "empty", "add", "up", "cancel", "start")  # of `trash` and `queue`
        nested = dict.fromkeys(subcommands, given)
        context.default_map = {context.invoked_subcommand: given | nested}
        return
    if not has_terminal():
        list_runs(runs_dir)
        return
    from cnn_tui.dashboard.launch import show_runs

    sys.exit(show_runs(runs_dir or default_runs_dir(), chosen_options(display)))


command = partial(cli.command, cls=Command)

CONTROL_PANEL = "Control a running run"
RUNS_PANEL = "Manage saved runs"

# The help lists commands in this order, the most used first.
command()(run)
command()(resume)
command()(watch)
command("runs")(list_runs)
command()(show)
command()(configs)
for control in (pause, unpause, stop, checkpoint):
    command(rich_help_panel=CONTROL_PANEL)(control)
command("set", rich_help_panel=CONTROL_PANEL)(set_values)
command()(compare)
command("test")(retest_run)
command()(predict)
command()(export)
command()(explain)
command("import")(import_run)
command()(bench)
command()(doctor)
cli.add_typer(settings, name="settings")
command(rich_help_panel=RUNS_PANEL)(mark)
command(rich_help_panel=RUNS_PANEL)(delete)
cli.add_typer(queue, name="queue", rich_help_panel=CONTROL_PANEL)
cli.add_typer(trash, name="trash", rich_help_panel=RUNS_PANEL)
cli.add_typer(data, name="data")
