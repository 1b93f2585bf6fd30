"""Measures the time to load a folder of images, first decoded, then from the cache.

    python engine/tools/bench_folder.py DIR [--image-size 32] [--times 5]

Every measurement is a new process. The cache is temporary. The files may be read from disk or from
the page cache.
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
    """Print time, rate and memory of both cases."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--times", type=int, default=5, help="number of loads from the cache")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        for name, times in (("decode", 1), ("cache", options.times)):
            loads = [_load_in_new_process(options.folder, options.image_size) for _ in range(times)]
            seconds, images = median(load[0] for load in loads), loads[0][1]
            peak, size = max(load[2] for load in loads), loads[0][3]
            print(
                f"{name:<6} {seconds:7.3f} s  {images:,} images  {images / seconds:9,.0f} images/s"
                f"  peak {peak / MEGABYTE:,.0f} MB, including images {size / MEGABYTE:,.0f} MB"
            )


def _load_in_new_process(folder: str, image_size: int) -> tuple[float, int, int, int]:
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(load, folder, image_size).result()


def load(folder: str, image_size: int) -> tuple[float, int, int, int]:
    """Load the folder; return seconds, images, peak memory and size of the images in bytes.

    All images are read afterwards, so that memory-mapped ones count.
    """
    from cnn_engine.config.schema import DataConfig  # noqa: PLC0415 - the parent process does not need it
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
