"""A cache is never torn: two builders, killed ones, full disks, folders that cannot be written."""

import multiprocessing
import os
import resource
import shutil
import signal
import time

import pytest

from helpers.caching import SIDE, assert_same, batches_of, cached, keys, parts, splits_of
from helpers.processes import in_a_process
from sib.data import cache_files
from sib.data.cache import bytes_of, cache_sources
from sib.data.cache_files import CacheRefused
from sib.utils.errors import InputError

FORK = multiprocessing.get_context("fork")


def test_a_cache_that_is_deleted_during_a_run_is_told(noisy_images, tmp_path):
    source = cached(noisy_images, tmp_path / "cache")["train"]
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(InputError, match=r"the cache .* is gone; start again"):
        source[0]


def test_a_bad_image_is_told_and_nothing_is_left(noisy_images, tmp_path):
    path = noisy_images / "dog" / "2.png"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=r"dog/2\.png cannot be read"):
        cached(noisy_images, tmp_path / "cache")
    assert keys(tmp_path / "cache") == [] and parts(tmp_path / "cache") == []


def test_two_processes_build_one_cache(noisy_images, tmp_path, monkeypatch):
    """The first stops in the middle until the second has said that it waits."""
    monkeypatch.setattr(cache_files, "PATIENCE", 0.1)
    folder, said = tmp_path / "cache", FORK.SimpleQueue()
    begun, waiting = FORK.Event(), FORK.Event()

    def first():
        def track(loader):
            begun.set()
            assert waiting.wait(60)
            yield from loader

        cached(noisy_images, folder, track=track)

    def second():
        def info(sentence):
            said.put(sentence)
            if "waiting for another process" in sentence:
                waiting.set()

        kept = cache_sources(splits_of(noisy_images), SIDE, folder, info=info)
        assert_same(batches_of(splits_of(noisy_images)["train"]), batches_of(kept["train"]))

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
def test_a_builder_that_is_killed_leaves_nothing_that_is_trusted(noisy_images, tmp_path, workers):
    folder, begun = tmp_path / "cache", FORK.Event()

    def build():
        def track(loader):
            yield from loader
            begun.set()  # everything is written, nothing is flushed or renamed
            time.sleep(600)

        cached(noisy_images, folder, track=track, workers=workers)

    process = FORK.Process(target=build)
    process.start()
    assert begun.wait(60)
    os.kill(process.pid, signal.SIGKILL)
    while process.is_alive():  # join would wait for the worker too, which outlives it for a while
        time.sleep(0.01)
    assert keys(folder) == [] and len(parts(folder)) == 1
    said = []
    kept = cached(noisy_images, folder, said=said)
    assert "resizing" in said[0] and len(said) == 1
    assert parts(folder) == []
    assert_same(batches_of(splits_of(noisy_images)["train"]), batches_of(kept["train"]))


def test_leftovers_of_other_caches_go_and_those_in_the_making_stay(noisy_images, tmp_path):
    """A part belongs to a live builder as long as its lock is held."""
    folder, begun, done = tmp_path / "cache", FORK.Event(), FORK.Event()
    dead = folder / f".{'0' * 32}.1.part"
    dead.mkdir(parents=True)

    def build():
        def track(loader):
            begun.set()
            assert done.wait(60)
            yield from loader

        cached(noisy_images, folder, SIDE + 2, track=track)

    def other():
        cached(noisy_images, folder)
        assert not dead.exists() and len(parts(folder)) == 1
        done.set()

    run(build, before=lambda: begun.wait(60), then=other)
    assert len(keys(folder)) == 2 and parts(folder) == []


def test_a_disk_that_fills_up_while_building_is_told_and_nothing_is_left(noisy_images, tmp_path):
    folder = tmp_path / "cache"

    def build():
        limit = bytes_of(12, SIDE) // 2
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        cached(noisy_images, folder)

    raised = in_a_process(build)
    assert raised == f"CacheRefused: {folder} cannot be written: File too large"
    assert keys(folder) == [] and parts(folder) == []


def test_too_little_space_is_told_before_anything_is_written(noisy_images, tmp_path):
    with pytest.raises(CacheRefused, match=r"lacks the space: the images take .* may be used$"):
        cached(noisy_images, tmp_path / "cache", largest_share=1e-12)
    assert keys(tmp_path / "cache") == [] and parts(tmp_path / "cache") == []


def test_a_read_only_folder_is_told(noisy_images, tmp_path):
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o555)

    def build():
        if os.geteuid() == 0:  # whom no mode stops
            for parent in (tmp_path, *tmp_path.parents):
                if not parent.stat().st_mode & 0o001:  # pytest's own folders
                    parent.chmod(0o711)
            os.setuid(65534)
        cached(noisy_images, folder)

    assert in_a_process(build) == f"CacheRefused: {folder} cannot be written: Permission denied"


def test_a_finished_cache_in_a_read_only_folder_is_used(noisy_images, tmp_path):
    folder = tmp_path / "cache"
    cached(noisy_images, folder)
    folder.chmod(0o555)
    (folder / keys(folder)[0]).chmod(0o555)
    said = []
    cached(noisy_images, folder, said=said)
    assert len(said) == 1 and "found" in said[0]
