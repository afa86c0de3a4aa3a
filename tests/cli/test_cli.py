"""The command line: exit codes, sentences, files of options."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.processes import Forked, command
from sib.cli.main import main, parse

TINY = ["--data", "digits", "--arch", "small_resnet", "--epochs", "1", "--workers", "0"]
TINY += ["--device", "cpu", "--input.train-size", "60", "--input.test-size", "20"]
PUBLISHED = ["--objective", "published"]


def run(arguments, capsys):
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_train_ends_with_0_and_a_run_folder(tmp_path, capsys):
    code, out, _ = run(
        ["train", *TINY, "--image-size", "24", "--out", str(tmp_path / "run")], capsys
    )
    assert code == 0
    assert "M parameters" in out and "S-IB step" in out and "accuracy" in out
    assert (tmp_path / "run" / "result.json").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a file that is always full")
def test_a_full_disk_behind_the_output_is_one_sentence(tmp_path):
    process = Forked(lambda: main(["recipes"]), Path("/dev/full"), tmp_path / "stderr")
    assert process.wait(20) == 1
    said = (tmp_path / "stderr").read_text()
    assert said.startswith("sib: writing failed: No space left on device; what was written")
    assert len(said.splitlines()) == 1


def test_help_names_every_command_and_exit_code(capsys):
    code, out, _ = run(["--help"], capsys)
    assert code == 0
    assert all(word in out for word in ("train", "demo", "recipes", "130", "143", "Exit codes"))


def test_help_of_train_documents_every_option(capsys):
    code, out, _ = run(["train", "--help"], capsys)
    assert code == 0
    for option in ("--objective.background-weight", "--schedule.kind", "--input.augment"):
        assert option in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--data", "digits", "--epoch", "3"], ["--epoch", "--epochs"]),
        (["train", "--data", "digits", "--method", "sibb"], ["--method", "sib", "ce"]),
        (["train", "--data", "digits", "--epochs", "many"], ["--epochs", "many"]),
        (["train", "--data", "digits", "--epochs", "0"], ["--epochs must be at least 1"]),
        (["train"], ["sib train needs a recipe, such as cub200/resnet50 (sib recipes lists"]),
        (
            ["train", "cub200/resnet5"],
            ["sib: recipe 'cub200/resnet5' is unknown, perhaps cub200/r"],
        ),
        (["train", "./birds"], ["'./birds' is unknown", "a folder of images is given by --data"]),
        (["train", "cub200/resnet18", "cub200/resnet50"], ["cub200/resnet50"]),
        (["train", *TINY, "--input.cache", ""], ["--input.cache must be auto, off or a folder"]),
        (
            ["train", *TINY, "--input.augment", "crop", "--input.crop-area", "0"],
            ["--input.crop-area must"],
        ),
        (
            ["train", *TINY, "--input.validation-fraction", "nan"],
            ["--input.validation-fraction must be a finite number; got nan"],
        ),
        (["tran"], ["'tran', perhaps train"]),
        (["zzz"], ["train", "demo"]),
        (["train", "--data", "/nowhere"], ["/nowhere does not exist"]),
        (["train", *TINY, "--arch", "resnet81"], ["resnet81", "perhaps resnet18"]),
        (["train", *TINY, "--seed", "9" * 30], ["--seed must be below"]),
        (
            ["train", *TINY, *PUBLISHED, "--objective.alignment", "ssim", "--image-size", "10"],
            ["image_size must be at least 16"],
        ),
    ],
)
def test_bad_input_ends_with_2_and_names_what_is_wrong(arguments, words, capsys):
    code, out, err = run(arguments, capsys)
    assert code == 2
    assert all(word in " ".join((out + err).split()) for word in words)
    assert "Traceback" not in out + err


def test_options_from_a_file_yield_to_the_command_line(tmp_path):
    file = tmp_path / "options.yaml"
    file.write_text(
        "data: digits\nepochs: 5\nseed: 3\nobjective.mask: hard\n"
        "objective: {kind: published, slope: 4.5}\n"
    )
    config = parse(["train", "--config", str(file), "--epochs", "7"])
    assert (config.epochs, config.seed) == (7, 3)
    assert (config.objective.slope, config.objective.mask) == (4.5, "hard")


def test_a_file_can_hold_every_kind_of_value(tmp_path):
    file = tmp_path / "options.yaml"
    file.write_text(
        "data: digits\nresume: true\nimage_size: null\nout: some/where\nrecipe: null\n"
        "input: {drop_last: true, cache: 'off'}\ninput.drop_last: false\n"
        "optimizer: {learning_rate: 1.0e-3, clip_norm: 2}\n"
    )
    config = parse(["train", f"--config={file}"])
    assert config.resume and config.image_size is None and str(config.out) == "some/where"
    assert config.optimizer.clip_norm == 2.0 and config.recipe is None
    assert not config.input.drop_last and config.input.cache == "off"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("epoch: 3", "epoch is not an option, perhaps epochs"),
        (
            "objective: {windw_size: 3}",
            "windw_size is not an option, perhaps objective.window",
        ),
        ("epochs: many", "options.yaml: epochs must be int; got 'many'"),
        (
            "method: sibb",
            "options.yaml: --method 'sibb' is unknown, perhaps sib; allowed are sib, ce",
        ),
        ("objective.slop: 3", "objective.slop is not an option, perhaps objective.slope"),
        ("schedule.colour: 3", "schedule.colour is not an option; allowed are kind, step_epochs, "),
        ("objective.colour: 3", "kind, image_weight, layer_weight"),
        ("epochs: [1]", "epochs must be a single value"),
        ("objective: 3", "objective must hold options of its own"),
        (
            "input: {cache: off}",
            "input.cache must be text; YAML reads off, no, on and yes as False",
        ),
        ("recipe: cub201/resnet18", "'cub201/resnet18' is unknown, perhaps cub200/resnet18;"),
        ("- 1", "must hold `option: value` lines"),
        ("a: [", "is not valid YAML"),
        ("a: !!python/object/apply:os.system ['true']", "is not valid YAML"),
    ],
)
def test_bad_files_of_options_are_told_with_their_name(tmp_path, capsys, text, sentence):
    file = tmp_path / "options.yaml"
    file.write_text(text)
    code, _, err = run(["train", "--data", "digits", "--config", str(file)], capsys)
    assert code == 2
    assert sentence in err and "Traceback" not in err
    assert "options.yaml" in err or "recipe" in err


def test_a_missing_file_of_options_is_told(capsys):
    code, _, err = run(["train", "--config", "none.yaml"], capsys)
    assert code == 2 and "none.yaml cannot be read" in err


def start(arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "sib", "train", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        text=True,
    )


def wait_for(path, process):
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)


SLOW = ["train", *TINY, "--image-size", "16", "--epochs", "3", "--batch-size", "4"]
"""Steps are slow enough (3 epochs of 12) for a signal to fall into the middle of the run."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    assert command([*SLOW, "--out", str(folder / "run")], folder).wait() == 0
    return folder / "run"


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_the_step_and_resuming_ends_as_if_never_stopped(
    tmp_path, whole, number, expected
):
    stopped = tmp_path / "stopped"
    process = command([*SLOW, "--out", str(stopped)], tmp_path)
    wait_for(stopped / "last.safetensors", process)
    process.send_signal(number)
    code, err = process.wait(), (tmp_path / "stderr").read_text()
    assert code == expected, err
    assert "is saved: continue with --resume" in err and "Traceback" not in err
    assert not (stopped / "result.json").exists()
    code = command([*SLOW, "--out", str(stopped), "--resume"], tmp_path).wait()
    assert code == 0, (tmp_path / "stderr").read_text()
    for name in ("last.safetensors", "best.safetensors", "result.json"):
        assert (stopped / name).read_bytes() == (whole / name).read_bytes(), name
    timing = {"seconds", "images_per_second", "memory_bytes"}
    lines = [
        [
            {key: value for key, value in json.loads(line).items() if key not in timing}
            for line in (folder / "metrics.jsonl").read_text().splitlines()
        ]
        for folder in (stopped, whole)
    ]
    assert lines[0] == lines[1] and len(lines[0]) == 3


def test_a_signal_before_the_first_step_writes_nothing(tmp_path):
    process = start([*TINY, "--out", str(tmp_path / "run")])
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode in (143, -signal.SIGTERM)  # before or after our handler is there
    assert not (tmp_path / "run").exists()


def test_ctrl_c_on_a_terminal_reaches_workers_too_and_ends_in_one_sentence(tmp_path):
    out = tmp_path / "run"
    arguments = [*TINY, "--method", "ce", "--image-size", "16", "--epochs", "500", "--workers", "2"]
    arguments += ["--out", str(out)]
    process = command(["train", *arguments], tmp_path, session=True)
    wait_for(out / "last.safetensors", process)
    os.killpg(process.pid, signal.SIGINT)
    code, err = process.wait(), (tmp_path / "stderr").read_text()
    assert code == 130
    assert err.count("\n") == 1 and "is saved: continue with --resume" in err
