"""Runs training steps: from tensors on the device to tensors on the device."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cnn_engine.training.launch_queue import HostCopy, LaunchQueue
from cnn_engine.training.learner import Learner, StepKind
from cnn_engine.training.margins import EpochMargins
from cnn_engine.training.step_graphs import StepGraphs
from cnn_engine.training.step_inputs import StepInputs
from cnn_engine.training.step_timer import StepTimer


class Norms(NamedTuple):
    """Norms of the gradient, before clipping, and of the weights in one step."""

    step: int
    """The step, counted from 1 in its epoch."""

    values: HostCopy
    """fp32 [2]."""


class StepRunner:
    """Runs the steps of an epoch, and keeps their results on the device."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a step
        self,
        learner: Learner,
        inputs: StepInputs,
        timer: StepTimer,
        steps_per_epoch: int,
        report_capture: Callable[[str], None],
        margins: EpochMargins | None,
        *,
        captures: bool,
    ) -> None:
        """Prepare to run the steps of `learner`.

        Args:
            learner: Trains the model.
            inputs: The batches.
            timer: Measures the phases of a step.
            steps_per_epoch: Steps of an epoch.
            report_capture: Called with "" once steps are replayed as a CUDA graph, or with the
                reason why they are not.
            margins: Keeps the margins of the images; None to keep none.
            captures: True to capture steps as CUDA graphs if possible.
        """
        self._learner, self._inputs, self._timer = learner, inputs, timer
        self._margins = margins
        self._queue = LaunchQueue(learner.device)
        needs_host = learner.precision == "fp16"
        self._graphs: StepGraphs[StepKind] = StepGraphs(
            self._step,
            learner.model,
            learner.device,
            timer,
            report_capture,
            captures=captures and not needs_host,
        )
        self._report_capture = report_capture
        self._is_refusal_due = captures and needs_host
        self._launched = self._count = 0
        self._seconds = 0.0
        self._losses = torch.zeros(steps_per_epoch, device=learner.device)
        self._correct = torch.zeros((), dtype=torch.int64, device=learner.device)

    def reset(self) -> None:
        """Clear all results, before the first step of an epoch."""
        self._losses.zero_()
        self._correct.zero_()
        if self._margins is not None:
            self._margins.reset()

    def begin(self, step: int) -> None:
        """Start after `step` finished steps of an epoch."""
        self._launched = step
        self._queue.begin(step)
        if self._margins is not None:
            self._margins.begin(step)

    def run(self, size: int) -> None:
        """Launch the next step, on a batch of `size` images; wait if the device is far behind."""
        self._inputs.stage()
        began = time.perf_counter()
        self._graphs.run(self._learner.kind(size))
        self._seconds += time.perf_counter() - began
        self._count += 1
        if self._is_refusal_due:
            self._report_capture("the loss scaling of fp16 needs a host sync in each step")
            self._is_refusal_due = False
        self._launched += 1
        if self._learner.ema is not None:
            self._learner.ema.steps += 1
        if self._margins is not None:
            self._margins.launched(self._launched)
        self._queue.launched(self._launched)

    def _step(self, kind: StepKind) -> None:
        """Train on the next batch; everything it reads and writes is on the device."""
        learner, timer = self._learner, self._timer
        timer.begin_step()
        learner.optimizer.current_lr, ema_weight = self._inputs.scalars()
        images, targets = self._inputs.batch(kind.size)
        timer.mark("data")
        result = learner.train_step(images, targets, self._inputs.shares())
        self._correct += result.correct
        if self._margins is not None:
            self._margins.add(result.logits, self._inputs.step)
        if learner.ema is not None and kind.updates_average:
            learner.ema.update(ema_weight)
        self._inputs.finish_step(self._losses, result.loss)
        timer.end_step()

    @property
    def launched(self) -> int:
        """Steps of the epoch that are launched."""
        return self._launched

    @property
    def finished(self) -> int:
        """Steps of the epoch that the device has finished, as far as known."""
        return self._queue.done

    def costs(self) -> tuple[int, float, float]:
        """Return the steps so far, their duration without the exchange, and that of the exchange.

        Durations are those on the host, which waits for them on a CPU.
        """
        exchange_seconds = self._learner.exchange_seconds
        return self._count, self._seconds - exchange_seconds, exchange_seconds

    def wait(self) -> None:
        """Wait until the device has finished all launched steps."""
        self._queue.wait(self._launched)

    def losses(self, first: int, end: int) -> list[float]:
        """Return the losses of the finished steps from `first` to before `end`."""
        losses: list[float] = self._queue.to_host(self._losses[first:end]).tolist()
        return losses

    def measure_norms(self) -> Norms:
        """Launch the measurement of the norms of the latest launched step."""
        return Norms(self._launched, HostCopy(self._learner.optimizer.norms()))

    def mean_loss(self, sizes: list[int]) -> float:
        """Return the mean loss over the images of a finished epoch with batches of these sizes."""
        weighted = self._losses.cpu().double() @ torch.tensor(sizes, dtype=torch.float64)
        return weighted.item() / sum(sizes)

    def correct(self) -> int:
        """Return the number of correctly classified images of the epoch."""
        return int(self._correct.item())

    def margins(self, step: int) -> Tensor | None:
        """Return `EpochMargins.rows` of the first `step` steps; None if no margins are kept."""
        return None if self._margins is None else self._margins.rows(step)

    def state_dict(self, step: int) -> dict[str, Any]:
        """Return the results of the epoch's first `step` steps, on the host.

        All processes must call it.
        """
        losses: Tensor = self._losses[:step].cpu()
        return {"losses": losses, "correct": self.correct(), "margins": self.margins(step)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        losses = state["losses"]
        self._losses[: len(losses)] = losses.to(self._losses.device)
        self._correct.fill_(state["correct"])
        margins = state.get("margins")  # older checkpoints have none
        if self._margins is not None and margins is not None:
            self._margins.restore(margins)
