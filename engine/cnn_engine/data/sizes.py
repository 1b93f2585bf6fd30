"""Which size images of many sizes are best brought to."""

from collections.abc import Sequence

SIDES = (32, 48, 64, 96, 128)
"""To choose from. Twice the side takes four times as long to train on, so it ends here."""

LOOKED_AT = 500
"""Images whose headers tell enough of all of them."""


def evenly(count: int, most: int = LOOKED_AT) -> range:
    """At most as many positions of `count`, spread evenly."""
    return range(0, count, max(1, -(-count // most)))


def choose_image_size(sizes: Sequence[tuple[int, int]]) -> tuple[int, str]:
    """A side in pixels for images of these widths and heights, and why, to be told to the user.

    Small squares of one size stay as they are, and there is nothing to tell. Else the side is the
    largest that three quarters of the images reach, so that few are enlarged.
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
        f"images are brought to {side} × {side} pixels, as their sides range from {shorter[0]} to "
        f"{max(max(size) for size in sizes):,} pixels; data.image_size=N takes another size, "
        "and twice the side takes four times as long"
    )
