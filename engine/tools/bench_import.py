"""Measures time and memory to import logs of other programs.

    python engine/tools/bench_import.py [DIR]

Writes 300 MB of event files with images, event files with 300,000 values, and a CSV with 400,000
rows, in a temporary directory or in DIR, and imports each in a new process.
"""

import io
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cnn_engine.importers.importer import Importer
from cnn_engine.importers.open import open_source
from cnn_engine.runs.directory import create_run
from cnn_engine.storage.tfevents import write_header, write_scalars, write_text

IMAGES, IMAGE_BYTES = 200, 1_500_000
SCALAR_STEPS, TAGS = 100_000, ("Loss/train", "lr", "grad_norm")
ROWS = 400_000


def main() -> None:
    """Write the logs, and print a line for each."""
    if len(sys.argv) == 3:
        print_result(Path(sys.argv[1]), Path(sys.argv[2]))
        return
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if sys.argv[1:] else None) as name:
        logs: dict[str, Callable[[Path], None]] = {
            "images.tfevents": write_images,
            "scalars.tfevents": write_values,
            "rows.csv": write_rows,
        }
        for log, write in logs.items():
            path = Path(name) / log
            write(path)
            subprocess.run([sys.executable, __file__, str(path), name], check=True)  # noqa: S603
            path.unlink()


def write_images(path: Path) -> None:
    """Write images and a loss at each of a few steps."""
    image = io.BytesIO()
    write_text(image, 1e9, "image", IMAGE_BYTES * "x")
    with path.open("wb") as out:
        write_header(out, 1e9)
        for step in range(IMAGES):
            write_scalars(out, 1e9 + step, step, {"Loss/train": 1 / (step + 1), "fid": 3.0})
            out.write(image.getvalue())


def write_values(path: Path) -> None:
    """Write records of a value each, as `SummaryWriter.add_scalar` does."""
    with path.open("wb") as out:
        write_header(out, 1e9)
        for step in range(SCALAR_STEPS):
            for tag in TAGS:
                write_scalars(out, 1e9 + step, step, {tag: 1 / (step + 1)})


def write_rows(path: Path) -> None:
    """Write a row for each step, with a validation now and then."""
    with path.open("w") as out:
        out.write("step,train_loss,lr,grad_norm,val_loss\n")
        for step in range(ROWS):
            val_loss = "1.0" if step % 20_000 == 19_999 else ""
            out.write(f"{step},{2 - step / 1e6:.5f},0.1,{step % 97},{val_loss}\n")


def print_result(log: Path, directory: Path) -> None:
    """Import a log; print the CPU's time, and memory."""
    run = create_run(directory / "runs")
    start = time.process_time()
    source = open_source(log)
    source.poll(ended=True)
    read = time.process_time() - start
    Importer(source, run).close(ended=True)
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak //= 1 << 20 if sys.platform == "darwin" else 1 << 10
    print(
        f"{log.name:>16}, {log.stat().st_size / 1e6:.0f} MB: read in {read:.2f} s, imported in "
        f"{seconds:.2f} s, {run.events.stat().st_size / 1e6:.1f} MB; peak {peak} MB"
    )


if __name__ == "__main__":
    main()
