"""Trackers beside the JSON lines: what is sent, that they fail alone, and that they resume."""

import json
import sys
from importlib import import_module
from io import BytesIO

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from helpers.runs import Silent, metrics, tiny
from sib.cli.main import main
from sib.config.train import InputConfig
from sib.data import Digits
from sib.explain import register
from sib.models import SmallResNet
from sib.tracking import registry
from sib.tracking.group import FILE, Trackers, scalars
from sib.tracking.registry import tracker_names
from sib.training import train
from sib.training.explanations import draw_explanations
from sib.utils.errors import InputError


class Recording:
    """Keeps what it is sent; fails where it is told to."""

    def __init__(self, failing=()):
        self.failing = failing
        self.calls, self.scalars, self.figures = [], {}, {}

    def _called(self, name):
        self.calls.append(name)
        if name in self.failing:
            raise ConnectionError(f"{name} has no network")

    def open(self, folder, options, identity):
        self._called("open")
        self.options, self.identity = options, identity
        return identity or "new"

    def log_scalars(self, values, step):
        self._called("log_scalars")
        sent = self.scalars.setdefault(step, {})
        assert not sent.keys() & values.keys()
        sent |= values

    def log_figure(self, name, png, step):
        self._called("log_figure")
        self.figures[step] = png

    def close(self):
        self._called("close")


def config(out, track, **options):
    small = {"batch_size": 16, "image_size": 16, "input": InputConfig(train_size=40, test_size=12)}
    return tiny(out, method="ce", track=track, **(small | options))


@pytest.fixture
def recorder(monkeypatch):
    """Makes the tracker wandb one that keeps what it is sent."""

    def make(failing=()):
        tracker = Recording(failing)
        monkeypatch.setattr("sib.training.prepare.load_tracker", lambda name: tracker)
        return tracker

    return make


def test_each_epoch_is_sent_with_a_picture_and_training_is_not_changed(tmp_path, recorder):
    tracker = recorder()
    train(config(tmp_path / "tracked", "wandb"), Silent())
    train(config(tmp_path / "alone", "none"), Silent())
    a, b = (load_file(tmp_path / name / "last.safetensors") for name in ("tracked", "alone"))
    assert all(torch.equal(a[name], b[name]) for name in a)
    records = metrics(tmp_path / "tracked")
    assert tracker.options["method"] == "ce" and tracker.identity is None
    assert list(tracker.scalars) == [record["step"] for record in records]
    for record in records:
        sent = tracker.scalars[record["step"]]
        assert sent["cross_entropy"] == record["cross_entropy"]
        assert sent["validation/accuracy"] == record["validation"]["accuracy"]
    for png in tracker.figures.values():
        width, height = Image.open(BytesIO(png)).size
        assert width > 500 and height > 500
    assert sent["test/images"] == 12  # after the last epoch
    assert len(tracker.figures) == 2 and tracker.calls[-1] == "close"
    assert json.loads((tmp_path / "tracked" / FILE).read_text()) == {
        "wandb": {"identity": "new", "epoch": 2, "failures": 0}
    }


def test_the_test_is_sent_too(tmp_path):
    tracker = Recording()
    trackers = Trackers({"one": tracker}, tmp_path, print)
    trackers.open({}, [])
    trackers.log_result({"test": {"accuracy": 0.5, "energy": float("nan")}}, 7)
    assert tracker.scalars == {7: {"test/accuracy": 0.5}}


@pytest.mark.parametrize("failing", ["open", "log_scalars", "log_figure", "close"])
def test_a_failure_is_reported_once_and_counted(tmp_path, failing):
    said, records = [], [{"epoch": 1, "step": 5}, {"epoch": 2, "step": 10}]
    trackers = Trackers({"one": Recording((failing,))}, tmp_path, said.append)
    trackers.open({}, [])
    trackers.log_epoch(lambda: records[:1], lambda: b"")
    trackers.log_epoch(lambda: records, lambda: b"")
    trackers.log_result({"test": {"accuracy": 0.5}}, 10)
    trackers.close()
    failures = {"open": 1, "log_scalars": 3, "log_figure": 2, "close": 1}[failing]
    assert json.loads((tmp_path / FILE).read_text())["one"]["failures"] == failures
    assert said == [
        f"warning: tracker one failed, and the run continues: {failing} has no network",
        f"tracker one: {failures} calls failed in all",
    ]


def test_a_failure_costs_nothing(tmp_path, recorder):
    recorder(("log_scalars", "log_figure", "close"))
    silent = Silent()
    train(config(tmp_path / "run", "wandb", epochs=1), silent)
    assert (tmp_path / "run" / "result.json").exists()
    assert sum("tracker wandb failed" in line for line in silent.said) == 1


def test_what_was_not_sent_is_sent_later(tmp_path):
    tracker = Recording(("log_scalars",))
    trackers = Trackers({"one": tracker}, tmp_path, lambda sentence: None)
    records = [{"epoch": 1, "step": 5, "loss": 2.0}, {"epoch": 2, "step": 10, "loss": 1.0}]
    trackers.open({}, [])
    trackers.log_epoch(lambda: records[:1], lambda: b"")
    tracker.failing = ()
    trackers.log_epoch(lambda: records, lambda: b"")
    assert {step: sent["loss"] for step, sent in tracker.scalars.items()} == {5: 2.0, 10: 1.0}


def test_a_picture_that_cannot_be_drawn_is_reported_once(tmp_path):
    said, tracker = [], Recording()
    trackers = Trackers({"one": tracker}, tmp_path, said.append)
    trackers.open({}, [])
    for epoch in (1, 2):
        trackers.log_epoch(lambda e=epoch: [{"epoch": e, "step": e}], lambda: 1 / 0)
    assert said == ["warning: no picture of explanations is tracked: division by zero"]
    assert len(tracker.scalars) == 2 and not tracker.figures


@pytest.mark.usefixtures("own_explanations")
def test_the_pictures_of_a_run_show_the_same_methods_throughout(tmp_path, monkeypatch):
    """A method of another package is known only once something has loaded it."""
    shown, drawing = [], import_module("sib.figures.overlay")  # a function has its name too
    monkeypatch.setattr(drawing, "draw_grid", lambda pixels, maps, names: shown.append(list(maps)))
    model, source = SmallResNet(10), Digits("test", size=8)
    resolved = InputConfig(resize="crop", normalization="half")
    options = (config(tmp_path, "none", input=resolved), torch.device("cpu"))
    draw_explanations(model, source, *options)
    register("toy", lambda call: call.images.sum(dim=1).detach(), default=True, in_gallery=True)
    draw_explanations(model, source, *options)
    assert shown == [["saliency", "Grad-CAM", "VJP"]] * 2


def test_resume_continues_the_same_run(tmp_path, recorder):
    recorder()
    train(config(tmp_path / "run", "wandb", epochs=1), Silent())
    second = recorder()
    train(config(tmp_path / "run", "wandb", epochs=2, resume=True), Silent())
    assert second.identity == "new"
    assert list(second.scalars) == [record["step"] for record in metrics(tmp_path / "run")[1:]]


def test_a_damaged_record_starts_a_new_one(tmp_path):
    (tmp_path / FILE).write_text("{")
    said, tracker = [], Recording()
    Trackers({"one": tracker}, tmp_path, said.append).open({}, [{"epoch": 1, "step": 4}])
    assert "is damaged, so the trackers show the rest of the run as a new one" in said[0]
    assert tracker.identity is None and list(tracker.scalars) == [4]


def test_only_finite_numbers_are_sent():
    record = {
        "epoch": 1,
        "terms": {"image": 0.5},
        "bad": float("inf"),
        "words": ["x"],
        "n": None,
    }
    assert scalars(record) == {"epoch": 1.0, "terms/image": 0.5}


RECORDS = [{"epoch": e, "step": 5 * e, "validation": {"accuracy": e / 4}} for e in (1, 2)]


def png():
    content = BytesIO()
    Image.new("RGB", (30, 20), "red").save(content, "PNG")
    return content.getvalue()


def shown(name, folder):
    """Two epochs of a run that was stopped after the first; the identity in the tracker."""
    said = []
    folder.mkdir()
    for finished in (1, 2):
        trackers = Trackers({name: registry.load_tracker(name)}, folder, said.append)
        trackers.open({"method": "ce", "input.size": None}, RECORDS[: finished - 1])
        trackers.log_epoch(lambda n=finished: RECORDS[:n], png)
        trackers.close()
    assert said == []
    return json.loads((folder / FILE).read_text())[name]["identity"]


def test_tensorboard_shows_one_run_over_a_resume(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    shown("tensorboard", tmp_path / "run")
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    found = [(each.step, each.value) for each in events.Scalars("validation/accuracy")]
    assert found == [(5, 0.25), (10, 0.5)]
    pictures = events.Images("explanations")
    assert [each.step for each in pictures] == [5, 10]
    assert Image.open(BytesIO(pictures[0].encoded_image_string)).size == (30, 20)
    assert "options/text_summary" in events.Tags()["tensors"]


def log_records(content, block=32768, header=7):
    """The records of a log in LevelDB's format, which begins with a header of wandb's own."""
    place, parts = header, b""
    while place + header <= len(content):
        left = block - place % block
        if left < header:
            place += left
            continue
        size, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        parts += content[place + header : place + header + size]
        place += header + size
        if kind in (1, 4):  # whole, or the last of several parts
            yield parts
            parts = b""


def test_wandb_writes_offline_under_one_identity(tmp_path, monkeypatch):
    from wandb.proto.wandb_internal_pb2 import Record

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    identity = shown("wandb", tmp_path / "run")
    parts = sorted((tmp_path / "run" / "wandb").glob(f"offline-run-*-{identity}*"))
    found = []
    for file in (each for part in parts for each in sorted(part.glob("run-*.wandb"))):
        for record in map(Record.FromString, log_records(file.read_bytes())):
            sent = {item.key or "/".join(item.nested_key): item for item in record.history.item}
            if "validation/accuracy" in sent:
                value = json.loads(sent["validation/accuracy"].value_json)
                found.append((record.history.step.num, value))
    assert found == [(5, 0.25), (10, 0.5)]
    pictures = [each for part in parts for each in part.glob("files/media/images/*.png")]
    assert len(pictures) == 2


def test_mlflow_writes_to_a_file_store(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    identity = shown("mlflow", tmp_path / "run")
    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("sib").experiment_id])
    assert run.info.run_id == identity and run.info.run_name == "run"
    assert run.info.status == "FINISHED" and run.data.params["method"] == "ce"
    history = client.get_metric_history(identity, "validation/accuracy")
    assert [(each.step, each.value) for each in history] == [(5, 0.25), (10, 0.5)]
    assert len(client.list_artifacts(identity, "explanations")) == 2


def test_names_are_checked():
    assert tracker_names("none") == []
    assert tracker_names("tensorboard,wandb") == ["tensorboard", "wandb"]
    with pytest.raises(InputError, match="--track 'tensorbord' is unknown, perhaps tensorboard"):
        tracker_names("tensorbord")
    with pytest.raises(InputError, match="has a duplicate"):
        tracker_names("wandb,wandb")


def test_a_missing_library_is_named_before_anything_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "wandb", None)
    out = tmp_path / "run"
    arguments = ["--data", "digits", "--arch", "small_resnet", "--track", "wandb"]
    assert main(["train", *arguments, "--out", str(out), "--device", "cpu"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert 'this needs wandb, which is not installed: pip install "sib[wandb]"' in said
    assert not out.exists()


def test_another_package_adds_a_tracker(tmp_path, monkeypatch):
    info = tmp_path / "sib_dots-1.0.dist-info"
    info.mkdir()
    (tmp_path / "sib_dots.py").write_text(
        "from tracking.test_trackers import Recording as Dots\nnothing = 3\n"
    )
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sib-dots\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[sib.trackers]\ndots = sib_dots:Dots\nnothing = sib_dots:nothing\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert tracker_names("dots,tensorboard") == ["dots", "tensorboard"]
    assert type(registry.load_tracker("dots")).__name__ == "Recording"
    with pytest.raises(InputError, match="'nothing' must be a class with open, log_scalars"):
        registry.load_tracker("nothing")
