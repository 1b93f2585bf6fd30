"""Hugging Face Transformers: a callback of its Trainer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import transformers
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

import cnn_tui
from cnn_tui import Run

SUMMARY = ("train_loss", "total_flos")
"""Values logged once at the end: the mean loss of the whole training is no point of its curve."""


class DashboardCallback(TrainerCallback):
    """Records what a Trainer logs, and lets commands pause and stop it, save, and set the rate.

    The run goes on until the program ends, as an evaluation may follow the training, or until
    `cnn_tui.finish()`. A training of several processes agrees on a command every `logging_steps`
    steps.
    """

    def __init__(self, name: str = "", **options: Any) -> None:
        """Create a callback.

        Args:
            name: Name of the run; by default the `run_name` of the arguments.
            **options: Further arguments of `cnn_tui.init`.
        """
        self._name, self._options = name, options
        self._run: Run | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **parts: Any
    ) -> None:
        """Begin the run."""
        if not state.is_world_process_zero:
            return
        arguments = args.to_dict()
        options = {"config": arguments, **self._options}
        if self._run is None:
            self._run = cnn_tui.init(
                self._name or args.run_name or "",
                framework=f"Transformers {transformers.__version__}",
                **options,
            )
        epochs = max(1, round(state.num_train_epochs))
        self._run.plan(epochs=epochs, steps_per_epoch=-(-state.max_steps // epochs))
        if optimizer := parts.get("optimizer"):
            self._run.control(optimizer, parts.get("lr_scheduler"))

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **parts: Any
    ) -> None:
        """Begin an epoch."""
        if self._run is not None:
            self._run.begin_pass(parts.get("train_dataloader"))

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Wait while the run is paused."""
        if self._run is not None:
            self._run.begin_step()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Count the step, and do what commands ask for."""
        if self._run is not None:
            self._run.count_step(0.0)
        if args.world_size == 1 or not state.global_step % max(1, int(args.logging_steps)):
            self._obey(args, control)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """End the epoch, after which a command may stop the training."""
        if self._run is not None:
            self._run.end_pass()
        self._obey(args, control)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Record the values that the Trainer logs."""
        if self._run is not None and logs:
            kept = {name: value for name, value in logs.items() if name not in SUMMARY}
            self._run.log(kept, state.global_step)

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Record the checkpoint."""
        if self._run is not None:
            self._run.saved(Path(str(args.output_dir)) / f"checkpoint-{state.global_step}")

    def _obey(self, args: TrainingArguments, control: TrainerControl) -> None:
        run = self._run
        if _any_process(args, run is not None and run.should_stop):
            control.should_training_stop = True
        if _any_process(args, run is not None and run.should_save):
            control.should_save = True


def _any_process(args: TrainingArguments, answer: bool) -> bool:
    """Return True on all processes if the answer of any is True."""
    if args.world_size == 1:
        return answer
    import torch  # noqa: PLC0415 - imported by Transformers already

    answers = torch.tensor(float(answer), device=args.device)
    torch.distributed.all_reduce(answers, torch.distributed.ReduceOp.MAX)
    return bool(answers)
