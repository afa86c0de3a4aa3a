"""Classifiers with a single logit, and with several labels an image, after training."""

import json

import numpy as np
import pytest
import torch
import torchmetrics
from PIL import Image
from safetensors.torch import save_file
from sklearn.metrics import average_precision_score
from torch import nn

import sib
from helpers.pictures import save_classes
from sib.data.open import open_data
from sib.evaluation.checkpoint import open_checkpoint
from sib.evaluation.classes import with_classes
from sib.evaluation.data import check_classes
from sib.evaluation.label_intervals import label_difference, label_interval
from sib.evaluation.scores import Scores, read_scores, to_csv
from sib.metrics.labels import WeightedLabelScores, label_scores
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
    assert (checkpoint.outputs, checkpoint.classes) == (2, None)
    assert checkpoint.names == ["negative", "positive"]
    classifier = sib.load(path, device="cpu", **options)
    picture = torch.randint(0, 255, (3, 16, 16), dtype=torch.uint8)
    z = model(classifier.transform(picture)[None]).item()
    p = torch.tensor(z).sigmoid().item()
    prediction = classifier.predict(picture)
    assert prediction.probabilities[0].tolist() == pytest.approx([1 - p, p], abs=1e-5)
    assert prediction.classes == [["negative", "positive"][z > 0]]
    assert prediction.present == [prediction.classes]


def test_a_single_logit_takes_the_names_that_it_is_given(one_logit, tmp_path):
    _, path = one_logit
    splits = open_data(str(save_classes(tmp_path / "animals")), image_size=16)
    checkpoint = open_checkpoint(
        path, torch.device("cpu"), arch="own_net:make", normalization="half", image_size=16
    )
    check_classes(checkpoint, splits)  # the file has no names that could differ from cat and dog
    names = tmp_path / "names.txt"
    names.write_text("cat\ndog\n")
    named = with_classes(checkpoint, names)
    assert "2 classes, negative, positive" in checkpoint.input
    assert "16 × 16 pixels, resize crop (the default), normalisation half" in named.input
    assert "2 classes, cat, dog" in named.input


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
    every = np.array([[0.9, 0.1, 1 / 3], [0.2, 0.6, 1e-9]])
    columns = [], np.zeros((2, 0)), every
    scores = Scores(["a", "b"], [(0, 2), ()], [(0, 2), (1,)], [0.9, 0.6], [0.5, 0.5], *columns)
    path = tmp_path / "evaluation.csv"
    path.write_text(to_csv(scores))
    found = read_scores(path)
    assert (found.labels, found.predicted) == ([(0, 2), ()], [(0, 2), (1,)])
    assert found.correct.tolist() == [1, 0]
    assert np.array_equal(found.probabilities, every)
    assert found.truth.tolist() == [[1, 0, 1], [0, 0, 0]]


def drawn_labels(seed=0, images=40, labels=3):
    """Probabilities with ties, and labels that they predict somewhat."""
    generator = np.random.default_rng(seed)
    truth = generator.random((images, labels)) < 0.4
    return (0.4 * truth + 0.6 * generator.random(truth.shape)).round(1), truth


@pytest.mark.filterwarnings("ignore")
def test_label_scores_are_those_of_the_libraries():
    p, y = (torch.from_numpy(each) for each in drawn_labels())
    found = label_scores(p, y)
    of = torchmetrics.functional.classification
    for average in ("macro", "micro"):
        theirs = of.multilabel_average_precision(p, y.long(), 3, average)
        assert getattr(found, f"map_{average}") == pytest.approx(theirs.item(), abs=1e-6)
        theirs = average_precision_score(y.numpy(), p.numpy(), average=average)
        assert getattr(found, f"map_{average}") == pytest.approx(theirs, abs=1e-6)
        theirs = of.multilabel_f1_score(p, y.long(), 3, 0.5, average)
        assert getattr(found, f"f1_{average}") == pytest.approx(theirs.item(), abs=1e-6)


def test_weights_count_images_as_often_as_they_are_repeated():
    p, y = drawn_labels()
    weights = np.random.default_rng(1).integers(0, 4, size=(5, len(p))).astype(float)
    found = WeightedLabelScores(p, y)(weights)
    for row, counts in zip(found, weights.astype(int), strict=True):
        drawn = (torch.from_numpy(each.repeat(counts, axis=0)) for each in (p, y))
        np.testing.assert_allclose(row, label_scores(*drawn), atol=1e-12)


def test_a_label_that_no_image_has_counts_in_no_mean():
    p, y = drawn_labels()
    y[:, 2], p[:, 2] = False, 0.1
    found = label_scores(torch.from_numpy(p), torch.from_numpy(y))
    rest = label_scores(torch.from_numpy(p[:, :2]), torch.from_numpy(y[:, :2]))
    assert (found.map_macro, found.f1_macro) == (rest.map_macro, rest.f1_macro)
    assert np.isnan(WeightedLabelScores(p, y)(np.zeros((1, len(p))))).all()


def test_intervals_of_map_and_differences_of_runs():
    p, y = drawn_labels(images=60)
    worse = p * 0.5 + 0.5 * np.random.default_rng(2).random(p.shape)
    found = label_interval(p, y, resamples=300)
    assert (found.low < found.mean).all()
    assert (found.mean < found.high).all()
    same = label_difference([p, p], [p, p], y, True, resamples=50)
    assert not np.any([same.mean, same.low, same.high])
    change = label_difference([worse], [p], y, False, resamples=300)
    np.testing.assert_allclose(change.mean, found.mean - label_interval(worse, y, 5).mean)
    assert change.low[0] > 0
    assert change.p[0] < 0.05
