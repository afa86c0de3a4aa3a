"""``sib export``: a classifier in a format that runs without sib, checked against the model."""

import io
import json
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from safetensors.torch import load_file, save
from torch import Tensor, nn

from sib.config.deploy import ExportConfig
from sib.evaluation.classifier import Classifier
from sib.evaluation.from_options import load_from_options
from sib.utils.errors import InputError, ProblemsFound
from sib.utils.files import write_whole
from sib.utils.image_size import height_width, plain_size
from sib.utils.normalization import statistics

TOLERANCE = 1e-4
"""Largest difference between the logits of model and export, relative to the largest logit."""
ENDINGS = {"onnx": "onnx", "pt2": "pt2", "torchscript": "ts", "safetensors": "safetensors"}
ONNX = ("onnx", "onnxscript", "onnxruntime")
Run = Callable[[Tensor], Tensor]


def export(config: ExportConfig, console: Console) -> Path:
    """Export, check on batches of different sizes and signs, and write the facts beside.

    An earlier file of the same name is replaced once the new one has been checked.

    Returns:
        The exported file.

    Raises:
        InputError: the classifier cannot be opened or cannot be exported in this format.
        ProblemsFound: the exported network gives other logits; it is not written.
    """
    check_packages(config.format)
    device = "cpu" if config.device == "auto" else config.device
    classifier = load_from_options(config, config.run, device)
    name = config.run.resolve().name if config.run.is_dir() else config.run.stem
    path = config.out or Path(f"{name}.{ENDINGS[config.format]}")
    if path.exists() and path.resolve() == config.run.resolve():
        raise InputError(f"--out {path} is the file to export; give another name")
    difference = _write_and_check(classifier, config.format, path)
    facts = path.with_name(f"{path.name}.json")
    try:
        write_whole(facts, json.dumps(facts_of(classifier), indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise InputError(f"{facts} cannot be written: {error.strerror}") from None
    console.print(
        f"{path}: logits differ from the model's by at most {difference:.1e} of the largest; "
        f"classes and normalisation are in {facts}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    return path


def check_packages(kind: str) -> None:
    """Raise InputError if a format needs packages that are not installed."""
    missing = [name for name in ONNX if find_spec(name) is None] if kind == "onnx" else []
    if missing:
        raise InputError(
            f"--format onnx needs {', '.join(missing)}, which are not installed: "
            "pip install 'sib[onnx]'"
        )


def facts_of(classifier: Classifier) -> dict[str, Any]:
    """What a user of the exported network must know."""
    mean, deviation = statistics(classifier.normalization)
    return {
        "arch": classifier.arch,
        "classes": classifier.classes,
        "image_size": plain_size(classifier.image_size),
        "resize": classifier.resize,
        "normalization": {"mean": mean, "std": deviation},
        "input": "float32 (B, 3, image_size, image_size): (pixels / 255 - mean) / std, RGB",
        **output_of(classifier),
    }


def output_of(classifier: Classifier) -> dict[str, str]:
    """What the outputs of the network mean."""
    if classifier.label_kind == "multi":
        words = "logits (B, K), a label each; its probability is their sigmoid"
        return {"label_kind": "multi", "output": words}
    if classifier.is_binary:
        words = "logit (B, 1); its sigmoid is the probability of the second class"
        return {"output": words}
    return {"output": "logits (B, K)"}


def _write_and_check(classifier: Classifier, kind: str, path: Path) -> float:
    model, size = classifier.model.eval(), height_width(classifier.image_size)
    example = torch.randn(2, 3, *size, device=classifier.device)
    other = torch.randn(3, *example.shape[1:], device=classifier.device)
    # a trace that took one branch of the code gives other logits where the signs are turned
    batches = (example, other, -example, -other)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as folder,
            _without_remarks(),
            torch.no_grad(),
        ):
            part = Path(folder) / path.name
            run = WRITERS[kind](classifier, example, part)
            difference = max(_difference(model(batch), run(batch)) for batch in batches)
            if difference <= TOLERANCE:
                part.replace(path)
    except OSError as error:
        raise InputError(f"--out {path} cannot be written: {error.strerror or error}") from None
    except Exception as error:  # exporters raise many kinds of exceptions
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"--format {kind}: {classifier.arch} cannot be exported this way: {reason}"
        ) from None
    if not difference <= TOLERANCE:
        raise ProblemsFound(
            f"{path} is not written: its logits would differ from the model's by {difference:.1e} "
            f"of the largest, and at most {TOLERANCE:g} is allowed"
        )
    return difference


@contextmanager
def _without_remarks() -> Iterator[None]:
    """Silence what exporters warn and print; their errors are reported in one sentence."""
    with warnings.catch_warnings(), redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _difference(expected: Tensor, found: Tensor) -> float:
    largest = expected.abs().max().clamp_min(1e-12)
    return ((found.to(expected) - expected).abs().max() / largest).item()


def _safetensors(classifier: Classifier, example: Tensor, path: Path) -> Run:
    facts = facts_of(classifier)
    names = ("arch", "classes", "image_size", "resize", "normalization")
    kept = {name: facts[name] for name in (*names, "label_kind") if name in facts}
    state = {name: value.contiguous() for name, value in classifier.model.state_dict().items()}
    path.write_bytes(save(state, {"sib": json.dumps(kept)}))  # whose error names a full disk
    return lambda batch: torch.func.functional_call(classifier.model, load_file(path), batch)


def _torchscript(classifier: Classifier, example: Tensor, path: Path) -> Run:
    content = io.BytesIO()  # torch does not tell a full disk from other errors
    torch.jit.save(torch.jit.trace(classifier.model, example), content)
    path.write_bytes(content.getvalue())
    return torch.jit.load(str(path))


def _pt2(classifier: Classifier, example: Tensor, path: Path) -> Run:
    content = io.BytesIO()
    torch.export.save(_exported(classifier.model, example), content)
    path.write_bytes(content.getvalue())
    return torch.export.load(path).module()


def _onnx(classifier: Classifier, example: Tensor, path: Path) -> Run:
    import onnxruntime

    program = torch.onnx.export(
        _exported(classifier.model, example),
        input_names=["images"],
        output_names=["logits"],
        dynamo=True,
        verbose=False,
    )
    assert program is not None  # with dynamo and without a file, torch returns the program
    program.save(path, external_data=False)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda batch: torch.from_numpy(session.run(None, {"images": batch.cpu().numpy()})[0])


def _exported(model: nn.Module, example: Tensor) -> torch.export.ExportedProgram:
    batch = torch.export.Dim("batch", min=1)
    return torch.export.export(model, (example,), dynamic_shapes=({0: batch},))


WRITERS: dict[str, Callable[[Classifier, Tensor, Path], Run]] = {
    "onnx": _onnx,
    "pt2": _pt2,
    "torchscript": _torchscript,
    "safetensors": _safetensors,
}
