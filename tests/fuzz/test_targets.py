"""Every reader under 150 mutations of its examples, and under all that once crashed it."""

import random

import pytest
import torch

from fuzz.target import BREAK, saved
from fuzz.targets import TARGETS, run

MUTATIONS = 150
PIECES = (
    b"",
    b"\0",
    b"\xff",
    b"\n",
    b" ",
    b"/",
    b"..",
    b"-1",
    b"9" * 5000,
    b"[" * 5000,
    b"{",
    b'"',
)
PIECES += (b": ", b"nan", b"1e999", b"0b_", b"2001-99-99", b"&a ", b"*a", b",", BREAK, b"\xf0\x9f")

# What fuzzing, or reading with fuzzing in mind, has found.
CRASHES = [
    ("cub", b"1 .\n2 dog/0.png\n" + BREAK + b"1 1\n2 0\n" + BREAK + b"1 1\n2 2\n"),
    ("cub", b"1 /etc/hostname\n2 dog/0.png\n" + BREAK + b"1 1\n2 0\n" + BREAK + b"1 1\n2 2\n"),
    (
        "cub",
        b"1 " + b"c" * 300 + b"\n2 dog/0.png\n" + BREAK + b"1 1\n2 0\n" + BREAK + b"1 1\n2 2\n",
    ),
    ("yaml", b"epochs: 2001-99-99\n"),
    ("yaml", b"[" * 3000),
    ("yaml", b"data: &a [*a]\n"),
    ("yaml", b"epochs: 0b_\n"),
    ("run", b"{data: x, arch: y, method: ce, seed: 0}" + BREAK + b"{}" + BREAK + b"\xff\n"),
    ("run", b"{data: x, arch: y, method: ce, seed: 0}" + BREAK + b"{}" + BREAK + b"1\n"),
    ("run", b"{data: x, arch: y, method: ce, seed: 0}" + BREAK + b"[" * 100000),
    ("scores", b"image,label,predicted,probability,correct,foreground_share\n\n"),
    ("images", b""),
    ("images", b"split,label,class,content,image\ntest,\xb2,a,c,x.png\n"),
    ("images", b"split,label,class,content,image\ntest," + b"9" * 5000 + b",a,c,x.png\n"),
    ("resume", BREAK + saved([1])),
    ("resume", b"epochs: 1" + BREAK + saved([torch.ones(1)])),
    ("resume", b"epochs: 1" + BREAK + saved({"epoch": 2})),
]


@pytest.mark.parametrize(("name", "data"), CRASHES)
def test_what_crashed_once_is_refused(name, data):
    assert not run(name, data)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("name", TARGETS)
def test_mutations_are_read_or_refused(name):
    chance = random.Random(0)
    seeds = TARGETS[name].seeds()
    assert any(run(name, seed) for seed in seeds)
    results = [run(name, mutated(chance, seeds)) for _ in range(MUTATIONS)]
    assert not all(results)


def mutated(chance, seeds):
    """An example with some bytes turned, taken away, doubled or put in, or spliced with another."""
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.choice((0, 1, 1, 4, 30)))
        kind = chance.randrange(4)
        if kind == 0:
            data[start:end] = bytes(chance.randrange(256) for _ in range(end - start))
        elif kind == 1:
            data[start:end] = chance.choice(PIECES)
        elif kind == 2:
            data[start:start] = data[start:end]
        else:
            other = chance.choice(seeds)
            data[start:] = other[chance.randrange(len(other) + 1) :]
    return bytes(data)
