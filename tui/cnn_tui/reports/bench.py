"""The report of `cnn-tui bench`."""

from rich.table import Table
from rich.text import Text

from cnn_engine.benchmarks.bench import BenchmarkResult, Rate
from cnn_tui.reports.console import make_console
from cnn_tui.text.numbers import percent
from cnn_tui.text.safe import safe_text


def print_measured(measured: BenchmarkResult) -> None:
    """Print the rates, the hardware limit and the time of each part of a step."""
    console = make_console()
    channels, height, width = measured.image_shape
    console.print(
        Text(
            f"{safe_text(measured.source, 200)}: {height}×{width} pixels, {channels} "
            f"channel{'s' * (channels > 1)}, batch {measured.batch_size}, on {measured.device} "
            f"×{measured.threads}; median of {measured.rounds} alternating rounds\n",
            style="dim",
        )
    )
    console.print(_rates(measured.rates))
    console.print(
        f"\nA {measured.precision} matrix product reaches {measured.matrix_flops / 1e9:,.0f} "
        f"GFLOP/s; training, at {measured.flops_per_image / 1e6:.1f} MFLOP per image, "
        f"{percent(measured.share_of_matrix_rate, 0)} of that."
    )
    parts = ", ".join(f"{part} {percent(fraction, 0)}" for part, fraction in measured.parts.items())
    console.print(
        f"A step in {measured.precision} takes {measured.step_seconds * 1e3:.1f} ms: {parts}."
    )


def _rates(rates: tuple[Rate, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for heading in ("images/s", "min–max", "vs reference"):
        table.add_column(heading, justify="right")
    for rate in rates:
        name = "reference loop, fp32" if rate.name == "reference" else f"cnn-tui, {rate.name}"
        spread = f"{rate.least:,.0f}–{rate.most:,.0f}"
        table.add_row(name, f"{rate.median:,.0f}", spread, f"{rate.against_reference:.2f}×")
    return table
