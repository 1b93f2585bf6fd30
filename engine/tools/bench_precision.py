"""Compares the accuracy of `train.precision=auto` with fp32 over several seeds.

    python engine/tools/bench_precision.py CONFIG [--set KEY=VALUE] [--seeds 3] [--epochs 5]

With the same seed both have the same split, initial weights, order of images and dropout masks.
"""

import argparse
import tempfile
from pathlib import Path
from statistics import mean, stdev

from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import create_run
from cnn_engine.runs.recorder import Recorder
from cnn_engine.session.engine import Engine
from cnn_engine.session.request import Request

PRECISIONS = ("auto", "fp32")


def main() -> None:
    """Print the metrics of each run when it ends, then the mean difference."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("config")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds, 2 or more")
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args()
    differences = []
    for seed in range(options.seeds):
        settings = [*options.settings, f"train.epochs={options.epochs}", f"train.seed={seed}"]
        accuracy = {
            precision: _train(options.config, [*settings, f"train.precision={precision}"])
            for precision in PRECISIONS
        }
        differences.append(accuracy["auto"] - accuracy["fp32"])
    print(
        f"best validation accuracy, auto minus fp32: {mean(differences):+.2%}, "
        f"standard deviation over {len(differences)} seeds {stdev(differences):.2%}"
    )


def _train(config: str, settings: list[str]) -> float:
    """Train; return the best epoch's validation accuracy, 0 to 1."""
    with tempfile.TemporaryDirectory() as runs_dir:
        recorder = Recorder(create_run(Path(runs_dir)))
        engine = Engine(Request.from_preset(config, settings), recorder)
        engine.start()
        engine.join()
    return _print_result(recorder.state)


def _print_result(state: RunState) -> float:
    """Print the run's metrics; return the best epoch's validation accuracy, 0 to 1."""
    if state.prepared is None or state.best is None or state.test is None:
        raise SystemExit(state.finished.error if state.finished else "the run did not end")
    losses = " ".join(f"{epoch.val_loss:.4f}" for epoch in state.epochs)
    print(
        f"seed {state.config['train']['seed']} {state.prepared.precision}: best validation "
        f"{state.best.val_accuracy:.2%}, test {state.test.accuracy:.2%}; "
        f"validation losses {losses}",
        flush=True,
    )
    return state.best.val_accuracy


if __name__ == "__main__":
    main()
