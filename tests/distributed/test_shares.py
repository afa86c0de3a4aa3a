"""Evaluation, explanations and audits by two processes: the figures and files of one."""

import csv
import json
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
import torch
from torchvision.io import write_png

from helpers.processes import in_two
from helpers.trained import trained
from sib import distributed
from sib.cli.main import main
from sib.evaluation import explain

QUICK = ["--device", "cpu", "--batch-size", "3"]


def arguments(run, out, photos):
    """13 images in batches of 3, so that the processes have 3 and 2 of them."""
    methods = ["--methods", "saliency", "gradcam", "--metrics", "energy_pointing_game"]
    few = ["--limit", "13", *QUICK, "--out"]
    return {
        "evaluate": ["evaluate", run, *methods, *few, f"{out}/e"],
        "audit": ["audit", run, "--fills", "diffusion", "--resamples", "100", *few, f"{out}/a"],
        "explain": ["explain", run, *photos, *methods[:3], "--device", "cpu", "--out", f"{out}/x"],
        "bad": [
            "explain",
            run,
            *photos,
            "--methods",
            "vjp",
            "--device",
            "cpu",
            "--out",
            f"{out}/b",
        ],
    }


def fails_in_the_second(path, *options):
    raise explain.InputError(f"{Path(path).name} is torn")


def work(rank, folder, run, photos):
    leave, distributed.leave = distributed.leave, lambda: None  # one group for all commands
    said = {}
    for name, command in arguments(run, folder, photos).items():
        if name == "bad" and rank == 1:
            explain.read_image = fails_in_the_second
        output, errors = StringIO(), StringIO()
        with redirect_stdout(output), redirect_stderr(errors):
            code = main(command)
        said[name] = [code, output.getvalue(), " ".join(errors.getvalue().split())]
    leave()
    Path(folder, f"{rank}.json").write_text(json.dumps(said))


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The folders that one process and two processes wrote, and what each of the two printed."""
    run, folders = str(trained()), [tmp_path_factory.mktemp(name) for name in ("one", "two")]
    photos = [str(folders[0] / f"{index}.png") for index in range(3)]
    for index, photo in enumerate(photos):
        pixels = torch.full((3, 32, 32), 60 * index, dtype=torch.uint8)
        torch.manual_seed(index)
        pixels[:, 8:20, 8:20] = torch.randint(0, 255, (3, 12, 12), dtype=torch.uint8)
        write_png(pixels, photo)
    for name, command in arguments(run, folders[0], photos).items():
        if name != "bad":
            assert main(command) == 0
    in_two(work, str(folders[1]), run, photos)
    return *folders, [json.loads((folders[1] / f"{rank}.json").read_text()) for rank in (0, 1)]


def table(file):
    return list(csv.reader(file.read_text().splitlines()))


@pytest.mark.parametrize(("kind", "name"), [("e", "evaluation"), ("a", "audit")])
def test_the_figures_are_those_of_one_process(both, kind, name):
    one, two, _ = both
    assert table(two / kind / f"{name}.csv") == table(one / kind / f"{name}.csv")
    a, b = (json.loads((each / kind / f"{name}.json").read_text()) for each in (one, two))
    assert b.pop("processes") == 2 and a.pop("processes") == 1
    for differs in ("seconds", "command", "versions"):
        del a[differs], b[differs]
    assert a == b


def test_the_figures_of_explain_are_all_there(both):
    one, two, said = both
    drawn = sorted(file.name for file in (one / "x").iterdir())
    assert (
        drawn == sorted(file.name for file in (two / "x").iterdir()) == ["0.png", "1.png", "2.png"]
    )
    for name in drawn:
        assert (one / "x" / name).read_bytes() == (two / "x" / name).read_bytes()
    lines = said[0]["explain"][1].splitlines()
    assert [Path(line.partition(":")[0]).name for line in lines if "→" in line] == drawn


def test_one_process_speaks(both):
    _, _, (first, second) = both
    assert all(second[name][1] == "" for name in second)
    for name in ("evaluate", "audit", "explain"):
        assert first[name][0] == second[name][0] == 0
    assert first["evaluate"][1].count("written to") == 1


def test_an_error_of_one_process_ends_both(both):
    _, _, (first, second) = both
    assert first["bad"][0] == second["bad"][0] == 2
    assert first["bad"][2] == "sib: 1.png is torn" and second["bad"][2] == ""
