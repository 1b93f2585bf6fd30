"""Runs a dashboard for a command: signal handlers, hangups, exit codes, the final summary."""

import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual.screen import Screen

from cnn_engine.errors import ConfigError
from cnn_engine.results.group_comparison import RunSet
from cnn_engine.runlog.alarms import Alarm
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.groups import find_live, read_group
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.keymap import own_keys
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.headless.run import resume_hint, run_headless
from cnn_tui.settings import OnHangup, Options, load_settings
from cnn_tui.terminal.signals import HANGUP_EXIT_CODE, StopSignals
from cnn_tui.terminal.supervisor import notify_supervisor
from cnn_tui.terminal.tty import TerminalSettings, capture_output, notify, survive_hangup

if TYPE_CHECKING:
    # The engine imports pydantic, which `watch` does not need.
    from cnn_engine.session.engine import Engine


def run_dashboard(
    engine: "Engine", run: RunDirectory, options: Options, on_hangup: OnHangup = OnHangup.TRAIN
) -> int:
    """Train with the dashboard; after a hangup or a failure, continue without it.

    Args:
        engine: Trains the run; not started yet.
        run: The run's directory.
        options: Options of the dashboard.
        on_hangup: Reaction to the loss of the terminal.

    Returns:
        The exit code.
    """
    screen = RunScreen(run, trains_here=True, engine=engine, bell=options.bell)
    app = _dashboard(screen, options, engine)

    def stop(number: signal.Signals) -> None:
        if engine.has_ended():  # another process may train the run now
            app.exit_from_signal(128 + number)
            return
        engine.request_stop(number)
        screen.closes_when_ended = True
        app.call_from_signal(screen.show_pending_stop)

    _set_signal_handlers(app, stop, resume_hint(run))
    notify_supervisor(run.path)
    try:
        return _train(app, engine, run, options, on_hangup)
    finally:
        notify_supervisor(None)


def _train(
    app: Dashboard, engine: "Engine", run: RunDirectory, options: Options, on_hangup: OnHangup
) -> int:
    """Show the dashboard that trains; return the exit code."""
    skip_bytes = run.events.stat().st_size
    with capture_output(run.console):
        app.run(mouse=options.mouse)
        is_hung_up = app.return_code == HANGUP_EXIT_CODE
        if is_hung_up and on_hangup == OnHangup.STOP and not engine.has_ended():
            engine.request_stop(signal.SIGHUP)
        if app.exited_normally:
            engine.start()  # no effect unless the terminal was lost before the first paint
            engine.join()
        elif app.failure:
            traceback.print_exception(app.failure)
    if not app.exited_normally:
        notify(f"the dashboard failed, see {run.console}; training continues without it")
        return run_headless(engine, run, on_hangup=on_hangup, skip_bytes=skip_bytes)
    if not is_hung_up:
        _print_summary(run)
    if engine.notice:
        notify(engine.notice)
    return engine.exit_code


def watch_run(
    run: RunDirectory, options: Options, find_own_alarm: Callable[[], Alarm | None] = lambda: None
) -> int:
    """Show a run of any process, then print its summary.

    Args:
        run: The run's directory.
        options: Options of the dashboard.
        find_own_alarm: Returns the alarm that only this process knows of.

    Returns:
        The exit code.
    """
    screen = RunScreen(run, find_own_alarm=find_own_alarm, bell=options.bell)
    code = _show(screen, options)
    if code == 0:
        _print_summary(run)
    return code


def watch_series(runs_dir: Path, group: str, options: Options) -> int:
    """Show the run of a series that is trained, then the next one; return the exit code.

    Args:
        runs_dir: Directory of the runs.
        group: Id of the series, which has runs.
        options: Options of the dashboard.

    Raises:
        ConfigError: the series has no runs.
    """
    found = read_group(runs_dir, group)
    if found is None:
        raise ConfigError(f"series {group}: has no runs in {runs_dir}")
    shown = found.live or found.runs[-1]
    screen = RunScreen(RunDirectory(runs_dir / shown.run_id), bell=options.bell)
    screen.find_next = partial(find_live, runs_dir, group)
    code = _show(screen, options)
    found = read_group(runs_dir, group)
    if code == 0 and found is not None:
        from cnn_tui.reports.series import print_series  # noqa: PLC0415 - would delay the first paint

        print_series(found, runs_dir)
    return code


def show_runs(runs_dir: Path, options: Options) -> int:
    """Show the list of runs; return the exit code."""
    from cnn_tui.dashboard.screens.runs import RunsScreen  # noqa: PLC0415 - only if shown

    return _show(RunsScreen(runs_dir), options)


def show_lesson(run: RunDirectory | None, options: Options) -> int:
    """Show the lesson; return the exit code."""
    from cnn_tui.dashboard.screens.lesson import LessonScreen  # noqa: PLC0415 - only if shown
    from cnn_tui.lesson.contents import all_chapters  # noqa: PLC0415 - only if shown

    return _show(LessonScreen(all_chapters(run)), options)


def compare_runs(runs: Sequence[RunDirectory | RunSet], options: Options) -> int:
    """Show runs side by side; return the exit code.

    Raises:
        ConfigError: there are more than fit on a screen.
    """
    from cnn_tui.dashboard.screens.compare import MAX_RUNS, CompareScreen  # noqa: PLC0415 - only if shown

    if len(runs) > MAX_RUNS:
        raise ConfigError(f"compare: {MAX_RUNS} runs fit on a screen; --no-ui prints any number")
    return _show(CompareScreen(runs), options)


def _show(screen: Screen[None], options: Options) -> int:
    """Show a screen that trains nothing; return the exit code."""
    app = _dashboard(screen, options)
    _set_signal_handlers(
        app, lambda number: app.exit_from_signal(128 + number), "The runs are unchanged."
    )
    notify_supervisor(None)
    with survive_hangup():
        app.run(mouse=options.mouse)
    if app.failure:
        traceback.print_exception(app.failure)
    return app.return_code or 0


def _dashboard(screen: Screen[None], options: Options, engine: "Engine | None" = None) -> Dashboard:
    """Return the app with the user's own keys; it shows mistakes in the settings."""
    settings = load_settings()
    keys = own_keys(settings)
    directory = f"{settings.file.path.parent}/"  # stderr has the whole path
    problems = [text.removeprefix(directory) for text in (*settings.problems, *keys.problems)]
    return Dashboard(screen, engine, options, keys.keymap, problems)


def _set_signal_handlers(app: Dashboard, stop: Callable[[signal.Signals], None], hint: str) -> None:
    """Call `stop` on a signal; on a second one of a user, print the hint and exit immediately."""
    settings = TerminalSettings()

    def quit_now(number: signal.Signals) -> None:
        screen = sys.__stderr__.fileno() if sys.__stderr__ else 2
        if app.is_running:
            settings.restore(screen)
        notify(f"quit immediately. {hint}", screen)
        os._exit(128 + number)

    StopSignals(stop, quit_now)
    signal.signal(signal.SIGHUP, lambda *_: app.exit_from_signal(HANGUP_EXIT_CODE))


def _print_summary(run: RunDirectory) -> None:
    from cnn_tui.reports.run import show_run  # noqa: PLC0415 - plotext would delay the first paint

    show_run(run, brief=True)
