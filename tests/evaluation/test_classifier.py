"""A trained classifier in code of one's own, and its predictions as a table."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file, save_file

import sib
from helpers.trained import trained
from sib.cli.main import main
from sib.evaluation.classes import names_in
from sib.evaluation.images import find_images
from sib.figures import draw_map
from sib.runs.foreground_file import FoundForegrounds, write_foregrounds
from sib.utils.errors import InputError


@pytest.fixture(scope="module")
def classifier():
    return sib.load(trained(), device="cpu")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Three photographs of different sizes, one of them in a folder below."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "more").mkdir()
    generator = np.random.default_rng(0)
    paths = [folder / "a.png", folder / "b.png", folder / "more" / "c.png"]
    for path, shape in zip(paths, ((40, 50, 3), (32, 32, 3), (70, 36, 3)), strict=True):
        Image.fromarray(generator.integers(0, 256, shape, dtype=np.uint8)).save(path)
    return folder, paths


def test_what_it_knows(classifier):
    assert classifier.classes == [str(digit) for digit in range(10)]
    assert (classifier.image_size, classifier.normalization) == (32, "half")
    state = load_file(trained() / "best.safetensors")
    own = classifier.model.state_dict()
    assert own.keys() == state.keys()
    assert all(torch.equal(value, state[name]) for name, value in own.items())
    assert (
        "small_resnet at 32 × 32 pixels, resize crop (its header), normalisation half (its header)"
        in repr(classifier)
    )


def test_paths_images_of_pillow_and_tensors_are_alike(classifier, photos):
    _, paths = photos
    tensors = [torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1) for path in paths]
    one = classifier.predict(paths).probabilities
    assert one.shape == (3, 10)
    assert torch.allclose(one.sum(dim=1), torch.ones(3))
    assert torch.equal(one, classifier.predict([Image.open(path) for path in paths]).probabilities)
    assert torch.equal(one, classifier.predict(tensors).probabilities)
    alone = classifier.predict(str(paths[0]))
    assert torch.allclose(alone.probabilities[0], one[0], atol=1e-6)
    assert alone.classes == [classifier.classes[int(one[0].argmax())]]


def test_by_hand_with_its_own_parts(classifier, photos):
    _, paths = photos
    x = torch.stack([classifier.transform(path) for path in paths])
    pixels = classifier.pixels(paths[0])
    assert torch.allclose(x[0], (pixels / 255 - 0.5) / 0.5, atol=1e-6)
    with torch.no_grad():
        expected = classifier.model(x).softmax(dim=1)
    assert torch.allclose(classifier.predict(paths).probabilities, expected, atol=1e-6)


def test_batches_do_not_matter(photos):
    _, paths = photos
    classifier = sib.load(trained(), device="cpu")
    whole = classifier.predict(paths).probabilities
    classifier.batch_size = 2
    assert torch.allclose(classifier.predict(paths).probabilities, whole, atol=1e-6)


def test_explanations(classifier, photos):
    _, paths = photos
    maps = classifier.explain(paths, "saliency", target="3", normalize="max")
    assert maps.shape == (3, 32, 32)
    x = torch.stack([classifier.transform(path) for path in paths])
    expected = sib.explain.attribute(classifier.model, x, 3, "saliency", "max")
    assert torch.equal(maps, expected)
    figure = draw_map(classifier.pixels(paths[0]), maps[0], title="$x")
    assert len(figure.axes) == 2


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda c: c.predict([]), "at least one image"),
        (lambda c: c.predict("none.png"), r"none\.png"),
        (lambda c: c.predict([3]), "a path, a Pillow image or a tensor; got int"),
        (lambda c: c.predict(torch.zeros(3, 8, 8)), "must be uint8"),
        (lambda c: c.explain(torch.zeros(3, 8, 8, dtype=torch.uint8), target="x"), "got 'x'"),
        (lambda c: c.explain(torch.zeros(3, 8, 8, dtype=torch.uint8), target=10), "0 to 9; got 10"),
        (lambda c: c.explain(torch.zeros(3, 8, 8, dtype=torch.uint8), "x"), "method"),
    ],
)
def test_bad_arguments(classifier, call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call(classifier)


@pytest.mark.parametrize(
    ("image", "attribution", "sentence"),
    [
        (torch.zeros(3, 4, 4), torch.zeros(4, 4), "must be uint8"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8), torch.zeros(4, 5), "attribution must be"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8), torch.full((4, 4), torch.nan), "finite"),
    ],
)
def test_maps_that_cannot_be_drawn(image, attribution, sentence):
    with pytest.raises(ValueError, match=sentence):
        draw_map(image, attribution)


def test_a_map_is_written(tmp_path):
    draw_map(torch.zeros(3, 8, 8, dtype=torch.uint8), torch.zeros(8, 8), tmp_path / "m.png")
    assert Image.open(tmp_path / "m.png").size[0] > 100


def test_predict_writes_tables(photos, tmp_path, capsys):
    folder, paths = photos
    command = ["predict", str(trained()), str(folder), "--device", "cpu", "--top", "2"]
    assert main([*command, "--table-format", "json", "--out", str(tmp_path / "t.json")]) == 0
    rows = json.loads((tmp_path / "t.json").read_text())
    assert [row["image"] for row in rows] == [str(path) for path in paths]
    expected = sib.load(trained(), device="cpu").predict(paths)
    for row, name, own in zip(rows, expected.classes, expected.probabilities, strict=True):
        assert row["classes"][0]["class"] == name
        assert row["classes"][0]["probability"] == pytest.approx(own.max().item(), abs=1e-5)
        assert len(row["classes"]) == 2
    assert main([*command, "--table-format", "csv"]) == 0
    lines = list(csv.reader(capsys.readouterr().out.splitlines()[-4:]))
    assert lines[0] == ["image", "class_1", "probability_1", "class_2", "probability_2"]
    assert lines[1][:2] == [str(paths[0]), expected.classes[0]]
    assert main(command) == 0
    assert "probability" in capsys.readouterr().out
    assert main([*command, "--quiet"]) == 0
    shown = capsys.readouterr()
    assert "probability" in shown.out and not shown.err


def test_predict_refuses_before_it_writes(photos, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.png").write_text("hello")
    for path, sentence in (
        (tmp_path / "none.png", "does not exist"),
        (tmp_path / "empty", "holds no image"),
        (tmp_path / "text.png", "text.png"),
    ):
        arguments = ["predict", str(trained()), str(path), "--out", str(tmp_path / "t.csv")]
        assert main([*arguments, "--device", "cpu"]) == 2
        assert sentence in " ".join(capsys.readouterr().err.split())
        assert not (tmp_path / "t.csv").exists()
    with pytest.raises(InputError, match="holds no image"):
        find_images((tmp_path / "empty",))


def test_a_file_of_weights_can_be_loaded(tmp_path):
    state = load_file(trained() / "best.safetensors")
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="give --arch"):
        sib.load(tmp_path / "w.safetensors", device="cpu")
    found = sib.load(
        tmp_path / "w.safetensors",
        device="cpu",
        arch="small_resnet",
        image_size=32,
        normalization="half",
    )
    assert found.classes == [str(digit) for digit in range(10)]


def test_a_size_that_is_not_square(photos, tmp_path):
    _, paths = photos
    classifier = sib.load(trained(), device="cpu", image_size=(24, 40), resize="squash")
    assert classifier.pixels(paths[0]).shape == (3, 24, 40)
    assert classifier.explain(paths, "saliency").shape == (3, 24, 40)
    out = tmp_path / "net.pt2"
    options = ["--image-size", "24x40", "--device", "cpu", "--out", str(out)]
    assert main(["export", str(trained()), "--format", "pt2", *options]) == 0
    assert torch.export.load(out).module()(torch.zeros(1, 3, 24, 40)).shape == (1, 10)


def test_the_foregrounds_that_a_run_found(tmp_path):
    maps = torch.zeros(2, 1, 4, 4)
    maps[0, 0, :2, :2] = maps[1, 0, 2:, 2:] = 1.0
    facts = {"format": 1, "area": 0.2, "resize": "crop", "layer": "stages", "image_size": 32}
    shutil.copytree(trained(), tmp_path / "run")
    found = FoundForegrounds(["a.png", "b/c.png"], maps, facts | {"images": 2})
    write_foregrounds(tmp_path / "run", found)
    masks = sib.load(tmp_path / "run", device="cpu").foregrounds()
    assert list(masks) == ["a.png", "b/c.png"]
    for mask in masks.values():
        assert mask.shape == (32, 32) and mask.dtype == torch.bool
        assert mask.float().mean() == pytest.approx(0.2, abs=0.01)
    assert masks["a.png"][:16, :16].sum() == masks["a.png"].sum()
    assert masks["b/c.png"][16:, 16:].sum() == masks["b/c.png"].sum()


def test_a_run_that_looked_for_no_foregrounds_says_so(classifier):
    with pytest.raises(InputError, match="only a run with --foreground pretrained"):
        classifier.foregrounds()


def test_numbered_classes_hint_at_their_names(photos, tmp_path, capsys):
    save_file(load_file(trained() / "best.safetensors"), tmp_path / "w.safetensors")
    facts = ["--arch", "small_resnet", "--image-size", "32", "--normalization", "half"]
    options = [str(photos[1][0]), *facts, "--device", "cpu"]
    hint = "w.safetensors does not name its classes: they are numbered; give --classes FILE"
    assert main(["predict", str(tmp_path / "w.safetensors"), *options]) == 0
    assert hint in capsys.readouterr().err
    command = ["explain", str(tmp_path / "w.safetensors"), *options, "--methods", "saliency"]
    assert main(command) == 0
    assert hint in capsys.readouterr().out
    (tmp_path / "names.txt").write_text("\n".join(f"digit {k}" for k in range(10)))
    assert main([*command, "--classes", str(tmp_path / "names.txt")]) == 0
    shown = capsys.readouterr().out
    assert "they are numbered" not in shown and "digit " in shown


def test_the_value_range_of_a_run_is_applied(tmp_path, classifier):
    values = np.linspace(0, 4095, 32 * 32).reshape(32, 32)
    Image.fromarray(values.astype(np.uint16)).save(tmp_path / "deep.png")
    shutil.copytree(trained(), tmp_path / "run")
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    config["input"]["value_range"] = "0-4095"
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(config))
    stretched = sib.load(tmp_path / "run", device="cpu")
    assert classifier.pixels(tmp_path / "deep.png").max() == 16
    expected = torch.from_numpy(np.round(values / 4095 * 255))
    found = stretched.pixels(tmp_path / "deep.png").double()
    assert (found - expected).abs().max() <= 1
    config["input"]["value_range"] = "a lot"
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(InputError, match=r"config\.yaml is damaged: value_range must be LOW-HIGH"):
        sib.load(tmp_path / "run", device="cpu")


@pytest.mark.parametrize(
    "content",
    [
        '["cat", "dog"]',
        '{"0": ["n01", "cat"], "1": "dog"}',
        '{"dog": 1, "cat": 0}',
        '{"architectures": ["A"], "id2label": {"0": "cat", "1": "dog"}}',
        None,
    ],
)
def test_class_names_in_json(tmp_path, content):
    path = tmp_path / ("names.txt" if content is None else "names.json")
    path.write_text(content or "cat\ndog\n")
    assert names_in(path) == ["cat", "dog"]


def test_text_that_begins_as_json_is_read_as_json(tmp_path):
    (tmp_path / "names.txt").write_text('["cat",\n"dog"]')
    assert names_in(tmp_path / "names.txt") == ["cat", "dog"]
    (tmp_path / "names.txt").write_text("{0: 'cat',\n 1: 'dog'}")
    with pytest.raises(InputError, match="or text with a name per line"):
        names_in(tmp_path / "names.txt")


def test_a_first_name_in_brackets_is_not_json(tmp_path):
    (tmp_path / "names.txt").write_text("[background]\ncat\n{other}\ndog\n")
    assert names_in(tmp_path / "names.txt") == ["[background]", "cat", "{other}", "dog"]


@pytest.mark.parametrize("content", ["", "[1, 2]", '{"1": "cat"}', '{"cat": 1}', "3", "[" * 9999])
def test_other_json_is_refused(tmp_path, content):
    (tmp_path / "names.json").write_text(content)
    with pytest.raises(InputError, match="must be JSON with a list of names"):
        names_in(tmp_path / "names.json")
