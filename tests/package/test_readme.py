"""The README's lines run as they stand."""

import re
from pathlib import Path

import torch

from sib.models import SmallResNet

README = Path(__file__).parents[2] / "README.md"


def test_the_loop_of_the_readme_trains():
    loop, calibrated = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
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
    loop, *_ = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert len([line for line in loop.splitlines() if line.strip()]) <= 12
