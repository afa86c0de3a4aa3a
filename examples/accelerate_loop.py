"""S-IB in a loop with Accelerate.

python examples/accelerate_loop.py
accelerate launch --num_processes 2 examples/accelerate_loop.py
"""

import argparse

import digits
import torch
from accelerate import Accelerator
from torch import nn
from torch.utils.data import DataLoader

import sib


def train(epochs: int = 4, size: int = 2000, mixed_precision: str = "no") -> nn.Module:
    accelerator = Accelerator(mixed_precision=mixed_precision)  # "bf16" or "fp16" on a GPU
    torch.manual_seed(0)
    model = sib.models.build("small_resnet", 10, image_size=48)
    task = sib.Task(model, sib.SpatialIB.calibrated())
    parameters = [p for p in task.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3)
    loader = DataLoader(digits.load("train", size), batch_size=32, shuffle=True)

    # Prepare the task in place of the model: it is what DDP and autocast have to wrap.
    task, optimizer, loader = accelerator.prepare(task, optimizer, loader)
    for epoch in range(epochs):
        task.train()
        for images, labels, _ in loader:
            out = task(images, labels)
            # `inputs` leaves out the images' gradient, which nobody needs.
            accelerator.backward(out.loss, inputs=parameters)
            optimizer.step()
            optimizer.zero_grad()
        accelerator.print(f"epoch {epoch + 1}: cross-entropy {out.cross_entropy:.3f}")
    # Without the autocast that Accelerate puts around forward.
    return accelerator.unwrap_model(task, keep_fp32_wrapper=False).model


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=4)
    print(digits.measure(train(parser.parse_args().epochs), digits.load("test", 200)))
