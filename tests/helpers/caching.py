"""Images kept on disk: building a cache, reading batches from it, and what its folder holds."""

import torch

from sib.data import make_loader, open_data
from sib.data.cache import cache_sources

SIDE = 20


def splits_of(root, **options):
    splits = open_data(str(root), **options)
    return {name: getattr(splits, name) for name in ("train", "validation", "test")}


def cached(root, folder, side=SIDE, said=None, **options):
    info = [].append if said is None else said.append
    return cache_sources(splits_of(root), side, folder, info=info, **options)


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
