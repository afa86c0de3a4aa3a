"""The options of a training run: typed, nested and documented; the command line shows them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sib.config.facts import GUIDED, SPATIAL_IB, option
from sib.config.fine_tuning import FineTuningConfig
from sib.config.main_options import MainOptions
from sib.config.options import (
    InputConfig,
    ObjectiveConfig,
    OptimizerConfig,
    RivalConfig,
    ScheduleConfig,
)


@dataclass(frozen=True)
class TrainOptions(FineTuningConfig, MainOptions):
    """The fields of `TrainConfig`, which checks them."""

    labels: Path | None = None
    """A CSV of several labels an image, for a folder of images: a column labels with ; or | between
    them, or a column of 0 and 1 for each label. The loss is binary cross-entropy, and the best
    epoch is chosen by mAP."""
    root: Path = option(Path("data"), resume=True, harmless=True)
    """Folder of the named data sets. sib data prepare puts them there."""
    guided_share: float | None = option(None, only_for=GUIDED)
    """Share of the annotated training images whose foreground is used, 0 to 1; always the same
    images. In sib it replaces the foreground that S-IB finds. Default: 0 for sib, 1 for rrr and
    energy."""
    guided_labels: Literal["union", "each", "drawn"] = option("union", only_for=("calibrated",))
    """calibrated only, with --labels and --guided-share. union: all objects of an image guide the
    decision about all of its labels. each: its own objects guide each label; R is computed once for
    every label, which takes longer. drawn: the same for one random label in each step, at the cost
    of union. each and drawn need --input.annotations that name the classes of objects."""
    foreground: Literal["colours", "pretrained", "auto"] = option("auto", only_for=("calibrated",))
    """calibrated only: how the foreground of an image without a used annotation is found. colours:
    in each batch, from the reconstruction R. pretrained: once, by the network of --weights. auto:
    pretrained if --weights is given, colours otherwise."""
    background_exchange: float = option(0.0, only_for=GUIDED)
    """Share of the images with a used foreground whose background is exchanged for that of another
    image in the batch, 0 to 1."""
    layer: str | None = None
    """Module that counts as the last stage, such as layer3. Class activation maps and objectives
    that use features take them there, and later commands remember it. Default: the architecture's
    own."""
    stages: str | None = option(None, only_for=("calibrated",), joined=",")
    """calibrated only: modules that end the finer stages, separated by commas, such as
    layer3,layer2, or none. Default: up to three, found by the sizes of their outputs."""
    selection: Literal["validation", "test"] = "validation"
    """Split on which the best epoch is chosen. validation: images held out of the training
    split. test: as published; nothing is held out, so the test figure is optimistic."""
    micro_batch: int | None = option(None, resume=True)
    """Most images whose graph is in memory at once, at least 1. Lower it if memory runs out. The
    gradients stay those of the whole batch, HSIC included, but batch norm uses the statistics of
    each micro-batch. Default: the whole batch."""
    every_n_steps: int = option(1, only_for=SPATIAL_IB)
    """sib only: compute the terms on every k-th step, with their weights times k. Raise it to save
    time; values above 1 deviate from the method."""
    sib_fraction: float = option(1.0, only_for=SPATIAL_IB)
    """sib only: compute the terms on this share of each batch, above 0 to 1. Lower it to save time;
    values below 1 deviate from the method."""
    hsic_scope: Literal["local", "global"] = option("local", only_for=("published",))
    """published only: which images HSIC compares when several processes train. local: those of
    each process. global: those of all processes."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Precision of the model; everything after the logits is float32. bfloat16 and float16 are
    faster on GPUs; in float16 the loss is scaled so that small gradients survive."""
    memory_format: Literal["auto", "contiguous", "channels_last"] = option("auto", harmless=True)
    """Order of the weights and feature maps in memory; results differ by rounding. auto:
    channels_last for networks with depthwise convolutions on a CPU, where it is faster; contiguous
    otherwise. The run records the choice and keeps it when it is resumed."""
    checkpoint: bool = option(False, resume=True, harmless=True, only_for=SPATIAL_IB)
    """sib only: keep only the inputs of the model's repeated blocks, and recompute the rest in
    the backward pass. Gives the same gradients with less memory, but takes longer."""
    cuda_graph: bool = option(False, resume=True, harmless=True)
    """CUDA GPU, single process: replay each step as one CUDA graph. Faster if batches are so small
    that the GPU waits for the processor. The graphs keep the memory of a step."""
    deterministic: bool = False
    """Use only cuDNN algorithms that give the same bits every time. Slower; has an effect on CUDA
    only."""
    workers: int = option(2, resume=True, harmless=True)
    """Processes that read images, per training process; 0 reads in the main process."""
    save_every_steps: int | None = option(None, resume=True, harmless=True)
    """Also save the state after every so many steps. Default: only at the end of each epoch."""
    on_bad_image: Literal["error", "skip"] = option("error", resume=True)
    """What to do with an image that cannot be read. error: end the run. skip: leave it out, count
    it and list it; skip does not use --input.cache."""
    bad_steps: int = option(5, resume=True, harmless=True)
    """End the run after this many steps in a row with a loss or gradient that is not finite. Each
    such step is undone and counted."""
    track: str = option("none", resume=True, harmless=True, joined=",")
    """Trackers that show the curves and a picture of explanations during training: none, or
    tensorboard, wandb, mlflow, separated by commas. Trackers of other packages can be named, too.
    Each needs pip install "sib[NAME]"; metrics.jsonl is always written."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    rival: RivalConfig = field(default_factory=RivalConfig)
    input: InputConfig = field(default_factory=InputConfig)
