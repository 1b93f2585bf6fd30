"""Keras: a callback of `Model.fit`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

import cnn_tui
from cnn_tui import Run


class DashboardCallback(keras.callbacks.Callback):
    """Records what `fit` logs, and lets commands pause and stop it, save, and change the rate.

    The run goes on until the program ends, as further calls of `fit` may follow, or until
    `cnn_tui.finish()`.
    """

    def __init__(
        self,
        name: str = "",
        checkpoint: str | Path | None = None,
        **options: Any,
    ) -> None:
        """Create a callback.

        Args:
            name: Name of the run; by default that of the model.
            checkpoint: File that the command `checkpoint` saves, such as `model.keras`; without
                one the command is not offered.
            **options: Further arguments of `cnn_tui.init`.
        """
        super().__init__()
        self._name, self._checkpoint, self._options = name, checkpoint, options
        self._run: Run | None = None

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Begin the run."""
        optimizer = self.model.optimizer
        if self._run is None:
            options = {"config": {"optimizer": optimizer.get_config()}, **self._options}
            framework = f"Keras {keras.__version__}"
            self._run = cnn_tui.init(self._name or self.model.name, framework=framework, **options)
        self._run.plan(
            epochs=self.params.get("epochs") or 0, steps_per_epoch=self.params.get("steps") or 0
        )
        self._run.control(_Optimizer(optimizer))

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Begin an epoch."""
        if self._run is not None:
            self._run.begin_pass(None)

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Wait while the run is paused."""
        if self._run is not None:
            self._run.begin_step()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Record the values of the step, which Keras averages over the epoch."""
        if self._run is not None:
            self._run.count_step(0.0)
            self._run.log(logs or {})
            self._obey()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Record the validation, and end the epoch, after which a command may stop the training."""
        if self._run is not None:
            values = (logs or {}).items()
            self._run.log({name: value for name, value in values if name.startswith("val_")})
            self._run.end_pass()
            self._obey()

    def _obey(self) -> None:
        run = self._run
        if run is None:
            return
        if run.should_stop:
            self.model.stop_training = True
        if self._checkpoint is not None and run.should_save:
            self.model.save(self._checkpoint)
            run.saved(self._checkpoint)


class _Optimizer:
    """An optimizer of Keras with parameter groups, as one of PyTorch."""

    def __init__(self, optimizer: Any) -> None:
        self.param_groups = [_Group(optimizer)]


class _Group(dict[str, Any]):
    """The only group, whose rate is that of the optimizer."""

    def __init__(self, optimizer: Any) -> None:
        super().__init__(lr=0.0)
        self._optimizer = optimizer

    def __getitem__(self, key: str) -> float:
        return float(self._optimizer.learning_rate)

    def __setitem__(self, key: str, value: float) -> None:
        self._optimizer.learning_rate = value
