"""Evaluating runs and foreign weights."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from helpers.nets import small_vit
from helpers.trained import FAST, evaluated, quiet, trained
from sib.cli.main import main
from sib.config.evaluate import AttributionConfig, EvaluateConfig
from sib.data import make_loader, open_data
from sib.data.normalization import normalise
from sib.evaluation.evaluate import evaluate, options
from sib.evaluation.measures import DEFAULT
from sib.evaluation.scores import read_scores
from sib.explain import attribute
from sib.metrics import MAP_MEASURES
from sib.models import build
from sib.utils.errors import InputError

CPU = torch.device("cpu")


def config(run, **options):
    return EvaluateConfig(run=run, device="cpu", attribution=FAST, **options)


def test_scores_are_those_of_each_image_alone(tmp_path):
    """Against one image at a time through `attribute` and the measures, on the stored weights."""
    run = trained()
    methods = ("saliency", "gradcam", "integrated_gradients", "guided_backprop")
    found = evaluate(config(run, methods=methods, out=tmp_path), quiet())
    scores = read_scores(tmp_path / "evaluation.csv")
    splits = open_data("digits", train_size=60, test_size=20, image_size=32)
    model = build("small_resnet", 10, 32)
    model.load_state_dict(load_file(run / "best.safetensors"))
    model.eval()
    loader = make_loader(splits.test, image_size=32, batch_size=1, train=False)
    for index, batch in enumerate(loader):
        images = normalise(batch.images, CPU, "half")
        probabilities = model(images).detach().softmax(dim=1)[0]
        assert scores.names[index] == batch.names[0]
        assert scores.predicted[index] == int(probabilities.argmax())
        assert scores.probability[index] == pytest.approx(float(probabilities.max()), abs=1e-5)
        for method in methods:
            maps = attribute(model, images, method=method, n_steps=2, n_samples=2)
            for name in DEFAULT:
                measure = MAP_MEASURES[name]
                expected = float(measure.function(maps.detach(), batch.foreground.squeeze(1)))
                # ties and order can turn on the last bit; the other measures are continuous
                slack = 0.02 if name in ("top_pixel_iou", "relevance_rank_accuracy") else 2e-4
                value = scores.column(method, name)[index]
                if name != "pointing_game":
                    assert value == pytest.approx(expected, abs=slack, nan_ok=True), (method, name)
    column = scores.column("saliency", "energy_pointing_game")
    entry = found["table"]["saliency"]["energy_pointing_game"]
    assert entry["mean"] == pytest.approx(np.nanmean(column))
    assert entry["low"] < entry["mean"] < entry["high"]
    assert found["accuracy"]["mean"] == pytest.approx(scores.correct.mean())


def test_accuracy_is_the_one_of_the_training_run():
    result = json.loads((trained() / "result.json").read_text())
    found = json.loads((evaluated() / "evaluation.json").read_text())
    assert found["accuracy"]["mean"] == pytest.approx(result["test"]["accuracy"])
    energy = found["table"]["vjp"]["energy_pointing_game"]["mean"]
    assert energy == pytest.approx(result["test"]["foreground_energy"], abs=1e-4)


def test_a_file_of_weights_of_another_loop(tmp_path):
    model = build("small_resnet", 10, 32)
    torch.save({"state_dict": model.state_dict()}, tmp_path / "mine.pt")
    found = evaluate(
        config(
            tmp_path / "mine.pt",
            arch="small_resnet",
            data="digits",
            image_size=32,
            limit=7,
            normalization="0.45/0.25",
            methods=("saliency",),
        ),
        quiet(),
    )
    assert found["images"] == 7
    assert found["normalization"] == "0.45,0.45,0.45/0.25,0.25,0.25"
    assert found["normalization_source"] == "as given"
    assert (tmp_path / "mine-evaluation" / "evaluation.json").is_file()


def test_every_measure_can_be_asked_for(tmp_path):
    metrics = ("insertion_area", "deletion_area", "parameter_randomisation", "sparseness")
    found = evaluate(
        config(trained(), out=tmp_path, limit=4, methods=("saliency",), metrics=metrics), quiet()
    )
    row = found["table"]["saliency"]
    assert list(row) == list(metrics)
    assert 0 < row["insertion_area"]["mean"] < 1 and 0 < row["deletion_area"]["mean"] < 1
    assert -1 <= row["parameter_randomisation"]["mean"] < 1


def test_images_without_foreground_have_no_score(tmp_path):
    """A data set without masks: localisation is absent, sparseness is there."""
    for split in ("train", "test"):
        for name in ("a", "b"):
            folder = tmp_path / "data" / split / name
            folder.mkdir(parents=True)
            for index in range(4):
                pixels = np.random.default_rng(index).integers(256, size=(32, 32, 3))
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{index}.png")
    save_file(build("small_resnet", 2, 32).state_dict(), tmp_path / "w.safetensors")
    found = evaluate(
        config(
            tmp_path / "w.safetensors",
            arch="small_resnet",
            data=str(tmp_path / "data"),
            image_size=32,
            normalization="half",
            methods=("vjp",),
        ),
        quiet(),
    )
    row = found["table"]["vjp"]
    assert row["energy_pointing_game"]["mean"] is None
    assert row["energy_pointing_game"]["without_value"] == found["images"] == 8
    assert row["sparseness"]["images"] == 8
    assert found["annotated"] == 0 and found["foreground_share"] is None


def test_methods_that_an_architecture_lacks_are_listed(tmp_path):
    save_file(small_vit(10).state_dict(), tmp_path / "vit.safetensors")
    options = {"arch": "helpers.nets:small_vit", "data": "digits", "image_size": 16, "limit": 2}
    options |= {"trust_code": True, "normalization": "half"}
    console = quiet()
    found = evaluate(config(tmp_path / "vit.safetensors", **options), console)
    text = console.file.getvalue()
    assert "without guided_backprop: it changes the backward pass" in text
    assert found["unavailable"] == ["guided_backprop"]
    assert "gradcam" in found["table"]
    with pytest.raises(InputError, match="--methods: method guided_backprop"):
        evaluate(
            config(tmp_path / "vit.safetensors", methods=("guided_backprop",), **options), quiet()
        )


FOREIGN = ["{weights}", "--arch", "small_resnet", "--image-size", "32", "--normalization"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["{tmp}"], "holds no run"),
        (["{run}", "--methods", "gradcan"], "--methods has no 'gradcan', perhaps gradcam"),
        (["{run}", "--methods", "vjp", "vjp"], "has a duplicate"),
        (["{run}", "--limit", "0"], "--limit must be at least 1"),
        (["{run}", "--attribution.steps", "0"], "--attribution.steps must be at least 1"),
        (["{run}", "--arch", "resnet18"], "does not fit resnet18"),
        ([*FOREIGN[:5]], "give --normalization, such as half"),
        ([*FOREIGN, "0.5"], "--normalization must be half, imagenet or MEAN/STD"),
        ([*FOREIGN, "half"], "give --data"),
        ([*FOREIGN, "half", "--data", "digits"], "has 3 classes, and digits has 10"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, capsys, arguments, sentence):
    save_file(build("small_resnet", 3, 32).state_dict(), tmp_path / "w.safetensors")
    places = {"run": trained(), "tmp": tmp_path, "weights": tmp_path / "w.safetensors"}
    code = main(["evaluate", *(text.format(**places) for text in arguments)])
    said = " ".join(capsys.readouterr().err.split())
    assert code == 2
    assert sentence in said
    assert "Traceback" not in said


def test_an_evaluation_that_fails_leaves_the_one_before(tmp_path):
    run = tmp_path / "run"
    shutil.copytree(evaluated(), run)
    before = (run / "evaluation.json").read_bytes()
    (run / "best.safetensors").write_bytes(b"torn")
    with pytest.raises(InputError, match=r"best\.safetensors is damaged"):
        evaluate(config(run), quiet())
    assert (run / "evaluation.json").read_bytes() == before


def test_weights_that_are_not_finite_are_named(tmp_path):
    state = build("small_resnet", 10, 32).state_dict()
    options = {"arch": "small_resnet", "data": "digits", "image_size": 32, "limit": 2}
    options["normalization"] = "half"
    for value, sentence in (("nan", "holds NaN or infinite values in head"), ("3e38", "logits")):
        state["head.weight"] = torch.full_like(state["head.weight"], float(value))
        save_file(state, tmp_path / "w.safetensors")
        with pytest.raises(InputError, match=sentence):
            evaluate(config(tmp_path / "w.safetensors", **options), quiet())


def test_classes_in_another_order_are_refused(tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained(), run)
    facts = {
        "arch": "small_resnet",
        "image_size": 32,
        "normalization": "half",
        "classes": [str(n) for n in range(9, -1, -1)],
    }
    save_file(
        load_file(run / "best.safetensors"), run / "best.safetensors", {"sib": json.dumps(facts)}
    )
    with pytest.raises(InputError, match="the classes must be the same, in the same order"):
        evaluate(config(run), quiet())


def test_the_cost_of_explanations_by_forward_passes_is_announced(tmp_path):
    console = quiet()
    config = EvaluateConfig(
        run=trained(),
        methods=("occlusion", "rise"),
        limit=2,
        out=tmp_path,
        device="cpu",
        attribution=AttributionConfig(masks=20),
    )
    found = evaluate(config, console)
    text = console.file.getvalue()
    assert "occlusion: 50 forward passes per image" in text
    assert "rise: 20 forward passes per image" in text
    assert list(found["table"]) == ["occlusion", "rise"] and found["options"]["masks"] == 20
    assert "masks" not in options(EvaluateConfig(run=trained()))
