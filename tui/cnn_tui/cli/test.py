"""`cnn-tui test`: the final test of a run once more."""

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnn_tui.cli.options import AllowCode, AsJson, RunReference, RunsDir, resolve_run
from cnn_tui.terminal.progress_line import ProgressLine
from cnn_tui.text.json import to_json
from cnn_tui.text.numbers import percent
from cnn_tui.text.safe import safe_text

if TYPE_CHECKING:
    from cnn_engine.inference.retest import RetestResult


def retest_run(
    reference: RunReference = "latest",
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Where the images are now, if not where they were in training."),
    ] = None,
    runs_dir: RunsDir = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Test a run's best model on the test images again, and compare with what is recorded.

    The run's log is left as it is. Exit code 3: the images have changed.
    """
    run = resolve_run(reference, runs_dir)
    with ProgressLine(sys.stderr) as progress:
        progress.write("Loading PyTorch")
        from cnn_engine.inference.retest import retest

        path = str(data_dir.absolute()) if data_dir else None
        repeated = retest(run, path, progress.report, allow_code=allow_code)
    if as_json:
        print(to_json({"run_id": run.id, **_as_dict(repeated)}))
    else:
        from cnn_engine.runs.summary import read_state
        from cnn_tui.headless.printer import final_test_lines

        state, _ = read_state(run)
        print(*final_test_lines(repeated.test, state), _verdict(repeated), sep="\n")
    for text in (*repeated.differences, repeated.notice):
        if text:
            print(safe_text(text, 1000), file=sys.stderr)


def _as_dict(repeated: "RetestResult") -> dict[str, Any]:
    from cnn_engine.results.metrics_json import metrics_as_dict

    recorded = repeated.recorded
    return {
        "equal_to_recorded": repeated.is_equal,
        "differences": repeated.differences,
        "epoch": repeated.test.epoch,
        "figures": metrics_as_dict(repeated.test, repeated.prepared),
        "recorded": recorded and dataclasses.asdict(recorded),
    }


def _verdict(repeated: "RetestResult") -> str:
    test, recorded = repeated.test, repeated.recorded
    if recorded is None:
        return "No test is recorded to compare with; the run was stopped before"
    if not repeated.is_equal:
        return (
            f"Differs from the recorded test of epoch {recorded.epoch}: accuracy "
            f"{percent(recorded.accuracy, 2)}, loss {recorded.loss:.6f}"
        )
    loss = "" if f"{test.loss:.6f}" == f"{recorded.loss:.6f}" else f", but loss {recorded.loss:.6f}"
    return f"Equal to the recorded test in every count{loss}"
