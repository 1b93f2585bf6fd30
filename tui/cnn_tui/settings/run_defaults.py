"""Applies the user's default device and threads to new runs."""

import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cnn_engine.errors import ConfigError
from cnn_engine.system.gpu_presence import may_exist
from cnn_tui.settings.load import FILE, load_settings

if TYPE_CHECKING:
    from cnn_engine.session.request import Request

OPEN: dict[str, object] = {"device": "auto", "threads": 0}
"""Keys of `train` with defaults among the settings, and values that leave them open."""


def with_run_defaults(request: "Request", overrides: Sequence[str] = ()) -> "Request":
    """Return a request for a new run with the user's defaults, which its config then records.

    Args:
        request: A request for a preset or a config file.
        overrides: Values from the command line, each `KEY=VALUE`; they go before the defaults, as
            does a config file with another value than `auto` or 0.

    Raises:
        ConfigError: this machine does not have the default device.
    """
    named = {override.partition("=")[0].strip() for override in overrides}
    values = {
        key: value
        for key, value in _defaults().items()
        if f"train.{key}" not in named and getattr(request.config.train, key) == OPEN[key]
    }
    if (device := values.get("device", "cpu")) != "cpu" and not may_exist(device):
        raise ConfigError(
            f"{load_settings().place('run.device')}: there is no {device!r} device here; change "
            "the setting, or use --device auto"
        )
    fallback = request.fallback and with_run_defaults(request.fallback, overrides)
    config = request.config.replaced("train", **values) if values else request.config
    return dataclasses.replace(request, config=config, fallback=fallback)


def _defaults() -> dict[str, Any]:
    """Return the settings that leave nothing open; OMP_NUM_THREADS goes before the file."""
    loaded = load_settings()
    run = loaded.values.run
    found: dict[str, Any] = {"device": run.device, "threads": run.threads}
    if loaded.sources["run.threads"] == FILE and os.environ.get("OMP_NUM_THREADS"):
        del found["threads"]
    return {key: value for key, value in found.items() if value != OPEN[key]}
