"""What `cnn-tui bench` found, as text in the shell."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnn_engine.benchmarks.bench import Measured, Rate
from cnn_tui.text.numbers import percent
from cnn_tui.text.safe import safe_text


def print_measured(found: Measured) -> None:
    """Print the rates, the machine's limit, and where the time of a step goes."""
    console = Console(highlight=False)
    channels, height, width = found.image_shape
    console.print(
        Text(
            f"{safe_text(found.source, 200)}: {height}×{width} pixels, {channels} "
            f"channel{'s' * (channels > 1)}, batch {found.batch_size}, on {found.device} "
            f"×{found.threads}; median of {found.rounds} rounds, measured in turn\n",
            style="dim",
        )
    )
    console.print(_rates(found.rates))
    console.print(
        f"\nA plain {found.precision} matrix product reaches {found.matrix_flops / 1e9:,.0f} "
        f"GFLOP/s; training, at {found.flops_per_image / 1e6:.1f} MFLOP an image, "
        f"{percent(found.share_of_matrix_rate, 0)} of that."
    )
    parts = ", ".join(f"{part} {percent(share, 0)}" for part, share in found.parts.items())
    console.print(f"A step in {found.precision} takes {found.step_seconds * 1e3:.1f} ms: {parts}.")


def _rates(rates: tuple[Rate, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for heading in ("images/s", "least–most", "against the reference"):
        table.add_column(heading, justify="right")
    for rate in rates:
        name = "reference loop, fp32" if rate.name == "reference" else f"cnn-tui, {rate.name}"
        spread = f"{rate.least:,.0f}–{rate.most:,.0f}"
        table.add_row(name, f"{rate.median:,.0f}", spread, f"{rate.against_reference:.2f}×")
    return table
