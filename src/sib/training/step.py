"""One step of training: a batch, its gradient, the guard, the update."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from sib import distributed
from sib.config.train import TrainConfig
from sib.data import Batch
from sib.data.normalization import normalise
from sib.functional.exchange import exchange_backgrounds
from sib.functional.label_kinds import kind_of
from sib.tasks.accumulate import accumulate
from sib.tasks.graphed import CaptureFailed, GraphedStep
from sib.tasks.output import StepOutput
from sib.tasks.task import Task
from sib.training.diagnostics import GradientRatios, describe_step
from sib.training.guidance import drawn_labels, guiding_foreground, known_foreground
from sib.training.memory import advice, fitting_micro_batch, is_out_of_memory
from sib.training.mixing import Mixing
from sib.training.optimizer import Update
from sib.training.progress import EpochProgress
from sib.training.setup import make_autocast
from sib.utils.errors import TrainingFailed


class TrainStep:
    """Takes one step of a run at a time.

    Args:
        config: the run's options.
        task: holds the model.
        parallel: the task, wrapped in DistributedDataParallel if there are several processes.
        update: the model's optimiser.
        device: where the model is.
        mixing: mixup or CutMix of each batch; None for neither.
    """

    def __init__(
        self,
        config: TrainConfig,
        task: Task,
        parallel: nn.Module,
        update: Update,
        device: torch.device,
        mixing: Mixing | None = None,
    ) -> None:
        self.config, self.task, self.parallel = config, task, parallel
        self.update, self.device = update, device
        self.autocast = make_autocast(config, device)
        own = 1 if task.objective is None else task.objective.min_batch
        self.mixing = mixing
        self.smallest = max(2, own)  # batch norm needs two images, too
        self.graphed = GraphedStep(task) if config.cuda_graph else None

    def run(self, batch: Batch, epoch: int, step: int, progress: EpochProgress) -> None:
        """Take a step; leave the weights unchanged if it is not finite or has too few images.

        Args:
            batch: this process's batch.
            epoch: the epoch it belongs to; the first is 0.
            step: the step's number in the run; the first is 0.
            progress: the epoch's progress; the step is added to it.

        Raises:
            TrainingFailed: too many steps in a row were not finite, or the batch does not fit into
                memory.
        """
        self.update.set_learning_rate(step)
        (too_few,) = distributed.all_reduce_max(len(batch.names) < self.smallest)
        if too_few:
            return progress.add_too_small()
        labels = batch.labels.to(self.device)
        inputs, targets, known = self._inputs(batch, labels)
        if known is not None and self.config.guided_labels == "drawn":
            known = drawn_labels(known, batch.names, step, self.config.seed)
        size = self.config.micro_batch or len(labels)
        ratios = self._gradient_ratios(progress, step)
        self.update.begin()
        with self._advice_on_memory(inputs, targets, size, known), self.autocast():
            if self.graphed is not None and ratios is None:  # those are looked at in the step
                out = self._replay(self.graphed, inputs, targets, known, step)
            else:
                out = accumulate(
                    self.parallel,
                    inputs,
                    targets,
                    size,
                    ratios.add if ratios else None,
                    loss_scale=self.update.loss_scale,
                    foreground=known,
                    step=step,
                )
        if not self.update.finish(out.loss):
            self._check_exhausted(out.loss, batch, epoch, step)
            return progress.add_undone()
        if ratios is not None:
            progress.gradient_ratios = ratios.values()
        progress.add(describe_step(out, labels, kind_of(self.task.model)), len(labels))

    def _replay(
        self,
        graphed: GraphedStep,
        images: Tensor,
        labels: Tensor,
        known: Tensor | None,
        step: int,
    ) -> StepOutput:
        """The step from its CUDA graph, or TrainingFailed if it cannot be captured."""
        try:
            return graphed(images, labels, known, step=step, loss_scale=self.update.loss_scale)
        except CaptureFailed as error:
            raise TrainingFailed(f"{error}; leave out --cuda-graph") from None

    def _inputs(self, batch: Batch, labels: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """What the task gets from a batch: images, labels and known foregrounds, perhaps mixed."""
        images = normalise(batch.images, self.device, self.config.input.normalization)
        known = known_foreground(batch, self.config.known_share, self.config.seed)
        if known is not None:
            known = known.to(self.device)
            if self.config.background_exchange:
                images = exchange_backgrounds(images, known, self.config.background_exchange)
            known = guiding_foreground(batch, self.config)
            known = known if known is None else known.to(self.device)
        if self.mixing is not None:
            return self.mixing(images, labels, known)
        return images, labels, known

    @contextmanager
    def _advice_on_memory(
        self, images: Tensor, labels: Tensor, size: int, known: Tensor | None
    ) -> Iterator[None]:
        """Turn a lack of memory into TrainingFailed that names the micro-batch that would fit."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            fits = fitting_micro_batch(self.task, images, labels, size, self.autocast, known)
            raise TrainingFailed(advice(size, fits)) from None

    def _gradient_ratios(self, progress: EpochProgress, step: int) -> GradientRatios | None:
        """Ratios of the gradients, measured in an epoch's first step that has terms."""
        if progress.gradient_ratios or not self.task.is_regularized_step(step):
            return None
        return GradientRatios(self.task)

    def _check_exhausted(self, loss: Tensor, batch: Batch, epoch: int, step: int) -> None:
        """Raise TrainingFailed after too many steps in a row that were not finite."""
        guard = self.update.guard
        if guard.exhausted():
            raise TrainingFailed(
                f"the loss ({loss.item():g}) or its gradient was not finite in {guard.most} "
                f"steps in a row, the last one step {step + 1} in epoch {epoch + 1} with "
                f"the images {', '.join(batch.names)}: lower --optimizer.learning-rate or the "
                "objective's weights"
            )
