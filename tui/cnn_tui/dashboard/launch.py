"""What a command that opens a dashboard does around it: signals, a lost terminal, the end."""

import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textual.screen import Screen

from cnn_engine.errors import ConfigError
from cnn_engine.runs.directory import RunDirectory
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.headless.run import request_stop, resume_hint, run_headless
from cnn_tui.settings import OnHangup, Options
from cnn_tui.terminal.signals import HANGUP_EXIT_CODE, StopSignals
from cnn_tui.terminal.supervisor import notify_supervisor
from cnn_tui.terminal.tty import TerminalSettings, capture_output, notify, survive_hangup

if TYPE_CHECKING:
    # Its config takes pydantic, which `watch` need not wait for.
    from cnn_engine.session.engine import Engine


def run_dashboard(
    engine: "Engine", run: RunDirectory, options: Options, on_hangup: OnHangup = OnHangup.TRAIN
) -> int:
    """Train under the dashboard, or without one if that is lost or fails; the exit code."""
    screen = RunScreen(run, trains_here=True, blocked=lambda: engine.write_error, bell=options.bell)
    app = Dashboard(screen, engine, options)
    earlier = run.events.stat().st_size

    def ask(number: signal.Signals) -> None:
        if engine.has_ended():  # whoever may have the run by now is not meant
            app.exit_from_signal(128 + number)
            return
        request_stop(run, number)
        screen.closes_when_ended = True
        app.call_from_signal(screen.show_pending_stop)

    _take_signals(app, ask, resume_hint(run))
    notify_supervisor(run.path)
    with capture_output(run.console):
        app.run(mouse=options.mouse)
        is_lost = app.return_code == HANGUP_EXIT_CODE
        if is_lost and on_hangup == OnHangup.STOP and not engine.has_ended():
            request_stop(run, signal.SIGHUP)
        if app.exited_normally:
            engine.start()  # if the terminal was lost before the first paint
            engine.join()
        elif app.failure:
            traceback.print_exception(app.failure)
    if not app.exited_normally:
        notify(f"the dashboard failed, see {run.console}; training goes on without it")
        return run_headless(engine, run, on_hangup=on_hangup, skip_bytes=earlier)
    if not is_lost:
        _leave_summary(run)
    return engine.exit_code


def watch_run(run: RunDirectory, options: Options) -> int:
    """Show a run of any process; the exit code. Its summary stays in the shell."""
    code = _view(RunScreen(run, bell=options.bell), options)
    if code == 0:
        _leave_summary(run)
    return code


def show_runs(runs_dir: Path, options: Options) -> int:
    """Browse the runs; the exit code."""
    from cnn_tui.dashboard.screens.runs import RunsScreen  # noqa: PLC0415 - as below

    return _view(RunsScreen(runs_dir), options)


def show_lesson(run: RunDirectory | None, options: Options) -> int:
    """Show the lesson; the exit code."""
    from cnn_tui.dashboard.screens.lesson import LessonScreen  # noqa: PLC0415 - as below

    return _view(LessonScreen(run), options)


def compare_runs(compared: Sequence[RunDirectory], options: Options) -> int:
    """Show runs side by side; the exit code.

    Raises:
        ConfigError: they are more than fit on a screen.
    """
    from cnn_tui.dashboard.screens.compare import MAX_RUNS, CompareScreen  # noqa: PLC0415 - as below

    if len(compared) > MAX_RUNS:
        raise ConfigError(f"compare: {MAX_RUNS} runs fit on a screen; --no-ui prints any number")
    return _view(CompareScreen(compared), options)


def _view(screen: Screen[None], options: Options) -> int:
    """Show runs that others train, and leave them alone."""
    app = Dashboard(screen, options=options)
    _take_signals(app, lambda number: app.exit_from_signal(128 + number), "The runs are unchanged.")
    notify_supervisor(None)
    with survive_hangup():
        app.run(mouse=options.mouse)
    if app.failure:
        traceback.print_exception(app.failure)
    return app.return_code or 0


def _take_signals(app: Dashboard, ask: Callable[[signal.Signals], None], words: str) -> None:
    """From now on, SIGINT and SIGTERM ask, and a second one leaves at once, with these words."""
    settings = TerminalSettings()

    def leave_at_once(number: signal.Signals) -> None:
        screen = sys.__stderr__.fileno() if sys.__stderr__ else 2
        if app.is_running:
            settings.restore(screen)
        notify(f"quit immediately. {words}", screen)
        os._exit(128 + number)

    StopSignals(ask, leave_at_once)
    signal.signal(signal.SIGHUP, lambda *_: app.exit_from_signal(HANGUP_EXIT_CODE))


def _leave_summary(run: RunDirectory) -> None:
    from cnn_tui.reports.run import show_run  # noqa: PLC0415 - plotext would delay the first paint

    show_run(run, brief=True)
