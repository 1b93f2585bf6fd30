"""Finds a run by its id, its name, or a part of them."""

from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

from cnn_engine.errors import ConfigError
from cnn_engine.runlog.events import RunStarted
from cnn_engine.runs.directory import RunDirectory, first_event, iter_runs, list_runs
from cnn_engine.runs.hints import command_in, how_to_start
from cnn_engine.runs.marks import read_marks
from cnn_engine.texts import listed

LATEST = "latest"
"""Reference to the newest run."""


def find_run(runs_dir: Path, reference: str, *, listing: str = "") -> RunDirectory:
    """Return the run that a reference names, or the newest run for `latest`.

    Args:
        runs_dir: Directory of the runs.
        reference: The run's id, its name, the word of its id (`amber`), the start of its id, or
            any other part of its id or name; the first of these that matches decides.
        listing: Shell command that lists these runs, for errors; by default `cnn-tui runs`.

    Raises:
        ConfigError: no run, or more than one, matches; lists those that are similar.
    """
    runs = list(iter_runs(runs_dir))
    if not runs:
        if reference == LATEST:
            raise ConfigError(f"{runs_dir}: no runs yet; {how_to_start(runs_dir)}")
        text = f"run {reference!r}: not found: no runs yet in {runs_dir}"
        raise ConfigError(
            f"{text}; name another directory with --runs-dir, or {how_to_start(runs_dir)}"
        )
    if reference == LATEST:
        return list_runs(runs_dir)[0]
    for run in runs:
        if run.id == reference:
            return run
    names = {run: run_name(run) for run in runs}
    for matches in _matches(names, reference.strip().casefold()):
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise ConfigError(
                f"run {reference!r}: {len(matches)} runs match: "
                f"{_listed(matches, names)}; write more of the id"
            )
    raise ConfigError(
        f"run {reference!r}: not found in {runs_dir}{_similar(names, reference)}; see: "
        f"{listing or command_in(runs_dir, 'runs')}"
    )


def run_name(run: RunDirectory) -> str:
    """Return a run's name as `runs` lists it; empty if it has none."""
    name = read_marks(run).name
    if name is not None:
        return name
    first = first_event(run)
    return first.name if isinstance(first, RunStarted) else ""


def _matches(names: dict[RunDirectory, str], text: str) -> Iterator[list[RunDirectory]]:
    """Yield the runs that match in each way, the most exact way first."""
    if not text:
        return

    def matching(test: Callable[[str, str], bool]) -> list[RunDirectory]:
        return [run for run, name in names.items() if test(run.id.casefold(), name.casefold())]

    yield matching(lambda _, name: name == text)
    yield matching(lambda run_id, _: run_id.rpartition("-")[2] == text)
    yield matching(lambda run_id, _: run_id.startswith(text))
    yield matching(lambda run_id, name: text in run_id or text in name)


def _similar(names: dict[RunDirectory, str], reference: str) -> str:
    """Return `; did you mean …?` for a misspelt id, word or name; empty if none is close."""
    known: dict[str, RunDirectory] = {}
    for run, name in names.items():
        known |= {text: run for text in (run.id, run.id.rpartition("-")[2], name) if text}
    close = get_close_matches(reference, known, n=1, cutoff=0.7)
    return f"; did you mean {_listed([known[close[0]]], names)}?" if close else ""


def _listed(runs: Sequence[RunDirectory], names: dict[RunDirectory, str]) -> str:
    """Return `1124-0412-amber (baseline), …` for some runs, the newest ids first."""
    newest_first = sorted(runs, key=lambda run: run.id, reverse=True)
    texts = [f"{run.id} ({names[run]})" if names[run] else run.id for run in newest_first]
    return listed(texts)
