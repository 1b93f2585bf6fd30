"""Trains, resumes and watches series of runs for `run`, `resume` and `watch`."""

import sys
from pathlib import Path
from typing import NamedTuple

from cnn_engine.notifications.targets import Targets, write_targets
from cnn_engine.runs.hints import command_in
from cnn_engine.runs.series_plan import SeriesPlan
from cnn_engine.system.stop_signals import hold_stop_signals
from cnn_tui.cli.groups import GroupReference
from cnn_tui.settings import Options
from cnn_tui.terminal.tty import has_terminal


class Shown(NamedTuple):
    """Ways in which a command shows its work."""

    options: Options
    no_ui: bool
    as_json: bool

    @property
    def is_dashboard(self) -> bool:
        """True for the dashboard, False for lines."""
        return not self.no_ui and not self.as_json and has_terminal()


def run_series(
    plan: SeriesPlan, runs_dir: Path, targets: Targets, shown: Shown, *, detach: bool
) -> int:
    """Train a new series here or in the background, and return the exit code."""
    from cnn_engine.session.series import start_series, start_series_in_background

    if not detach:
        from cnn_tui.reports.series import run_series as train

        hold_stop_signals()
        return train(start_series(plan, runs_dir, targets), as_json=shown.as_json)
    first = start_series_in_background(plan, runs_dir, targets)
    group = GroupReference(first.id, runs_dir)
    if shown.is_dashboard:
        return watch_series(group, shown)
    print(first.id)
    command = command_in(runs_dir, "watch", f"group:{first.id}")
    text = f"Training {len(plan.runs)} runs in the background. Watch them: {command}"
    print(text, file=sys.stderr)
    return 0


def resume_series(
    group: GroupReference, targets: Targets, shown: Shown, *, allow_code: bool
) -> int:
    """Train what is missing of a series, and return the exit code."""
    from cnn_engine.session.series import resume_series as resume
    from cnn_tui.reports.series import run_series as train

    hold_stop_signals()
    series = resume(group.first, targets, allow_code=allow_code)
    write_targets(group.first, targets)
    return train(series, as_json=shown.as_json)


def watch_series(group: GroupReference, shown: Shown) -> int:
    """Show the runs of a series as they are trained, then its table; return the exit code."""
    if shown.is_dashboard:
        from cnn_tui.dashboard.launch import watch_series as watch

        return watch(group.runs_dir, group.id, shown.options)
    from cnn_tui.reports.series_watch import watch_series_headless

    return watch_series_headless(group.runs_dir, group.id)
