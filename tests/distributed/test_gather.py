"""Two gloo ranks with batch B: the gradient of one process with batch 2B."""

from itertools import product

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

import sib
from helpers.nets import group_norm_net, small_vit

SIZE = 4
CASES = {
    "float32": {},
    "biased": {},
    "unbiased": {"estimator": "unbiased"},
    "projection": {"projection_dim": 16},
    "exp": {"form": "exp", "background_weight": 1e3},
    "ssim": {"alignment": "ssim"},
    "background": {"background": "hsic", "background_weight": 1.0},
}
MODELS = {"conv": group_norm_net, "vit": small_vit}


def dtype(name):
    return torch.float32 if name == "float32" else torch.float64


def make_task(model, name, scope):
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(3)
    options = {"foreground_weight": 1.0, "background_weight": 1e6} | CASES[name]
    objective = sib.SpatialIB(window_size=7, hsic_scope=scope, generator=generator, **options)
    return sib.SpatialIBTask(MODELS[model]().to(dtype(name)), objective)


def whole_batch(name):
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(2 * SIZE, 3, 16, 16, generator=generator, dtype=torch.float64)
    return images.to(dtype(name)), torch.arange(2 * SIZE) % 5


def gradient(task):
    return torch.cat([p.grad.flatten() for p in task.parameters()])


def cases():
    return [(model, name) for model in MODELS for name in CASES]


def work(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    found = {}
    for model, name in cases():
        images, labels = (values.chunk(2)[rank] for values in whole_batch(name))
        for scope, micro_batch in (("global", SIZE), ("global", 2), ("local", SIZE), ("local", 2)):
            task = make_task(model, name, scope)
            out = sib.accumulate(DistributedDataParallel(task), images, labels, micro_batch)
            found[model, name, scope, micro_batch] = (gradient(task), out.terms.foreground)
    torch.save(found, f"{folder}/{rank}.pt")
    uneven(rank, folder)
    dist.destroy_process_group()


def uneven(rank, folder):
    images, labels = (values[: 3 + rank] for values in whole_batch("float32"))
    try:
        make_task("conv", "float32", "global")(images, labels)
    except ValueError as error:
        torch.save(str(error), f"{folder}/uneven{rank}.pt")


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    mp.start_processes(work, (str(folder),), nprocs=2, start_method="fork")
    return folder


@pytest.fixture(scope="module")
def found(ranks):
    return [torch.load(ranks / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize(("model", "name"), cases())
def test_global_scope_gives_the_gradient_of_one_large_batch(model, name, found):
    task = make_task(model, name, "global")  # no process group here: one process
    out = task(*whole_batch(name))
    task.backward(out.loss)
    expected, tolerance = gradient(task), 1e-5 if name == "float32" else 1e-10
    for rank, micro_batch in product(range(2), (SIZE, 2)):
        got, foreground = found[rank][model, name, "global", micro_batch]
        assert (got - expected).norm() <= tolerance * expected.norm()
        torch.testing.assert_close(foreground, out.terms.foreground.detach())


@pytest.mark.parametrize("name", ["biased", "background"])
@pytest.mark.parametrize("micro_batch", [SIZE, 2])
def test_local_scope_gives_the_mean_of_the_local_gradients(name, micro_batch, found):
    locals_ = []
    for rank in range(2):
        task = make_task("conv", name, "local")
        images, labels = (values.chunk(2)[rank] for values in whole_batch(name))
        task.backward(task(images, labels).loss)
        locals_.append(gradient(task))
    expected = sum(locals_) / 2
    for rank in range(2):
        got, _ = found[rank]["conv", name, "local", micro_batch]
        assert (got - expected).norm() <= 1e-10 * expected.norm()
        other, _ = found[rank]["conv", name, "global", micro_batch]
        assert (other - expected).norm() > 1e-3 * expected.norm()


def test_batches_of_different_sizes_are_refused_in_every_process(ranks):
    for rank in range(2):
        sentence = torch.load(ranks / f"uneven{rank}.pt", weights_only=True)
        assert "hsic_scope global needs batches of the same shape" in sentence
        assert "got batches of 3, 4 images" in sentence


def test_an_unknown_scope_is_refused():
    with pytest.raises(ValueError, match="hsic_scope must be one of local, global; got 'all'"):
        sib.SpatialIB(hsic_scope="all")
