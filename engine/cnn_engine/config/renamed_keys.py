"""Config keys that were renamed or added since older config files and run logs were written."""

from collections.abc import Mapping
from typing import Any

RENAMED_KEYS = {
    "optimizer.vector_lr": "optimizer.bias_norm_lr",
    "optimizer.decay_vectors": "optimizer.decay_bias_norm",
}
"""New dotted key by old one."""


def rename_config_keys(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config's tables with current key names.

    An old key beside its new one is kept, so that validation reports it as unknown.
    """
    renamed = dict(tables)
    for old, new in RENAMED_KEYS.items():
        (table, old_key), new_key = old.split("."), new.rpartition(".")[2]
        values = renamed.get(table)
        if isinstance(values, dict) and old_key in values and new_key not in values:
            renamed[table] = {
                new_key if key == old_key else key: value for key, value in values.items()
            }
    return renamed


IMPLICIT_VALUES = {"data": {"rules": 1}}
"""Values, by table and key, that runs had before there was such a key, unlike new runs."""


def logged_config(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables of a run's config with current key names and the values that it implied."""
    current = rename_config_keys(tables)
    for table, implicit in IMPLICIT_VALUES.items():
        values = current.get(table)
        if isinstance(values, dict):
            current[table] = values | {key: implicit[key] for key in implicit if key not in values}
    return current
