"""Recognizes out-of-memory errors of CPU and GPU. Does not import PyTorch."""

import errno
import re

SIGNS = (
    "out of memory",  # CUDA's and MPS's allocators, and the driver
    "can't allocate memory",  # PyTorch's CPU allocator
    "ALLOC_FAILED",  # cuBLAS, cuDNN
)
"""Parts of the messages of plain RuntimeErrors."""

LIBRARY_SIGNS = ("failed to map segment", "annot allocate memory")
"""Parts of the messages of the loader of shared libraries."""

NOT_PERMITTED = "not permitted"
"""The loader's reason on a disk that is mounted `noexec`."""

_REQUESTED = re.compile(r"[Tt]ried to allocate ([\d.,]+ ?\w+)")
_FREE = re.compile(r"of which ([\d.]+ \w+) is free")
_TOTAL = re.compile(r"total capac\w+ of ([\d.]+ \w+)")
_MPS_LIMIT = re.compile(r"max allowed: ([\d.]+ \w+)")


def is_out_of_memory(error: BaseException) -> bool:
    """Return True if an exception is an out-of-memory error."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    if _is_about_library(error):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS)


def out_of_memory_text(error: BaseException) -> str:
    """Return a message with requested and available memory, if known, and settings to reduce."""
    message = str(error)
    if _is_about_library(error):
        return (
            "out of memory while loading PyTorch; close other programs, or raise the memory limit"
        )
    device = "GPU " if re.search(r"CUDA|MPS|GPU|CUDNN|CUBLAS", message) else ""
    patterns = (_REQUESTED, _FREE, _TOTAL)
    requested, free, total = (_found(pattern, message) for pattern in patterns)
    total = total or _found(_MPS_LIMIT, message)
    facts = [f"{requested} more requested"] if requested else []
    if free and total:
        facts.append(f"{free} of {total} free")
    elif total:
        facts.append(f"{total} in total")
    details = f" ({', '.join(facts)})" if facts else ""
    return f"out of {device}memory{details}; try a smaller train.batch_size or data.image_size"


def _found(pattern: re.Pattern[str], message: str) -> str:
    match = pattern.search(message)
    return match[1] if match else ""


def _is_about_library(error: BaseException) -> bool:
    """Return True if a shared library, such as PyTorch's, cannot be loaded for lack of memory."""
    is_loading = isinstance(error, ImportError | OSError) and getattr(error, "errno", None) is None
    message = str(error)
    is_memory = any(sign in message for sign in LIBRARY_SIGNS) and NOT_PERMITTED not in message
    return is_loading and is_memory
