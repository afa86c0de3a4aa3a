"""Two gloo ranks: DistributedDataParallel around the task averages the local gradients."""

import os
import socket

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

import sib
from helpers.nets import group_norm_net

NAMES = ("of the task", "plain", "compiled")


def make_task():
    torch.manual_seed(0)
    return sib.SpatialIBTask(group_norm_net(), sib.SpatialIB(1.0, 1e6, window_size=5))


def local_batch(rank):
    generator = torch.Generator().manual_seed(rank)
    return torch.randn(4, 3, 16, 16, generator=generator), torch.arange(4) + rank % 2


def gradient(task):
    return torch.cat([p.grad.flatten() for p in task.parameters()])


def work(rank, port, folder):
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=2)
    task = make_task()
    parallel = DistributedDataParallel(task)
    for name in NAMES:
        task.zero_grad()
        if name == "compiled":
            task.compile(backend="aot_eager")
        loss = parallel(*local_batch(rank)).loss
        loss.backward() if name == "plain" else task.backward(loss)
        torch.save(gradient(task), f"{folder}/{name} {rank}")
    dist.destroy_process_group()


def test_two_ranks_get_the_mean_of_their_gradients(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.start_processes(work, (port, str(tmp_path)), nprocs=2, start_method="fork")
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
