"""How the C library hands out memory, set once at the start of a process that trains."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""Parameters of glibc's `mallopt`, from its malloc.h."""

LARGEST_MMAP_THRESHOLD = 32 * 2**20
"""The most that glibc takes on 64-bit machines."""

NEVER = 2**31 - 1
"""Bytes: more than the heap's end ever has free."""


def keep_freed_memory() -> bool:
    """Let freed memory be used again rather than given back; whether the C library took that.

    Each training step allocates the same large tensors. By default glibc gives them back to the
    kernel when they are freed, and every page has to be cleared and mapped again in the next step:
    up to 40 % of the time at batch 64, more at larger batches. One arena, as what a thread frees
    serves another only there. Elsewhere than with glibc this does nothing.

    To be called before the training thread starts.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl has none
        return False
    settings = {
        M_ARENA_MAX: 1,
        M_MMAP_THRESHOLD: LARGEST_MMAP_THRESHOLD,
        M_TRIM_THRESHOLD: NEVER,
    }
    taken = [mallopt(parameter, value) == 1 for parameter, value in settings.items()]
    return all(taken)
