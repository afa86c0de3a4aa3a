"""A study file, read and checked before anything runs."""

from dataclasses import dataclass
from pathlib import Path

from sib.study.evaluation import Evaluation, read_evaluation
from sib.study.settings import Common, Setting, read_settings
from sib.study.values import Values, read_values
from sib.utils.errors import InputError

KEYS = (
    "data",
    "root",
    "out",
    "seeds",
    "split_seeds",
    "common",
    "settings",
    "evaluate",
    "audit",
    "reference",
    "choose_by",
    "accuracy_margin",
    "parallel",
)
WITHIN = "foreground_energy_within_accuracy"
CHOOSE_BY = ("accuracy", "foreground_energy", WITHIN)


@dataclass(frozen=True)
class Study:
    """What a study file describes."""

    file: Path
    text: str
    """The file's path."""
    out: Path
    seeds: tuple[int, ...]
    split_seeds: tuple[int, ...]
    settings: tuple[Setting, ...]
    evaluation: Evaluation
    audit: bool
    """Whether runs are audited as well as evaluated on test."""
    reference: str
    """Name of the setting to which the others are compared."""
    choose_by: str
    accuracy_margin: float
    """How much lower than the reference's a grid point's validation accuracy may be; for the last
    of the three ways to choose."""
    parallel: int | None

    @property
    def needs_energy(self) -> bool:
        """Whether grid points are chosen by their foreground energy on validation."""
        grids = any(len(setting.points) > 1 for setting in self.settings)
        return grids and self.choose_by != CHOOSE_BY[0]


def read_study(file: Path) -> Study:
    """Read a study file.

    Args:
        file: YAML; see docs/study.md.

    Raises:
        InputError: a key or a value is not allowed; the message names the file and the key.
    """
    text, values = read_values(file)
    values.allow(KEYS)
    common = Common(
        file, values.text("data"), values.text("root", "data"), values.mapping("common")
    )
    settings = read_settings(common, values.mapping("settings"))
    choose_by = values.choice("choose_by", CHOOSE_BY)
    if "accuracy_margin" in values.content and choose_by != WITHIN:
        raise InputError(f"{file}: accuracy_margin is only used with choose_by {WITHIN}")
    return Study(
        file=file,
        text=text,
        out=Path(values.text("out")).expanduser(),
        seeds=values.seeds("seeds", [0]),
        split_seeds=values.seeds("split_seeds", [0]),
        settings=settings,
        evaluation=read_evaluation(file, values.mapping("evaluate")),
        audit=values.flag("audit"),
        reference=_reference(values, settings),
        choose_by=choose_by,
        accuracy_margin=values.share("accuracy_margin", 0.0),
        parallel=values.count("parallel"),
    )


def _reference(values: Values, settings: tuple[Setting, ...]) -> str:
    """The named setting, or the first of plain cross-entropy, or the first."""
    names = [setting.name for setting in settings]
    if "reference" in values.content:
        name = values.text("reference")
        if name not in names:
            raise InputError(
                f"{values.file}: reference must be one of {', '.join(names)}; got {name!r}"
            )
        return name
    plain = (s.name for s in settings if all(p.config.method == "ce" for p in s.points))
    return next(plain, names[0])
