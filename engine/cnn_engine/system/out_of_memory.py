"""Recognizes that memory ran out, of the processor or of a GPU, without PyTorch."""

import re

SIGNS = (
    "out of memory",  # CUDA's and MPS's allocators, and the driver
    "can't allocate memory",  # PyTorch's allocator of the processor
    "ALLOC_FAILED",  # cuBLAS, cuDNN
)
"""Parts of messages of plain RuntimeErrors."""

_ASKED = re.compile(r"[Tt]ried to allocate ([\d.,]+ ?\w+)")
_FREE = re.compile(r"of which ([\d.]+ \w+) is free")
_TOTAL = re.compile(r"total capac\w+ of ([\d.]+ \w+)")
_MPS_LIMIT = re.compile(r"max allowed: ([\d.]+ \w+)")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception says that memory ran out."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS)


def out_of_memory_text(error: BaseException) -> str:
    """Return what was asked for and what there is, as far as the message says, and what to set."""
    message = str(error)
    where = "GPU " if re.search(r"CUDA|MPS|GPU|CUDNN|CUBLAS", message) else ""
    asked, free, total = (_found(each, message) for each in (_ASKED, _FREE, _TOTAL))
    total = total or _found(_MPS_LIMIT, message)
    facts = [f"{asked} more were asked for"] if asked else []
    if free and total:
        facts.append(f"{free} of {total} are free")
    elif total:
        facts.append(f"there are {total}")
    told = f" ({', '.join(facts)})" if facts else ""
    return f"out of {where}memory{told}; try a smaller train.batch_size or data.image_size"


def _found(pattern: re.Pattern[str], message: str) -> str:
    match = pattern.search(message)
    return match[1] if match else ""
