"""A request to train: a config from the command line or from the log of a run."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from cnn_engine.checkpoints.format import BEST_FILE, WEIGHTS_FILES
from cnn_engine.config.paths import exists, expand_home, is_directory, is_file
from cnn_engine.config.presets import from_dict, load_config
from cnn_engine.config.schema import Config
from cnn_engine.data.sources.table_path import table_path
from cnn_engine.errors import ConfigError, StorageError
from cnn_engine.notifications.targets import NO_TARGETS, Targets
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory, default_runs_dir
from cnn_engine.runs.lookup import find_run
from cnn_engine.runs.summary import read_state


@dataclass(frozen=True, kw_only=True)
class Request:
    """A config to train, and how the run is recorded."""

    preset: str
    """Name of the preset or config file."""

    config: Config
    name: str = ""
    """Name of the run; may be empty."""

    fallback: "Request | None" = None
    """Request to train instead if the images are not available."""

    group: str = ""
    """Id of the first run of the series that it belongs to; empty if none."""

    member: int = 0
    """Number in its series, from 1; 0 if unknown."""

    members: int = 0
    """Planned number of runs of its series; 0 if unknown."""

    setting: str = ""
    """Values by which its series differs, such as `optimizer.lr=0.003`; may be empty."""

    marks_of: Path | None = None
    """Directory of a run whose marks on the images are used, as of the first one of a series; None
    to read the marks beside the images."""

    command: tuple[str, ...] = ()
    """Command line that started it, word by word, without secrets."""

    notify: Targets = NO_TARGETS
    """Receivers of messages when the run ends; they are kept in the run's directory."""

    like: str = ""
    """Id of the run whose config it starts from; may be empty."""

    environment_of_like: dict[str, str] = field(default_factory=dict)
    """Environment that the run `like` was trained in."""

    @classmethod
    def from_preset(
        cls,
        preset: str,
        overrides: Sequence[str] = (),
        name: str = "",
        fallback: "Request | None" = None,
        runs_dir: Path | None = None,
    ) -> Self:
        """Return a request for a preset or a config file.

        Args:
            preset: Name of a preset, or path of a TOML file.
            overrides: Keys with other values, each `KEY=VALUE`.
            name: Name of the run.
            fallback: Request to train instead if the images are not available.
            runs_dir: Directory of the run that `model.weights` may name; None for the default.

        Raises:
            ConfigError: the config is invalid; names every problem.
        """
        config = with_absolute_paths(load_config(preset, overrides), runs_dir)
        return cls(preset=Path(preset).stem, config=config, name=name, fallback=fallback)

    @classmethod
    def from_state(cls, state: RunState, *, allow_code: bool) -> Self:
        """Return the request that a run's log records, with the changes made since.

        Raises:
            ConfigError: a newer version of cnn-tui wrote the log, or the network is code that is
                not allowed.
        """
        started = state.started
        fallback = None
        if started and started.fallback_config and state.config == started.config:
            config = from_dict(started.fallback_config)
            fallback = Request(preset=started.fallback_preset, config=config)
        return cls(
            preset=state.preset,
            config=from_dict(state.config, allow_code=allow_code),
            fallback=fallback,
        )

    @classmethod
    def from_run(
        cls, run: RunDirectory, overrides: Sequence[str] = (), *, allow_code: bool = False
    ) -> Self:
        """Return a request to train a run's config, with its seed, again.

        Args:
            run: The run.
            overrides: Keys with other values, each `KEY=VALUE`.
            allow_code: Import the network if it is the user's own code.

        Raises:
            ConfigError: the log contains no config, is of another version of cnn-tui, an override
                is invalid, or the network is code that is not allowed.
            StorageError: the log cannot be read.
        """
        try:
            state, _ = read_state(run)
        except OSError as error:
            raise StorageError(f"{run.events}: cannot be read: {error.strerror}") from None
        if not state.is_own:
            raise ConfigError(
                f"run {run.id}: another program trains it: it has no config of cnn-tui"
            )
        if not state.config:
            raise ConfigError(f"run {run.id}: its log does not contain a config")
        prepared = state.prepared
        config = from_dict(state.config, overrides, allow_code=allow_code)
        return cls(
            preset=state.preset,
            config=with_absolute_paths(config, run.path.parent),
            like=run.id,
            environment_of_like=prepared.environment if prepared else {},
        )

    def with_epochs(self, epochs: int) -> "Request":
        """Return the request with another total number of epochs."""
        return replace(self, config=self.config.replaced("train", epochs=epochs))


def with_absolute_paths(config: Config, runs_dir: Path | None) -> Config:
    """Return a config whose paths do not depend on the working directory.

    Args:
        config: Its `model.weights` may name a run.
        runs_dir: Directory of the runs; None for the default.

    Raises:
        ConfigError: there is no such run.
    """
    if (path := config.data.path) is not None:
        config = config.replaced("data", path=str(Path(path).absolute()))
    if config.data.table is not None:
        data = config.data.model_copy(update={"table": str(table_path(config.data).absolute())})
        config = config.model_copy(update={"data": data})
    if (weights := config.model.weights) is not None:
        path = str(_weights_path(weights, runs_dir))
        config = config.replaced("model", weights=path)
    return config


def _weights_path(reference: str, runs_dir: Path | None) -> Path:
    """Return the absolute path of a file of weights, or of the best model of a run.

    Args:
        reference: A path, of a file or of a directory with one of `WEIGHTS_FILES`, or a run's id,
            name, or a part of them.
        runs_dir: Directory of the runs; None for the default.

    Raises:
        ConfigError: it has the form of a run's id, but there is no such run.
    """
    path = Path(expand_home(reference)).absolute()
    if not exists(path) and os.sep not in reference and not path.suffix:
        try:
            path = find_run(runs_dir or default_runs_dir(), reference).path.absolute()
        except ConfigError as error:
            raise ConfigError(f"model.weights: {error}") from None
    if not is_directory(path):
        return path
    return next(filter(is_file, (path / name for name in WEIGHTS_FILES)), path / BEST_FILE)
