"""``sib report``: from run folders to one page. Load, compute what is missing, render."""

from typing import Any

from rich.console import Console

from sib import __version__
from sib.config.report import ReportConfig
from sib.evaluation.compare import explanation
from sib.evaluation.missing import read_or_evaluate
from sib.figures.curves import curves
from sib.report import page
from sib.report.compute import Computed, compute
from sib.report.load import Loaded, load
from sib.utils.errors import InputError
from sib.utils.files import write_whole


def report(config: ReportConfig, console: Console) -> None:
    """Write the page.

    Raises:
        InputError: bad input, in one sentence.
    """
    loaded = load(
        read_or_evaluate(
            config.runs,
            config.device,
            console,
            trust_code=config.trust_code,
            data=config.data,
            layer=config.layer,
        )
    )
    computed = compute(config, loaded, console)
    text = page.render(_values(config, loaded, computed))
    try:
        config.out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(config.out, text)
    except OSError as error:
        raise InputError(f"--out {config.out} cannot be written: {error.strerror}") from None
    console.print(f"written to {config.out}", highlight=False, markup=False, soft_wrap=True)


def _values(config: ReportConfig, loaded: Loaded, computed: Computed) -> dict[str, Any]:
    """What the template shows."""
    evaluations, found = loaded.evaluations, computed.comparison
    values: dict[str, Any] = {
        "title": f"What {_listed([group.name for group in loaded.groups])} look at",
        "lead": _lead(loaded),
        "summary": page.summary(evaluations, config.methods),
        "scatter": page.scatter(evaluations),
        "comparison": page.comparison(found, explanation(found)) if found else None,
        "curves": curves(_logged(loaded)),
        "warnings": page.warnings(evaluations),
        "galleries": [
            page.gallery(
                section.anchor,
                section.title,
                section.text,
                [computed.rows[place] for place in section.places],
                computed.shown,
                config.methods,
            )
            for section in computed.sections
        ],
        "no_gallery": computed.no_images,
        "audit": computed.audit,
        "repeat": page.repeat(evaluations),
        "written_by": f"sib {__version__}",
    }
    return values | {"sections": _sections(values)}


def _logged(loaded: Loaded) -> list[dict[str, Any]]:
    """What each run logged while it trained."""
    return [
        {"name": member.name, "group": group.name, "epochs": member.run.epochs}
        for group in loaded.groups
        for member in group.members
        if member.run and member.run.epochs
    ]


def _lead(loaded: Loaded) -> str:
    facts, count = loaded.evaluations[0].facts, len(loaded.evaluations)
    return (
        f"{count} run{'s' * (count > 1)}, {facts['images']} images, {len(facts['classes'])} "
        "classes. An explanation is good where it lies on the object: the share of it inside the "
        "annotated foreground is called energy here."
    )


def _sections(values: dict[str, Any]) -> list[tuple[str, str]]:
    found = [("summary", "Summary")]
    if values["comparison"]:
        found.append(("comparison", "How surely the runs differ"))
    if values["curves"]:
        found.append(("training", "Training"))
    found += [(section["anchor"], section["title"]) for section in values["galleries"]]
    if values["audit"]:
        found += [(run["anchor"], f"Audit of {run['name']}") for run in values["audit"]["runs"]]
    return [*found, ("repeat", "How to repeat it")]


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
