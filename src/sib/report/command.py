"""``sib report``: from run folders to one page."""

from typing import Any

from rich.console import Console

from sib import __version__
from sib.config.evaluate import ReportConfig
from sib.evaluation.checkpoint import open_checkpoint
from sib.evaluation.compare import compare_stored, explanation
from sib.evaluation.data import check_classes, open_run_data, spaced_indices
from sib.evaluation.groups import Group, check_same_images, group_by_seed
from sib.evaluation.stored import Stored, read_or_evaluate
from sib.figures.curves import curves
from sib.report import gallery as images
from sib.report import page
from sib.utils.device import choose_device
from sib.utils.errors import InputError
from sib.utils.files import write_whole
from sib.utils.progress_bar import progress

EXTREMES = 6


def report(config: ReportConfig, console: Console) -> None:
    """Write the page.

    Raises:
        InputError: bad input, in one sentence.
    """
    stored = read_or_evaluate(
        config.runs, config.device, console, trust_code=config.trust_code, data=config.data
    )
    check_same_images(stored)
    groups = group_by_seed(stored)
    ordered = [member for group in groups for member in group.members]
    galleries, missing = _galleries(config, _drawn(config, groups), groups, console)
    found = compare_stored(stored) if len(groups) > 1 else None
    values: dict[str, Any] = {
        "title": f"What {_listed([group.name for group in groups])} look at",
        "lead": _lead(stored),
        "summary": page.summary(ordered, config.methods),
        "scatter": page.scatter(ordered),
        "comparison": page.comparison(found, explanation(found)) if found else None,
        "curves": curves(groups),
        "warnings": page.warnings(stored),
        "galleries": galleries,
        "no_gallery": missing,
        "repeat": page.repeat(ordered),
        "written_by": f"sib {__version__}",
    }
    values["sections"] = _sections(values)
    try:
        config.out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(config.out, page.render(values))
    except OSError as error:
        raise InputError(f"--out {config.out} cannot be written: {error.strerror}") from None
    console.print(f"written to {config.out}", highlight=False, markup=False, soft_wrap=True)


def _drawn(config: ReportConfig, groups: list[Group]) -> list[Stored]:
    """The runs whose maps are drawn, by group: the first of each, then the second, and so on."""
    turns = [(place, number) for number, g in enumerate(groups) for place in range(len(g.members))]
    kept = sorted(turns)[: config.gallery_runs]
    return [groups[number].members[place] for place, number in turns if (place, number) in kept]


def _galleries(
    config: ReportConfig, stored: list[Stored], groups: list[Group], console: Console
) -> tuple[list[dict[str, Any]], str]:
    """The sections of images, or the sentence that says why there are none."""
    shown = [item for item in stored if item.run is not None]
    if not shown:
        return [], "only run folders know where their images are."
    device = choose_device(config.device)
    try:
        checkpoints = [
            open_checkpoint(item.folder, device, trust_code=config.trust_code) for item in shown
        ]
        split = shown[0].facts["options"]["split"]
        splits = open_run_data(checkpoints[0], config.data, None, split=split)
        for checkpoint in checkpoints:
            check_classes(checkpoint, splits)
    except InputError as error:
        console.print(f"no images in the report: {error}", highlight=False, markup=False)
        return [], str(error)
    scores = [item.scores for item in shown]
    number = {id(m): index for index, group in enumerate(groups) for m in group.members}
    chosen = [
        (
            "gallery",
            "Images",
            "Spread over the split. Each map is divided by its own 99th percentile; the "
            "foreground is outlined.",
            spaced_indices(config.images, len(scores[0].names)),
        ),
        (
            "differ",
            "Where the runs differ most",
            "The largest difference in energy inside the foreground, mean over the methods.",
            images.differ_most(scores, [number[id(item)] for item in shown], EXTREMES)
            if len(groups) > 1
            else [],
        ),
        (
            "worst",
            "Worst explanations",
            "The least energy inside the foreground relative to its size, mean over runs and "
            "methods.",
            images.worst(scores, EXTREMES),
        ),
        (
            "mistakes",
            "Surest mistakes",
            "The images that a run gets wrong with the highest probability.",
            images.confident_mistakes(scores, EXTREMES),
        ),
    ]
    by_name = {name: place for place, name in enumerate(getattr(splits, split).names)}
    galleries = []
    with progress(console, "drawing", sum(len(places) for *_, places in chosen)) as bar:
        for anchor, title, text, places in chosen:
            if not places:
                continue
            unknown = [n for n in (scores[0].names[p] for p in places) if n not in by_name]
            if unknown:
                return [], f"the data set has no image {unknown[0]} any more."
            rows = images.draw_rows(
                places, checkpoints, scores, splits, split, by_name, config.methods, device
            )
            names = [item.name for item in shown]
            galleries.append(page.gallery(anchor, title, text, rows, names, config.methods))
            bar(len(places))
    return galleries, ""


def _lead(stored: list[Stored]) -> str:
    facts = stored[0].facts
    count = f"{len(stored)} run{'s' * (len(stored) > 1)}"
    return (
        f"{count}, {facts['images']} images, {len(facts['classes'])} classes. An explanation is "
        "good where it lies on the object: the share of it inside the annotated foreground is "
        "called energy here."
    )


def _sections(values: dict[str, Any]) -> list[tuple[str, str]]:
    found = [("summary", "Summary")]
    if values["comparison"]:
        found.append(("comparison", "How surely the runs differ"))
    if values["curves"]:
        found.append(("training", "Training"))
    found += [(section["anchor"], section["title"]) for section in values["galleries"]]
    return [*found, ("repeat", "How to repeat it")]


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
