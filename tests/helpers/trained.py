"""Small runs on the built-in images, trained once for all tests of a process."""

import atexit
import shutil
from functools import cache
from io import StringIO
from pathlib import Path
from tempfile import mkdtemp

from rich.console import Console

from sib.cli.console import ConsoleReporter
from sib.config.evaluate import AttributionConfig, EvaluateConfig
from sib.config.train import InputConfig, ObjectiveConfig
from sib.evaluation.evaluate import evaluate
from sib.training import TrainConfig, train

FAST = AttributionConfig(steps=2, samples=2)
PUBLISHED = ObjectiveConfig(kind="published", window_size=7)


def quiet():
    """A console whose text can be read with ``file.getvalue()``."""
    return Console(file=StringIO(), width=120)


@cache
def trained(method="ce", seed=0, test_size=20, split_seed=0) -> Path:
    """A run folder; not to be written into, see `copied`."""
    folder = Path(mkdtemp(prefix="sib-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    out = folder / f"{method}-{seed}"
    config = TrainConfig(
        data="digits",
        out=out,
        arch="small_resnet",
        method=method,
        epochs=1,
        batch_size=16,
        image_size=32,
        seed=seed,
        workers=0,
        device="cpu",
        objective=PUBLISHED if method == "sib" else ObjectiveConfig(),
        input=InputConfig(train_size=60, test_size=test_size, split_seed=split_seed),
    )
    train(config, ConsoleReporter(quiet()))
    return out


@cache
def evaluated(method="ce", seed=0) -> Path:
    """The same with an evaluation in it."""
    run = trained(method, seed)
    evaluate(EvaluateConfig(run=run, device="cpu", attribution=FAST), quiet())
    return run
