"""Images kept on disk: the same bits, never a torn or an outdated one."""

import json
import os
import pickle
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.caching import SIDE, assert_same, batches_of, cached, keys, splits_of
from helpers.pictures import CUB_IMAGES, replace_line, save, save_cub, square_mask
from sib.data import open_data
from sib.data.cache import bytes_of, cache_sources, default_folder, readable
from sib.data.cached_source import ARRAYS, CachedSource


@pytest.mark.parametrize("augment", ["none", "flip"])
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_with_and_without_a_cache_are_equal_bit_by_bit(
    noisy_images, tmp_path, augment, workers
):
    plain, kept = splits_of(noisy_images), cached(noisy_images, tmp_path / "cache", workers=workers)
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


def test_files_have_the_size_that_was_said(noisy_images, tmp_path):
    said = []
    cached(noisy_images, tmp_path / "cache", said=said)
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


def test_a_second_run_and_another_split_find_the_cache(noisy_images, tmp_path):
    said = []
    cached(noisy_images, tmp_path / "cache", said=said)
    other = splits_of(noisy_images, split_seed=1)
    kept = cache_sources(other, SIDE, tmp_path / "cache", info=said.append)
    assert [sentence.split()[1] for sentence in said] == ["resizing", "found"]
    assert other["train"].names != splits_of(noisy_images)["train"].names
    assert_same(batches_of(other["train"]), batches_of(kept["train"]))


def test_a_changed_file_gets_a_new_cache(noisy_images, tmp_path):
    folder = tmp_path / "cache"

    def count():
        kept = cached(noisy_images, folder)
        for name, source in splits_of(noisy_images).items():
            assert_same(batches_of(source), batches_of(kept[name]))
        return len(keys(folder))

    assert count() == 1 and count() == 1
    pixels = np.asarray(Image.open(noisy_images / "cat" / "0.png"))
    save(noisy_images / "cat" / "0.png", 255 - pixels)
    assert count() == 2
    mask = noisy_images / "cat" / "0_mask.png"
    stat = mask.stat()
    save(mask, square_mask(128, 31, 44))
    os.utime(mask, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert count() == 3
    mask.unlink()
    assert count() == 4
    shutil.copy(noisy_images / "dog" / "0.png", noisy_images / "dog" / "9.png")
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
    kept = cache_sources({"test": splits.test}, SIDE, tmp_path / "cache", info=said.append)
    assert kept == {"test": splits.test} and not said and not (tmp_path / "cache").exists()


def test_worker_processes_get_no_open_files(noisy_images, tmp_path):
    source = cached(noisy_images, tmp_path / "cache")["train"]
    first = source[0]
    copy = pickle.loads(pickle.dumps(source))
    assert copy._opened is None and len(pickle.dumps(source)) < 4000
    assert torch.equal(copy[0].image, first.image)


def test_a_sample_can_be_changed_without_changing_the_next(noisy_images, tmp_path):
    source = cached(noisy_images, tmp_path / "cache")["train"]
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
        lambda folder: (folder / "cache.json").write_text('{"files": {}}'),
        lambda folder: (folder / "cache.json").unlink(),
    ],
)
def test_a_damaged_cache_is_built_again(noisy_images, tmp_path, damage):
    cached(noisy_images, tmp_path / "cache")
    (key,) = keys(tmp_path / "cache")
    damage(tmp_path / "cache" / key)
    said = []
    kept = cached(noisy_images, tmp_path / "cache", said=said)
    assert "resizing" in said[0]
    assert_same(batches_of(splits_of(noisy_images)["train"]), batches_of(kept["train"]))


@pytest.mark.parametrize(
    ("given", "expected"),
    [("/somewhere", "/somewhere/sib"), ("", "~/.cache/sib"), ("here", "~/.cache/sib")],
)
def test_the_default_folder_follows_the_desktop_specification(monkeypatch, given, expected):
    monkeypatch.setenv("XDG_CACHE_HOME", given)
    assert str(default_folder()) == os.path.expanduser(expected)


def test_the_sidecar_says_what_is_in_the_folder(noisy_images, tmp_path):
    cached(noisy_images, tmp_path / "cache")
    (key,) = keys(tmp_path / "cache")
    stored = json.loads((tmp_path / "cache" / key / "cache.json").read_text())
    assert stored["facts"] == {"format": 2, "images": 12, "image_size": SIDE}
    assert set(stored["files"]) == {f"{name}.npy" for name in ARRAYS}
