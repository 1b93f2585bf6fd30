"""What is to be trained: asked for by a user, or as the log of a run tells."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from cnn_engine.config.presets import from_dict, load_config
from cnn_engine.config.schema import Config
from cnn_engine.errors import ConfigError, StorageError
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.summary import read_state


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a user asked to train."""

    preset: str
    """Name of the preset or config file."""

    config: Config
    name: str = ""
    """What the user calls the run."""

    fallback: "Request | None" = None
    """What to train instead when the images are not to be had."""

    group: str = ""
    """Id of the first run of the series that this is one of; empty without one."""

    command: tuple[str, ...] = ()
    """The words of the command line that asked for it."""

    like: str = ""
    """Run that it repeats; may be empty."""

    environment_of_like: dict[str, str] = field(default_factory=dict)
    """In what environment that was trained."""

    @classmethod
    def from_preset(
        cls,
        preset: str,
        overrides: Sequence[str] = (),
        name: str = "",
        fallback: "Request | None" = None,
    ) -> Self:
        """A request for a preset or a config file.

        Ways to files are made absolute, as the run may go on from another directory.

        Raises:
            ConfigError: naming every problem of the config.
        """
        config = _with_absolute_paths(load_config(preset, overrides))
        return cls(preset=Path(preset).stem, config=config, name=name, fallback=fallback)

    @classmethod
    def from_state(cls, state: RunState, *, allow_code: bool) -> Self:
        """What a run was asked to train, and is asked by now, as its log tells.

        Raises:
            ConfigError: a newer version of cnn-tui wrote the log, or its network is code that is
                not allowed.
        """
        begun = state.started
        fallback = None
        if begun and begun.fallback_config and state.config == begun.config:
            config = from_dict(begun.fallback_config)
            fallback = Request(preset=begun.fallback_preset, config=config)
        return cls(
            preset=state.preset,
            config=from_dict(state.config, allow_code=allow_code),
            fallback=fallback,
        )

    @classmethod
    def from_run(
        cls, run: RunDirectory, overrides: Sequence[str] = (), *, allow_code: bool = False
    ) -> Self:
        """A request for what a run trained in the end, its seed included, perhaps changed.

        Args:
            run: The run.
            overrides: Keys that are to have other values, each as `KEY=VALUE`.
            allow_code: Import the network, if it is code of the run's user.

        Raises:
            ConfigError: its log tells no config, that is of another version of cnn-tui, what is
                to be changed cannot be so, or the network is code that is not allowed.
            StorageError: its log cannot be read.
        """
        try:
            state, _ = read_state(run)
        except OSError as error:
            raise StorageError(f"{run.events}: cannot be read: {error.strerror}") from None
        if not state.config:
            raise ConfigError(f"run {run.id}: its log does not tell what was trained")
        prepared = state.prepared
        return cls(
            preset=state.preset,
            config=_with_absolute_paths(from_dict(state.config, overrides, allow_code=allow_code)),
            like=run.id,
            environment_of_like=prepared.environment if prepared else {},
        )

    def with_epochs(self, epochs: int) -> "Request":
        """The same with another number of epochs."""
        return replace(self, config=self.config.replaced("train", epochs=epochs))


def _with_absolute_paths(config: Config) -> Config:
    for table, key in (("data", "path"), ("model", "weights")):
        path = getattr(getattr(config, table), key)
        if path is not None:
            config = config.replaced(table, **{key: str(Path(path).absolute())})
    return config
