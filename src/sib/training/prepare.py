"""Everything before the first step. All processes report the same errors here."""

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from sib import distributed
from sib.config.facts import flatten
from sib.config.stored import as_dict
from sib.config.train import TrainConfig
from sib.data import Batch, Splits
from sib.data.loader import first_batch
from sib.data.sample import class_counts
from sib.distributed.restart import launch, restarts
from sib.models.layers import choose_layer
from sib.models.start import Start
from sib.runs.folder import RunFolder
from sib.runs.foreground_file import NAME, FoundForegrounds, write_foregrounds
from sib.runs.reader import read_epochs, read_run
from sib.runs.versions import versions
from sib.tasks.task import Task
from sib.tracking.group import Trackers
from sib.tracking.registry import load_tracker, tracker_names
from sib.training.announce import TRIED, report_data, report_model
from sib.training.cost import cost_of
from sib.training.foregrounds import run_foregrounds, with_foregrounds
from sib.training.freezing import Freezing, check_frozen_start
from sib.training.guidance import check_annotated
from sib.training.identified import open_identified
from sib.training.reporter import Reporter
from sib.training.setup import make_task
from sib.training.splits import cache_splits, make_split_loader, with_label_objects
from sib.training.start import (
    build_model,
    describe_start,
    input_sources,
    read_weights_of,
    resolve,
    resolve_as_recorded,
    with_memory_format,
)
from sib.utils.device import describe_device, set_determinism
from sib.utils.errors import InputError

PATIENCE = 20.0
"""Seconds that a restarted run waits for the remains of the lost one."""
State = dict[str, Any] | None


class Prepared(NamedTuple):
    """The parts of a run."""

    config: TrainConfig
    task: Task
    parallel: nn.Module
    """The task, behind DistributedDataParallel where there are several processes."""
    splits: Splits
    loader: Any
    """Batches of the training split."""
    device: torch.device
    run: RunFolder
    state: State
    """The state to continue from."""
    freezing: Freezing
    """Which layers are frozen, and until when."""
    trackers: Trackers
    """Those of the first process; the other processes have none."""


def prepare(
    config: TrainConfig, device: torch.device, run: RunFolder, reporter: Reporter
) -> Prepared | None:
    """Open the data, build the model, measure what the run will cost, create the run folder.

    Returns:
        `Prepared`; None after a dry run.

    Raises:
        InputError: bad input, in one sentence.
    """
    on_all_ranks = distributed.raise_on_all_ranks
    on_all_ranks(lambda: _check_cuda_graph(config, device))
    trackers = on_all_ranks(lambda: _trackers(config, run, reporter))
    config, state, tried = _look_at(run, config)
    if run.warning:
        reporter.info(run.warning)
    start = on_all_ranks(lambda: None if state else read_weights_of(config))
    frozen = on_all_ranks(lambda: check_frozen_start(config))
    if frozen:
        reporter.info(frozen)
    sources = input_sources(config, start)
    if not config.resume:
        config = resolve(config, start)

    opened, images = open_identified(config, run, reporter)
    on_all_ranks(lambda: check_annotated(config, opened))
    report_data(config, opened, device, reporter)
    splits = opened
    if not config.dry_run:
        splits = on_all_ranks(lambda: cache_splits(config, opened, reporter))

    set_determinism(device, config.deterministic)
    torch.manual_seed(config.seed)
    task, record = on_all_ranks(lambda: _make(config, splits, device, start, tried))
    config = with_memory_format(config, task.model, device)
    freezing = on_all_ranks(lambda: Freezing(task.model, config))
    freezing.set_epoch(state["epoch"] if state else 0)
    facts = report_model(config, task, sources, reporter)
    if start and record:
        for sentence in describe_start(config, start, record):
            reporter.info(sentence)

    found = run_foregrounds(config, task, opened, start, run, reporter)
    splits = with_foregrounds(config, splits, found)
    splits = with_label_objects(config, splits, opened)
    loader, batch = on_all_ranks(lambda: _first_batch(config, splits))
    if not distributed.is_main_process():  # the first process continues as if it were alone
        torch.manual_seed(distributed.rank_seed(config.seed))
    steps = max(0, len(loader) * config.epochs - (state["step"] if state else 0))
    cost = cost_of(config, task, batch, steps, device)
    reporter.cost(cost, config, steps)
    if config.dry_run:
        reporter.info("dry run: nothing was trained, and nothing was saved")
        return None

    facts |= {"start": record} if record is not None else {}
    on_all_ranks(lambda: _begin(run, config, splits, images, facts, found, device))
    if run.lock.warning:
        reporter.info(run.lock.warning)
    if config.cuda_graph:
        reporter.info("CUDA graphs: steps are replayed, after two ordinary ones of each kind")
    parallel = parallel_task(task, device, cost.unused)
    saved = state["epoch"] if state else 0
    records = [record for record in read_epochs(run.path) if record["epoch"] <= saved]
    trackers.open(flatten(as_dict(config)), records)
    return Prepared(config, task, parallel, splits, loader, device, run, state, freezing, trackers)


def _check_cuda_graph(config: TrainConfig, device: torch.device) -> None:
    """Raise InputError if steps cannot be replayed from CUDA graphs here."""
    if config.cuda_graph and device.type != "cuda":
        raise InputError(f"--cuda-graph needs a CUDA GPU; this run is on {device.type}")
    if config.cuda_graph and distributed.size() > 1:
        raise InputError("--cuda-graph is for a single process; leave it out under torchrun")


def _trackers(config: TrainConfig, run: RunFolder, reporter: Reporter) -> Trackers:
    """Trackers that are not open yet; a missing library is reported before anything is read."""
    names = tracker_names(config.track) if distributed.is_main_process() else []
    return Trackers({name: load_tracker(name) for name in names}, run.path, reporter.info)


def _look_at(run: RunFolder, config: TrainConfig) -> tuple[TrainConfig, State, str | None]:
    """What the run folder allows, and the layer that the run found by trying before.

    Only the first process looks, and informs the others.
    """

    (again,) = distributed.all_reduce_max(restarts())

    def look() -> tuple[TrainConfig, State, str | None]:
        if not distributed.is_main_process():
            return config, None, None
        if config.resume or (again and run.was_launched_by(launch())):
            state = run.open_for_resume(PATIENCE if again else 0)
            before = read_run(run.path)
            known = resolve_as_recorded(config, before.config)
            run.check_same(known, state)
            run.check_same_processes(distributed.size())
            return replace(known, resume=True), state, before.environment.get(TRIED)
        if not config.dry_run:
            run.check_free()
        return config, None, None

    return distributed.broadcast_object(distributed.raise_on_all_ranks(look))


def _make(
    config: TrainConfig,
    splits: Splits,
    device: torch.device,
    start: Start | None,
    tried: str | None,
) -> tuple[Task, dict[str, Any] | None]:
    """The task, and what its model took from weights."""
    model, record = build_model(config, splits.classes, start)
    if tried is not None:
        try:
            choose_layer(model, str(tried))
        except ValueError as error:
            file = config.folder / "environment.json"
            raise InputError(f"{file} is damaged: {TRIED}: {error}") from None
    several = len(splits.train) if splits.label_kind == "multi" else None
    counts = class_counts(splits.train.labels, len(splits.classes))
    return make_task(config, model, device, counts, several), record


def _first_batch(config: TrainConfig, splits: Splits) -> tuple[Any, Batch]:
    """Loader of the training images, and its first batch."""
    loader = make_split_loader(config, splits, "train")
    if len(loader) == 0:
        wanted = "full batch" if config.input.drop_last else "batch of at least 2 images"
        several = f" for each of {distributed.size()} processes" if distributed.size() > 1 else ""
        raise InputError(
            f"--batch-size {config.batch_size}: the {len(splits.train)} training images give no "
            f"{wanted}{several}"
        )
    return loader, first_batch(loader)


def _begin(
    run: RunFolder,
    config: TrainConfig,
    splits: Splits,
    images: str | None,
    facts: dict[str, Any],
    found: FoundForegrounds | None,
    device: torch.device,
) -> None:
    if not distributed.is_main_process():
        return
    if config.resume:
        run.mark_resumed(config)
        if found is not None and not (run.path / NAME).exists():
            write_foregrounds(run.path, found)  # the run was stopped before it wrote them
        return
    facts |= {"processes": distributed.size(), "launch": launch()}
    facts["device"] = describe_device(device)
    if found is not None:
        facts["foreground"] = found.facts
    run.create(config, {"versions": versions(), "data": splits.description, **facts}, images)
    if found is not None:
        write_foregrounds(run.path, found)


def parallel_task(task: Task, device: torch.device, unused: bool) -> nn.Module:
    """The task, wrapped in DistributedDataParallel if there are several processes.

    Args:
        task: the run's task.
        device: this process's device.
        unused: whether some trained weight may not affect the loss.
    """
    if distributed.size() == 1:
        return task
    gpus = [device] if device.type == "cuda" else None
    return DistributedDataParallel(task, device_ids=gpus, find_unused_parameters=unused)
