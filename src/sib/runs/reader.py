"""Reading what a run left behind, without the training code."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from sib.config.yaml_file import parse_yaml
from sib.utils.errors import InputError
from sib.utils.files import or_weights_in

IMAGES = "images.csv"
"""The images of each split."""


class Run(NamedTuple):
    """A run folder as later stages see it."""

    path: Path
    config: dict[str, Any]
    """``config.yaml``."""
    environment: dict[str, Any]
    """``environment.json``: versions and data; empty if it is missing."""
    epochs: list[dict[str, Any]]
    """``metrics.jsonl``, one record per epoch."""
    result: dict[str, Any] | None
    """``result.json``; None for a run that has not ended."""

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name


def is_run(path: Path) -> bool:
    """Whether a folder holds a run."""
    return (path / "config.yaml").is_file()


def read_run(path: Path) -> Run:
    """Read a run folder.

    Raises:
        InputError: there is no run, or one of its files is damaged.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; give a run folder of sib train")
    if not is_run(path):
        raise InputError(
            f"{path} holds no run (no config.yaml); give a run folder of sib train"
            f"{or_weights_in(path)}"
        )
    config = _read(path / "config.yaml", parse_yaml)
    for key, kind in (("data", str), ("arch", str), ("method", str), ("seed", int)):
        if key not in config:
            raise InputError(f"{path / 'config.yaml'} is damaged: it has no {key}")
        if not isinstance(config[key], kind):
            raise InputError(f"{path / 'config.yaml'} is damaged: {key} is {config[key]!r}")
    environment, result = path / "environment.json", path / "result.json"
    return Run(
        path,
        config,
        read_json(environment) if environment.exists() else {},
        read_epochs(path),
        read_json(result) if result.exists() else None,
    )


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds one object.

    Raises:
        InputError: it cannot be read or holds something else.
    """
    return _read(path, json.loads)


def _read(path: Path, parse: Any) -> dict[str, Any]:
    try:
        content = parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path} is damaged and cannot be read: {' '.join(str(error).split())}"
        ) from None
    if not isinstance(content, dict):
        raise InputError(f"{path} is damaged: it holds no options")
    return content


def read_epochs(folder: Path) -> list[dict[str, Any]]:
    """The records of a run's epochs. The last line may be torn by a stop, and is then left out.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / "metrics.jsonl"
    if not path.exists():
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        records = [json.loads(line) for line in lines if line.endswith("\n")]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged and cannot be read: {error}") from None
    for number, record in enumerate(records, start=1):
        if not isinstance(record, dict):
            raise InputError(f"{path} is damaged: line {number} holds no record of an epoch")
    return [_migrate(record) for record in records]


def _migrate(record: dict[str, Any]) -> dict[str, Any]:
    """Bring a record to the current form; sib 0.1 had two terms, beside the other values."""
    if "terms" in record or "foreground" not in record:
        return record
    terms = {name: record[name] for name in ("foreground", "background") if name in record}
    rest = {key: value for key, value in record.items() if key not in terms}
    weights = rest.pop("share_weights", None)
    if weights is None:
        return rest | {"terms": terms}
    image, layer, stages = weights
    return rest | {"terms": terms, "weights": {"image": image, "stages": stages, "layer": layer}}
