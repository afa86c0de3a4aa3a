"""The copy for looking at computes what the model computes."""

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from helpers.processes import apart
from sib.models import build
from sib.models.inference import for_inference


@pytest.mark.parametrize(
    ("arch", "folded"),
    [
        ("resnet18", 20),
        ("densenet121", 59),  # those after the first and after each bottleneck convolution
        ("small_resnet", None),
    ],
)
@apart
def test_the_same_function(arch, folded):
    model = build(arch, 5, 64).double()
    for module in model.modules():  # statistics that are not the identity
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    twin = for_inference(model)
    images = torch.randn(3, 3, 64, 64, dtype=torch.float64)
    ours, theirs = twin(images), model.eval()(images)
    assert torch.allclose(ours, theirs, rtol=1e-10, atol=1e-10)
    names = dict(model.named_modules())
    gone = [n for n, m in twin.named_modules() if isinstance(m, nn.Identity) and n in names]
    gone = [name for name in gone if isinstance(names[name], nn.BatchNorm2d)]
    assert folded is None or len(gone) == folded
    assert not any(parameter.requires_grad for parameter in twin.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


class Shared(nn.Module):
    """A convolution that is used twice, and one whose output is used twice."""

    def __init__(self):
        super().__init__()
        self.twice, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.fork, self.other = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        y = self.twice(self.norm(self.twice(x)))
        z = self.fork(y)
        return self.head((self.other(z) + z).mean((2, 3)))


class Untraceable(Shared):
    """Control flow that depends on the values."""

    def forward(self, x):
        return super().forward(x if x.sum() > 0 else -x)


@pytest.mark.parametrize("kind", [Shared, Untraceable])
def test_what_cannot_be_folded_stays(kind):
    model = kind().double().eval()
    for norm in (model.norm, model.other):
        norm.running_mean.uniform_(-1, 1)
    twin = for_inference(model)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in twin.modules()) == 2
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    assert torch.allclose(twin(images), model(images), atol=1e-12)


def pruned(convolution):
    return prune.l1_unstructured(convolution, "weight", amount=0.3)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of torch about the old forms
@pytest.mark.parametrize(
    "wrap",
    [
        nn.utils.spectral_norm,
        nn.utils.weight_norm,
        nn.utils.parametrizations.spectral_norm,
        nn.utils.parametrizations.weight_norm,
        pruned,
    ],
)
def test_a_weight_that_is_computed_in_each_pass_is_not_folded(wrap):
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), wrap(nn.Conv2d(4, 5, 3)), nn.BatchNorm2d(5)
    )
    images = torch.randn(2, 3, 9, 9)
    with torch.no_grad():
        model(images)  # in train mode, so that the statistics are not the identity
        twin = for_inference(model.eval())
        assert torch.allclose(twin(images), model(images), atol=1e-5)
    assert isinstance(twin[1], nn.Identity)
    assert isinstance(twin[3], nn.BatchNorm2d)
