"""`cnn-tui bench`: training speed, compared with a reference loop and with the hardware limit."""

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from cnn_tui.cli.completion import complete_config
from cnn_tui.cli.habits import check_config
from cnn_tui.cli.options import AsJson, BatchSize, DataDir, Overrides, as_overrides
from cnn_tui.terminal.progress_line import ProgressLine
from cnn_tui.text.json import to_json

ROUNDS, SECONDS = 5, 3.0


def bench(  # noqa: PLR0913 - one parameter per option
    config: Annotated[
        str | None,
        typer.Argument(
            metavar="CONFIG",
            help="Preset name or TOML file. Default: cifar10 if its images are on disk, otherwise "
            "digits.",
            autocompletion=complete_config,
        ),
    ] = None,
    overrides: Overrides = None,
    data_dir: DataDir = None,
    batch_size: BatchSize = None,
    rounds: Annotated[
        int, typer.Option(min=1, help="Number of measurements of each loop.")
    ] = ROUNDS,
    seconds: Annotated[float, typer.Option(min=0.1, help="Seconds per measurement.")] = SECONDS,
    as_json: AsJson = False,
) -> None:
    """Benchmark training against the reference loop (about a minute)."""
    check_config(config, [])
    from cnn_engine.config.presets import load_config
    from cnn_engine.system.malloc import keep_freed_memory

    options = {"data.path": data_dir, "train.batch_size": batch_size}
    settings = [*(overrides or []), *as_overrides(options)]
    loaded = load_config(config or "cifar10", settings)
    keep_freed_memory()
    from cnn_engine.benchmarks.bench import measure
    from cnn_engine.data.dataset import load_dataset
    from cnn_engine.data.marks import find_marks
    from cnn_engine.data.sources.cifar10 import is_on_disk
    from cnn_engine.system.device import limit_threads

    limit_threads()
    if config is None and not is_on_disk(loaded.data.path):
        loaded = load_config("digits", settings)
    with ProgressLine(sys.stderr) as progress:
        marks = find_marks(loaded.data)
        data = load_dataset(loaded.data, loaded.train.seed, progress.report, marks)
        measured = measure(loaded, data, rounds, seconds, progress.report)
    if as_json:
        print(to_json(asdict(measured)))
    else:
        from cnn_tui.reports.bench import print_measured

        print_measured(measured)
