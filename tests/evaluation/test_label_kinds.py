"""Classifiers with a single logit, and with several labels an image, after training."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

import sib
from sib.evaluation.checkpoint import open_checkpoint
from sib.evaluation.scores import Scores, read_scores, to_csv
from sib.metrics.labels import label_scores
from sib.metrics.perturbation import perturbation_curve


@pytest.fixture
def one_logit(tmp_path, monkeypatch):
    """A file of weights of a network of the user's own, which gives (B, 1) for two classes."""
    (tmp_path / "own_net.py").write_text(
        "from torch import nn\n"
        "def make(classes):\n"
        "    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1),\n"
        "                         nn.Flatten(), nn.Linear(2, 1))\n"
    )
    monkeypatch.chdir(tmp_path)
    model = sib.models.build("own_net:make", 2, 16)
    torch.save(model.state_dict(), tmp_path / "model.pt")
    return model.eval(), tmp_path / "model.pt"


def test_a_file_with_a_single_logit_is_a_binary_classifier(one_logit):
    model, path = one_logit
    options = {"arch": "own_net:make", "normalization": "half", "image_size": 16}
    checkpoint = open_checkpoint(path, torch.device("cpu"), **options)
    assert (checkpoint.outputs, checkpoint.classes) == (2, ["negative", "positive"])
    classifier = sib.load(path, device="cpu", **options)
    picture = torch.randint(0, 255, (3, 16, 16), dtype=torch.uint8)
    z = model(classifier.transform(picture)[None]).item()
    p = torch.tensor(z).sigmoid().item()
    prediction = classifier.predict(picture)
    assert prediction.probabilities[0].tolist() == pytest.approx([1 - p, p], abs=1e-5)
    assert prediction.classes == [["negative", "positive"][z > 0]]
    assert prediction.present == [prediction.classes]


def test_insertion_of_a_single_logit_ends_at_the_probability_of_its_class():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 1))
    images, maps = torch.randn(2, 3, 4, 4), torch.rand(2, 4, 4)
    p = model(images).sigmoid().squeeze(1)
    for target, expected in ((1, p), (0, 1 - p)):
        curve = perturbation_curve(model, images, maps, target, direction="insertion", steps=2)
        torch.testing.assert_close(curve[:, -1], expected)


def test_a_file_says_that_its_outputs_are_labels(tmp_path):
    model = sib.models.build("small_resnet", 3, 16)
    facts = {
        "arch": "small_resnet",
        "classes": ["a", "b", "c"],
        "normalization": "half",
        "image_size": 16,
        "label_kind": "multi",
    }
    path = tmp_path / "labels.safetensors"
    save_file(model.state_dict(), path, {"sib": json.dumps(facts)})
    classifier = sib.load(path, device="cpu")
    assert classifier.label_kind == "multi"
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8))
    found = classifier.predict(image)
    expected = classifier.model(classifier.transform(image)[None]).sigmoid()
    torch.testing.assert_close(found.probabilities, expected.detach())
    present = [name for name, p in zip("abc", expected[0].tolist(), strict=True) if p > 0.5]
    assert found.present == [present]


def test_label_scores_by_hand():
    # label 0 is ranked perfectly; label 1 has its one image second: AP 1/2
    probabilities = torch.tensor([[0.9, 0.8], [0.7, 0.6], [0.2, 0.1]])
    labels = torch.tensor([[1.0, 0], [1, 1], [0, 0]])
    found = label_scores(probabilities, labels)
    assert found.map_macro == pytest.approx((1 + 1 / 2) / 2)
    # decided: label 0 right twice; label 1 twice, once wrongly
    assert found.f1_macro == pytest.approx((1 + 2 / 3) / 2)
    assert found.f1_micro == pytest.approx(2 * 3 / (2 * 3 + 1))


def test_scores_of_several_labels_are_read_back(tmp_path):
    scores = Scores(
        ["a", "b"], [(0, 2), ()], [(0, 2), (1,)], [0.9, 0.6], [0.5, 0.5], [], np.zeros((2, 0))
    )
    path = tmp_path / "evaluation.csv"
    path.write_text(to_csv(scores))
    found = read_scores(path)
    assert (found.labels, found.predicted) == ([(0, 2), ()], [(0, 2), (1,)])
    assert found.correct.tolist() == [1, 0]
