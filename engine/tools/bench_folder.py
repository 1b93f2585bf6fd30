"""Measures the time to load a folder of images: decoded at first, then from the cache.

python engine/tools/bench_folder.py DIR [--image-size 32] [--times 5]

Each loading is a process of its own, with a cache of this benchmark's own. Whether the files come
from the disk or are in memory already is up to the system.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median

MEGABYTE = 1e6
MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--times", type=int, default=5, help="how often it is opened again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        for what, times in (("decode", 1), ("open", options.times)):
            runs = [_load_apart(options.folder, options.image_size) for _ in range(times)]
            seconds, images = median(run[0] for run in runs), runs[0][1]
            peak, size = max(run[2] for run in runs), runs[0][3]
            print(
                f"{what:<6} {seconds:7.3f} s  {images:,} images  {images / seconds:9,.0f} images/s"
                f"  peak {peak / MEGABYTE:,.0f} MB, of which data {size / MEGABYTE:,.0f} MB"
            )


def _load_apart(folder: str, image_size: int) -> tuple[float, int, int, int]:
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(load, folder, image_size).result()


def load(folder: str, image_size: int) -> tuple[float, int, int, int]:
    """Seconds, images, and the bytes of memory that the process and the images take.

    The images are all looked at, as training would, so that mapped ones count.
    """
    from cnn_engine.config.schema import DataConfig  # noqa: PLC0415 - not in the process that waits
    from cnn_engine.data.dataset import load_dataset  # noqa: PLC0415

    config = DataConfig(source="folder", path=folder, image_size=image_size)
    start = time.perf_counter()
    images = load_dataset(config, 0, lambda *_: None).images
    seconds = time.perf_counter() - start
    images.amax()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAXRSS_BYTES
    return seconds, len(images), peak, images.nbytes


if __name__ == "__main__":
    main()
