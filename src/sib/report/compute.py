"""What the page needs beyond the evaluations: comparisons, and maps of its images."""

from typing import Any, NamedTuple

from rich.console import Console

from sib.config.report import ReportConfig
from sib.data import Splits
from sib.data.subset import spaced_indices
from sib.evaluation.checkpoint import Checkpoint, open_checkpoint
from sib.evaluation.compare import compare_stored
from sib.evaluation.data import check_classes, open_run_data
from sib.evaluation.groups import GroupedRuns
from sib.evaluation.results import present_audits
from sib.evaluation.stored import Evaluation
from sib.report import gallery
from sib.report.gallery import Row
from sib.utils.device import choose_device
from sib.utils.errors import InputError
from sib.utils.progress_bar import progress

AUDITS = 4
"""Most runs whose audits are shown."""
EXTREMES = 6
"""Images in a section that shows the largest or the smallest of something."""
DRAWN_AT_ONCE = 32
"""Images whose maps are computed in one pass."""


class Section(NamedTuple):
    """Images of the page, and the reason for their choice."""

    anchor: str
    title: str
    text: str
    places: list[int]
    """Indices of the images in the scores."""


class Computed(NamedTuple):
    """What the page shows beyond the evaluations."""

    comparison: dict[str, Any] | None
    """As returned by `compare_stored`; None for a single group."""
    sections: list[Section]
    rows: dict[int, Row]
    """Each image that a section shows, by its index."""
    shown: list[tuple[str, Evaluation]]
    """The runs whose maps are drawn, each after its name on the page."""
    no_images: str
    """Why there are no images; empty if there are some."""
    audit: dict[str, Any] | None = None
    """As returned by `sib.report.audit.sections`; None unless all runs were audited."""


def compute(config: ReportConfig, loaded: GroupedRuns, console: Console) -> Computed:
    """Compare the groups, choose images, and compute the maps of each image once.

    Raises:
        InputError: an image cannot be read.
    """
    computed = _without_audit(config, loaded, console)
    return computed._replace(audit=_audit(config, loaded, console))


def _audit(config: ReportConfig, loaded: GroupedRuns, console: Console) -> dict[str, Any] | None:
    """The audits of the first runs of the groups."""
    shown = [item.folder for item in loaded.select(min(AUDITS, config.gallery_runs or AUDITS))]
    audits = present_audits(shown, console)
    if not audits:
        return None
    from sib.report.audit import sections  # loads what finds foregrounds, which is part of training

    def opened(audit: Evaluation) -> tuple[Checkpoint, Splits]:
        device = choose_device(config.device)
        checkpoint = open_checkpoint(audit.folder, device, trust_code=config.trust_code)
        split = audit.facts["options"]["split"]
        return checkpoint, open_run_data(checkpoint, None, None, split=split)

    folders = [item.folder for item in loaded.evaluations]
    every = audits
    if len(shown) < len(folders) and len(loaded.groups) > 1:
        otherwise = "behaviour is compared for the first runs alone"
        every = present_audits(folders, console, otherwise, known=audits)
    return sections(audits, opened, config.device, console, every)


def _without_audit(config: ReportConfig, loaded: GroupedRuns, console: Console) -> Computed:
    found = compare_stored(loaded.evaluations) if len(loaded.groups) > 1 else None
    shown = [item for item in loaded.select(config.gallery_runs) if item.run is not None]
    named = list(zip(loaded.labels(shown), shown, strict=True))
    if not shown:
        return Computed(found, [], {}, named, "only run folders record where their images are.")
    sections = [section for section in _sections(config, loaded, shown) if section.places]
    places = sorted({place for section in sections for place in section.places})
    try:
        rows = _rows(config, shown, places, console)
    except _NoImages as reason:
        return Computed(found, [], {}, named, str(reason))
    return Computed(found, sections, rows, named, "")


class _NoImages(Exception):
    """The data or the weights of the runs no longer exist."""


def _sections(config: ReportConfig, loaded: GroupedRuns, shown: list[Evaluation]) -> list[Section]:
    scores = [item.scores for item in shown]
    number = {id(m): index for index, group in enumerate(loaded.groups) for m in group.members}
    own = [number[id(item)] for item in shown]
    return [
        Section(
            "gallery",
            "Images",
            "Evenly spaced places of the split. Each map is divided by its own 99th percentile, "
            "and the object is outlined. Energy is the share of the map inside the outline. The "
            "last line is the predicted class with its probability.",
            spaced_indices(config.images, len(scores[0].names)),
        ),
        Section(
            "differ",
            "Where the runs differ most",
            "The images with the largest differences in energy, mean over the methods.",
            gallery.differ_most(scores, own, EXTREMES) if len(loaded.groups) > 1 else [],
        ),
        Section(
            "worst",
            "Worst explanations",
            "The images with the least energy relative to the size of the object, mean over runs "
            "and methods.",
            gallery.worst(scores, EXTREMES),
        ),
        Section(
            "mistakes",
            "Surest mistakes",
            "The images that a run gets wrong with the highest probability.",
            gallery.confident_mistakes(scores, EXTREMES),
        ),
    ]


def _layer(config: ReportConfig, evaluation: Evaluation) -> str | None:
    """The layer of the drawn maps: that of the measured ones."""
    recorded = evaluation.facts.get("layer")
    return recorded if isinstance(recorded, str) else config.layer


def _rows(
    config: ReportConfig, shown: list[Evaluation], places: list[int], console: Console
) -> dict[int, Row]:
    """Each image under every run and method.

    Raises:
        InputError: an image cannot be read.
        _NoImages: the images cannot be shown, with the reason.
    """
    device = choose_device(config.device)
    split = shown[0].facts["options"]["split"]
    try:
        checkpoints: list[Checkpoint] = [
            open_checkpoint(
                item.folder, device, layer=_layer(config, item), trust_code=config.trust_code
            )
            for item in shown
        ]
        splits = open_run_data(checkpoints[0], config.data, None, split=split)
        for checkpoint in checkpoints:
            check_classes(checkpoint, splits)
    except InputError as error:
        console.print(f"no images in the report: {error}", highlight=False, markup=False)
        raise _NoImages(str(error)) from None
    scores = [item.scores for item in shown]
    by_name = {name: place for place, name in enumerate(getattr(splits, split).names)}
    for place in places:
        name = scores[0].names[place]
        if name not in by_name:
            raise _NoImages(f"the data set no longer has the image {name}.")
    rows: dict[int, Row] = {}
    with progress(console, "drawing", len(places)) as bar:
        for start in range(0, len(places), DRAWN_AT_ONCE):
            part = places[start : start + DRAWN_AT_ONCE]
            drawn = gallery.draw_rows(
                part, checkpoints, scores, splits, split, by_name, config.methods, device
            )
            rows |= dict(zip(part, drawn, strict=True))
            bar(len(part))
    return rows
