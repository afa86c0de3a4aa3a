"""What a run reports about its images and its network before the first step."""

from typing import Any

import torch

from sib.config.train import TrainConfig
from sib.data import Splits
from sib.data.annotation_notes import sentences
from sib.models.layers import chosen_layer
from sib.models.outputs import output_note
from sib.tasks.task import Task
from sib.training.reporter import Reporter
from sib.training.setup import describe_layers, describe_objective, deviations
from sib.training.start import describe_input
from sib.utils.device import describe_device

TRIED = "tried_layer"
"""Name in the run's record of the layer that was found by trying, which depends on the weights."""


def report_data(
    config: TrainConfig, splits: Splits, device: torch.device, reporter: Reporter
) -> None:
    """Report the images, the objective, and where the run deviates from the method."""
    reporter.data(splits, config)
    for sentence in sentences(splits.description):
        reporter.info(sentence)
    if config.method == "sib":
        reporter.info(describe_objective(config))
    if describe_device(device).get("tf32_convolutions") and config.precision == "float32":
        reporter.info("convolutions compute in TF32, which is torch's default on this GPU")
    for deviation in deviations(config):
        reporter.info(f"deviates from the method: {deviation}")


def report_model(
    config: TrainConfig, task: Task, sources: dict[str, Any], reporter: Reporter
) -> dict[str, Any]:
    """Report the network, its input and its layers.

    Args:
        config: the run's options.
        task: holds the model.
        sources: as returned by `input_sources`.
        reporter: where to report.

    Returns:
        What ``environment.json`` records of them.
    """
    if config.memory_format == "channels_last":
        reporter.info("memory format: channels last")
    if config.unfreeze_after is not None and config.unfreeze_after >= config.epochs:
        reporter.info(
            f"--unfreeze-after {config.unfreeze_after}: the run ends after epoch "
            f"{config.epochs}, so nothing is unfrozen"
        )
    reporter.info(describe_input(config, sources))
    layers, about_layers = describe_layers(config, task)
    outputs = output_note(task.model)
    for sentence in (*about_layers, *([outputs] if outputs else [])):
        reporter.info(sentence)
    return {
        **sources,
        "layers": None if layers is None else layers.as_dict(),
        **({"outputs": outputs} if outputs else {}),
        **({} if config.layer else {TRIED: chosen_layer(task.model)}),
    }
