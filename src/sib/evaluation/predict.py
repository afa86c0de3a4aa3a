"""``sib predict``: the classes of images, as a table."""

import json
from io import StringIO
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sib import distributed
from sib.config.deploy import PredictConfig
from sib.data.files import printable
from sib.evaluation.classifier import Classifier
from sib.evaluation.from_options import load_from_options
from sib.evaluation.images import fitting_images, readable_images
from sib.utils.errors import InputError
from sib.utils.files import write_whole
from sib.utils.progress_bar import progress
from sib.utils.rows import Row, to_csv
from sib.utils.terminal import Terminal, show_tables, table_to_markdown


def predict(config: PredictConfig, console: Console) -> list[Row]:
    """Predict, and show or write the table.

    Args:
        config: the command's options.
        console: for the table and the progress bar.

    Returns:
        For each image ``image``, and ``classes``, each with ``class`` and ``probability``; with
        several labels an image also ``labels``, those with a probability above 0.5.

    Raises:
        InputError: bad input, in one sentence; nothing is written.
    """
    images = readable_images(config.images, config.on_bad_image == "skip")
    classifier = load_from_options(config, config.run, config.device)
    skip_bad = config.on_bad_image == "skip"
    images = fitting_images(images, classifier.image_size, classifier.resize, skip_bad)
    # a table or JSON on standard output may be read by a program
    only_tables = isinstance(console, Terminal) and console.is_quiet
    aside = Terminal(stderr=True, quiet=only_tables or not distributed.should_print())
    for sentence in filter(None, (classifier.input, classifier.note)):
        aside.print(sentence, highlight=False, markup=False, soft_wrap=True)
    rows: list[Row] = []
    with progress(console, "predicting", len(images)) as bar:
        for first in range(0, len(images), config.batch_size):
            part = images[first : first + config.batch_size]
            rows += _rows(classifier, part, config.top)
            bar(len(part))
    _show(rows, config, console)
    return rows


def flat(row: Row) -> Row:
    """One image as a row: image, then class and probability of each listed class."""
    found: Row = {"image": row["image"]}
    if "labels" in row:
        found["labels"] = ";".join(row["labels"])
    for place, each in enumerate(row["classes"], start=1):
        found |= {f"class_{place}": each["class"], f"probability_{place}": each["probability"]}
    return found


def _rows(classifier: Classifier, images: list[Path], top: int) -> list[Row]:
    found = classifier.predict(images)
    several = classifier.label_kind == "multi"
    values, labels = found.probabilities.topk(min(top, len(classifier.classes)), dim=1)
    return [
        {
            "image": printable(str(image)),
            **({"labels": present} if several else {}),
            "classes": [
                {"class": classifier.classes[label], "probability": round(value, 6)}
                for label, value in zip(own_labels, own_values, strict=True)
            ],
        }
        for image, present, own_labels, own_values in zip(
            images, found.present, labels.tolist(), values.tolist(), strict=True
        )
    ]


def _show(rows: list[Row], config: PredictConfig, console: Console) -> None:
    kind = console.table_format if isinstance(console, Terminal) else "table"
    if config.out is None:
        shown = rows if kind == "json" else [flat(row) for row in rows]
        show_tables(console, [_table(rows)], shown)
        return
    try:
        write_whole(config.out, _text(rows, kind))
    except OSError as error:
        raise InputError(f"--out {config.out} cannot be written: {error.strerror}") from None
    console.print(f"written to {config.out}", highlight=False, markup=False, soft_wrap=True)


def _text(rows: list[Row], kind: str) -> str:
    """The table as the content of a file."""
    if kind == "csv":
        return to_csv([flat(row) for row in rows]) + "\n"
    if kind == "json":
        return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"
    if kind == "markdown":
        return table_to_markdown(_table(rows)) + "\n"
    text = StringIO()
    Console(file=text, width=200).print(_table(rows))
    return text.getvalue()


def _table(rows: list[Row]) -> Table:
    """One line for each image, which fits 80 columns."""
    several, others = "labels" in rows[0], len(rows[0]["classes"]) > 1
    table = Table(box=SIMPLE_HEAD)
    table.add_column("image", overflow="fold", min_width=12)
    for heading in ["labels"] * several + ["class"]:
        table.add_column(heading, overflow="fold")
    table.add_column("probability", justify="right", no_wrap=True, min_width=len("probability"))
    if others:
        table.add_column("next", overflow="fold")
    for row in rows:
        first, *rest = row["classes"]
        cells = [escape(row["image"])]
        if several:
            cells.append(escape(", ".join(row["labels"]) or "none"))
        cells += [escape(first["class"]), f"{first['probability']:.3f}"]
        if others:
            cells.append(escape(", ".join(f"{e['class']} {e['probability']:.3f}" for e in rest)))
        table.add_row(*cells)
    return table
