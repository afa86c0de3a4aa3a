"""The training loop, from a configuration to a run folder."""

import time
from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from sib.data import BadSample, Batch, Splits
from sib.data.normalization import normalise
from sib.errors import InputError
from sib.models import build
from sib.training.config import TrainConfig
from sib.training.cost import Cost, Task, estimate_cost
from sib.training.device import choose_device, peak_memory, set_determinism
from sib.training.diagnostics import describe_step, gradient_ratio
from sib.training.interrupt import Interrupt, Stopped
from sib.training.measure import Measurement, measure
from sib.training.progress import EpochProgress
from sib.training.run_folder import FORMAT, RunFolder, versions
from sib.training.schedule import factor
from sib.training.setup import (
    cache_splits,
    make_autocast,
    make_split_loader,
    make_task,
    open_splits,
)


class TrainingFailed(RuntimeError):
    """The run cannot go on; what was saved before stays."""


OPTIMISTIC = "the best epoch was chosen on the test split, so the test figure is optimistic"


class Watcher(Protocol):
    """Who shows a run to a person; see `sib.console`."""

    def data(self, splits: Splits, config: TrainConfig) -> None: ...
    def say(self, sentence: str) -> None: ...
    def caching(self, loader: Any) -> Iterator[Any]: ...
    def cost(self, cost: Cost, config: TrainConfig, steps: int) -> None: ...
    def steps(self, epoch: int, loader: Any) -> Iterator[Any]: ...
    def epoch(self, record: dict[str, Any]) -> None: ...
    def result(self, result: dict[str, Any]) -> None: ...


def train(config: TrainConfig, watcher: Watcher) -> dict[str, Any] | None:
    """Train, choose the best epoch on validation (or as the configuration says), test.

    Args:
        config: what to do.
        watcher: is told of every stage.

    Returns:
        The content of ``result.json``; None after a dry run.

    Raises:
        InputError: bad input, in one sentence.
        TrainingFailed: the loss is no longer finite.
        Stopped: SIGINT or SIGTERM came; the state is saved.
    """
    run = RunFolder(config.folder)
    try:
        return _train(config, watcher, run)
    finally:
        run.lock.release()


def _train(config: TrainConfig, watcher: Watcher, run: RunFolder) -> dict[str, Any] | None:
    device = choose_device(config.device)
    state = None
    if config.resume:
        state = run.open_again()
        run.check_same(config, state)
        if run.warning:
            watcher.say(run.warning)
    elif not config.dry_run:
        run.check_free()
    splits = open_splits(config)
    if config.resume:
        run.check_same_data(splits.description)
    watcher.data(splits, config)
    if not config.dry_run:
        splits = cache_splits(config, splits, watcher)
    set_determinism(device, config.deterministic)
    torch.manual_seed(config.seed)
    model = build(config.arch, len(splits.classes), config.side)
    task = make_task(config, model, device)
    loader = make_split_loader(config, splits, "train")
    if len(loader) == 0:
        wanted = "full batch" if config.input.drop_last else "batch of at least 2 images"
        raise InputError(
            f"--batch-size {config.batch_size}: the {len(splits.train)} training images give no "
            f"{wanted}"
        )
    batch = next(good(loader))
    steps = len(loader) * config.epochs - (state["step"] if state else 0)
    cost = estimate_cost(
        task,
        normalise(batch.images, device, config.input.normalization),
        batch.labels.to(device),
        steps,
        make_autocast(config, device),
    )
    watcher.cost(cost, config, steps)
    if config.dry_run:
        return None
    if config.resume:
        run.go_on(config)
    else:
        run.create(config, {"versions": versions(), "data": splits.description})
    return Training(config, task, splits, loader, device, run, watcher, state).run_all()


class Training:
    """One run in progress: its optimiser, its best epoch, its files."""

    def __init__(
        self,
        config: TrainConfig,
        task: Task,
        splits: Splits,
        loader: Any,
        device: torch.device,
        run: RunFolder,
        watcher: Watcher,
        state: dict[str, Any] | None,
    ) -> None:
        self.config, self.task, self.splits, self.loader = config, task, splits, loader
        self.device, self.run, self.watcher = device, run, watcher
        self.selection = make_split_loader(config, splits, config.selection)
        optimizer = config.optimizer
        self.optimizer = torch.optim.AdamW(
            task.model.parameters(),
            lr=optimizer.learning_rate,
            weight_decay=optimizer.weight_decay,
        )
        self.autocast = make_autocast(config, device)
        self.interrupt, self.progress = Interrupt(), EpochProgress()
        self.step, self.epoch = 0, 0
        self.best: dict[str, float] = {}
        if config.resume:
            self._restore(state)

    def run_all(self) -> dict[str, Any]:
        """Every epoch that is left, then the test."""
        with self.interrupt.listening():
            while self.epoch < self.config.epochs:
                self._train_epoch()
                self._finish_epoch(self._measure(self.selection))
            return self._test()

    def _measure(self, loader: Any) -> Measurement:
        normalization = self.config.input.normalization
        return measure(self.task.model, self._read(loader), self.device, normalization)

    def _train_epoch(self) -> None:
        self.task.train()
        self.loader.set_epoch(self.epoch, self.progress.batches)
        batches = self._read(self.watcher.steps(self.epoch, self.loader))
        start = time.perf_counter()
        for batch in batches:
            self._train_step(batch)
            now = time.perf_counter()
            self.progress.seconds, start = self.progress.seconds + now - start, now

    def _train_step(self, batch: Batch) -> None:
        self._set_learning_rate()
        images = normalise(batch.images, self.device, self.config.input.normalization)
        labels = batch.labels.to(self.device)
        with self.autocast():
            out = self.task(images, labels)
        self._check_finite(out.loss, batch)
        if self.progress.batches == 0 and out.terms is not None:
            self.progress.gradient_ratio = gradient_ratio(out, self.task.model)
        self.optimizer.zero_grad(set_to_none=True)
        self.task.backward(out.loss)
        largest = self.config.optimizer.clip_norm
        if largest is not None:
            nn.utils.clip_grad_norm_(self.task.model.parameters(), largest)
        self.optimizer.step()
        self.step += 1
        self.progress.add(describe_step(out, labels), len(labels))

    def _read(self, batches: Any) -> Iterator[Batch]:
        """The batches, until one cannot be read or a signal asks to stop."""
        for batch in good(batches):
            if self.interrupt.number is not None:
                self._stop(self.interrupt.number)
            yield batch

    def _stop(self, number: int) -> None:
        self.run.save_state(self._state())
        raise Stopped(
            number, f"stopped after step {self.step}, which is saved: go on with --resume"
        )

    def _set_learning_rate(self) -> None:
        scale = factor(self.config.schedule, self.step, len(self.loader), self.config.epochs)
        for group in self.optimizer.param_groups:
            group["lr"] = scale * self.config.optimizer.learning_rate

    def _check_finite(self, loss: Tensor, batch: Batch) -> None:
        if not loss.isfinite():
            shown = ", ".join(batch.names[:4])
            raise TrainingFailed(
                f"the loss is {loss.item()} in epoch {self.epoch + 1}, step {self.step + 1} "
                f"(images {shown}, …): lower --optimizer.learning-rate or the objective's weights; "
                f"the {self.epoch} finished epochs are in {self.run.path}"
            )

    def _finish_epoch(self, measured: Measurement) -> None:
        """Metrics, then the state that counts the epoch as done, then the weights it stands for."""
        self.epoch += 1
        record = {
            "epoch": self.epoch,
            "step": self.step,
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            **self.progress.record(),
            "memory_bytes": peak_memory(self.device),
            self.config.selection: measured._asdict(),
        }
        if self._is_best(measured):
            self.best = {
                "epoch": self.epoch,
                "accuracy": measured.accuracy,
                "cross_entropy": measured.cross_entropy,
            }
        self.run.log(record)
        self.progress = EpochProgress()
        self.run.save_state(self._state())
        self._save_weights()
        self.watcher.epoch(record | {"best": self.best["epoch"] == self.epoch})

    def _save_weights(self) -> None:
        self.run.save_weights("last", self.task.model, self._facts())
        if self.best["epoch"] == self.epoch:
            self.run.save_weights("best", self.task.model, self._facts())

    def _is_best(self, measured: Measurement) -> bool:
        if not self.best:
            return True
        found = (measured.accuracy, -measured.cross_entropy)
        return found > (self.best["accuracy"], -self.best["cross_entropy"])

    def _state(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "epoch": self.epoch,
            "step": self.step,
            "progress": self.progress.state(),
            "best": self.best,
            "model": self.task.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "random_projection": self._projection_generator().get_state(),
            "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    def _restore(self, state: dict[str, Any] | None) -> None:
        if state is not None:
            self.task.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.epoch, self.step, self.best = state["epoch"], state["step"], state["best"]
            self.progress = EpochProgress.from_state(state["progress"], self.device)
            torch.set_rng_state(state["random"])
            self._projection_generator().set_state(state["random_projection"])
            if state["random_cuda"] and torch.cuda.is_available():
                torch.cuda.set_rng_state_all(state["random_cuda"])
            if self.epoch and not self.progress.batches:
                self._save_weights()  # the stop may have come between state and weights
        self.run.drop_after(self.epoch)

    def _projection_generator(self) -> torch.Generator:
        objective = getattr(self.task, "objective", None)
        return torch.default_generator if objective is None else objective.generator

    def _test(self) -> dict[str, Any]:
        self.run.load_weights("best", self.task.model)
        test = self._measure(make_split_loader(self.config, self.splits, "test"))
        result: dict[str, Any] = {
            "selection": self.config.selection,
            "best_epoch": self.best["epoch"],
            f"{self.config.selection}_accuracy": self.best["accuracy"],
            "test": test._asdict(),
        }
        if self.config.selection == "test":
            result["note"] = OPTIMISTIC
        self.run.save_result(result)
        self.watcher.result(result)
        return result

    def _facts(self) -> dict[str, Any]:
        return {
            "arch": self.config.arch,
            "classes": self.splits.classes,
            "image_size": self.config.side,
            "normalization": self.config.input.normalization,
            "epoch": self.epoch,
        }


def good(batches: Any) -> Iterator[Batch]:
    """The batches, or the one sentence about an image that cannot be read."""
    for batch in batches:
        if isinstance(batch, BadSample):
            raise InputError(batch.message)
        yield batch
