"""Finds the weights of a file for a network, whatever prefixes their names have."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

MIN_COVERED = 1 / 3
"""Minimum share of the names that have a prefix which may be left out: a file may contain a network
twice, such as teacher and student, and a little more."""


@dataclass(frozen=True, kw_only=True)
class NamedWeights:
    """Weights of a file under the names of a network."""

    weights: dict[str, Tensor]
    """Weights with the file's prefix replaced by that of the network."""

    others: tuple[str, ...]
    """Names of the file that do not have its prefix."""

    old_prefix: str
    new_prefix: str

    def name_in_file(self, name: str) -> str:
        """Return the name that a weight has in the file."""
        return f"{self.old_prefix}{name.removeprefix(self.new_prefix)}"


def match_names(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> NamedWeights:
    """Return a file's weights under the names that fit a network best.

    Wrappers and training programs add prefixes, such as `module.`, `_orig_mod.` and `model.`.

    Args:
        found: The file's weights.
        expected: The network's.
    """
    pairs = [(old, new) for old in _prefixes(found) for new in _prefixes(expected)]
    old, new = max(pairs, key=lambda pair: _count_fitting(found, expected, *pair))
    return NamedWeights(
        weights={
            f"{new}{name.removeprefix(old)}": values
            for name, values in found.items()
            if name.startswith(old)
        },
        others=tuple(name for name in found if not name.startswith(old)),
        old_prefix=old,
        new_prefix=new,
    )


def fits(name: str, values: Tensor, expected: Mapping[str, Tensor]) -> bool:
    """Return True if a network has a weight of this name and shape."""
    return name in expected and values.shape == expected[name].shape


def _prefixes(names: Iterable[str]) -> list[str]:
    """Return the prefixes that many names have, each ending in a dot, and first the empty one."""
    parts = [name.split(".") for name in names]
    counts = Counter(
        ".".join(part[:count]) + "." for part in parts for count in range(1, len(part))
    )
    return ["", *(prefix for prefix in counts if counts[prefix] >= MIN_COVERED * len(parts))]


def _count_fitting(
    found: Mapping[str, Tensor], expected: Mapping[str, Tensor], old: str, new: str
) -> int:
    return sum(
        name.startswith(old) and fits(f"{new}{name.removeprefix(old)}", values, expected)
        for name, values in found.items()
    )
