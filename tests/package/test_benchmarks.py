"""The benchmarks run, and a network that fails costs only its own row."""

import json
import sys
from pathlib import Path

import pytest
import torch

import sib
from sib.utils.errors import InputError

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
CPU = torch.device("cpu")


@pytest.fixture
def benchmark(monkeypatch):
    """The module of a benchmark by name; benchmarks import one another by bare names."""
    monkeypatch.syspath_prepend(BENCHMARKS)

    def load(name):
        return __import__(name)

    yield load
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(BENCHMARKS)):
            del sys.modules[name]


@pytest.fixture
def tiny(benchmark):
    """Options of the smallest run of benchmarks/step.py."""
    step = benchmark("step")

    def make(**options):
        small = {"architectures": ("small_resnet",), "sides": (32,), "batch": 1, "rounds": 1}
        return step.Options(**small | {"memory": False, "device": "cpu"} | options)

    return make


def test_rows_hold_every_step_and_ratios(benchmark, tiny):
    step = benchmark("step")
    options = tiny()
    rows = [step.time_steps(each, options, CPU) for each in step.settings(options)]
    assert [row["frozen"] for row in rows] == [False, True]
    for row in rows:
        kinds = {"calibrated", "calibrated, measured", "calibrated, unmeasured"}
        assert set(row["steps"]) == {"plain", "naive", "sib", *kinds}
        for each in row["steps"].values():
            assert each["ratio"] == each["seconds"] / row["steps"]["plain"]["seconds"]
            assert each["images_per_second"] == row["batch"] / each["seconds"]


def test_the_calibrated_mean_is_over_a_measuring_period(benchmark):
    step = benchmark("step")
    kinds = ("seconds", "fastest", "slowest", "processor_seconds")
    found = {
        "calibrated, unmeasured": dict.fromkeys(kinds, 1.0) | {"memory_bytes": 3},
        "calibrated, measured": dict.fromkeys(kinds, 33.0) | {"memory_bytes": 4},
    }
    assert step.with_mean(found)["calibrated"] == dict.fromkeys(kinds, 2.0) | {"memory_bytes": 4}


def test_failures_are_recorded_and_the_rest_is_timed(benchmark, tiny, tmp_path, monkeypatch):
    step, steps = benchmark("step"), benchmark("training_steps")

    def refuses(problem):
        def run():
            raise torch.OutOfMemoryError("not enough\nsecond line")

        return run

    monkeypatch.setattr(steps, "_naive", refuses)
    out = tmp_path / "step.json"
    step.main(tiny(architectures=("no_such_net", "small_resnet"), out=out, batch_norm=("train",)))
    first, second = json.loads(out.read_text())["rows"]
    assert "no_such_net" in first["failed"] and "steps" not in first
    assert second["steps"]["naive"] == {"failed": "OutOfMemoryError: not enough"}
    assert second["steps"]["sib"]["ratio"] > 0


def test_frozen_batch_norm_keeps_its_statistics_and_trains_its_weights(benchmark):
    steps = benchmark("training_steps")
    problem = steps.Problem.make(steps.Setting("small_resnet", 32, 4, frozen=True), CPU)
    before = {name: value.clone() for name, value in problem.model.named_buffers()}
    for run in steps.make_steps(problem, ("plain", "sib", "calibrated, measured")).values():
        run()
        norm = steps.batch_norms(problem.model)[0]
        assert norm.weight.grad is not None and norm.weight.requires_grad
    for name, value in problem.model.named_buffers():
        assert torch.equal(value, before[name])


def test_networks_without_batch_norm_have_one_row(benchmark, tiny):
    step = benchmark("step")
    options = tiny(architectures=("helpers.nets:group_norm_net",), modes=("plain",))
    rows = [step.time_steps(each, options, CPU) for each in step.settings(options)]
    assert rows[0]["frozen"] is None and rows[1] is None


@pytest.mark.parametrize("options", [{"precision": ("float8",)}, {"batch_norm": ("off",)}])
def test_bad_options_are_refused(tiny, options):
    with pytest.raises(InputError, match="must be among"):
        tiny(**options)


def test_naive_and_ours_agree(benchmark):
    """The baseline computes the same objective, else its time would mean nothing."""
    naive, steps = benchmark("naive"), benchmark("training_steps")
    problem = steps.Problem.make(steps.Setting("small_resnet", 32, 4), CPU)
    model = problem.model.double()
    images = problem.images.double()
    wanted = naive.step(model, images, problem.labels, (1.0, 1e5))
    reference = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    task = sib.SpatialIBTask(model, sib.SpatialIB(1.0, 1e5))
    out = task(images, problem.labels)
    task.backward(out.loss)
    torch.testing.assert_close(out.loss, wanted)
    torch.testing.assert_close([p.grad for p in model.parameters()], reference)


def test_explanations_are_timed_and_missing_methods_recorded(benchmark, tmp_path):
    explanations = benchmark("explanations")
    out = tmp_path / "explanations.json"
    explanations.main(
        explanations.Options(
            architectures=("small_resnet",), batch=2, side=32, rounds=1, device="cpu", out=out
        )
    )
    methods = json.loads(out.read_text())["rows"][0]["methods"]
    assert methods["gradcam"]["images_per_second"] > 0
    assert methods[explanations.ALL]["images_per_second"] > 0


def test_the_gpu_report_joins_what_is_there(benchmark, tmp_path):
    report = benchmark("gpu_report")
    row = {"architecture": "net", "precision": "float32", "channels_last": False, "frozen": False}
    naive = {"images_per_second": 10.0, "ratio": 3.0}
    ours = {"images_per_second": 20.0, "ratio": 1.5}
    rows = [row | {"steps": {"plain": {"seconds": 0.1}, "naive": naive, "sib": ours}}]
    (tmp_path / "steps.json").write_text(json.dumps({"rows": rows}))
    (tmp_path / "precisions.json").write_text('{"rows": [')
    (tmp_path / "status").write_text("steps 0 5 60\ntests 124 75 75\nstudy skipped 0 0\n")
    (tmp_path / "tests.log").write_text("one\nlast line\n")
    (tmp_path / "tests.xml").write_text(
        '<testsuites><testsuite tests="2" failures="1" errors="0" skipped="0" time="1.5">'
        '<testcase name="a"/><testcase name="b"><failure message="no"/></testcase>'
        "</testsuite></testsuites>"
    )
    result = report.join(tmp_path)
    assert result["precisions"] is None and result["steps"]["rows"] == rows
    assert result["speed_over_naive_float32"] == {"net float32 sib": 2.0}
    assert result["tests"]["passed"] == 1 and result["tests"]["not_passed"] == {"b": "failure: no"}
    reasons = [section.get("reason") for section in result["sections"]]
    assert reasons == [None, "out of time", "no time was left"]
    lines = "\n".join(report.show(result))
    assert "tests: 1 passed, 1 failed" in lines and "last line" in lines


def test_memory_formats_are_timed_side_by_side(benchmark, tmp_path):
    formats, out = benchmark("memory_format"), tmp_path / "formats.json"
    small = {"architectures": ("small_resnet",), "side": 32, "batch": 2, "rounds": 1}
    formats.main(formats.Options(**small, device="cpu", out=out))
    (row,) = json.loads(out.read_text())["rows"]
    for mode in formats.MODES:
        slow, fast = (row["steps"][f"{mode}, {words}"] for words in formats.FORMATS)
        assert fast["ratio"] == fast["processor_seconds"] / slow["processor_seconds"]


def test_the_parts_of_a_whole_run_are_those_that_were_timed(benchmark, monkeypatch):
    whole = benchmark("whole_run")
    now = iter([0.0, 2.0, 3.0, 3.0, 7.0, 9.0])  # an epoch that holds a step, then a measurement
    monkeypatch.setattr(whole.time, "perf_counter", lambda: next(now))
    monkeypatch.setattr(whole.time, "time", lambda: 105.0)
    clock = whole.Clock(100.0)
    step = clock.timing("step", lambda: None)
    clock.timing("epoch", step)()
    clock.timing("measure", lambda: None)()
    assert clock.parts(4.0) == {
        **{"start": 5.0, "step": 1.0, "input and saving": 2.0},
        **{"validation": 2.0, "test": 0.0, "evaluation": 4.0},
    }
