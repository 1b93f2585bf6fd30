"""Weights of older checkpoints, whose names have changed since.

A module class lists the submodules that it has renamed as `OLD_NAMES`, old to new.
"""

from typing import Any

from torch import nn


def rename_old_keys(model: nn.Module, content: Any) -> Any:  # noqa: ANN401 - as nested as it is
    """Return a checkpoint's content with the names that the model's weights have now.

    Args:
        model: The model that the checkpoint is of.
        content: Dicts, nested to any depth, whose keys may be names of weights.
    """
    renamed = {
        f"{name}.{old}.".removeprefix("."): f"{name}.{new}.".removeprefix(".")
        for name, module in model.named_modules()
        for old, new in getattr(module, "OLD_NAMES", {}).items()
    }
    return rename_prefixes(content, renamed) if renamed else content


def rename_prefixes(content: Any, renamed: dict[str, str]) -> Any:  # noqa: ANN401
    """Return nested dicts with the prefixes of their keys replaced, old to new."""
    if not isinstance(content, dict):
        return content
    return {
        _rename(key, renamed): rename_prefixes(value, renamed) for key, value in content.items()
    }


def _rename(key: Any, renamed: dict[str, str]) -> Any:  # noqa: ANN401 - of any type
    if isinstance(key, str):
        for old, new in renamed.items():
            if key.startswith(old):
                return new + key.removeprefix(old)
    return key
