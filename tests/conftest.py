"""What tests share."""

import os

# Small tensors on many threads are slower than on one, and tests run side by side.
os.environ.setdefault("OMP_NUM_THREADS", "1")
