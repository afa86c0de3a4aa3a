"""Two processes that train together: what they share, and how they fail."""

import json
from contextlib import redirect_stderr
from dataclasses import replace
from io import StringIO

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from helpers.nets import group_norm_net
from helpers.processes import in_two
from helpers.runs import Silent, metrics, tiny
from sib import distributed
from sib.cli.main import main
from sib.config.train import InputConfig, ObjectiveConfig
from sib.data import BadSample
from sib.data.loader import KeyedDataset
from sib.distributed import processes
from sib.models import build
from sib.training import TrainingFailed, identified, loop, train, validation
from sib.training import step as training_step
from sib.training.progress import EpochProgress
from sib.training.splits import make_split_loader, open_splits
from sib.training.start import resolve
from sib.utils.errors import InputError
from sib.utils.signals import Interrupt, Stopped


class WithUnusedWeights(nn.Module):
    """A part that no image goes through, as pretrained models often have."""

    def __init__(self, classes):
        super().__init__()
        self.used, self.unused = group_norm_net(classes), nn.Linear(3, 3)

    def forward(self, images):
        return self.used(images)


def config(folder, name, **options):
    """90 images to train on, 2 × 15 in a step; 41 to test on."""
    defaults = {
        "arch": "helpers.nets:group_norm_net",
        "image_size": 16,
        "batch_size": 15,
        "epochs": 1,
        "objective": ObjectiveConfig(
            foreground_weight=1.0, background_weight=1e4, window_size=5, kind="published"
        ),
        "input": InputConfig(train_size=100, test_size=41),
        "hsic_scope": "global",
    }
    return tiny(folder / name, **(defaults | options))


def caught(action):
    try:
        action()
    except (InputError, TrainingFailed, Stopped) as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


def work(rank, folder):
    said = {}
    train(config(folder, "plain"), Silent())
    train(config(folder, "micro", micro_batch=4), Silent())
    train(config(folder, "local", hsic_scope="local"), Silent())
    train(config(folder, "unused", arch="training.test_distributed:WithUnusedWeights"), Silent())
    plain = {"method": "ce", "objective": ObjectiveConfig(), "hsic_scope": "local"}
    train(config(folder, "ce", arch="small_resnet", **plain), Silent())
    for fail in (refused_together, unreadable, not_finite, asked_to_stop, other_images, bad_device):
        with pytest.MonkeyPatch.context() as patch:
            said[fail.__name__] = caught(lambda fail=fail, patch=patch: fail(patch, rank, folder))
    said["command"] = command(folder)
    (folder / f"{rank}.json").write_text(json.dumps(said))


def command(folder):
    """Exit code and complaint of the command, which ends with the process group."""
    said = StringIO()
    with redirect_stderr(said):
        code = main(["train", "--data", "digits", "--device", "tpu", "--out", str(folder / "no")])
    assert not torch.distributed.is_initialized()
    return [code, " ".join(said.getvalue().split())]


def refused_together(patch, rank, folder):
    def action():
        if rank == 1:
            raise InputError("the second process cannot")

    distributed.raise_on_all_ranks(action)


def unreadable(patch, rank, folder):
    original = KeyedDataset.__getitem__

    def read(self, key):
        bad = rank == 1 and key.epoch == 1
        return BadSample("photo.jpg is torn") if bad else original(self, key)

    patch.setattr(KeyedDataset, "__getitem__", read)
    train(config(folder, "unreadable", epochs=2), Silent())


def not_finite(patch, rank, folder):
    original = training_step.accumulate

    def accumulate(*arguments, **options):
        out = original(*arguments, **options)
        return out._replace(loss=out.loss * torch.nan) if rank == 1 else out

    patch.setattr(training_step, "accumulate", accumulate)
    train(config(folder, "not_finite"), Silent())


def asked_to_stop(patch, rank, folder):
    original = loop.Training._finish_step

    def finish(self, seconds):
        original(self, seconds)
        if rank == 1 and self.place.step == 2:
            self.interrupt.number = 15

    patch.setattr(loop.Training, "_finish_step", finish)
    train(config(folder, "asked_to_stop"), Silent())


def other_images(patch, rank, folder):
    sizes = InputConfig(train_size=110, test_size=41)
    if rank == 1:
        patch.setattr(
            identified, "open_splits", lambda config: open_splits(replace(config, input=sizes))
        )
    train(config(folder, "other_images"), Silent())


def bad_device(patch, rank, folder):
    train(config(folder, "bad_device", device="cuda:1" if rank else "cpu"), Silent())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    in_two(work, folder)
    return folder


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("refused_together", "InputError: the second process cannot"),
        ("unreadable", "InputError: photo.jpg is torn"),
        ("not_finite", "TrainingFailed: no step of epoch 1 succeeded"),
        ("asked_to_stop", "Stopped: stopped after step 2, which is saved"),
        ("other_images", "InputError: --data digits: process 1 finds other images there"),
        ("bad_device", "InputError: --device must be auto, cpu or cuda under torchrun"),
    ],
)
def test_what_happens_to_one_process_ends_both_with_one_sentence(name, sentence, folder):
    for rank in range(2):
        said = json.loads((folder / f"{rank}.json").read_text())[name]
        assert said.startswith(sentence)


def test_the_command_ends_with_2_in_both_and_one_speaks(folder):
    found = [json.loads((folder / f"{rank}.json").read_text())["command"] for rank in range(2)]
    assert [code for code, _ in found] == [2, 2]
    assert "sib: --device must be auto, cpu or cuda under torchrun" in found[0][1]
    assert found[1][1] == "" and not (folder / "no").exists()


def test_a_stop_of_one_process_saves_the_step_of_both(folder):
    state = torch.load(folder / "asked_to_stop" / "state.pt", weights_only=True)
    assert state["step"] == 2 and len(state["processes"]) == 2
    assert not torch.equal(*(each["random"] for each in state["processes"]))
    assert torch.equal(*(each["random_projection"] for each in state["processes"]))


def assert_same_course(one, other):
    """Rounding apart, which AdamW turns into small steps wherever a gradient is near zero."""
    for a, b in zip(metrics(one), metrics(other), strict=True):
        assert a.keys() == b.keys()
        for key in ("loss", "cross_entropy", "terms", "gradient_ratio"):
            assert a[key] == pytest.approx(b[key], rel=1e-3), key
        assert a["step"] == b["step"] and a["validation"]["images"] == b["validation"]["images"]
    a, b = (load_file(run / "last.safetensors") for run in (one, other))
    for key in a:
        torch.testing.assert_close(a[key], b[key], rtol=0, atol=2e-4)


def test_two_processes_with_15_images_take_the_course_of_one_with_30(folder, tmp_path):
    train(config(tmp_path, "alone", batch_size=30), Silent())
    assert_same_course(folder / "plain", tmp_path / "alone")


def test_micro_batches_take_the_same_course(folder):
    assert_same_course(folder / "plain", folder / "micro")


def test_weights_that_no_image_meets_hinder_nothing(folder):
    a, b = (load_file(folder / "unused" / f"{name}.safetensors") for name in ("best", "last"))
    assert {key: value.shape for key, value in a.items()} == {k: v.shape for k, v in b.items()}
    assert (folder / "unused" / "result.json").exists()


@pytest.mark.parametrize("name", ["plain", "ce", "local"])
def test_what_is_measured_in_two_shares_is_what_one_process_measures(name, folder):
    arch = "small_resnet" if name == "ce" else "helpers.nets:group_norm_net"
    run = resolve(config(folder, name, arch=arch), None)
    splits = open_splits(run)
    model = build(run.arch, 10, run.side)
    model.load_state_dict(load_file(run.folder / "best.safetensors"))
    batches = loop.Training._read(Listening(), make_split_loader(run, splits, "test"))
    alone = validation.measure(model, batches, torch.device("cpu"), "half")
    found = json.loads((run.folder / "result.json").read_text())["test"]
    assert found["images"] == alone.images == 41 and found["annotated"] == alone.annotated
    for key, value in alone.record().items():
        assert found[key] == pytest.approx(value, rel=1e-5), key


class Listening:
    """As much of a `Training` as reading needs."""

    def __init__(self):
        self.interrupt, self.progress = Interrupt(), EpochProgress()


@pytest.fixture
def launched(monkeypatch):
    names = {
        "RANK": "3",
        "LOCAL_RANK": "1",
        "WORLD_SIZE": "8",
        "MASTER_ADDR": "a",
        "MASTER_PORT": "1",
    }
    for name, value in names.items():
        monkeypatch.setenv(name, value)


def test_commands_for_one_process_are_refused_under_torchrun(launched, monkeypatch, capsys):
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert main(["demo"]) == 2
    assert "sib demo runs in one process; torchrun is for sib train" in capsys.readouterr().err


def test_only_one_process_of_a_machine_speaks_before_they_have_met(launched, capsys):
    assert main(["demo"]) == 2
    assert capsys.readouterr().err == ""


def test_each_process_has_a_gpu_of_its_own(launched, monkeypatch):
    chosen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for name in ("auto", "cuda"):
        assert processes._own_device(name) == torch.device("cuda", 1)
    assert chosen == [1, 1]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match="--nproc-per-node must be at most 1, the number of GPUs"):
        processes._own_device("cuda")


def test_an_end_without_a_word_is_told_in_one_sentence(monkeypatch):
    monkeypatch.setattr(processes, "size", lambda: 2)
    with (
        pytest.raises(distributed.ProcessLost, match="another process of this run has ended"),
        distributed.translate_lost_peer(),
    ):
        raise RuntimeError("[pair.cc:553] Connection closed by peer [127.0.0.1]:4")
    with pytest.raises(RuntimeError, match="something else"), distributed.translate_lost_peer():
        raise RuntimeError("something else")


def test_seeds_differ_between_processes_and_the_first_keeps_its_own(monkeypatch):
    seeds = []
    for rank in range(4):
        monkeypatch.setattr(processes, "rank", lambda rank=rank: rank)
        seeds.append(distributed.rank_seed(7))
    assert seeds[0] == 7 and len(set(seeds)) == 4 and all(0 <= seed < 2**63 for seed in seeds)
