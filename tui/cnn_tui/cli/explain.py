"""`cnn-tui explain`: the lesson, in the dashboard or printed."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cnn_engine.runs.directory import RunDirectory, default_runs_dir, list_runs
from cnn_tui.cli.completion import complete_run
from cnn_tui.cli.options import RUN_HELP, RunsDir, display_options, resolve_run
from cnn_tui.settings import DEFAULT_OPTIONS, Options
from cnn_tui.terminal.environment import terminal_columns
from cnn_tui.terminal.tty import has_terminal

MARGIN = 2
"""Columns left free at the right of the terminal."""


@display_options()
def explain(
    reference: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help=f"{RUN_HELP} For the last chapter. Default: the latest, if there is one.",
            autocompletion=complete_run,
        ),
    ] = None,
    runs_dir: RunsDir = None,
    no_ui: Annotated[bool, typer.Option("--no-ui", help="Print the whole text.")] = False,
    *,
    options: Options = DEFAULT_OPTIONS,
) -> None:
    """Learn how a convolutional network works: first by hand, then with your own run."""
    run = _run(reference, runs_dir)
    if no_ui or not has_terminal():
        print_lesson(run, ascii_only=options.ascii)
        return
    from cnn_tui.dashboard.launch import show_lesson

    sys.exit(show_lesson(run, options))


def _run(reference: str | None, runs_dir: Path | None) -> RunDirectory | None:
    """Return the run, by default the latest; None if there are no runs."""
    if reference is not None:
        return resolve_run(reference, runs_dir)
    return next(iter(list_runs(runs_dir or default_runs_dir())), None)


def print_lesson(run: RunDirectory | None, *, ascii_only: bool) -> None:
    """Print all chapters without colours; a part repeated on the next page is printed once."""
    from cnn_tui.lesson.contents import all_chapters
    from cnn_tui.lesson.pages import MAX_WIDTH, Canvas, part_lines
    from cnn_tui.terminal.ascii import in_ascii, is_ascii_only

    width = max(20, terminal_columns(sys.stdout) - MARGIN)
    canvas = Canvas(min(width, MAX_WIDTH), pictures=False)
    lines: list[str] = []
    for number, chapter in enumerate(all_chapters(run), start=1):
        title = f"{number}  {chapter.title}"
        lines += [title, "─" * len(title), ""]
        previous: tuple[object, ...] = ()
        for page in chapter.pages:
            for part in page.parts:
                if not isinstance(part, str) or part not in previous:
                    lines += [*(line.plain.rstrip() for line in part_lines(part, canvas)), ""]
            previous = page.parts
        lines.append("")
    text = "\n".join(lines).rstrip()
    print(in_ascii(text) if ascii_only or is_ascii_only() else text)
