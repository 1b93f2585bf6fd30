"""Rebuilds the bundled digits from scikit-learn's copy.

python engine/tools/build_digits.py [DIRECTORY]
"""

import gzip
import struct
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

BUNDLED = Path(__file__).parents[1] / "cnn_engine" / "data" / "sources" / "digits"


def main(directory: Path) -> None:
    """Write both IDX files into the directory."""
    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)
    write_idx(directory / "digits-images-idx3-ubyte.gz", images)
    write_idx(directory / "digits-labels-idx1-ubyte.gz", digits.target.astype(np.uint8))


def write_idx(path: Path, values: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> None:
    """Write unsigned bytes of any shape as a gzipped IDX file."""
    header = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    # Not gzip.compress: the operating system in its header differs between Python versions.
    with (
        path.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as zipped,
    ):
        zipped.write(header + values.tobytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else BUNDLED)
