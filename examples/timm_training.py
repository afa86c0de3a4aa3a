"""S-IB with timm: its models, optimizers, schedules and averaged weights, and as a training task.

python examples/timm_training.py
"""

import argparse

import digits
import timm
import torch
from timm.optim import create_optimizer_v2
from timm.scheduler import CosineLRScheduler
from timm.task import ClassificationTask
from torch import Tensor, nn
from torch.utils.data import DataLoader

import sib


class SpatialIBTrainingTask(ClassificationTask):
    """timm's task for a step, with S-IB's loss: for scripts that are made like timm's train.py.

    Its checkpoints, averaged weights and `prepare_distributed` are timm's.
    """

    def __init__(self, model: nn.Module, objective: sib.Objective, criterion=None, **options):
        super().__init__(model, criterion, **options)
        # `trainable_module` is what timm wraps in DDP, so it must be the module that makes the loss
        self.trainable_module = sib.Task(model, objective, self.criterion)

    def forward(self, input: Tensor, target: Tensor) -> dict[str, Tensor]:
        out = self.trainable_module(input, target)
        terms = {} if out.terms is None else out.terms.values
        return {"loss": out.loss, "output": out.logits, **terms}

    def get_eval_model(self, module: nn.Module | None = None, ema: bool = False) -> nn.Module:
        found = super().get_eval_model(module, ema)
        found = getattr(found, "module", found)  # of DDP or ModelEmaV3
        return found.model if isinstance(found, sib.Task) else found


def train(epochs: int = 4, size: int = 2000, arch: str = "resnet18") -> nn.Module:
    torch.manual_seed(0)
    # pretrained=True starts from published weights; then freeze batch norm's statistics with
    # sib.Task(..., batch_norm="frozen").
    model = timm.create_model(arch, pretrained=False, num_classes=10)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)  # Mixup's soft labels are taken too
    task = SpatialIBTrainingTask(model, sib.SpatialIB.calibrated(), criterion)
    task.setup_ema(decay=0.9)
    optimizer = create_optimizer_v2(model, opt="adamw", lr=1e-3, weight_decay=0.05)
    schedule = CosineLRScheduler(optimizer, t_initial=epochs)
    loader = DataLoader(digits.load("train", size), batch_size=32, shuffle=True, drop_last=True)
    for epoch in range(epochs):
        task.train()
        for images, labels, _ in loader:
            result = task(images, labels)
            parameters = [p for p in model.parameters() if p.requires_grad]
            result["loss"].backward(inputs=parameters)  # leaves out the images' gradient
            optimizer.step()
            optimizer.zero_grad()
            task.update_ema()
        schedule.step(epoch + 1)
        print(
            f"epoch {epoch + 1}: loss {result['loss']:.3f}, on the background: "
            f"{result['image']:.3f} of the gradient, {result['layer']:.3f} of the last stage"
        )
    return task.get_eval_model(ema=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=4)
    print(digits.measure(train(parser.parse_args().epochs), digits.load("test", 200)))
