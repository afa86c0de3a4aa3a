"""How the runs of a study are evaluated."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sib.config.evaluate import EvaluateConfig
from sib.config.yaml_options import from_arguments, options_of
from sib.evaluation.evaluate import options
from sib.evaluation.stored import EVALUATION, FOREGROUNDS
from sib.explain import default_methods
from sib.runs.reader import read_json
from sib.utils.errors import InputError
from sib.utils.files import sha256_of

ENERGY = "energy_pointing_game"
LISTS = ("methods", "metrics")
KEYS = (*LISTS, "limit", "target", "batch_size", "attribution")


@dataclass(frozen=True)
class Evaluation:
    """Options of ``sib evaluate``."""

    arguments: tuple[str, ...]
    config: EvaluateConfig

    def is_done(self, folder: Path, weights: Path, split: str) -> bool:
        """Whether a folder holds this evaluation, undamaged and of these weights.

        A damaged evaluation counts as missing, so that it is repeated. The weights may have been
        removed since.
        """
        try:
            found = read_json(folder / EVALUATION.result)
            scores = sha256_of(folder / EVALUATION.images)
            weighed = sha256_of(weights) if weights.exists() else found.get("weights_sha256")
        except (InputError, OSError):
            return False
        table = found.get("table", {})
        known = set(table) | (set() if self.config.methods else set(found.get("unavailable", ())))
        return (
            found.get("format") == EVALUATION.format
            and _given(found.get("options")) == options(self.config) | {"split": split}
            and found.get("images_sha256") == scores
            and found.get("weights_sha256") == weighed
            and known >= set(self.config.methods or default_methods())
            and all(set(row) >= set(self.config.metrics) for row in table.values())
        )


def _given(recorded: Any) -> Any:
    """The options of an evaluation without what its annotation decided."""
    if not isinstance(recorded, dict):
        return recorded
    return {name: value for name, value in recorded.items() if name != FOREGROUNDS}


def read_evaluation(file: Path, described: dict[Any, Any]) -> Evaluation:
    """The options under the key ``evaluate``.

    Raises:
        InputError: one is not allowed, or the foreground energy is not among the metrics.
    """
    where = f"{file}: evaluate"
    described = {str(key).replace("-", "_"): value for key, value in described.items()}
    for key in described:
        if key.partition(".")[0] not in KEYS:
            raise InputError(f"{where}: {key} is not an option; allowed are {', '.join(KEYS)}")
    arguments: list[str] = []
    for key in LISTS:
        if key in described:
            arguments += [f"--{key}", *_names(described[key], f"{where}: {key}")]
    rest = {key: value for key, value in described.items() if key not in LISTS}
    arguments += options_of(EvaluateConfig, rest, where)
    config = from_arguments(EvaluateConfig, ["run", *arguments], where)
    if ENERGY not in config.metrics:
        raise InputError(
            f"{where}: metrics must name {ENERGY}, the foreground energy that a study reports"
        )
    return Evaluation(tuple(arguments), config)


def _names(value: Any, where: str) -> list[str]:
    if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
        raise InputError(
            f"{where} must be a list of names, such as [saliency, gradcam]; got {value!r}"
        )
    return value
