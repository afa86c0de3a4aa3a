"""A trained classifier for your own code: `sib.load`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Unpack

import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from sib.config.choices import Resize
from sib.data.normalization import normalise
from sib.data.readers.decode import ValueRange, read_image
from sib.data.sample import Sample
from sib.data.transforms import JointTransform
from sib.evaluation.checkpoint import Checkpoint, open_checkpoint
from sib.evaluation.classes import unnamed_note, with_classes
from sib.evaluation.found import found_foregrounds
from sib.explain import attribute
from sib.explain.call import SeededOptions
from sib.explain.state import logits_of
from sib.functional.label_kinds import kind_of
from sib.models.build import count_logits
from sib.utils.device import choose_device
from sib.utils.image_size import ImageSize
from sib.utils.normalization import Normalization

Picture = str | Path | Image.Image | Tensor
"""An image file, a Pillow image, or uint8 (3, H, W)."""


class Prediction(NamedTuple):
    """Predictions for N images."""

    probabilities: Tensor
    """(N, K), on the CPU."""
    labels: list[int]
    """(N,) indices of the most probable classes."""
    classes: list[str]
    """(N,) their names."""
    present: list[list[str]]
    """(N,) names of all classes that are decided for: one, or with several labels an image those
    with a probability above 0.5."""


class Classifier:
    """A trained network with its classes and the transform of its images.

    Attributes:
        model: (B, 3, S, S) → (B, K), in evaluation mode, with the architecture's own layer names.
        classes: (K,) names; numbers as text if the file has none.
        image_size: S, the side of its images, or their height and width.
        normalization: normalisation of its images, see `sib.utils.normalization`.
        resize: how images are brought to that size, ``"crop"``, ``"squash"`` or ``"pad"``.

    Args:
        checkpoint: as returned by `open_checkpoint`.
        batch_size: most images in a pass.
    """

    def __init__(self, checkpoint: Checkpoint, batch_size: int = 32) -> None:
        self.model: nn.Module = checkpoint.model
        self.arch = checkpoint.arch
        self.classes = checkpoint.names or [str(label) for label in range(checkpoint.outputs)]
        self.image_size = checkpoint.image_size
        self.normalization, self.resize = checkpoint.normalization, checkpoint.resize
        self.batch_size, self._checkpoint = batch_size, checkpoint
        self._value_range = checkpoint.value_range
        self._transform = JointTransform(checkpoint.image_size, resize=checkpoint.resize)

    def __repr__(self) -> str:
        """A one-line description."""
        return f"Classifier({self.input})"

    @property
    def input(self) -> str:
        """Architecture, size, resize rule, normalisation and its source, and classes, in words."""
        return self._checkpoint.input

    @property
    def note(self) -> str:
        """What a person should know about its classes, in a sentence; often empty."""
        return unnamed_note(self._checkpoint)

    @property
    def label_kind(self) -> str:
        """``"multi"`` for several labels an image, else ``"single"``."""
        return kind_of(self.model).name

    @property
    def is_binary(self) -> bool:
        """Whether a single logit tells two classes apart."""
        return count_logits(self.model, self.image_size) == 1

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    def pixels(self, picture: Picture) -> Tensor:
        """An image, resized and cropped as for evaluation: uint8 (3, S, S).

        Raises:
            InputError: a file cannot be read.
            ValueError: the argument is not an image.
        """
        image = tv_tensors.Image(_read(picture, self._value_range))
        return self._transform(Sample(image, 0, None)).image.as_subclass(Tensor)

    def transform(self, picture: Picture) -> Tensor:
        """An image as the model expects it: float32 (3, S, S), on the model's device."""
        return normalise(self.pixels(picture)[None], self.device, self.normalization)[0]

    def predict(self, pictures: Picture | Sequence[Picture]) -> Prediction:
        """Predict the classes of images.

        Args:
            pictures: one image or several: files, Pillow images, or uint8 tensors (3, H, W) or
                (N, 3, H, W).

        Returns:
            `Prediction`, also for a single image.

        Raises:
            InputError: a file cannot be read.
            ValueError: no image, or something that is not an image.
        """
        with torch.no_grad():
            found = [logits_of(self.model, images) for images in self._batches(pictures)]
        kind, logits = kind_of(self.model), torch.cat(found).float().cpu()
        probabilities = kind.probabilities(logits)
        labels = probabilities.argmax(dim=1).tolist()
        present = [
            [self.classes[label] for label in row.nonzero().flatten().tolist()]
            for row in kind.decided(logits)
        ]
        names = [self.classes[label] for label in labels]
        return Prediction(probabilities, labels, names, present)

    def explain(
        self,
        pictures: Picture | Sequence[Picture],
        method: str = "gradcam",
        target: int | str | None = None,
        **options: Unpack[SeededOptions],
    ) -> Tensor:
        """Where in images the decision comes from.

        Args:
            pictures: as for `predict`.
            method: one of `sib.explain.METHODS`.
            target: a class, by number or name. Default: the predicted class of each image.
            options: those of `sib.explain.attribute`, such as ``normalize``.

        Returns:
            (N, S, S), on the CPU, aligned with the image that `pixels` returns.

        Raises:
            InputError: a file cannot be read.
            ValueError: an argument is not allowed.
        """
        label = self._label(target)
        maps = [
            attribute(self.model, images, label, method, **options).cpu()
            for images in self._batches(pictures)
        ]
        return torch.cat(maps)

    def foregrounds(self) -> dict[str, Tensor]:
        """The foregrounds that the run found in its training images before it trained.

        Returns:
            (S, S), bool, by the image's name. A mask is aligned with the image that `pixels`
            returns; if the run cropped its images at random, with the whole image at that size.

        Raises:
            InputError: the run found none, or this is a file of weights.
        """
        return found_foregrounds(self._checkpoint.folder, self.image_size)

    def _label(self, target: int | str | None) -> int | None:
        if isinstance(target, str):
            if target not in self.classes:
                names = ", ".join(self.classes[:5])
                raise ValueError(f"target must be one of {names}, …; got {target!r}")
            return self.classes.index(target)
        if target is not None and not 0 <= target < len(self.classes):
            raise ValueError(f"target must be from 0 to {len(self.classes) - 1}; got {target}")
        return target

    def _batches(self, pictures: Picture | Sequence[Picture]) -> Any:
        several = _several(pictures)
        if not several:
            raise ValueError("pictures must hold at least one image; got none")
        for first in range(0, len(several), self.batch_size):
            part = several[first : first + self.batch_size]
            yield torch.stack([self.transform(picture) for picture in part])


def load(
    path: str | Path,
    *,
    device: str = "auto",
    weights: Literal["best", "last", "ema"] = "best",
    arch: str | None = None,
    image_size: ImageSize | None = None,
    resize: Resize | None = None,
    normalization: Normalization | None = None,
    layer: str | None = None,
    classes: str | Path | None = None,
    trust_code: bool = False,
) -> Classifier:
    """Open a trained classifier.

    >>> classifier = sib.load("runs/birds")
    >>> classifier.predict("photo.jpg").classes
    ['kingfisher']
    >>> heat = classifier.explain("photo.jpg", method="gradcam")

    Args:
        path: run folder of `sib train`, or a file of weights.
        device: auto, cpu, cuda, cuda:N or mps.
        weights: weights of a run folder: those of the best epoch, of the last one, or their
            average.
        arch: architecture of a file that does not name its own.
        image_size: side of the images, or their height and width. Needed if the file does not
            name it, or to use another.
        resize: how images are brought to that size, ``"crop"``, ``"squash"`` or ``"pad"``.
            Default: what the file names, or ``"crop"``.
        normalization: ``"half"``, ``"imagenet"`` or MEAN/STD. Default: what the file names,
            or that of the architecture's published weights.
        layer: module for class activation maps. Default: the run's own, or the architecture's.
        classes: file with the class names of weights that do not name them, see `with_classes`.
        trust_code: whether to import the module of an architecture that the file names.

    Returns:
        `Classifier`.

    Raises:
        InputError: it cannot be opened.
    """
    checkpoint = open_checkpoint(
        Path(path),
        choose_device(device),
        which=weights,
        arch=arch,
        image_size=image_size,
        resize=resize,
        normalization=normalization,
        layer=layer,
        trust_code=trust_code,
        fold=False,
    )
    return Classifier(with_classes(checkpoint, None if classes is None else Path(classes)))


def _several(pictures: Picture | Sequence[Picture]) -> list[Picture]:
    if isinstance(pictures, Tensor):
        return list(pictures) if pictures.ndim == 4 else [pictures]
    if isinstance(pictures, (str, Path, Image.Image)):
        return [pictures]
    return list(pictures)


def _read(picture: Picture, value_range: ValueRange | None) -> Tensor:
    """An image as uint8 (3, H, W); ``value_range`` is for 16-bit files, see `read_image`."""
    if isinstance(picture, (str, Path)):
        return read_image(Path(picture), value_range).as_subclass(Tensor)
    if isinstance(picture, Image.Image):
        return F.pil_to_tensor(picture.convert("RGB"))
    if not isinstance(picture, Tensor):
        raise ValueError(
            f"an image must be a path, a Pillow image or a tensor; got {type(picture).__name__}"
        )
    if picture.ndim != 3 or len(picture) != 3 or picture.dtype != torch.uint8:
        raise ValueError(
            f"an image tensor must be uint8 (3, H, W); got {picture.dtype} {tuple(picture.shape)}"
        )
    return picture.cpu()
