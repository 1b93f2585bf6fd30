"""Prints the runs of a series as they are trained by any process, and its table at the end."""

import sys
import time
from pathlib import Path

from cnn_engine.errors import ConfigError, TrainingError
from cnn_engine.runlog.log import LogReader
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.groups import read_group
from cnn_engine.runs.hints import command_in
from cnn_tui.headless.printer import LinePrinter
from cnn_tui.live.follower import follow
from cnn_tui.reports.series import print_series
from cnn_tui.text.safe import safe_text

WAIT_SECONDS = 0.2


def watch_series_headless(runs_dir: Path, group: str) -> int:
    """Print the events of the run that is trained, then of the next one; return the exit code.

    Raises:
        ConfigError: the series has no runs.
        TrainingError: it ends, or has ended, before all runs are done.
    """
    seen = set[str]()
    while True:
        found = read_group(runs_dir, group)
        if found is None:
            raise ConfigError(f"series {group}: has no runs in {runs_dir}")
        live = found.live
        if live is not None and live.run_id not in seen:
            seen.add(live.run_id)
            position = f"Run {found.runs.index(live) + 1} of {found.planned}"
            print(f"{position}: {safe_text(live.name or live.run_id)}", file=sys.stderr, flush=True)
            run, host = RunDirectory(runs_dir / live.run_id), live.host
            follow(
                RunState(),
                LogReader(run.events),
                LinePrinter(sys.stdout, sys.stderr),
                lambda state, run=run, host=host: state.has_ended or not run.is_live(host),  # type: ignore[misc]
            )
        elif found.status != "running":
            break
        else:
            time.sleep(WAIT_SECONDS)
    print_series(found, runs_dir)
    if found.status == "done":
        return 0
    resume = command_in(runs_dir, "resume", f"group:{group}")
    raise TrainingError(
        f"series {group}: {found.done} of {found.planned} runs are done; resume it with: {resume}"
    )
