"""Lightning: a logger that records its metrics, and a callback that lets commands control it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning
from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

import cnn_tui
from cnn_tui import Run

CHECKPOINT = "asked.ckpt"
"""File that the command `checkpoint` saves, in the run's directory."""


class DashboardLogger(Logger):
    """Records all that `self.log` logs. The run begins with the first value.

    The run goes on until the program ends, as a test may follow the training, or until
    `cnn_tui.finish()`.
    """

    def __init__(self, name: str = "", **options: Any) -> None:
        """Create a logger.

        Args:
            name: Name of the run.
            **options: Further arguments of `cnn_tui.init`.
        """
        super().__init__()
        self._name, self._options = name, options
        self._run: Run | None = None
        self._saved = ""
        """Last checkpoint that Lightning has saved by itself."""

    @property
    @rank_zero_experiment
    def experiment(self) -> Run:
        """The run."""
        if self._run is None:
            framework = f"Lightning {lightning.__version__}"
            self._run = cnn_tui.init(self._name, framework=framework, **self._options)
        return self._run

    @property
    def name(self) -> str:
        """Name of the run."""
        return self._name

    @property
    def version(self) -> str:
        """Id of the run; empty before it begins."""
        return self._run.id if self._run else ""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Record the values of a step."""
        self.experiment.log(metrics, step)

    @rank_zero_only
    def log_hyperparams(self, params: Any, *_: Any, **__: Any) -> None:
        """Record the hyperparameters."""
        values = params if isinstance(params, Mapping) else vars(params)
        self.experiment.config.update(values)

    @rank_zero_only
    def after_save_checkpoint(self, checkpoint_callback: ModelCheckpoint) -> None:
        """Record a checkpoint that Lightning has saved by itself."""
        path = checkpoint_callback.last_model_path or checkpoint_callback.best_model_path
        if path and path != self._saved:
            self._saved = path
            self.experiment.saved(path)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """End the run if the training failed."""
        if self._run is not None and status == "failed":
            self._run.finish(1)


class DashboardCallback(Callback):
    """Lets commands pause and stop the training, save a checkpoint, and change the rate.

    Use it with a `DashboardLogger`. A training of several processes agrees on a command every
    `log_every_n_steps` steps.
    """

    def __init__(self, checkpoint: str | Path | None = None) -> None:
        """Create a callback.

        Args:
            checkpoint: File that the command `checkpoint` saves; by default in the run's directory.
        """
        self._checkpoint = checkpoint
        self._run: Run | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find the run of the logger, and its optimizer."""
        loggers = [logger for logger in trainer.loggers if isinstance(logger, DashboardLogger)]
        self._run = loggers[0].experiment if loggers and trainer.is_global_zero else None
        if self._run is None:
            return
        self._run.plan(epochs=max(0, trainer.max_epochs or 0))
        if trainer.optimizers:
            schedulers = [config.scheduler for config in trainer.lr_scheduler_configs]
            self._run.control(trainer.optimizers[0], schedulers[0] if schedulers else None)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin an epoch."""
        if self._run is not None:
            self._run.begin_pass(trainer.train_dataloader)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int
    ) -> None:
        """Wait while the run is paused."""
        if self._run is not None:
            self._run.begin_step()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Count the step, and do what commands ask for."""
        if self._run is not None:
            self._run.count_step(0.0)
        every: int = trainer.log_every_n_steps
        if trainer.world_size == 1 or not (batch_idx + 1) % max(1, every):
            self._obey(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End the epoch, after which a command may stop the training."""
        if self._run is not None:
            self._run.end_pass()
        self._obey(trainer)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """End the run with the exception."""
        if self._run is not None:
            self._run.end(exception)

    def _obey(self, trainer: Trainer) -> None:
        run = self._run
        if _any_process(trainer, run is not None and run.should_stop):
            trainer.should_stop = True
        if _any_process(trainer, run is not None and run.should_save):
            path = self._checkpoint or (run.path / CHECKPOINT if run and run.path else CHECKPOINT)
            path = trainer.strategy.broadcast(path)
            trainer.save_checkpoint(path)
            if run is not None:
                run.saved(path)


def _any_process(trainer: Trainer, answer: bool) -> bool:
    """Return True on all processes if the answer of any is True."""
    if trainer.world_size == 1:
        return answer
    return bool(trainer.strategy.reduce_boolean_decision(answer, all=False))
