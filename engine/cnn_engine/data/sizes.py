"""Choice of a common size for images of different sizes."""

from collections.abc import Sequence

SIDES = (32, 48, 64, 96, 128)
"""Candidate sides in pixels. Doubling the side takes four times as long, hence the maximum."""

MAX_SAMPLED = 500
"""Images whose headers are read to estimate the sizes of all."""


def evenly(count: int, limit: int = MAX_SAMPLED) -> range:
    """Return at most `limit` evenly spaced positions from 0 to `count` - 1."""
    return range(0, count, max(1, -(-count // limit)))


def choose_image_size(sizes: Sequence[tuple[int, int]]) -> tuple[int, str]:
    """Return a side in pixels and the reason for it; the reason is empty if nothing is resized.

    Small square images of one size keep it. Otherwise the side is the largest of `SIDES` that three
    quarters of the images reach, so that few are enlarged.

    Args:
        sizes: Widths and heights in pixels.
    """
    if not sizes:
        return SIDES[0], ""
    (width, height), *_ = sizes
    if width == height and 8 <= width <= SIDES[-1] and set(sizes) == {(width, height)}:
        return width, ""
    shorter = sorted(min(size) for size in sizes)
    reached = shorter[len(shorter) // 4]
    side = max((side for side in SIDES if side <= reached), default=SIDES[0])
    return side, (
        f"images are resized to {side} × {side} pixels, as their sides range from {shorter[0]} to "
        f"{max(max(size) for size in sizes):,} pixels; set data.image_size=N for another size "
        "(twice the side takes four times as long)"
    )
