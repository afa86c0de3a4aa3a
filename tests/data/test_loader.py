"""Batches: their content, and that seed and epoch alone determine them."""

import atexit
import multiprocessing
import multiprocessing.util
import os
import pickle
import resource
import signal
from multiprocessing.connection import wait

import pytest
import torch

from helpers.pictures import save, save_classes, square_mask
from helpers.processes import Forked
from sib.data import BadSample, Digits, JointTransform, Sample, collate, make_loader, open_data
from sib.data.loader import first_batch
from sib.data.reading import is_worker_crash
from sib.data.sampler import KeySampler
from sib.utils.errors import InputError, ReaderDied


@pytest.fixture(scope="module")
def digits():
    return Digits("train", 30, image_size=24)


def loader_of(source, **options):
    defaults = {"image_size": 20, "batch_size": 8, "train": True, "augment": "crop", "seed": 5}
    return make_loader(source, **(defaults | options))


def epochs_of(loader, epochs):
    result = []
    for epoch in epochs:
        loader.set_epoch(epoch)
        result.append(list(loader))
    return result


def names_of(batches):
    return [name for batch in batches for name in batch.names]


def assert_same(first, second):
    assert len(first) == len(second) > 0
    for a, b in zip(first, second, strict=True):
        assert a.names == b.names
        for left, right in zip(a[:4], b[:4], strict=True):
            assert torch.equal(left, right)


def test_batch_holds_what_the_contract_says(digits):
    batch = next(iter(loader_of(digits)))
    assert (batch.images.dtype, batch.images.shape) == (torch.uint8, (8, 3, 20, 20))
    assert (batch.labels.dtype, batch.labels.shape) == (torch.int64, (8,))
    assert (batch.foreground.dtype, batch.foreground.shape) == (torch.bool, (8, 1, 20, 20))
    assert batch.annotated.tolist() == [True] * 8
    assert type(batch.images) is torch.Tensor and type(batch.foreground) is torch.Tensor
    for name, label in zip(batch.names, batch.labels.tolist(), strict=True):
        assert name.startswith("digits/train/") and int(name.split("/")[2]) % 10 == label


def test_evaluation_keeps_order_and_every_image(digits):
    loader = loader_of(digits, train=False, augment="none")
    batches = list(loader)
    assert len(loader) == len(batches) == 4
    assert names_of(batches) == digits.names


def test_evaluation_keeps_a_single_last_image():
    source = Digits("test", 9, image_size=24)
    assert [len(b.labels) for b in loader_of(source, train=False, augment="none")] == [8, 1]


def test_workers_do_not_change_the_batches(digits):
    alone = epochs_of(loader_of(digits), (0, 1, 2, 0))
    helped = epochs_of(loader_of(digits, workers=2), (0, 1, 2, 0))
    for first, second in zip(alone, helped, strict=True):
        assert_same(first, second)
    assert_same(alone[0], alone[3])


def test_an_iteration_that_is_left_early_does_not_disturb_the_next(digits):
    loader = loader_of(digits, workers=2)
    next(iter(loader))
    loader.set_epoch(1)
    assert_same(list(loader), epochs_of(loader_of(digits), (1,))[0])


def test_each_epoch_has_its_own_order_and_transforms(digits):
    first, second = epochs_of(loader_of(digits), (0, 1))
    assert names_of(first) != names_of(second)
    assert sorted(names_of(first)) == sorted(names_of(second)) == sorted(digits.names)
    images = [image_named(batches, "digits/train/7") for batches in (first, second)]
    assert not torch.equal(*images)


def test_seed_changes_order_and_transforms(digits):
    first, second = (list(loader_of(digits, seed=seed)) for seed in (1, 2))
    assert names_of(first) != names_of(second)
    images = [image_named(batches, "digits/train/7") for batches in (first, second)]
    assert not torch.equal(*images)


def test_transform_of_an_image_does_not_depend_on_its_batch(digits):
    small, large = list(loader_of(digits, batch_size=4)), list(loader_of(digits, batch_size=10))
    name = digits.names[13]
    assert torch.equal(image_named(small, name), image_named(large, name))


def test_global_random_numbers_are_left_alone(digits):
    before = torch.get_rng_state()
    for workers in (0, 2):
        list(loader_of(digits, workers=workers))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("size", "options", "batches"),
    [
        (17, {}, [8, 8]),  # one image is left, fewer than two
        (18, {}, [8, 8, 2]),
        (18, {"minimum_batch": 4}, [8, 8]),
        (20, {"minimum_batch": 4}, [8, 8, 4]),
        (23, {"drop_last": True}, [8, 8]),
        (24, {"drop_last": True}, [8, 8, 8]),
        (1, {}, []),
        (3, {}, [3]),
    ],
)
def test_last_training_batch(size, options, batches):
    loader = loader_of(Digits("train", size, image_size=24), augment="none", **options)
    assert [len(batch.labels) for batch in loader] == batches
    assert len(loader) == len(batches)


@pytest.mark.parametrize(("size", "steps"), [(18, 3), (21, 3), (22, 4), (23, 4)])
def test_ranks_share_the_batches_of_one_process_in_equal_parts(size, steps):
    """Steps of 2 × 3 images; a last one needs 2 images for each rank."""
    whole = KeySampler(size, 6, shuffle=True, seed=5, smallest=2)
    ranks = [KeySampler(size, 3, True, 5, 2, rank, 2) for rank in range(2)]
    for sampler in (whole, *ranks):
        sampler.epoch, sampler.start = 4, 1
    assert [len(sampler) for sampler in ranks] == [steps] * 2
    for large, *parts in zip(whole, *ranks, strict=False):
        joined = [key for part in parts for key in part]
        assert len(parts[0]) == len(parts[1])
        assert joined == large[: len(joined)] and len(large) - len(joined) < 2


@pytest.mark.parametrize("size", [1, 5, 6, 7, 11, 12])
def test_unshuffled_every_image_is_in_one_rank(size):
    seen = [
        key.image
        for rank in range(3)
        for batch in KeySampler(size, 2, False, 0, 1, rank, 3)
        for key in batch
    ]
    assert sorted(seen) == list(range(size))


def test_order_is_shuffled_uniformly():
    sampler = KeySampler(4, 4, shuffle=True, seed=0, smallest=2)
    firsts = []
    for epoch in range(400):
        sampler.epoch = epoch
        firsts.append(next(iter(sampler))[0].image)
    assert all(70 < firsts.count(index) < 130 for index in range(4))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_bad_image_arrives_as_one_sentence(tmp_path, workers):
    splits = open_data(str(save_classes(tmp_path, count=6)))
    path = tmp_path / splits.train.names[2]
    path.write_bytes(path.read_bytes()[:60])
    items = list(loader_of(splits.train, batch_size=2, workers=workers))
    bad = [item for item in items if isinstance(item, BadSample)]
    assert len(bad) == 1 and len(items) == len(splits.train) // 2
    assert str(path) in bad[0].message and "\n" not in bad[0].message


def test_unknown_and_empty_foregrounds_are_not_annotated(tmp_path):
    save_classes(tmp_path, count=6)
    save(tmp_path / "cat" / "0_mask.png", square_mask(255))
    save(tmp_path / "cat" / "1_mask.png", square_mask(0))
    splits = open_data(str(tmp_path))
    seen = {}
    for source in (splits.train, splits.validation, splits.test):
        for batch in loader_of(source, train=False, augment="none"):
            assert torch.equal(batch.annotated, batch.foreground.flatten(1).any(dim=1))
            seen |= dict(zip(batch.names, batch.annotated.tolist(), strict=True))
    assert [name for name, annotated in seen.items() if annotated] == ["cat/0.png"]
    assert len(seen) == 12


def test_collate_returns_the_first_bad_sample(digits):
    good = ("a", digits[0])
    assert collate([good, BadSample("one"), BadSample("two")]) == BadSample("one")


def test_what_workers_get_can_be_pickled(digits):
    """macOS starts workers by spawning them."""
    loader = loader_of(digits)
    dataset = pickle.loads(pickle.dumps(loader._loader.dataset))
    key = next(iter(loader._sampler))[0]
    name, sample = dataset[key]
    expected_name, expected = loader._loader.dataset[key]
    assert name == expected_name and torch.equal(sample.image, expected.image)
    assert pickle.loads(pickle.dumps(collate)) is collate


def test_transform_is_called_with_the_samples_own_size(tmp_path):
    splits = open_data(str(save_classes(tmp_path)))
    batch = next(iter(loader_of(splits.test, train=False, augment="none")))
    expected = JointTransform(20)(Sample(*splits.test[0]))
    assert torch.equal(batch.images[0], expected.image)


def image_named(batches, name):
    return next(b.images[b.names.index(name)] for b in batches if name in b.names)


class Broken:
    """Five images of which some cannot be read."""

    classes, annotated = ["a"], False
    labels, names = [0] * 5, [f"{index}.png" for index in range(5)]

    def __init__(self, bad, kill=False):
        self.bad, self.kill = bad, kill

    def __len__(self):
        return 5

    def __getitem__(self, index):
        if index in self.bad:
            if self.kill:
                os.kill(os.getpid(), signal.SIGKILL)
            raise InputError(f"{index}.png is damaged")
        return Sample(torch.full((3, 4, 4), index, dtype=torch.uint8), 0, None)


@pytest.mark.parametrize("workers", [0, 1])
def test_bad_images_are_left_out_and_named(workers):
    source = Broken({1, 3, 4})
    options = {"image_size": 4, "batch_size": 3, "train": False, "workers": workers}
    whole, broken = make_loader(source, skip_bad=True, **options)
    assert whole.names == ["0.png", "2.png"]
    assert whole.images[:, 0, 0, 0].tolist() == [0, 2]
    assert whole.skipped == ("1.png is damaged",)
    # nothing of the batch is left
    assert broken == BadSample("3.png is damaged", ("4.png is damaged",))
    first, _ = make_loader(source, **options)
    assert first == BadSample("1.png is damaged")
    named = broken.as_batch()
    assert named.skipped == ("3.png is damaged", "4.png is damaged")
    assert named.names == [] and len(named.images) == len(named.labels) == 0


def test_the_first_batch_is_one_that_has_an_image():
    options = {"image_size": 4, "batch_size": 2, "train": False}
    skipping = make_loader(Broken({0, 1, 2}), skip_bad=True, **options)
    assert first_batch(skipping).names == ["3.png"]
    for bad, skip in (({0, 1}, False), (set(range(5)), True)):
        with pytest.raises(InputError, match=r"^0\.png is damaged$"):
            first_batch(make_loader(Broken(bad), skip_bad=skip, **options))


def test_a_dead_worker_is_told_from_other_errors():
    source = Broken({4}, kill=True)
    with pytest.raises(ReaderDied, match="a process that reads images died"):
        list(make_loader(source, image_size=4, batch_size=1, train=False, workers=1))
    assert not is_worker_crash(RuntimeError("CUDA error"))
    assert is_worker_crash(ConnectionResetError("Connection reset by peer"))


@pytest.mark.parametrize("error", [RuntimeError, ConnectionError, EOFError])
def test_an_error_inside_a_data_set_keeps_its_own_report(error):
    class Failing(Broken):
        def __getitem__(self, index):
            raise error("no such record")

    loader = make_loader(Failing(()), image_size=4, batch_size=1, train=False, workers=1)
    with pytest.raises(error, match=r"(?s)Original Traceback.*\n.*no such record") as found:
        list(loader)
    assert not isinstance(found.value, ReaderDied)


def test_dead_workers_are_reported_once_and_while_reading():
    """Whenever they die: also one after the other, and while the first is being reported."""

    def kill(process):
        process.kill()
        wait([process.sentinel])

    others = set(multiprocessing.active_children())
    loader = make_loader(Broken(()), image_size=4, batch_size=1, train=False, workers=2)
    batches = iter(loader)
    first, second = set(multiprocessing.active_children()) - others
    next(batches)
    kill(first)
    with pytest.raises(ReaderDied, match="a process that reads images died"):
        try:
            list(batches)
        except ReaderDied:
            kill(second)
            raise


class Unsent(Broken):
    """Its process may not write files any more, as if the shared memory were full."""

    def __getitem__(self, index):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        return super().__getitem__(index)


def test_a_batch_that_cannot_be_passed_on_is_reported():
    """It was waited for forever."""
    loader = make_loader(Unsent(()), image_size=4, batch_size=1, train=False, workers=1)
    with pytest.raises(ReaderDied, match="could not pass on a batch, most likely because the shar"):
        list(loader)


def test_a_program_that_crashes_while_reading_ends():
    """Its frames keep the loader alive, and its processes ignore SIGTERM."""

    def crash():
        atexit._clear()
        atexit.register(multiprocessing.util._exit_function)
        batches = iter(make_loader(Broken(()), image_size=4, batch_size=1, train=False, workers=2))
        next(batches)
        atexit._run_exitfuncs()
        return 0

    assert Forked(crash).wait(20) == 0
