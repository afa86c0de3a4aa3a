"""The run folder: everything that a later stage reads."""

import json
import math
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from sib.config.facts import resumable
from sib.config.stored import as_dict, differences
from sib.config.train import TrainConfig
from sib.config.yaml_file import parse_yaml
from sib.runs.reader import IMAGES
from sib.runs.state_file import newest_state, write_state
from sib.utils.errors import InputError
from sib.utils.files import write_whole
from sib.utils.locks import FolderLock

FILES = (
    "config.yaml",
    "environment.json",
    IMAGES,
    "metrics.jsonl",
    "last.safetensors",
    "best.safetensors",
    "ema.safetensors",
    "foregrounds.safetensors",
    "tracking.json",
    "state.pt",
    "state-before.pt",
    "result.json",
)


class RunFolder:
    """The files of one training run.

    - ``config.yaml``: the resolved configuration
    - ``environment.json``: versions and data
    - ``images.csv``: the images of each split, if they are files
    - ``metrics.jsonl``: one line per epoch
    - ``last.safetensors`` and ``best.safetensors``: weights; ``ema.safetensors``: their average, if
      one is kept
    - ``foregrounds.safetensors``: the foregrounds of the training images that the start network
      found, if it did
    - ``tracking.json``: what identifies the run in its trackers
    - ``state.pt``: what resuming needs, and ``state-before.pt``: its predecessor
    - ``result.json``: the final figures
    - ``.lock``: the process that works in the folder

    A file is replaced by writing the new one under another name first, so that a stop at any moment
    leaves the old one or the new one.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = FolderLock(path)
        self.warning: str | None = None
        """What was wrong with a state that could not be used."""

    def check_free(self) -> None:
        """Raise InputError if the folder already holds a run."""
        if (self.path / "config.yaml").exists():
            raise InputError(
                f"{self.path} holds a run already: continue with --resume, or choose another --out"
            )

    def create(
        self, config: TrainConfig, environment: dict[str, Any], images: str | None = None
    ) -> None:
        """Start a run in a new or empty folder.

        Args:
            config: the run's options.
            environment: versions and data.
            images: content of ``images.csv``.

        Raises:
            InputError: a run is there already, or the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.lock.acquire()
            self.check_free()
            write_whole(self.path / "environment.json", json.dumps(environment, indent=2))
            if images is not None:
                write_whole(self.path / IMAGES, images)
            self.save_config(config)  # last, because it is what makes the folder a run
        except OSError as error:
            raise InputError(f"--out {self.path} cannot be written: {error.strerror}") from None

    def clear(self) -> None:
        """Remove the files of a run, and nothing else.

        Raises:
            InputError: a file cannot be removed, or the path is not a folder.
        """
        for name in (*FILES, *(f".{name}.part" for name in FILES)):
            try:
                (self.path / name).unlink(missing_ok=True)
            except OSError as error:
                raise InputError(f"--out {self.path} cannot be used: {error.strerror}") from None

    def check_same(self, config: TrainConfig, state: dict[str, Any] | None) -> None:
        """Raise InputError unless the folder holds a run of this configuration that can continue.

        Args:
            config: the options of the run that is to continue.
            state: as returned by `load_state`.
        """
        changed = differences(self._read("config.yaml", parse_yaml), config, resumable(TrainConfig))
        if changed:
            raise InputError(
                f"--resume: {self.path} was started with different options: {'; '.join(changed)}"
            )
        done = state["epoch"] if state else 0
        finished = done == config.epochs and (self.path / "result.json").exists()
        if finished or config.epochs < done:
            raise InputError(
                f"--resume: {self.path} has {done} finished epochs; --epochs must be above that, "
                f"got {config.epochs}"
            )

    def was_launched_by(self, launch: str) -> bool:
        """Whether the folder holds a run that this launch of torchrun started."""
        if not launch or not (self.path / "config.yaml").exists():
            return False
        return self._read("environment.json", json.loads).get("launch") == launch

    def check_same_processes(self, processes: int) -> None:
        """Raise InputError if the number of processes, which share the images, has changed."""
        stored = self._read("environment.json", json.loads).get("processes", 1)
        if stored != processes:
            raise InputError(
                f"--resume: {self.path} was started with {stored} processes and must continue with "
                f"as many; got {processes}"
            )

    def check_same_data(self, description: dict[str, Any]) -> None:
        """Raise InputError if images were added, removed, changed or moved to another split.

        Args:
            description: the data as it is now, with its ``fingerprint`` if it has one.
        """
        stored = self._read("environment.json", json.loads).get("data")
        if not isinstance(stored, dict) or not {"splits_sha256", "images"} <= stored.keys():
            raise InputError(f"{self.path / 'environment.json'} is damaged: it describes no data")
        if stored["splits_sha256"] != description["splits_sha256"]:
            raise InputError(
                f"--resume: the images are not those that {self.path} was started with "
                f"({stored['images']} then, {description['images']} now), and test images could "
                "get into training; start a new run"
            )
        if stored.get("fingerprint", description.get("fingerprint")) != description.get(
            "fingerprint"
        ):
            raise InputError(
                f"--resume: images of {self.path} have the same names but different content now; "
                "start a new run"
            )

    def mark_resumed(self, config: TrainConfig) -> None:
        """Write the configuration, which may have changed, and remove the result.

        Raises:
            InputError: the folder cannot be written.
        """
        try:
            self.save_config(config)
            (self.path / "result.json").unlink(missing_ok=True)
        except OSError as error:
            raise InputError(f"--out {self.path} cannot be written: {error.strerror}") from None

    def save_config(self, config: TrainConfig) -> None:
        """Write ``config.yaml``."""
        write_whole(self.path / "config.yaml", yaml.safe_dump(as_dict(config), sort_keys=False))

    def log(self, record: dict[str, Any]) -> None:
        """Append one line to ``metrics.jsonl``; NaN becomes null."""
        with open(self.path / "metrics.jsonl", "a") as file:
            file.write(json.dumps(_plain(record)) + "\n")

    def drop_after(self, epoch: int) -> None:
        """Drop the lines of epochs that were logged but never saved."""
        file = self.path / "metrics.jsonl"
        # a line that was being written at a stop has no end
        lines = file.read_text().splitlines(keepends=True) if file.exists() else []
        whole = [line.rstrip("\n") for line in lines if line.endswith("\n")]
        try:
            kept = [line for line in whole if json.loads(line)["epoch"] <= epoch]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise InputError(f"{file} is damaged: a line holds no record of an epoch") from None
        write_whole(self.path / "metrics.jsonl", "".join(line + "\n" for line in kept))

    def save_weights(self, name: str, model: torch.nn.Module, facts: dict[str, Any]) -> None:
        """Write ``NAME.safetensors`` with facts (architecture, classes, …) in its header."""
        weights = {key: value.contiguous() for key, value in model.state_dict().items()}
        # a single key, since safetensors writes several in an order that varies between processes
        content = save(weights, {"sib": json.dumps(facts)})
        write_whole(self.path / f"{name}.safetensors", content)

    def load_weights(self, name: str, model: torch.nn.Module) -> None:
        """Read ``NAME.safetensors`` into the model.

        Raises:
            InputError: the file is missing, torn, or of another architecture.
        """
        path = self.path / f"{name}.safetensors"
        try:
            with safe_open(path, framework="pt") as file:
                model.load_state_dict({key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118
        except (FileNotFoundError, SafetensorError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(f"{path} does not hold this model's weights: {reason}") from None

    def save_state(self, state: dict[str, Any]) -> None:
        """Write ``state.pt``: tensors and plain values only. Its predecessor is kept."""
        write_state(self.path / "state.pt", state)

    def open_for_resume(self, patience: float = 0.0) -> dict[str, Any] | None:
        """Lock the folder of a run that is to continue, and return its newest whole state.

        Args:
            patience: seconds to wait for a process that holds the lock.

        Raises:
            InputError: there is no run, another process holds it, or none of its states is intact.
        """
        if not (self.path / "config.yaml").exists():
            raise InputError(f"--resume: {self.path} holds no run; start one without --resume")
        self.lock.acquire(patience)
        return self.load_state()

    def load_state(self) -> dict[str, Any] | None:
        """Read the newest whole state without running any code; None if none was saved.

        If the newest is torn, its predecessor is read and `warning` says so.

        Raises:
            InputError: there are states, but none is whole or of a known format.
        """
        state, self.warning = newest_state(self.path / "state.pt")
        return state

    def save_result(self, result: dict[str, Any]) -> None:
        """Write ``result.json``."""
        write_whole(self.path / "result.json", json.dumps(_plain(result), indent=2))

    def _read(self, name: str, parse: Any) -> dict[str, Any]:
        path = self.path / name
        try:
            content = parse(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{path} is damaged and cannot be read: {reason}") from None
        if not isinstance(content, dict):
            raise InputError(f"{path} is damaged: it holds no options")
        return content


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
