"""Sizes of stratified splits. Does not import PyTorch."""

from collections.abc import Mapping, Sequence

from cnn_engine.errors import ConfigError
from cnn_engine.texts import listed

HALF_AN_IMAGE = 0.5
"""Expected number of held-out images below which none are."""


def held_out_counts(counts: Sequence[int], fraction: float, reserve: int = 1) -> list[int]:
    """Return how many images of each class are held out: the same fraction of each, rounded.

    In total they are `fraction` of all images, rounded down, unless classes are so small that more
    are needed: at least one image of a class is held out if more than `reserve` remain otherwise.

    Args:
        counts: Images per class.
        fraction: Fraction to hold out, 0 to 1.
        reserve: Number of images of each class that are not held out.
    """
    total = int(sum(counts) * fraction)
    if sum(counts) * fraction < HALF_AN_IMAGE:
        return [0] * len(counts)
    most = [max(0, count - reserve) for count in counts]
    shares = [count * fraction for count in counts]
    held_out = [min(limit, max(1, int(share))) for limit, share in zip(most, shares, strict=True)]
    rests = [share - count for share, count in zip(shares, held_out, strict=True)]
    by_rest = sorted(range(len(counts)), key=rests.__getitem__, reverse=True)
    for label in by_rest[: max(0, total - sum(held_out))]:
        held_out[label] += held_out[label] < most[label]
    return held_out


def check_folds(folds: int | None, *, has_val: bool) -> None:
    """Check that validation images can be a fold of the training images.

    Args:
        folds: Number of folds; None without folds.
        has_val: True if the data set has its own validation images.

    Raises:
        ConfigError: there are folds, and the data set has its own validation images.
    """
    if folds is not None and has_val:
        raise ConfigError(
            "data.folds: the data set has its own validation images; move them into the training "
            "folder, so that each is validated in turn, or train without folds"
        )


def small_classes_text(counts: Mapping[str, int], folds: int) -> str:
    """Return a text on classes with fewer images than there are folds; empty if there are none.

    Args:
        counts: Images per class of training and validation.
        folds: Number of folds.
    """
    names = [name for name, count in counts.items() if count < folds]
    if not names:
        return ""
    few = f"class {names[0]} has" if len(names) == 1 else f"{len(names):,} classes have"
    which = "" if len(names) == 1 else f" ({listed(names)})"
    them = "it" if len(names) == 1 else "them"
    return (
        f"{few} fewer images than the {folds} folds{which}: some folds do not validate {them}; "
        "use fewer folds, or add images"
    )


def missing_classes_text(counts: Mapping[str, int], part: str) -> str:
    """Return a text on classes without images in a part; empty if there are none.

    Args:
        counts: Images per class.
        part: `train`, `val` or `test`.
    """
    names = [name for name, count in counts.items() if not count]
    if not names:
        return ""
    noun = {"train": "training", "val": "validation", "test": "test"}[part]
    if len(counts) - len(names) == 1:
        (only,) = (name for name, count in counts.items() if count)
        return f"all {noun} images are of class {only}; add images of the others"
    if len(names) == 1:
        return f"class {names[0]} has no {noun} image; add images"
    return f"{len(names):,} classes have no {noun} image ({listed(names)}); add images"
