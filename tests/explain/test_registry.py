"""Methods by name: those of the package, registered ones, those of other packages."""

import sys
from textwrap import dedent

import pytest
import torch

import sib.explain
from helpers import fresh
from helpers.examples import TinyNet
from helpers.trained import evaluated, trained
from sib.cli.main import main
from sib.explain import Method, attribute, register
from sib.utils.errors import InputError
from sib.utils.optional import MissingLibraryError, import_optional
from sib.utils.plugins import load_entry_points

pytestmark = pytest.mark.usefixtures("own_explanations")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Makes an installed package that adds what it is told to the group of explanations."""

    def make(code, entry="toy = toy_package:toy", name="toy-package"):
        module = name.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(dedent(code))
        info = tmp_path / f"{module}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[sib.explanations]\n{entry}\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, module, raising=False)
        return tmp_path

    return make


TOY = """
    def toy(call):
        return (call.images.detach() ** 2).sum(dim=1)
"""


def test_a_registered_method_is_a_method_like_any_other():
    def squares(call):
        return call.gradient.square().sum(dim=1)

    made = register("squares", squares, shares_pass=True, default=True)
    assert made == Method("squares", "squares", "gradient", squares, shares_pass=True, default=True)
    model, images = TinyNet().eval(), torch.randn(2, 3, 8, 10)
    found = attribute(model, images, 1, "squares", "max")
    gradient = torch.autograd.grad(model(images.requires_grad_())[:, 1].sum(), images)[0]
    squared = gradient.square().sum(dim=1)
    torch.testing.assert_close(found, squared / squared.amax((1, 2), True))
    assert "squares" in sib.explain.METHODS and "squares" in sib.explain.default_methods()
    assert "squares" in sib.explain.available_methods(model, images)


def test_bad_registrations_are_refused():
    with pytest.raises(ValueError, match="the explanation method 'saliency' exists already"):
        register("saliency", lambda call: call.images)
    with pytest.raises(ValueError, match="must begin with a lower-case letter"):
        register("a/b", lambda call: call.images)
    with pytest.raises(ValueError, match="family must be one of gradient, cam, perturbation"):
        register("toy", lambda call: call.images, family="other")
    with pytest.raises(ValueError, match="function must be given for the method 'toy'"):
        register("toy")
    with pytest.raises(ValueError, match="function of toy must be callable"):
        register("toy", 3)
    with pytest.raises(
        ValueError, match="must be callable, or its path as MODULE:NAME; got 'maps'"
    ):
        register("toy", "maps")
    with pytest.raises(ValueError, match="fields can be given with a name only"):
        register(Method("toy", "toy", "cam", len), default=True)


def test_maps_of_the_wrong_shape_are_refused():
    register("toy", lambda call: call.images)
    with pytest.raises(ValueError, match=r"toy must give maps of shape \(1, 8, 8\); got \(1, 3, 8"):
        attribute(TinyNet(), torch.zeros(1, 3, 8, 8), method="toy")


def test_a_method_of_another_package_works_on_the_command_line(package, tmp_path, capsys):
    package(TOY)
    command = ["evaluate", str(trained()), "--methods", "toy", "vjp", "--out", str(tmp_path / "e")]
    assert main([*command, "--limit", "4", "--device", "cpu"]) == 0
    assert "toy" in capsys.readouterr().out
    assert (tmp_path / "e" / "evaluation.csv").read_text().count("toy/energy_pointing_game") == 1


def test_a_method_object_of_another_package(package):
    package(
        """
        from sib.explain import Method

        toy = Method("toy", "Toy", "perturbation", lambda call: call.images.sum(dim=1), passes=5)
        """
    )
    assert sib.explain.method_names()[-1] == "toy"
    assert sib.explain.method_title("toy") == "Toy"
    assert sib.explain.cost_notes(["toy"], (8, 8)) == ["toy: 5 forward passes per image"]


def test_a_report_shows_a_method_that_a_package_adds_to_the_gallery(package, tmp_path):
    package(
        """
        from sib.explain import Method

        toy = Method(
            "toy", "Toy map", "gradient", lambda call: call.images.sum(dim=1), in_gallery=True
        )
        """
    )
    out = tmp_path / "report.html"
    command = ["report", str(evaluated()), "--images", "1", "--out", str(out), "--device", "cpu"]
    assert main(command) == 0
    assert "Toy map" in out.read_text() and "Grad-CAM" in out.read_text()
    assert sib.explain.gallery_methods() == ("saliency", "gradcam", "vjp", "toy")


@pytest.mark.parametrize(
    ("code", "entry", "sentence"),
    [
        ("import no_such_thing", "toy = toy_package:toy", "'toy' of toy-package 1.2 cannot be lo"),
        (TOY, "toy = toy_package:other", "toy-package 1.2 cannot be loaded from toy_package:other"),
        (TOY, "saliency = toy_package:toy", "'saliency' cannot be added: .* exists already"),
        ("toy = 3", "toy = toy_package:toy", "'toy' cannot be added: function of toy must be call"),
    ],
)
def test_a_package_that_cannot_be_used_is_named(package, code, entry, sentence):
    package(code, entry)
    with pytest.raises(InputError, match=sentence):
        sib.explain.method_names()
    found = attribute(TinyNet(), torch.ones(1, 3, 8, 8), method="saliency")  # needs no package
    assert found.shape == (1, 8, 8)


def test_two_packages_with_one_name(package):
    package(TOY)
    package(TOY, "toy = other_package:toy", "other-package")
    with pytest.raises(InputError, match=r"-package 1\.2 both add 'toy'; uninstall one"):
        load_entry_points("sib.explanations")
    assert load_entry_points("sib.no_such_group") == {}


def test_a_missing_library_is_a_sentence_with_its_extra(monkeypatch):
    class NotInstalled:
        def find_spec(self, name, path=None, target=None):
            if name == "captum":
                raise ModuleNotFoundError("No module named 'captum'", name="captum")

    for name in [name for name in sys.modules if name.partition(".")[0] == "captum"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [NotInstalled(), *sys.meta_path])
    with pytest.raises(MissingLibraryError, match=r'needs captum.*pip install "sib\[explain\]"'):
        attribute(TinyNet(), torch.ones(1, 3, 8, 8), method="occlusion")
    assert issubclass(MissingLibraryError, ValueError) and issubclass(
        MissingLibraryError, ImportError
    )
    with pytest.raises(MissingLibraryError, match="needs no_such_library"):
        import_optional("no_such_library.part", "explain")


def test_a_broken_library_keeps_its_own_error(tmp_path, monkeypatch):
    (tmp_path / "half_there.py").write_text("import no_such_thing")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_thing") as error:
        import_optional("half_there", "explain")
    assert not isinstance(error.value, MissingLibraryError)


def test_importing_the_package_loads_no_library_that_a_method_needs():
    code = """
        import sys, torch, sib.explain
        heavy = {"captum", "torchcam", "matplotlib", "sklearn", "torchmetrics"} & set(sys.modules)
        assert not heavy, heavy
        sib.explain.attribute(
            torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 2)),
            torch.ones(1, 3, 2, 2), method="saliency",
        )
        assert "captum" not in sys.modules
    """
    done = fresh.run(dedent(code))
    assert done.returncode == 0, done.stderr


def test_the_names_are_listed():
    names = dir(sib.explain)
    assert {"attribute", "register", "METHODS", "normalize_maps"} <= set(names)
    assert all(getattr(sib.explain, name) is not None for name in names)
    documented = attribute.__doc__
    assert all(f"    {method} " in documented for method in sib.explain.METHODS)


def test_titles_leave_room_for_six_measures_in_80_columns():
    assert max(len(sib.explain.method_title(name)) for name in sib.explain.METHODS) <= 20
