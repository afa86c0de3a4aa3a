"""What goes wrong while a run is under way."""

import json
import multiprocessing
import resource
import signal
import weakref
from dataclasses import replace
from io import StringIO
from multiprocessing.connection import wait

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from torch import nn

from helpers.breaking import BAD_STEPS
from helpers.killing import what_it_ends_with
from helpers.pictures import save_classes
from helpers.processes import in_a_process
from helpers.runs import Silent, tiny
from sib.cli.console import ConsoleReporter
from sib.config.train import InputConfig, ObjectiveConfig
from sib.runs.folder import RunFolder
from sib.training import TrainConfig, TrainingFailed, loop, memory, step, train
from sib.training.memory import fitting_micro_batch
from sib.training.splits import open_splits
from sib.utils.errors import InputError


def breaking(out, steps, **options):
    BAD_STEPS.clear()
    BAD_STEPS.update(steps)
    if options.get("method") != "ce":
        options["objective"] = ObjectiveConfig(kind="published", window_size=7)
    return tiny(out, arch="helpers.breaking:make", epochs=1, **options)


def records(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("method", ["ce", "sib"])
def test_a_step_that_is_not_finite_is_taken_back_and_counted(tmp_path, method):
    train(breaking(tmp_path / "run", {3}, method=method), Silent())
    (record,) = records(tmp_path / "run")
    assert record["steps_taken_back"] == 1
    assert np.isfinite([record["loss"], record["cross_entropy"]]).all()
    weights = load_file(tmp_path / "run" / "last.safetensors")
    assert all(value.isfinite().all() for value in weights.values())  # running statistics too


def test_an_undone_step_is_told_on_the_screen(tmp_path):
    screen = StringIO()
    console = Console(file=screen, width=200)
    train(breaking(tmp_path / "run", {3}, method="ce"), ConsoleReporter(console))
    assert "undone: 1 step with a loss or gradient that was not finite" in screen.getvalue()


def test_batches_that_are_too_small_are_counted_and_told(tmp_path, monkeypatch):
    """Of 46 images, the last batch has 6."""
    original, screen = step.TrainStep.__init__, StringIO()

    def needing_seven(self, *arguments):
        original(self, *arguments)
        self.smallest = 7

    monkeypatch.setattr(step.TrainStep, "__init__", needing_seven)
    train(
        tiny(tmp_path / "run", method="ce", epochs=1),
        ConsoleReporter(Console(file=screen, width=200)),
    )
    (record,) = records(tmp_path / "run")
    assert record["batches_too_small"] == 1 and "steps_taken_back" not in record
    assert "left out: 1 batch with too few images for a step" in screen.getvalue()


def test_the_model_is_what_it_was_before_the_step(tmp_path):
    """A last step taken back leaves the bits of the run that ends one step earlier."""
    seen = {}

    class Looking(Silent):
        def steps(self, epoch, loader):
            for number, batch in enumerate(super().steps(epoch, loader)):
                seen[number] = {k: v.clone() for k, v in self.model.state_dict().items()}
                yield batch

    config = breaking(tmp_path / "run", {2}, method="sib")
    original = loop.Training.__init__
    reporter = Looking()

    def noting(training, prepared, given):
        original(training, prepared, given)
        reporter.model = prepared.task.model

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.Training, "__init__", noting)
        train(config, reporter)
    assert any(not torch.equal(seen[0][key], seen[1][key]) for key in seen[0])
    assert all(torch.equal(seen[1][key], seen[2][key]) for key in seen[1])


def test_too_many_in_a_row_end_the_run_with_the_names_of_the_images(tmp_path):
    config = breaking(tmp_path / "run", range(3, 100), bad_steps=2, save_every_steps=1)
    with pytest.raises(TrainingFailed) as failure:
        train(config, Silent())
    sentence = str(failure.value)
    assert "was not finite in 2 steps in a row, the last one step 4 in epoch 1" in sentence
    assert sentence.count("digits/train/") == 8  # the whole batch
    assert "step 3 is saved" in sentence and "continue with --resume" in sentence


def test_a_dead_reading_process_ends_the_run_which_can_go_on(tmp_path):
    others = set(multiprocessing.active_children())

    class Killing(Silent):
        def steps(self, epoch, loader):
            for number, batch in enumerate(loader):
                if epoch == 1 and number == 1:
                    for child in set(multiprocessing.active_children()) - others:
                        child.kill()
                        wait([child.sentinel])  # the next one dies later
                yield batch

    options = {"workers": 1, "batch_size": 8, "epochs": 3, "image_size": 16, "method": "ce"}
    train(tiny(tmp_path / "undisturbed", **options), Silent())
    with pytest.raises(TrainingFailed) as failure:
        train(tiny(tmp_path / "run", **options), Killing())
    sentence = str(failure.value)
    assert sentence.startswith("a process that reads images died (")
    assert "is saved in" in sentence and "continue with --resume" in sentence
    train(tiny(tmp_path / "run", resume=True, **options), Silent())
    assert what_it_ends_with(tmp_path / "run") == what_it_ends_with(tmp_path / "undisturbed")


class Damaging(Silent):
    """Damages an image after the first epoch."""

    def __init__(self, image):
        super().__init__()
        self.image = image

    def epoch(self, record):
        self.image.write_bytes(b"torn")


def on_disk(tmp_path, **options):
    folder = save_classes(tmp_path / "set", count=12)
    defaults = {"arch": "small_resnet", "image_size": 16, "epochs": 2, "batch_size": 8}
    config = TrainConfig(
        data=str(folder),
        out=tmp_path / "run",
        method="ce",
        workers=0,
        device="cpu",
        input=InputConfig(cache="off", validation_fraction=0.3),
        **(defaults | options),
    )
    return config, sorted(folder.rglob("*.png"))


def a_training_image(config, images):
    names = open_splits(config).train.names
    return next(path for path in images if str(path).endswith(names[0]))


def test_an_image_that_turns_unreadable_ends_the_run_in_a_sentence(tmp_path):
    config, images = on_disk(tmp_path)
    image = a_training_image(config, images)
    with pytest.raises(InputError, match=f"{image.name} cannot be read as an image"):
        train(config, Damaging(image))


def test_or_is_left_out_and_listed(tmp_path):
    config, images = on_disk(tmp_path, on_bad_image="skip")
    image = a_training_image(config, images)
    train(config, Damaging(image))
    first, second = records(tmp_path / "run")
    assert "left_out" not in first
    (sentence,) = second["left_out"]
    assert image.name in sentence
    screen = StringIO()
    reporter = ConsoleReporter(Console(file=screen, width=1000))
    for record in (first, second, second):
        reporter.epoch(record | {"best": ""})
    assert (
        screen.getvalue().count(f"left out: 1 image that cannot be read, the first: {image}") == 1
    )


class DamagingAll(Damaging):
    """Damages several images after the first epoch."""

    def epoch(self, record):
        for path in self.image:
            path.write_bytes(b"torn")


def paths_of(source, images):
    return [path for path in images if any(str(path).endswith(name) for name in source.names)]


def test_a_batch_of_which_nothing_can_be_read_is_left_out_as_well(tmp_path):
    config, images = on_disk(tmp_path, on_bad_image="skip")
    splits = open_splits(config)
    count = len(splits.validation)
    config = replace(config, batch_size=count - 1)  # so the last image has a batch of its own
    last = splits.validation.names[-1]
    damaged = [path for path in images if str(path).endswith(last)]
    damaged += paths_of(splits.train, images)[2:]
    train(config, DamagingAll(damaged))
    first, second = records(tmp_path / "run")
    assert first["validation"]["images"] == count and "left_out" not in first
    assert second["validation"]["images"] == count - 1
    assert len(second["left_out"]) == len(damaged) == len(set(second["left_out"]))


def test_a_split_of_which_nothing_can_be_read_ends_the_run_in_a_sentence(tmp_path):
    config, images = on_disk(tmp_path, on_bad_image="skip")
    damaged = paths_of(open_splits(config).validation, images)
    with pytest.raises(InputError, match="there is no image to measure on that can be read"):
        train(config, DamagingAll(damaged))


def test_a_result_that_cannot_be_written_is_told(tmp_path):
    class Occupying(Silent):
        def epoch(self, record):
            (tmp_path / "run" / "result.json").mkdir(exist_ok=True)

    with pytest.raises(TrainingFailed, match="run cannot be written: Is a directory; step 12 is"):
        train(tiny(tmp_path / "run"), Occupying())
    with pytest.raises(InputError, match=r"--out .*run cannot be written: Is a directory"):
        RunFolder(tmp_path / "run").mark_resumed(tiny(tmp_path / "run"))


def test_a_run_that_was_stopped_beyond_its_new_end_has_no_steps_left(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(tiny(tmp_path / "run", save_every_steps=2), Silent(stop_after=9))
    reporter = Silent()
    train(tiny(tmp_path / "run", epochs=1, resume=True), reporter)
    ((cost, steps),) = reporter.costs
    assert steps == 0 and cost.total == 0


def test_a_full_disk_ends_the_run_and_room_lets_it_go_on(tmp_path):
    """A real limit on the size of files, in a process of its own."""

    def with_little_room():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))
        train(tiny(tmp_path / "run"), Silent())

    said = in_a_process(with_little_room)
    assert said.startswith(f"TrainingFailed: {tmp_path / 'run'} cannot be written: File too large")
    assert "nothing was saved yet" in said
    assert not list((tmp_path / "run").glob(".*.part"))
    train(tiny(tmp_path / "run", resume=True), Silent())
    train(tiny(tmp_path / "undisturbed"), Silent())
    assert what_it_ends_with(tmp_path / "run") == what_it_ends_with(tmp_path / "undisturbed")


@pytest.mark.usefixtures("timed_on_whole_batches")
def test_a_batch_that_does_not_fit_into_memory_is_told_with_what_does(tmp_path):
    """The allocator's own refusal."""
    config = tiny(
        tmp_path / "run", arch="helpers.nets:hungry", batch_size=32, method="ce", dry_run=True
    )
    with pytest.raises(
        InputError, match=r"--batch-size 32: 32 images at a time do not .*; --micro-batch 16 does"
    ):
        train(config, Silent())


def test_images_of_which_not_one_fits_are_told(tmp_path):
    config = tiny(
        tmp_path / "run", arch="helpers.nets:insatiable", batch_size=4, method="ce", dry_run=True
    )
    with pytest.raises(InputError, match="4 images at a time do not fit into memory, and neither"):
        train(config, Silent())


def test_the_largest_micro_batch_that_fits_is_found(monkeypatch):
    tried = []

    def accumulate(task, images, labels, size, foreground, step):
        tried.append(size)
        if size > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(memory, "accumulate", accumulate)
    images, labels = torch.zeros(20, 3, 4, 4), torch.zeros(20, dtype=torch.int64)
    context = lambda: torch.autocast("cpu", enabled=False)  # noqa: E731
    assert fitting_micro_batch(nn.Linear(1, 1), images, labels, 20, context) == 2
    assert tried == [10, 5, 2]


def test_what_did_not_fit_is_freed_before_something_smaller_is_tried(monkeypatch):
    """The frames of an exception hold the graph of the step that raised it."""
    held = []

    def accumulate(task, images, labels, size, foreground, step):
        graph = torch.zeros(3, requires_grad=True) * 2
        if held:
            assert held[0]() is None
        else:
            held.append(weakref.ref(graph))
            raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(memory, "accumulate", accumulate)
    images, labels = torch.zeros(8, 3, 4, 4), torch.zeros(8, dtype=torch.int64)
    context = lambda: torch.autocast("cpu", enabled=False)  # noqa: E731
    try:
        accumulate(None, images, labels, 8, None, 0)
    except torch.OutOfMemoryError:
        assert fitting_micro_batch(nn.Linear(1, 1), images, labels, 8, context) == 4
