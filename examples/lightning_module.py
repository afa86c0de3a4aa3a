"""S-IB in a LightningModule.

python examples/lightning_module.py
"""

import argparse

import digits
import lightning as L
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

import sib


class SpatialIBClassifier(L.LightningModule):
    """A classifier trained with S-IB. `lr` and the network are all that is particular to it."""

    def __init__(self, model: nn.Module, lr: float = 1e-3) -> None:
        super().__init__()
        self.task = sib.Task(model, sib.SpatialIB.calibrated())
        self.lr = lr

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        images, labels, _ = batch
        # The step number decides when weights are measured, so a resumed run needs Lightning's.
        out = self.task(images, labels, step=self.global_step)
        self.log("train/cross_entropy", out.cross_entropy, prog_bar=True)
        self.log_dict({f"train/{name}": term for name, term in out.terms.values.items()})
        return out.loss

    def backward(self, loss: Tensor) -> None:
        # Lightning has scaled the loss by now. The task leaves out the images' gradient.
        self.task.backward(loss)

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        images, labels, foreground = batch
        accuracy = (self.task.model(images).argmax(1) == labels).float().mean()
        # Explanations need gradients: hence inference_mode=False in the Trainer below.
        maps = sib.explain.attribute(self.task.model, images, method="saliency")
        energy = sib.metrics.foreground_energy(maps, foreground[:, 0]).mean()
        self.log_dict({"val/accuracy": accuracy, "val/energy": energy}, prog_bar=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.task.parameters(), lr=self.lr)


def train(epochs: int = 4, size: int = 2000, **options) -> nn.Module:
    L.seed_everything(0, verbose=False)
    module = SpatialIBClassifier(sib.models.build("small_resnet", 10, image_size=48))
    # On GPUs: precision="bf16-mixed" and strategy="ddp" work as they are. Leave sync_batchnorm
    # off, since it has no second derivative; for the same reason don't torch.compile the model.
    trainer = L.Trainer(max_epochs=epochs, inference_mode=False, **options)
    trainer.fit(
        module,
        DataLoader(digits.load("train", size), batch_size=32, shuffle=True),
        DataLoader(digits.load("validation", 100), batch_size=50),
    )
    return module.task.model


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=4)
    model = train(parser.parse_args().epochs, logger=False, enable_checkpointing=False)
    print(digits.measure(model, digits.load("test", 200)))
