"""What models give: logits alone, inside something else, or probabilities in their place."""

import copy
import warnings
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from helpers.nets import group_norm_net
from sib.explain import attribute
from sib.models.build import build, build_random
from sib.models.outputs import give_logits, kind_of, logits_in, output_note
from sib.objectives.published import SpatialIB
from sib.tasks.task import Task
from sib.utils.errors import InputError

IMAGES = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))


class Ending(nn.Module):
    """A network whose output is changed by a function."""

    def __init__(self, change, classes=5):
        super().__init__()
        torch.manual_seed(0)
        self.net, self.change = group_norm_net(classes), change

    def forward(self, images):
        return self.change(self.net(images))


CHANGES = {
    "softmax": lambda logits: logits.softmax(1),
    "log_softmax": lambda logits: logits.log_softmax(1),
    "softmax_module": nn.Softmax(dim=1),
    "log_softmax_module": nn.LogSoftmax(dim=1),
    "sigmoid_module": nn.Sigmoid(),
    "sigmoid": lambda logits: logits.sigmoid(),
    "namespace": lambda logits: SimpleNamespace(logits=logits),
    "mapping": lambda logits: {"loss": None, "logits": logits},
    "tuple": lambda logits: (logits,),
    "tuple_of_two": lambda logits: (logits, logits.mean()),
    "ambiguous": lambda logits: (logits, logits),
    "nothing": lambda logits: None,
    "broken": lambda logits: logits.nosuch,
    "vector": lambda logits: logits[:, 0],
    "squeezed_sigmoid": lambda logits: logits.sigmoid()[:, 0],
    "places": lambda logits: logits[:, :, None, None],
}


def __getattr__(name):
    """``test_outputs:NAME`` as an architecture."""
    if name not in CHANGES:
        raise AttributeError(name)
    return lambda classes: Ending(CHANGES[name], classes)


def of_this_file(name):
    return build_random(f"{__name__}:{name}", 5, 16).eval()


def test_outputs_that_hold_logits():
    logits = torch.randn(2, 5)
    for name in ("namespace", "mapping", "tuple", "tuple_of_two"):
        assert logits_in(CHANGES[name](logits)) is logits
    assert isinstance(logits_in((logits, logits)), tuple)


def test_values_tell_probabilities_from_logits():
    logits = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]])
    assert kind_of(logits) == "logits"
    assert kind_of(logits.softmax(1)) == "probabilities"
    assert kind_of(logits.log_softmax(1)) == "log-probabilities"
    assert kind_of(torch.tensor([[0.5, 0.4]])) == "logits"  # in [0, 1], but the sum is 0.9
    assert kind_of(torch.ones(2, 1)) == "logits"


def test_a_squeezed_logit_is_one_logit():
    logits = torch.randn(2, 1)
    for squeezed in (logits.squeeze(1), {"logits": logits.squeeze()}, logits[:, :, None, None]):
        assert torch.equal(logits_in(squeezed), logits)
    assert logits_in(torch.tensor(0.5)).shape == (1, 1)  # of one image
    assert logits_in(torch.zeros(2, 5, 3, 3)).ndim == 4


@pytest.mark.parametrize("ending", ["vector", "squeezed_sigmoid"])
def test_a_network_with_a_squeezed_logit_is_binary(ending):
    model, plain = build_random(f"{__name__}:{ending}", 2, 16).eval(), Ending(nn.Identity(), 2)
    assert torch.allclose(model(IMAGES), plain.eval()(IMAGES)[:, :1], atol=1e-5)
    assert attribute(model, IMAGES, method="saliency").shape == (3, 16, 16)
    criterion = nn.BCEWithLogitsLoss()
    out = Task(Ending(CHANGES["vector"], 2), criterion=criterion)(IMAGES, torch.tensor([0, 1, 1]))
    expected = criterion(plain.train()(IMAGES)[:, 0], torch.tensor([0.0, 1.0, 1.0]))
    assert torch.allclose(out.loss, expected)


@pytest.mark.parametrize("name", ["namespace", "mapping", "tuple", "tuple_of_two", "places"])
def test_a_built_model_gives_its_logits_alone(name):
    model, plain = of_this_file(name), Ending(nn.Identity()).eval()
    assert model.state_dict().keys() == plain.state_dict().keys()
    assert torch.equal(copy.deepcopy(model)(IMAGES), plain(IMAGES))
    assert output_note(model) is None


@pytest.mark.parametrize("name", ["softmax_module", "log_softmax_module", "sigmoid_module"])
def test_a_last_softmax_is_passed_over(name):
    model, plain = of_this_file(name), Ending(nn.Identity()).eval()
    assert torch.equal(copy.deepcopy(model)(IMAGES), plain(IMAGES))
    assert "whose input is taken as the logits" in output_note(copy.deepcopy(model))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_of_probabilities_the_logarithm_is_taken(name):
    model, plain = of_this_file(name), Ending(nn.Identity()).eval()
    expected = plain(IMAGES).log_softmax(1)
    assert torch.allclose(copy.deepcopy(model)(IMAGES), expected, atol=1e-6)
    assert "softmax" in output_note(model)


@pytest.mark.parametrize("outputs", [1, 5])
def test_of_a_sigmoid_called_as_a_function_the_log_odds_are_taken(outputs):
    model, plain = Ending(CHANGES["sigmoid"], outputs).eval(), Ending(nn.Identity(), outputs).eval()
    with torch.no_grad():
        give_logits(model, IMAGES)
        assert torch.allclose(copy.deepcopy(model)(IMAGES), plain(IMAGES), atol=1e-5)
    assert "ends in a sigmoid" in output_note(model)


def test_logits_between_0_and_1_are_logits():
    model = Ending(lambda logits: logits.sigmoid() * 0.5 + 0.2).eval()
    with torch.no_grad():
        before = model(IMAGES)
        give_logits(model, IMAGES)
        assert torch.equal(model(IMAGES), before) and output_note(model) is None


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("ambiguous", r"for 2 images it gives a tuple of \(2, 5\), \(2, 5\)"),
        ("nothing", "for 2 images it gives a NoneType"),
        ("vector", r"for 2 images it gives \(2,\)"),
        ("broken", "fails on its first images: AttributeError: 'Tensor' object has no attribute"),
    ],
)
def test_other_outputs_are_refused(name, sentence):
    with pytest.raises(InputError, match=sentence):
        of_this_file(name)


@pytest.mark.parametrize("name", ["softmax", "sigmoid"])
@pytest.mark.parametrize("use", ["task", "attribute"])
def test_probabilities_of_a_model_of_ones_own_are_warned_about_once(use, name):
    model = Ending(CHANGES[name]).eval()

    def run():
        if use == "task":
            Task(model)(IMAGES, torch.tensor([0, 1, 2]))
        else:
            attribute(model, IMAGES, method="saliency")

    with pytest.warns(UserWarning, match="model gives probabilities.*would apply a second"):
        run()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run()


def synchronised(classes):
    return nn.SyncBatchNorm.convert_sync_batchnorm(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(784, classes))
    )


class Checkpointing(Ending):
    grad_checkpointing = True


def test_what_cannot_be_differentiated_twice_is_refused_in_one_sentence():
    with pytest.raises(InputError, match=r"synchronised: model must not hold SyncBatchNorm"):
        build(f"{__name__}:synchronised", 5, 16)
    assert build_random(f"{__name__}:synchronised", 5, 16)  # to be looked at, it will do
    with pytest.raises(ValueError, match=r"recomputes parts of itself.*set_grad_checkpointing"):
        Task(Checkpointing(nn.Identity()), SpatialIB(window_size=5))


def test_a_reentrant_checkpoint_is_named():
    class Reentrant(Ending):
        def forward(self, images):
            return checkpoint(self.net, images, use_reentrant=True)

    task = Task(Reentrant(None), SpatialIB(window_size=5))
    with pytest.raises(ValueError, match="recomputes parts of itself"):
        task(IMAGES, torch.tensor([0, 1, 2]))


class Own(nn.Module):
    """A small classifier whose logits go through a function, together with the images."""

    def __init__(self, function):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 2))
        self.function = function

    def forward(self, images):
        return self.function(self.net(images))


def detached(classes):
    return Own(torch.Tensor.detach)


def chosen(classes):
    return Own(lambda logits: nn.functional.one_hot(logits.argmax(1), 2).float())


class Detaching(Own):
    def forward(self, images):
        return super().forward(images.detach())


def from_detached(classes):
    return Detaching(lambda logits: logits)


class InPlace(Own):
    def forward(self, images):
        return super().forward(images.sub_(0.5))


def in_place(classes):
    return InPlace(lambda logits: logits)


def complex_numbers(classes):
    return Own(lambda logits: torch.complex(logits, logits))


def noisy(classes):
    return Own(lambda logits: logits + torch.randn_like(logits))


def centred(classes):
    return Own(lambda logits: logits - logits.mean(0) + logits.detach().mean(0) * 0.5)


def plain(classes):
    return Own(lambda logits: logits)


@pytest.mark.parametrize(
    ("arch", "sentence"),
    [
        ("detached", "has no gradient"),
        ("chosen", "has no gradient"),
        ("from_detached", "has no gradient with respect to the images"),
        ("in_place", "gradient cannot be computed: RuntimeError: .*in-place"),
        ("complex_numbers", "must be real numbers; got complex64"),
    ],
)
def test_outputs_without_a_gradient_are_refused(arch, sentence):
    with pytest.raises(InputError, match=f"arch {__name__}:{arch}: .*{sentence}"):
        build(f"{__name__}:{arch}", 2, 8)


@pytest.mark.parametrize(
    ("arch", "note"),
    [
        ("noisy", "changes from one pass to the next"),
        ("centred", "changes with the other images of its batch"),
        ("plain", None),
    ],
)
def test_outputs_that_depend_on_chance_or_on_the_batch_are_reported(arch, note):
    found = output_note(build(f"{__name__}:{arch}", 2, 8))
    assert found is None if note is None else note in found
