"""Two gloo ranks: DistributedDataParallel around the task averages the local gradients."""

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import sib
from helpers.processes import in_two

NAMES = ("of the task", "plain")


def make_task():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.GELU(), nn.Flatten(), nn.Linear(196, 5))
    return sib.SpatialIBTask(model, sib.SpatialIB(1.0, 1e6, window_size=5))


def local_batch(rank):
    generator = torch.Generator().manual_seed(rank)
    return torch.randn(4, 3, 16, 16, generator=generator), torch.arange(4) + rank % 2


def gradient(task):
    return torch.cat([p.grad.flatten() for p in task.parameters()])


def work(rank, folder):
    dist.init_process_group("gloo")
    task = make_task()
    parallel = DistributedDataParallel(task)
    for name in NAMES:
        task.zero_grad()
        loss = parallel(*local_batch(rank)).loss
        loss.backward() if name == "plain" else task.backward(loss)
        torch.save(gradient(task), f"{folder}/{name} {rank}")
    dist.destroy_process_group()


def test_two_ranks_get_the_mean_of_their_gradients(tmp_path):
    in_two(work, str(tmp_path))
    locals_ = []
    for rank in range(2):
        task = make_task()
        task.backward(task(*local_batch(rank)).loss)
        locals_.append(gradient(task))
    expected = (locals_[0] + locals_[1]) / 2
    for name in NAMES:
        for rank in range(2):
            found = torch.load(tmp_path / f"{name} {rank}", weights_only=True)
            assert (found - expected).norm() <= 1e-5 * expected.norm(), (name, rank)
