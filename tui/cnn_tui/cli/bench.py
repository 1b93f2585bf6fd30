"""`cnn-tui bench`: how fast this machine trains, against the published loop and its own limit."""

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from cnn_tui.cli.completion import complete_config
from cnn_tui.cli.options import AsJson, DataDir, Overrides, as_overrides
from cnn_tui.terminal.progress_line import ProgressLine
from cnn_tui.text.json import to_json

ROUNDS, SECONDS = 5, 3.0


def bench(  # noqa: PLR0913 - one parameter per option
    config: Annotated[
        str | None,
        typer.Argument(
            metavar="[CONFIG]",
            help="A preset's name or a TOML file. Default: cifar10 where its images are on disk, "
            "else digits.",
            autocompletion=complete_config,
        ),
    ] = None,
    overrides: Overrides = None,
    data_dir: DataDir = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Same as --set train.batch_size=N.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each is measured.")] = ROUNDS,
    seconds: Annotated[
        float, typer.Option(min=0.1, help="For how long each is measured in a round.")
    ] = SECONDS,
    as_json: AsJson = False,
) -> None:
    """Measure how fast this machine trains, in turn with the published loop, for a minute or so."""
    from cnn_engine.config.presets import load_config
    from cnn_engine.system.malloc import keep_freed_memory

    options = {"data.path": data_dir, "train.batch_size": batch_size}
    settings = [*(overrides or []), *as_overrides(options)]
    checked = load_config(config or "cifar10", settings)
    keep_freed_memory()
    from cnn_engine.benchmarks.bench import measure
    from cnn_engine.data.dataset import load_dataset
    from cnn_engine.data.sources.cifar10 import is_on_disk
    from cnn_engine.system.device import limit_threads

    limit_threads()
    if config is None and not is_on_disk(checked.data.path):
        checked = load_config("digits", settings)
    with ProgressLine(sys.stderr) as progress:
        data = load_dataset(checked.data, checked.train.seed, progress.report)
        found = measure(checked, data, rounds, seconds, progress.report)
    if as_json:
        print(to_json(asdict(found)))
    else:
        from cnn_tui.reports.bench import print_measured

        print_measured(found)
