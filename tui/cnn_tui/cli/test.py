"""`cnn-tui test`: repeat the final test of a run."""

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnn_tui.cli.habits import check_reference
from cnn_tui.cli.options import A_MODEL, AllowCode, AsJson, RunReference, RunsDir, resolve_run
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
        typer.Option(
            metavar="DIR", help="Directory of the images, if it has changed since training."
        ),
    ] = None,
    runs_dir: RunsDir = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Repeat the test of a run's best model and compare with the recorded result.

    The run's log is not changed. Exit code 3: the images have changed.
    """
    check_reference(reference, "test", "latest", "--data-dir", reference)
    run = resolve_run(reference, runs_dir, A_MODEL)
    with ProgressLine(sys.stderr) as progress:
        progress.write("Loading PyTorch")
        from cnn_engine.inference.retest import retest

        path = str(data_dir.absolute()) if data_dir else None
        result = retest(run, path, progress.report, allow_code=allow_code)
    if as_json:
        print(to_json({"run_id": run.id, **_as_dict(result)}))
    else:
        from cnn_engine.runs.summary import read_state
        from cnn_tui.headless.printer import final_test_lines

        state, _ = read_state(run)
        print(*final_test_lines(result.test, state), _verdict(result), sep="\n")
    for text in (*result.differences, result.notice):
        if text:
            print(safe_text(text, 1000), file=sys.stderr)


def _as_dict(result: "RetestResult") -> dict[str, Any]:
    from cnn_engine.results.metrics_json import metrics_as_dict

    recorded = result.recorded
    return {
        "equal_to_recorded": result.is_equal,
        "differences": result.differences,
        "epoch": result.test.epoch,
        "figures": metrics_as_dict(result.test, result.prepared),
        "recorded": recorded and dataclasses.asdict(recorded),
    }


def _verdict(result: "RetestResult") -> str:
    test, recorded = result.test, result.recorded
    if recorded is None:
        return "No recorded test to compare with: the run was stopped before it"
    if not result.is_equal:
        return (
            f"Differs from the recorded test of epoch {recorded.epoch}: accuracy "
            f"{percent(recorded.accuracy, 2)}, loss {recorded.loss:.6f}"
        )
    loss = "" if f"{test.loss:.6f}" == f"{recorded.loss:.6f}" else f", but loss {recorded.loss:.6f}"
    return f"All counts equal the recorded test{loss}"
