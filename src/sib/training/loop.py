"""The training loop, from a configuration to a run folder."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from sib import distributed
from sib.config.train import TrainConfig
from sib.data import BadSample, Batch
from sib.models.layers import chosen_layer
from sib.runs.folder import RunFolder
from sib.runs.reader import read_epochs
from sib.training.average import WeightAverage
from sib.training.diagnostics import TermMonitor, term_weights
from sib.training.explanations import draw_explanations
from sib.training.mixing import make_mixing
from sib.training.optimizer import Update
from sib.training.prepare import Prepared, parallel_task, prepare
from sib.training.progress import EpochProgress
from sib.training.records import best_record, best_words, is_better, result_record, weight_facts
from sib.training.reporter import NullReporter, Reporter
from sib.training.splits import make_split_loader
from sib.training.state import Learner, Place
from sib.training.step import TrainStep
from sib.training.validation import Measurement, measure
from sib.training.writer import Writer
from sib.utils.device import peak_memory
from sib.utils.errors import ReaderDied, TrainingFailed
from sib.utils.signals import Interrupt, Stopped


def train(config: TrainConfig, reporter: Reporter) -> dict[str, Any] | None:
    """Train, choose the best epoch on validation (or as configured), and test.

    Under torchrun every process calls it with the same configuration, and all of them end together.

    Args:
        config: the run's options.
        reporter: shows every stage, in the first process.

    Returns:
        The content of ``result.json``; None after a dry run.

    Raises:
        InputError: bad input, in one sentence.
        TrainingFailed: the loss is no longer finite.
        distributed.ProcessLost: another process ended without an error message.
        Stopped: SIGINT or SIGTERM came; the state is saved.
    """
    with distributed.translate_lost_peer():
        device = distributed.join(config.device)
        reporter = reporter if distributed.is_main_process() else NullReporter()
        run = RunFolder(config.folder)
        try:
            prepared = prepare(config, device, run, reporter)
            return prepared and Training(prepared, reporter).run_all()
        finally:
            run.lock.release()


class Training:
    """One run in progress: its optimiser, its best epoch, its files."""

    def __init__(self, prepared: Prepared, reporter: Reporter) -> None:
        config, task, device = prepared.config, prepared.task, prepared.device
        self.config, self.task, self.device = config, task, device
        self.splits, self.loader = prepared.splits, prepared.loader
        self.selection = make_split_loader(config, self.splits, config.selection)
        self.freezing, self.reporter = prepared.freezing, reporter
        self.run, self.trackers = prepared.run, prepared.trackers
        self.writer = Writer(prepared.run)
        update = Update(task.model, config, device, len(self.loader))
        mixing = make_mixing(config, len(self.splits.classes))
        self.train_step = TrainStep(config, task, prepared.parallel, update, device, mixing)
        self.average = WeightAverage(task.model, config.ema) if config.ema else None
        self.monitor = TermMonitor(objective=config.objective.kind)
        self.learner = Learner(task, update, self.average, self.monitor, device)
        self.place, self.progress, self.interrupt = Place(), EpochProgress(), Interrupt()
        self.saved: int | None = None
        """Step of the newest saved state."""
        self.state = prepared.state
        """The state to continue from."""

    def run_all(self) -> dict[str, Any]:
        """Train every remaining epoch, then test."""
        with self._failures_in_one_sentence():
            if self.config.resume:
                self._restore()
            with self.interrupt.listening():
                while self.place.epoch < self.config.epochs and not self._stops_early():
                    self._train_epoch()
                    distributed.broadcast_module(self.task.model, buffers_only=True)
                    self._finish_epoch(self._measure(self.selection), self._measure_average())
                return self._test()

    def _train_epoch(self) -> None:
        self.task.train()
        if self.freezing.set_epoch(self.place.epoch) and distributed.size() > 1:
            # DistributedDataParallel exchanges only gradients that were needed when it was built
            self.train_step.parallel = parallel_task(self.task, self.device, unused=True)
        self.loader.set_epoch(self.place.epoch, self.progress.batches)
        start = time.perf_counter()
        for batch in self._read(self.reporter.steps(self.place.epoch, self.loader)):
            self.train_step.run(batch, self.place.epoch, self.place.step, self.progress)
            now = time.perf_counter()
            self._finish_step(now - start)
            start = now
        if not self.progress.images:
            raise TrainingFailed(
                f"no step of epoch {self.place.epoch + 1} succeeded: each one's loss or gradient "
                "was not finite, or too few of its images could be read; lower "
                "--optimizer.learning-rate or the objective's weights"
            )

    def _finish_step(self, seconds: float) -> None:
        """Count an attempted step, average its weights, and save if it is time to."""
        self.place.step += 1
        self.progress.seconds += seconds
        if self.average:
            self.average.update()
        every = self.config.save_every_steps
        if every is not None and self.place.step % every == 0:
            self._save_state()

    def _finish_epoch(self, measured: Measurement, averaged: Measurement | None) -> None:
        """Write metrics, then the state that marks the epoch as done, then the weights."""
        self.place.epoch += 1
        record = self._record(measured, averaged)
        warnings = self.monitor.check(record)
        if warnings:
            record["warnings"] = list(warnings.values())
        best = ""
        if is_better(measured, self.place.best):
            best = best_words(measured, self.place.best)
            self.place.best = best_record(self.place.epoch, measured)
        self.writer.log(record)
        self.progress = EpochProgress()
        self._save_state()
        self._save_weights()
        self.reporter.epoch(record | {"best": best})
        self.trackers.log_epoch(lambda: read_epochs(self.run.path), self._draw_explanations)
        for sentence in self.monitor.unseen(warnings):
            self.reporter.info(f"warning: {sentence}")

    def _record(self, measured: Measurement, averaged: Measurement | None) -> dict[str, Any]:
        """The epoch's line in ``metrics.jsonl``."""
        record = {
            "epoch": self.place.epoch,
            "step": self.place.step,
            "learning_rate": self.learner.update.learning_rate,
            **self.progress.record(),
            **term_weights(self.task),
            "memory_bytes": peak_memory(self.device),
            self.config.selection: measured.record(),
        }
        if averaged is not None:
            record["ema"] = {self.config.selection: averaged.record()}
        return record

    def _test(self) -> dict[str, Any]:
        """Test the best epoch's weights, and the averaged ones, once."""
        self.writer.load_weights("best", self.task.model)
        test = self._measure(self._test_loader())
        averaged = self._measure_average(test=True)
        result = result_record(self.config, self.place.epoch, self.place.best, test, averaged)
        self.writer.save_result(result)
        self.reporter.result(result)
        self.trackers.log_result(result, self.place.step)
        return result

    def _measure(self, loader: Any) -> Measurement:
        normalization = self.config.input.normalization
        return measure(self.task.model, self._read(loader), self.device, normalization)

    def _measure_average(self, test: bool = False) -> Measurement | None:
        """Measure the averaged weights; None where no average is kept."""
        if not self.average:
            return None
        with self.average.in_place():
            distributed.broadcast_module(self.task.model)
            return self._measure(self._test_loader() if test else self.selection)

    def _test_loader(self) -> Any:
        return make_split_loader(self.config, self.splits, "test")

    def _stops_early(self) -> bool:
        """Whether too many epochs have passed since the best one."""
        patience, epoch, best = self.config.early_stopping, self.place.epoch, self.place.best
        if patience is None or not best or epoch - best["epoch"] < patience:
            return False
        self.reporter.info(
            f"stopped after epoch {epoch}: {patience} without a better one than epoch "
            f"{best['epoch']:.0f}"
        )
        return True

    def _read(self, batches: Any) -> Iterator[Batch]:
        """Yield batches until any process cannot read one or receives a signal to stop."""
        batches = iter(batches)
        while True:
            batch = next(batches, None)
            if isinstance(batch, BadSample) and self.config.on_bad_image == "skip":
                batch = batch.as_batch()
            bad = batch.message if isinstance(batch, BadSample) else None
            asked = self.interrupt.number or 0
            more, failed, number = distributed.all_reduce_max(
                batch is not None, bad is not None, asked
            )
            if failed:
                distributed.raise_any(bad)
            if not more:
                return
            if number:
                self._stop(number)
            if batch is not None:  # some processes may have none of a split's last images
                self.progress.left_out += batch.skipped
                yield batch

    def _stop(self, number: int) -> NoReturn:
        """Save, unless the newest step is saved: the model may then be the best epoch's."""
        step = self.place.step
        if self.saved != step:
            self._save_state()
        raise Stopped(number, f"stopped after step {step}, which is saved: continue with --resume")

    def _save_state(self) -> None:
        """Save the state of all processes."""
        self.writer.save_state(self.learner.state(self.place, self.progress))
        self.saved = self.place.step

    def _save_weights(self) -> None:
        epoch, layer = self.place.epoch, chosen_layer(self.task.model)
        facts = weight_facts(self.config, self.splits, epoch, layer)
        self.writer.save_weights("last", self.task.model, facts)
        if self.place.best["epoch"] == epoch:
            self.writer.save_weights("best", self.task.model, facts)
        if self.average:
            with self.average.in_place():
                self.writer.save_weights("ema", self.task.model, facts)

    def _restore(self) -> None:
        state, self.state = self.state, None
        if state is not None:
            self.place, self.progress = self.learner.restore(state)
            self.saved = self.place.step
            if self.place.epoch and not self.progress.batches:
                self._save_weights()  # the stop may have come between state and weights
        self.writer.drop_after(self.place.epoch)

    def _draw_explanations(self) -> bytes:
        source = getattr(self.splits, self.config.selection)
        return draw_explanations(self.task.model, source, self.config, self.device)

    @contextmanager
    def _failures_in_one_sentence(self) -> Iterator[None]:
        """Add to a failure what is saved; close the trackers, whatever happens."""
        try:
            yield
        except (TrainingFailed, ReaderDied) as failure:
            kept = "nothing was saved yet"
            if self.saved is not None:
                kept = f"step {self.saved} is saved in {self.run.path}: continue with --resume"
            raise TrainingFailed(f"{failure}; {kept}") from None
        finally:
            self.trackers.close()
