"""Measures how many changed labels are among the suspects, and what dropping the suspects gains.

    python engine/tools/bench_suspects.py DIR [--images 5000] [--seeds 3] [--folds K]
        [--set KEY=VALUE]

DIR has the class folders `train` and `test`. Of a random sample of its training images, 5 % get
another label at random. For each seed, a run of the preset `folder` trains on them; the most
suspicious images, as many as there are changed labels, are marked as dropped; and a second run
trains without them. Both have the same test images. With `--folds`, the suspects come from a group
of that many runs instead of from one.
"""

import argparse
import csv
import json
import random
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

CHANGED = 0.05
"""Fraction of training images whose label is changed."""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Images with some changed labels, and how to train on them."""

    photos: Path
    runs_dir: Path

    changed: frozenset[str]
    """Names of the images with a changed label."""

    settings: tuple[str, ...]

    def cnn_tui(self, *arguments: str) -> str:
        """Return the output of a command."""
        command = [sys.executable, "-m", "cnn_tui", *arguments, "--runs-dir", str(self.runs_dir)]
        return subprocess.run(  # noqa: S603 - this program
            command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ).stdout

    def train(self, name: str, seed: int, *options: str) -> None:
        """Train a run, or a group of runs."""
        run = ("run", "folder", "--no-ui", "--data-dir", str(self.photos), "--name", name)
        settings = [word for setting in self.settings for word in ("--set", setting)]
        self.cnn_tui(*run, "--seed", str(seed), *settings, *options)

    def test_accuracy(self, name: str) -> float:
        """Return the test accuracy of a run, 0 to 1."""
        accuracy: float = json.loads(self.cnn_tui("show", name, "--json"))["test_accuracy"]
        return accuracy

    def suspects(self, reference: str) -> list[str]:
        """Return the most suspicious images, as many as have a changed label."""
        table = self.runs_dir / f"{reference.replace('/', '-')}.csv"
        self.cnn_tui("data", "suspects", reference, "--csv", str(table))
        with table.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["kind"] == "label"]
        return [row["path"] for row in rows[: len(self.changed)]]

    def mark(self, option: str, names: list[str]) -> None:
        """Mark images, or remove their marks."""
        command = [sys.executable, "-m", "cnn_tui", "data", "mark", str(self.photos), "-", option]
        subprocess.run(  # noqa: S603 - this program
            command, check=True, input="\n".join(names), text=True, stdout=subprocess.DEVNULL
        )


def main() -> None:
    """Print a line for each seed, and the means."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--images", type=int, default=5_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", type=int)
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        photos = Path(directory, "photos")
        changed = copy_images(options.folder, photos, options.images)
        benchmark = Benchmark(
            photos=photos,
            runs_dir=Path(directory, "runs"),
            changed=frozenset(changed),
            settings=tuple(options.settings),
        )
        print(f"{options.images:,} training images, {len(changed):,} with a changed label")
        print(f"{'seed':<6}{'suspects that are changed':>26}{'kept':>9}{'dropped':>9}", flush=True)
        rows = [measure(benchmark, seed, options.folds) for seed in range(options.seeds)]
        print_row("mean", *map(mean, zip(*rows, strict=True)))


def copy_images(source: Path, target: Path, count: int) -> list[str]:
    """Copy a sample of the training images and all test images; return those with another label."""
    shutil.copytree(source / "test", target / "test")
    images = sorted((source / "train").glob("*/*"))
    generator = random.Random(0)  # noqa: S311 - a sample
    chosen = generator.sample(images, count)
    classes = sorted({image.parent.name for image in images})
    for name in classes:
        (target / "train" / name).mkdir(parents=True)
    changed = []
    for position, image in enumerate(chosen):
        label = image.parent.name
        if position < CHANGED * count:
            label = generator.choice([name for name in classes if name != label])
            changed.append(f"train/{label}/{image.parent.name}-{image.name}")
        shutil.copy(image, target / "train" / label / f"{image.parent.name}-{image.name}")
    return changed


def measure(benchmark: Benchmark, seed: int, folds: int | None) -> tuple[float, float, float]:
    """Train with and without the suspects; print and return precision and both test accuracies."""
    reference, dropped = f"kept-{seed}", f"dropped-{seed}"
    benchmark.train(reference, seed)
    kept_accuracy = benchmark.test_accuracy(reference)
    if folds:
        reference = f"folds-{seed}"
        benchmark.train(reference, seed, "--folds", str(folds))
        reference = f"{reference} fold 1/{folds}"
    suspects = benchmark.suspects(reference)
    benchmark.mark("--drop", suspects)
    benchmark.train(dropped, seed)
    benchmark.mark("--clear", suspects)
    precision = len(benchmark.changed.intersection(suspects)) / len(suspects)
    results = precision, kept_accuracy, benchmark.test_accuracy(dropped)
    print_row(str(seed), *results)
    return results


def print_row(name: str, precision: float, kept: float, dropped: float) -> None:
    """Print the results of a seed, or the means."""
    print(f"{name:<6}{precision:>25.1%} {kept:>8.2%} {dropped:>8.2%}", flush=True)


if __name__ == "__main__":
    main()
