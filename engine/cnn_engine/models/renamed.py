"""Renames the weights of older checkpoints.

Checkpoints are renamed as a whole by `rename_weights`. An exported state dict is loaded by PyTorch
alone, so a module with old names renames them in `_load_from_state_dict` too. A class lists its
renamed submodules in `OLD_NAMES`, by old name. Renames do not nest: a renamed submodule must not
have `OLD_NAMES` itself.
"""

from typing import Any

from torch import nn


def rename_weights(model: nn.Module, content: Any) -> Any:  # noqa: ANN401 - nested to any depth
    """Return a checkpoint's content with the current names of the model's weights.

    Args:
        model: The model that the checkpoint is of.
        content: Dicts, nested to any depth, with names of weights as keys.
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
