"""The documentation's code runs, its links lead somewhere, and it loads nothing from elsewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import sib

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs"
FENCE = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site; a warning of the build fails it."""
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        env={"PATH": "", "NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_site_loads_nothing_from_another_host(site):
    loaded = re.compile(
        r'<(?:link(?![^>]*rel="?(?:canonical|next|prev))[^>]*href|script[^>]*src|img[^>]*src'
        r'|iframe[^>]*src)="?(?:https?:)?//[^">\s]+|@import[^;]*//|url\(["\']?(?:https?:)?//'
    )
    pages = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert len(pages) > 20
    found = {page.name: loaded.findall(page.read_text(encoding="utf-8")) for page in pages}
    assert not {name: hits for name, hits in found.items() if hits}


def test_formulas_are_mathml(site):
    page = (site / "method.html").read_text(encoding="utf-8")
    assert page.count("<math") > 20
    # a command that the converter does not know stays as its name
    assert "arithmatex" not in page
    assert not re.search(r"<m[io]>\\", page)


def test_every_public_name_of_sib_is_in_the_reference(site):
    old = {"CrossEntropyTask", "SpatialIBTask", "SpatialIBTerms", "TaskOutput"}
    modules = {"data", "explain", "figures", "functional", "metrics", "models", "objectives"}
    page = (site / "api/training.html").read_text(encoding="utf-8")
    page += (site / "api/objectives.html").read_text(encoding="utf-8")
    for name in set(sib.__all__) - old - modules:
        assert f'id="sib.{name}"' in page, name


@pytest.fixture
def names():
    """What the snippets of a page find: a model, a batch and a loader."""
    model = sib.models.SmallResNet(3, 8)
    images = torch.randn(4, 3, 32, 32)
    labels = torch.tensor([0, 1, 2, 1])
    foreground = torch.zeros(4, 32, 32, dtype=torch.bool)
    foreground[:, 8:24, 8:24] = True
    return {
        "F": torch.nn.functional,
        "foreground": foreground,
        "images": images,
        "labels": labels,
        "loader": [(images, labels, foreground)],
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.01),
        "sib": sib,
    }


def test_the_snippets_about_a_model_from_elsewhere(names, capsys):
    for snippet in FENCE.findall((PAGES / "measure.md").read_text(encoding="utf-8")):
        exec(snippet, names)
    assert 0 < names["metric"].compute() < 1
    assert "of Grad-CAM lies on the object" in capsys.readouterr().out


def test_the_snippets_about_training_code(names):
    text = (PAGES / "frameworks.md").read_text(encoding="utf-8")
    snippets = FENCE.findall(text)
    assert len(snippets) == 3
    for snippet in snippets:
        names["model"].zero_grad()
        exec(snippet, names)
        assert all(p.grad is not None for p in names["model"].parameters())


def test_the_ten_lines_of_the_first_page(names):
    names["loader"] = [(names["images"], names["labels"])]
    (snippet,) = FENCE.findall((PAGES / "index.md").read_text(encoding="utf-8"))
    exec(snippet, names)
    assert names["energy"].shape == (4,)
