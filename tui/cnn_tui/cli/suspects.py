"""`cnn-tui data suspects`: find images whose labels are probably wrong."""

import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnn_engine.results.suspects import save_suspects
from cnn_tui.cli.habits import check_reference
from cnn_tui.cli.options import A_MODEL, AllowCode, AsJson, RunReference, RunsDir, resolve_run
from cnn_tui.exports.suspects import write_suspects
from cnn_tui.terminal.progress_line import ProgressLine
from cnn_tui.text.json import to_json
from cnn_tui.text.safe import escaped, safe_text

if TYPE_CHECKING:
    from cnn_engine.results.suspects import SuspectRow, Suspects


def find_run_suspects(  # noqa: PLR0913 - options of a command
    reference: RunReference = "latest",
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, help="Images shown of each kind.")
    ] = 20,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Write all images, ranked, as CSV."),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Directory of the images, if it has changed since training."
        ),
    ] = None,
    no_pictures: Annotated[
        bool, typer.Option("--no-pictures", help="Print lines without pictures.")
    ] = False,
    runs_dir: RunsDir = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Find images with suspicious labels, near-duplicates with other labels, and outliers.

    Uses the run's record of training and its best model. The images of the test are left out. The
    first ones are saved for the dashboard, where they can be marked. Marked images are not shown.
    """
    check_reference(reference, "data suspects", "latest", "--data-dir", reference)
    run = resolve_run(reference, runs_dir, A_MODEL)
    with ProgressLine(sys.stderr) as progress:
        progress.write("Loading PyTorch")
        from cnn_engine.inference.suspects import find_suspects

        path = str(data_dir.absolute()) if data_dir else None
        found = find_suspects(run, path, progress.report, allow_code=allow_code)
        rows, suspects = found.rows(), found.pictured()
    marked = {row.path for row in rows if row.mark}
    unmarked = (row for row in rows if not row.mark)
    shown = [row for _, kind in groupby(unmarked, lambda row: row.kind) for row in [*kind][:limit]]
    if as_json:
        values = [row._asdict() for row in shown]
        print(
            to_json(
                {"run_id": run.id, "method": suspects.method, "marked": len(marked)}
                | {"suspects": values}
            )
        )
    else:
        _print(shown, suspects, pictures=not no_pictures)
    if csv is not None:
        write_suspects(rows, csv)
        print(f"{len(rows):,} rows written to {escaped(str(csv), 1000)}", file=sys.stderr)
    for text in found.notices:
        print(safe_text(text, 1000), file=sys.stderr)
    if marked:
        print(f"{len(marked):,} marked images are not shown", file=sys.stderr)
    save_suspects(run, suspects)


def _print(rows: "list[SuspectRow]", suspects: "Suspects", *, pictures: bool) -> None:
    from cnn_tui.reports import suspects as report
    from cnn_tui.reports.console import has_colors, results_console

    console = results_console()
    has_room = console.is_terminal and has_colors(console) and report.has_room(console.width)
    report.print_suspects(rows, suspects, console, pictures=pictures and has_room)
