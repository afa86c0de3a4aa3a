"""S-IB in a plain PyTorch loop.

python examples/plain_pytorch.py
torchrun --nproc-per-node 2 examples/plain_pytorch.py     # DistributedDataParallel
"""

import argparse
import os

import digits
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler

import sib


def train(epochs: int = 4, size: int = 2000, batch_size: int = 32) -> nn.Module:
    distributed = "RANK" in os.environ  # torchrun sets it
    if distributed:
        torch.distributed.init_process_group()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
    torch.manual_seed(0)

    dataset = digits.load("train", size)
    sampler = DistributedSampler(dataset) if distributed else None
    loader = DataLoader(dataset, batch_size, shuffle=sampler is None, sampler=sampler)

    # The task owns everything that S-IB needs: it makes the images require a gradient, runs the
    # model inside sib.second_order(), and adds the weighted terms to cross-entropy.
    model = sib.models.build("small_resnet", 10, image_size=48)
    task = sib.Task(model, sib.SpatialIB.calibrated()).to(device)
    # Wrap the task, not the model: DDP must see the forward pass that makes the loss.
    step = DistributedDataParallel(task) if distributed else task
    optimizer = torch.optim.AdamW(task.parameters(), lr=1e-3)

    for epoch in range(epochs):
        if sampler is not None:
            sampler.set_epoch(epoch)
        step.train()
        for images, labels, _ in loader:
            images, labels = images.to(device), labels.to(device)
            # On a GPU, bfloat16 halves the memory; mask and terms stay in float32 by themselves.
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                out = step(images, labels)  # pass the third value of the batch to guide by masks
            # In place of out.loss.backward(), which would also compute the images' gradient.
            task.backward(out.loss)
            optimizer.step()
            optimizer.zero_grad()
        terms = {name: round(value.item(), 3) for name, value in out.terms.values.items()}
        print(f"epoch {epoch + 1}: cross-entropy {out.cross_entropy:.3f}, terms {terms}")
    if distributed:
        torch.distributed.destroy_process_group()
    return task.model


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=4)
    print(digits.measure(train(parser.parse_args().epochs), digits.load("test", 200)))
