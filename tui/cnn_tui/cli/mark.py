"""`cnn-tui mark`, `delete` and `trash`: the run browser's actions, for scripts."""

import sys
from dataclasses import replace
from typing import Annotated

import typer

from cnn_engine.errors import ConfigError
from cnn_engine.runs.directory import default_runs_dir
from cnn_tui.cli.commands import Command, Commands, Group
from cnn_tui.cli.completion import complete_run, complete_trash
from cnn_tui.cli.options import RUN_HELP, AsJson, RunReference, RunsDir, resolve_run
from cnn_tui.text.json import to_json
from cnn_tui.text.safe import safe_text

trash = Commands(
    cls=Group,
    help="List, restore or permanently remove deleted runs.\n\n"
    "Without a command, list the deleted runs.",
)


def mark(  # noqa: PLR0913 - one parameter per option
    reference: RunReference = "latest",
    star: Annotated[bool | None, typer.Option("--star/--no-star", help="Star or unstar.")] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Rename the run.")] = None,
    note: Annotated[str | None, typer.Option(metavar="TEXT", help="Set the note.")] = None,
    tags: Annotated[
        list[str] | None,
        typer.Option(
            "--tag", metavar="TAG", help="Add a tag, or several: paper,base. Can be repeated."
        ),
    ] = None,
    untags: Annotated[
        list[str] | None,
        typer.Option("--untag", metavar="TAG", help="Remove a tag, or several. Can be repeated."),
    ] = None,
    runs_dir: RunsDir = None,
    as_json: AsJson = False,
) -> None:
    """Star, rename, tag or annotate a run; without options, print its marks."""
    from cnn_engine.runs.marks import (
        checked_name,
        checked_note,
        read_marks,
        write_marks,
    )

    run = resolve_run(reference, runs_dir)
    old = read_marks(run)
    marks = old.with_tags(*_tags(tags)).without_tags(*_tags(untags), *(untags or []))
    if star is not None:
        marks = replace(marks, star=star)
    if name is not None:
        marks = replace(marks, name=checked_name(name))
    if note is not None:
        marks = replace(marks, note=checked_note(note))
    if marks != old:
        write_marks(run, marks)
    if as_json:
        print(to_json({"run_id": run.id, **vars(marks)}))
        return
    print(safe_text(run.id))
    for label, text in (
        ("star", "yes" if marks.star else ""),
        ("name", marks.name or ""),
        ("tags", " ".join(marks.tags)),
        ("note", marks.note),
    ):
        if text:
            print(f"  {label}  {safe_text(text, 2000)}")


def _tags(texts: list[str] | None) -> list[str]:
    """Return the tags of all options.

    Raises:
        ConfigError: an option has none, or one is invalid.
    """
    from cnn_engine.runs.marks import parse_tags

    tags = []
    for text in texts or []:
        parsed = parse_tags(text)
        if not parsed:
            raise ConfigError(f"tag {text!r}: write a word, such as baseline")
        tags += parsed
    return tags


def delete(
    references: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN",
            help=RUN_HELP,
            autocompletion=complete_run,
        ),
    ],
    runs_dir: RunsDir = None,
) -> None:
    """Move runs to the trash. Undo with: cnn-tui trash restore RUN."""
    from cnn_engine.runs.trash import delete as move_to_trash

    # All are resolved before the first is moved, so that an error moves none.
    for run in [resolve_run(reference, runs_dir) for reference in references]:
        print(safe_text(move_to_trash(run).id))


@trash.callback(invoke_without_command=True)
def list_trash(context: typer.Context, runs_dir: RunsDir = None, as_json: AsJson = False) -> None:
    """List the deleted runs."""
    if context.invoked_subcommand is not None:
        return
    from cnn_engine.runs.summary import read_summary
    from cnn_engine.runs.trash import list_trash

    found = [read_summary(run) for run in list_trash(runs_dir or default_runs_dir())]
    if as_json:
        print(to_json([run.as_dict() for run in found]))
    elif found:
        from cnn_tui.reports.runs import print_runs

        print_runs(found)
    else:
        print("The trash is empty", file=sys.stderr)


@trash.command(cls=Command)
def restore(
    reference: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help=RUN_HELP,
            autocompletion=complete_trash,
        ),
    ],
    runs_dir: RunsDir = None,
) -> None:
    """Restore a run from the trash."""
    from cnn_engine.runs.trash import restore as restore_run

    print(safe_text(restore_run(runs_dir or default_runs_dir(), reference).id))


@trash.command(cls=Command)
def empty(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    runs_dir: RunsDir = None,
) -> None:
    """Permanently remove all runs in the trash."""
    from cnn_engine.runs.trash import empty_trash, list_removable

    directory = runs_dir or default_runs_dir()
    count = len(list_removable(directory))
    if count and not yes:
        if not sys.stdin.isatty():
            raise ConfigError(
                f"trash empty: would permanently remove {count} runs; confirm with --yes"
            )
        typer.confirm(f"Permanently remove {count} runs?", abort=True, err=True)
    print(f"{empty_trash(directory)} runs removed")
