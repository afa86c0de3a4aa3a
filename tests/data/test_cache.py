"""Images kept on disk: the same bits, never a torn or an outdated one."""

import json
import multiprocessing
import os
import pickle
import resource
import shutil
import signal
import time

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.pictures import CUB_IMAGES, replace_line, save, save_classes, save_cub, square_mask
from helpers.processes import in_a_process
from sib.data import cache_files, make_loader, open_data
from sib.data.cache import ARRAYS, CachedSource, bytes_of, cache_sources, default_folder, readable
from sib.data.cache_files import CacheRefused
from sib.utils.errors import InputError

SIDE = 20
FORK = multiprocessing.get_context("fork")


@pytest.fixture
def images(tmp_path):
    """Two classes of six noisy images, some with a mask: none, one, an empty one."""
    root = save_classes(tmp_path / "set", count=6)
    generator = np.random.default_rng(0)
    for path in sorted(root.rglob("*.png")):
        save(path, generator.integers(0, 256, (31, 44, 3), dtype=np.uint8))
    for number, value in ((0, 255), (1, 0), (3, 1)):
        save(root / "cat" / f"{number}_mask.png", square_mask(value, 31, 44))
    return root


def splits_of(root, **options):
    splits = open_data(str(root), **options)
    return {name: getattr(splits, name) for name in ("train", "validation", "test")}


def cached(root, folder, side=SIDE, said=None, **options):
    say = [].append if said is None else said.append
    return cache_sources(splits_of(root), side, folder, say=say, **options)


def batches_of(source, augment="none", epochs=(0,), workers=0):
    loader = make_loader(
        source,
        image_size=SIDE,
        batch_size=4,
        train=augment != "none",
        augment=augment,
        workers=workers,
    )
    found = []
    for epoch in epochs:
        loader.set_epoch(epoch)
        found += list(loader)
    return found


def assert_same(one, other):
    assert len(one) == len(other) > 0
    for a, b in zip(one, other, strict=True):
        assert a.names == b.names
        for left, right in zip(a[:4], b[:4], strict=True):
            assert left.dtype == right.dtype and torch.equal(left, right)


def keys(folder):
    return sorted(path.name for path in folder.iterdir() if path.name[0] != ".")


def parts(folder):
    return list(folder.glob(".*.part"))


@pytest.mark.parametrize("augment", ["none", "flip"])
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_with_and_without_a_cache_are_equal_bit_by_bit(images, tmp_path, augment, workers):
    plain, kept = splits_of(images), cached(images, tmp_path / "cache", workers=workers)
    annotated = 0
    for name in plain:
        assert isinstance(kept[name], CachedSource)
        assert (kept[name].labels, kept[name].classes) == (plain[name].labels, plain[name].classes)
        assert kept[name].annotated == plain[name].annotated
        before = batches_of(plain[name], augment, (0, 1)) if len(plain[name]) > 2 else []
        if before:
            assert_same(before, batches_of(kept[name], augment, (0, 1), workers))
        annotated += sum(int(batch.annotated.sum()) for batch in before)
    assert annotated > 0


def test_real_images_are_equal_bit_by_bit(shared_data, tmp_path):
    """JPEGs of every shape, palette masks; every fifteenth of the test images."""
    source = open_data(str(shared_data / "leeds_butterfly")).test
    source.records = source.records[::15]
    source = type(source)(source.records, source.classes)
    kept = cache_sources({"test": source}, SIDE, tmp_path)["test"]
    assert_same(batches_of(source), batches_of(kept))


def test_files_have_the_size_that_was_said(images, tmp_path):
    said = []
    cached(images, tmp_path / "cache", said=said)
    (key,) = keys(tmp_path / "cache")
    folder = tmp_path / "cache" / key
    arrays = [np.load(folder / f"{name}.npy") for name in ARRAYS]
    assert [a.shape for a in arrays] == [(12, 3, SIDE, SIDE), (12, SIDE * SIDE // 8), (12,)]
    assert sum(a.nbytes for a in arrays) == bytes_of(12, SIDE)
    assert said == [
        f"cache: resizing once 12 images at 20 × 20, {readable(bytes_of(12, SIDE))}, in {folder}"
    ]


def test_sizes_in_words():
    """712 images of 224 × 224: 712 · (150528 + 6272 + 1) bytes."""
    assert bytes_of(712, 224) == 111642312
    assert (readable(111642312), readable(3 * 2**30)) == ("106.5 MiB", "3.0 GiB")


def test_a_second_run_and_another_split_find_the_cache(images, tmp_path):
    said = []
    cached(images, tmp_path / "cache", said=said)
    other = splits_of(images, split_seed=1)
    kept = cache_sources(other, SIDE, tmp_path / "cache", say=said.append)
    assert [sentence.split()[1] for sentence in said] == ["resizing", "found"]
    assert other["train"].names != splits_of(images)["train"].names
    assert_same(batches_of(other["train"]), batches_of(kept["train"]))


def test_a_changed_file_gets_a_new_cache(images, tmp_path):
    folder = tmp_path / "cache"

    def count():
        kept = cached(images, folder)
        for name, source in splits_of(images).items():
            assert_same(batches_of(source), batches_of(kept[name]))
        return len(keys(folder))

    assert count() == 1 and count() == 1
    pixels = np.asarray(Image.open(images / "cat" / "0.png"))
    save(images / "cat" / "0.png", 255 - pixels)
    assert count() == 2
    mask = images / "cat" / "0_mask.png"
    stat = mask.stat()
    save(mask, square_mask(128, 31, 44))
    os.utime(mask, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert count() == 3
    mask.unlink()
    assert count() == 4
    shutil.copy(images / "dog" / "0.png", images / "dog" / "9.png")
    assert count() == 5


def test_another_side_or_box_gets_a_new_cache(tmp_path):
    root, folder = save_cub(tmp_path / "set"), tmp_path / "cache"
    for side in (SIDE, SIDE + 1):
        cached(root, folder, side)
    assert len(keys(folder)) == 2
    assert len(CUB_IMAGES) == 6
    replace_line(root / "bounding_boxes.txt", 1, "3 12.0 8.0 16.0 11.0")
    cached(root, folder)
    assert len(keys(folder)) == 3


def test_built_in_images_are_not_kept(tmp_path):
    splits = open_data("digits", train_size=40, test_size=10)
    said = []
    kept = cache_sources({"test": splits.test}, SIDE, tmp_path / "cache", say=said.append)
    assert kept == {"test": splits.test} and not said and not (tmp_path / "cache").exists()


def test_worker_processes_get_no_open_files(images, tmp_path):
    source = cached(images, tmp_path / "cache")["train"]
    first = source[0]
    copy = pickle.loads(pickle.dumps(source))
    assert copy._opened is None and len(pickle.dumps(source)) < 4000
    assert torch.equal(copy[0].image, first.image)


def test_a_sample_can_be_changed_without_changing_the_next(images, tmp_path):
    source = cached(images, tmp_path / "cache")["train"]
    before = source[0].image.clone()
    source[0].image.zero_()
    assert torch.equal(source[0].image, before)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "images.npy").write_bytes(b"\x93NUMPY"),
        lambda folder: (folder / "foreground.npy").unlink(),
        lambda folder: (folder / "cache.json").write_text("{"),
        lambda folder: (folder / "cache.json").write_text('{"facts": {}, "files": {}}'),
        lambda folder: (folder / "cache.json").unlink(),
    ],
)
def test_a_damaged_cache_is_built_again(images, tmp_path, damage):
    cached(images, tmp_path / "cache")
    (key,) = keys(tmp_path / "cache")
    damage(tmp_path / "cache" / key)
    said = []
    kept = cached(images, tmp_path / "cache", said=said)
    assert "resizing" in said[0]
    assert_same(batches_of(splits_of(images)["train"]), batches_of(kept["train"]))


def test_a_cache_that_is_deleted_during_a_run_is_told(images, tmp_path):
    source = cached(images, tmp_path / "cache")["train"]
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(InputError, match=r"the cache .* is gone; start again"):
        source[0]


def test_a_bad_image_is_told_and_nothing_is_left(images, tmp_path):
    path = images / "dog" / "2.png"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=r"dog/2\.png cannot be read"):
        cached(images, tmp_path / "cache")
    assert keys(tmp_path / "cache") == [] and parts(tmp_path / "cache") == []


def test_two_processes_build_one_cache(images, tmp_path, monkeypatch):
    """The first stops in the middle until the second has said that it waits."""
    monkeypatch.setattr(cache_files, "PATIENCE", 0.1)
    folder, said = tmp_path / "cache", FORK.SimpleQueue()
    begun, waiting = FORK.Event(), FORK.Event()

    def first():
        def track(loader):
            begun.set()
            assert waiting.wait(60)
            yield from loader

        cached(images, folder, track=track)

    def second():
        def say(sentence):
            said.put(sentence)
            if "waiting for another process" in sentence:
                waiting.set()

        kept = cache_sources(splits_of(images), SIDE, folder, say=say)
        assert_same(batches_of(splits_of(images)["train"]), batches_of(kept["train"]))

    run(first, before=lambda: begun.wait(60), then=second)
    assert waiting.is_set()
    sentences = [said.get(), said.get()]
    assert "waiting" in sentences[0] and "found" in sentences[1] and said.empty()
    assert len(keys(folder)) == 1 and parts(folder) == []


def run(first, before, then):
    processes = [FORK.Process(target=first), FORK.Process(target=then)]
    processes[0].start()
    assert before()
    processes[1].start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_builder_that_is_killed_leaves_nothing_that_is_trusted(images, tmp_path, workers):
    folder, begun = tmp_path / "cache", FORK.Event()

    def build():
        def track(loader):
            yield from loader
            begun.set()  # everything is written, nothing is flushed or renamed
            time.sleep(600)

        cached(images, folder, track=track, workers=workers)

    process = FORK.Process(target=build)
    process.start()
    assert begun.wait(60)
    os.kill(process.pid, signal.SIGKILL)
    while process.is_alive():  # join would wait for the worker too, which outlives it for a while
        time.sleep(0.01)
    assert keys(folder) == [] and len(parts(folder)) == 1
    said = []
    kept = cached(images, folder, said=said)
    assert "resizing" in said[0] and len(said) == 1
    assert parts(folder) == []
    assert_same(batches_of(splits_of(images)["train"]), batches_of(kept["train"]))


def test_leftovers_of_other_caches_go_and_those_in_the_making_stay(images, tmp_path):
    """A part belongs to a live builder as long as its lock is held."""
    folder, begun, done = tmp_path / "cache", FORK.Event(), FORK.Event()
    dead = folder / f".{'0' * 32}.1.part"
    dead.mkdir(parents=True)

    def build():
        def track(loader):
            begun.set()
            assert done.wait(60)
            yield from loader

        cached(images, folder, SIDE + 2, track=track)

    def other():
        cached(images, folder)
        assert not dead.exists() and len(parts(folder)) == 1
        done.set()

    run(build, before=lambda: begun.wait(60), then=other)
    assert len(keys(folder)) == 2 and parts(folder) == []


def test_a_disk_that_fills_up_while_building_is_told_and_nothing_is_left(images, tmp_path):
    folder = tmp_path / "cache"

    def build():
        limit = bytes_of(12, SIDE) // 2
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        cached(images, folder)

    raised = in_a_process(build)
    assert raised == f"CacheRefused: {folder} cannot be written: File too large"
    assert keys(folder) == [] and parts(folder) == []


def test_too_little_space_is_told_before_anything_is_written(images, tmp_path):
    with pytest.raises(CacheRefused, match=r"lacks the space: the images take .* may be used$"):
        cached(images, tmp_path / "cache", largest_share=1e-12)
    assert keys(tmp_path / "cache") == [] and parts(tmp_path / "cache") == []


def test_a_read_only_folder_is_told(images, tmp_path):
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o555)

    def build():
        if os.geteuid() == 0:  # whom no mode stops
            for parent in (tmp_path, *tmp_path.parents):
                if not parent.stat().st_mode & 0o001:  # pytest's own folders
                    parent.chmod(0o711)
            os.setuid(65534)
        cached(images, folder)

    assert in_a_process(build) == f"CacheRefused: {folder} cannot be written: Permission denied"


def test_a_finished_cache_in_a_read_only_folder_is_used(images, tmp_path):
    folder = tmp_path / "cache"
    cached(images, folder)
    folder.chmod(0o555)
    (folder / keys(folder)[0]).chmod(0o555)
    said = []
    cached(images, folder, said=said)
    assert len(said) == 1 and "found" in said[0]


@pytest.mark.parametrize(
    ("given", "expected"),
    [("/somewhere", "/somewhere/sib"), ("", "~/.cache/sib"), ("here", "~/.cache/sib")],
)
def test_the_default_folder_follows_the_desktop_specification(monkeypatch, given, expected):
    monkeypatch.setenv("XDG_CACHE_HOME", given)
    assert str(default_folder()) == os.path.expanduser(expected)


def test_the_sidecar_says_what_is_in_the_folder(images, tmp_path):
    cached(images, tmp_path / "cache")
    (key,) = keys(tmp_path / "cache")
    stored = json.loads((tmp_path / "cache" / key / "cache.json").read_text())
    assert stored["facts"] == {"format": 2, "images": 12, "image_size": SIDE}
    assert set(stored["files"]) == {f"{name}.npy" for name in ARRAYS}
