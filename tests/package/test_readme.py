"""The README's lines run as they stand."""

import re
import shutil
from pathlib import Path

import torch
from PIL import Image

from helpers.trained import trained
from sib.models import SmallResNet

README = Path(__file__).parents[2] / "README.md"


def blocks():
    return re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)


def test_a_run_is_loaded_and_drawn(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained(), tmp_path / "runs" / "photos-resnet50-sib-0")
    (tmp_path / "new").mkdir()
    Image.new("RGB", (40, 50), "green").save(tmp_path / "new" / "a.jpg")
    names = {}
    exec(blocks()[0], names)
    assert names["maps"].shape == (1, 32, 32)
    assert Image.open(tmp_path / "a.png").width > 500


def test_it_is_read_in_a_minute_and_begins_with_a_picture():
    lines = README.read_text().splitlines()
    assert len(lines) <= 200
    picture = re.search(r"!\[[^]]+\]\(([^)]+)\)", "\n".join(lines[:10]))
    assert (README.parent / picture[1]).stat().st_size < 300_000


def test_every_file_that_the_readme_links_to_is_there():
    links = re.findall(r"\]\(([^)#]+)", README.read_text())
    assert links
    for link in links:
        assert link.startswith("https://") or (README.parent / link).exists(), link


def test_the_loop_of_the_readme_trains():
    _, loop, calibrated = blocks()
    model = SmallResNet(3, 8)
    before = [p.clone() for p in model.parameters()]
    generator = torch.Generator().manual_seed(0)
    loader = [
        (torch.randn(4, 3, 32, 32, generator=generator), torch.tensor([0, 1, 2, 1]))
        for _ in range(2)
    ]
    optimizer = torch.optim.AdamW(model.parameters())
    names = {"loader": loader, "model": model, "optimizer": optimizer}
    exec(loop, names)
    assert all(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    exec(calibrated, names)
    assert 0 < names["terms"].background < 1


def test_the_loop_of_the_readme_has_about_ten_lines():
    _, loop, _ = blocks()
    assert len([line for line in loop.splitlines() if line.strip()]) <= 12
