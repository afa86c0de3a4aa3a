"""S-IB in the Trainer of Hugging Face.

python examples/hugging_face.py
"""

import argparse
from pathlib import Path

import digits
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import ResNetConfig, ResNetForImageClassification, Trainer, TrainingArguments
from transformers.modeling_outputs import ImageClassifierOutput

import sib


class SpatialIBModel(nn.Module):
    """Gives the Trainer what it expects of a model: an output with a loss and logits.

    The loss is made in `forward`, so the Trainer's DDP, its mixed precision and its accumulation
    of gradients cover it.
    """

    def __init__(self, model: nn.Module, objective: sib.Objective) -> None:
        super().__init__()
        self.task = sib.Task(model, objective)  # takes the .logits of transformers' outputs

    def forward(self, pixel_values: Tensor, labels: Tensor) -> ImageClassifierOutput:
        if not self.training:
            logits = self.task.model(pixel_values).logits
            return ImageClassifierOutput(nn.functional.cross_entropy(logits, labels), logits)
        out = self.task(pixel_values, labels)
        return ImageClassifierOutput(out.loss, out.logits)


class Images(Dataset):
    """Items by the names of `forward`'s arguments; an image processor's output has them too."""

    def __init__(self, split: str, size: int) -> None:
        self.items = digits.load(split, size)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        image, label, _ = self.items[index]
        return {"pixel_values": image, "labels": label}


def accuracy(prediction) -> dict[str, float]:
    return {"accuracy": float((prediction.predictions.argmax(1) == prediction.label_ids).mean())}


def train(folder: Path, epochs: int = 4, size: int = 2000, **options) -> nn.Module:
    torch.manual_seed(0)
    # ResNetForImageClassification.from_pretrained("microsoft/resnet-18", num_labels=10,
    # ignore_mismatched_sizes=True) starts from ImageNet weights.
    config = ResNetConfig(
        embedding_size=16, hidden_sizes=[16, 32, 64], depths=[1, 1, 1], layer_type="basic"
    )
    config.num_labels = 10
    model = ResNetForImageClassification(config)
    objective = sib.SpatialIB.calibrated()
    arguments = TrainingArguments(
        str(folder),
        num_train_epochs=epochs,
        per_device_train_batch_size=32,
        learning_rate=1e-3,
        eval_strategy="epoch",
        save_strategy="no",
        report_to="none",
        remove_unused_columns=False,
        **options,
    )
    trainer = Trainer(
        SpatialIBModel(model, objective),
        arguments,
        train_dataset=Images("train", size),
        eval_dataset=Images("validation", 100),
        compute_metrics=accuracy,
    )
    trainer.train()
    model.save_pretrained(folder)  # without the wrapper: from_pretrained opens it anywhere
    return model


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--out", type=Path, default=Path("runs/hugging-face"))
    arguments = parser.parse_args()
    print(digits.measure(train(arguments.out, arguments.epochs), digits.load("test", 200)))
