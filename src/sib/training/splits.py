"""The images of a run: its splits, their cache and their loaders."""

import dataclasses
import os
from pathlib import Path
from typing import Any

from sib import distributed
from sib.config.train import TrainConfig
from sib.data import Splits, make_loader, open_data
from sib.data.cache import cache_sources, default_folder
from sib.data.cache_files import CacheRefused
from sib.data.label_objects import LabelObjectSource
from sib.data.records import RecordSource
from sib.data.transforms import CACHEABLE
from sib.functional.dependence import ESTIMATORS
from sib.utils.errors import InputError

LARGEST_SHARE = 0.25
"""Share of the free space that a cache may take without being asked for."""


def open_splits(config: TrainConfig) -> Splits:
    """The three splits that a configuration names."""
    options = config.input
    return open_data(
        config.data,
        root=config.root,
        validation_fraction=options.validation_fraction,
        test_fraction=options.test_fraction,
        test_split=options.test_split,
        split_seed=options.split_seed,
        masks=options.masks,
        annotations=options.annotations,
        groups=options.groups,
        background_strength=options.background_strength,
        train_size=options.train_size,
        test_size=options.test_size,
        image_size=config.side,
        hold_out_validation=config.selection == "validation",
        mask_ending=options.mask_ending,
        value_range=options.value_range,
        # a study opens its data before it reads weights
        resize="crop" if options.resize == "auto" else options.resize,
        skip_bad=config.on_bad_image == "skip",
        labels=config.labels,
    )


def cache_splits(config: TrainConfig, splits: Splits, reporter: Any) -> Splits:
    """The splits, reading images from a cache if the configuration wants one.

    Raises:
        InputError: the requested folder cannot be used, or an image cannot be read.
    """
    wanted, automatic = config.input.cache, config.input.cache == "auto"
    names = {config.selection, "test"} | ({"train"} if config.input.augment in CACHEABLE else set())
    if wanted == "off" or config.on_bad_image == "skip":
        return splits
    try:
        cached = cache_sources(
            {name: getattr(splits, name) for name in sorted(names)},
            config.side,
            default_folder() if automatic else Path(os.path.expanduser(wanted)),
            largest_share=LARGEST_SHARE if automatic else 1,
            workers=config.workers,
            resize=config.input.resize,
            info=reporter.info,
            track=lambda loader: reporter.batches("resizing once", loader),
        )
    except CacheRefused as refused:
        if not automatic:
            raise InputError(f"--input.cache: {refused}") from None
        reporter.info(f"no cache, so every epoch decodes the images again: {refused}")
        return splits
    return dataclasses.replace(splits, **cached)  # type: ignore[arg-type]


def with_label_objects(config: TrainConfig, splits: Splits, opened: Splits) -> Splits:
    """Training images with a foreground for each label, if the configuration guides by labels.

    Args:
        config: the run's options.
        splits: what the run reads.
        opened: the same images as they are on disk.
    """
    if config.guided_labels == "union":
        return splits
    assert isinstance(opened.train, RecordSource)  # since it has labels
    source = LabelObjectSource(splits.train, opened.train, config.side, config.input.resize)
    return dataclasses.replace(splits, train=source)


def make_split_loader(config: TrainConfig, splits: Splits, split: str) -> Any:
    """Batches of one split; only ``"train"`` is shuffled and augmented."""
    training = split == "train"
    return make_loader(
        getattr(splits, split),
        image_size=config.side,
        resize=config.input.resize,
        batch_size=config.batch_size,
        augment=config.input.augment if training else "none",
        crop_area=config.input.crop_area,
        train=training,
        seed=config.seed,
        workers=config.workers,
        minimum_batch=ESTIMATORS[config.objective.estimator],
        drop_last=config.input.drop_last,
        skip_bad=config.on_bad_image == "skip",
        rank=distributed.rank(),
        ranks=distributed.size(),
    )
