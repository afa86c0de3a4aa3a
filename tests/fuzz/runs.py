"""Files of a run folder, of a study and of weights as targets."""

import io
import json
import lzma

import torch
import yaml
from safetensors.torch import save

from fuzz.target import BREAK, Target, folder, saved, write
from sib.cli.config_files import expand_config
from sib.config.stored import as_dict
from sib.evaluation.scores import FACTS, read_scores
from sib.models.weights import read_weights
from sib.runs.archive_file import read_archive, write_archive
from sib.runs.folder import RunFolder
from sib.runs.reader import read_run
from sib.runs.state_file import STATE
from sib.training import TrainConfig


def read_options(data: bytes) -> object:
    path = folder("yaml") / "options.yaml"
    path.write_bytes(data)
    return expand_config(TrainConfig, ["--config", str(path)])


def yaml_seeds() -> list[bytes]:
    whole = as_dict(TrainConfig(data="digits"))
    return [
        yaml.safe_dump(whole).encode(),
        b"recipe: cub200/resnet50\nepochs: 3\nobjective:\n  slope: 3.5\n  projection-dim: null\n",
        b"objective.window-size: 7\ninput: {augment: flip, cache: 'off'}\nresume: no\n",
        b"a: &a [1, 2]\nb: *a\n? [x]\n: 2001-12-14\n<<: {epochs: 2}\n!!set {}\n",
    ]


RUN_FILES = ("config.yaml", "environment.json", "metrics.jsonl", "result.json")


def read_folder(data: bytes) -> object:
    root = folder("run")
    write(root, RUN_FILES, data)
    found = read_run(root)
    assert all(isinstance(record, dict) for record in found.epochs)
    return found


def run_seeds() -> list[bytes]:
    config = yaml.safe_dump(as_dict(TrainConfig(data="digits"))).encode()
    environment = b'{"versions": {"format": "1"}, "data": {"name": "digits", "images": 3}}'
    lines = b'{"epoch": 1, "loss": 0.5}\n{"epoch": 2, "loss": null}\n{"epo'
    result = b'{"best_epoch": 1, "test": {"accuracy": 0.5}}'
    return [BREAK.join([config, environment, lines, result][:count]) for count in (1, 2, 3, 4)]


def read_table(data: bytes) -> object:
    path = folder("scores") / "evaluation.csv"
    path.write_bytes(data)
    found = read_scores(path)
    assert found.values.shape == (len(found.names), len(found.columns))
    return found


def scores_seeds() -> list[bytes]:
    header = ",".join([*FACTS, "vjp/sparseness", "gradcam/pointing_game"])
    rows = ["a.png,0,1,0.75,0,,0.5,", '"b, c.png",1,1,1e-3,1,0.25,nan,1.0']
    return ["\n".join([header, *rows, ""]).encode(), ",".join(FACTS).encode() + b"\na,0,0,1,1,\n"]


def read_any_weights(data: bytes) -> object:
    of_torch = data[:1] in (b"P", b"\x80")  # a zip archive or a bare pickle
    path = folder("weights") / f"weights{'.pt' if of_torch else '.safetensors'}"
    path.write_bytes(data)
    return read_weights(path)


def weights_seeds() -> list[bytes]:
    state = {"module.fc.weight": torch.arange(6.0).reshape(2, 3), "fc.bias": torch.zeros(2)}
    facts = {"sib": json.dumps({"arch": "small_resnet", "classes": ["a", "b"]})}
    old = io.BytesIO()
    torch.save(state, old, _use_new_zipfile_serialization=False)
    return [save(state), save(state, facts), saved(state), saved({"model": state}), old.getvalue()]


def read_resume(data: bytes) -> object:
    root = folder("resume")
    write(root, ("config.yaml", "state.pt"), data)
    run_folder, config = RunFolder(root), TrainConfig(data="digits", out=root, arch="small_resnet")
    state = run_folder.load_state()
    return run_folder.check_same(config, state)


def resume_seeds() -> list[bytes]:
    config = TrainConfig(data="digits", out=folder("resume"), arch="small_resnet")
    options = yaml.safe_dump(as_dict(config)).encode()
    state = dict.fromkeys(STATE, torch.zeros(4)) | {"epoch": 2, "step": 9, "best": {"epoch": 1}}
    return [options, options + BREAK + saved(state), options + BREAK + saved([1])]


def read_records(data: bytes) -> object:
    path = folder("archive") / "study.tar.xz"
    path.write_bytes(data)
    return list(read_archive(path))


def archive_seeds() -> list[bytes]:
    path = folder("archive") / "study.tar.xz"
    write_archive(path, {"study.json": b"{}", "runs/ce-0/config.yaml": b"data: x" * 99})
    whole = path.read_bytes()
    plain = lzma.decompress(whole)  # without a checksum of the whole, mutations get further
    return [whole, lzma.compress(plain, check=lzma.CHECK_NONE), lzma.compress(plain[:1024])]


TARGETS = {
    "archive": Target(read_records, archive_seeds),
    "yaml": Target(read_options, yaml_seeds),
    "run": Target(read_folder, run_seeds),
    "scores": Target(read_table, scores_seeds),
    "weights": Target(read_any_weights, weights_seeds),
    "resume": Target(read_resume, resume_seeds),
}
