"""Study files and run folders for the tests."""

import json
from pathlib import Path

import numpy as np
import yaml

from sib.config.stored import as_dict
from sib.evaluation.evaluate import options, summarise
from sib.evaluation.scores import Scores
from sib.evaluation.stored import EVALUATION
from sib.study.description import read_study
from sib.study.plan import plan_runs
from sib.utils.files import sha256_of

COMMON = {
    "arch": "helpers.nets:group_norm_net",
    "epochs": 1,
    "batch_size": 16,
    "image_size": 16,
    "workers": 0,
    "device": "cpu",
    "objective": {"kind": "published", "window_size": 5},
    "input": {"train_size": 60, "test_size": 20, "cache": "off"},
}
EVALUATE = {"methods": ["saliency", "vjp"], "metrics": ["energy_pointing_game"]}
SETTINGS = {"ce": {"method": "ce"}, "sib": {"method": "sib"}}


def written(folder: Path, **changes) -> Path:
    """A study file; a change to None removes the key."""
    content = {
        "data": "digits",
        "out": str(folder / "out"),
        "seeds": [0, 1],
        "common": COMMON,
        "settings": SETTINGS,
        "evaluate": EVALUATE,
    } | changes
    file = folder / "study.yaml"
    content = {key: value for key, value in content.items() if value is not None}
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return file


def planned(folder: Path, **changes):
    """The study and its runs."""
    study = read_study(written(folder, **changes))
    return study, plan_runs(study)


def pretend_trained(run, validation=0.5, test=0.5):
    """A run folder as a training leaves it, with made-up figures."""
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / "config.yaml").write_text(yaml.safe_dump(as_dict(run.config)))
    (run.folder / "environment.json").write_text("{}")
    run.weights.write_bytes(run.name.encode())
    result = {"validation_accuracy": validation, "test": {"accuracy": test}}
    (run.folder / "result.json").write_text(json.dumps(result))


def pretend_evaluated(run, split, accuracy, energies):
    """An evaluation of ten images with this accuracy and these energies, a pair of methods."""
    predicted = [0] * round(10 * accuracy) + [1] * round(10 * (1 - accuracy))
    columns = [(method, "energy_pointing_game") for method in run.evaluation.config.methods]
    scores = Scores(
        [f"image{number}" for number in range(10)],
        [0] * 10,
        predicted,
        [0.9] * 10,
        [0.25] * 10,
        columns,
        np.tile(np.array(energies, dtype=float), (10, 1)),
    )
    found = summarise(scores) | {
        "format": 1,
        "options": options(run.evaluation.config) | {"split": split},
        "weights_sha256": sha256_of(run.weights),
        "image_size": 16,
        "pixels_sha256": f"pixels of split {run.split_seed}",
        "unavailable": [],
        "classes": ["0", "1"],
        "arch": run.config.arch,
        "normalization": "half",
        "command": ["sib", "evaluate", run.name],
        "versions": {},
    }
    EVALUATION.save(run.evaluation_folder(split), scores, found)
