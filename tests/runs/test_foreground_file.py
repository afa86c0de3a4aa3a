"""The file of found foregrounds: what is wrong in it is refused in a sentence."""

import pytest
import torch

from sib.runs import foreground_file
from sib.runs.foreground_file import FoundForegrounds, read_foregrounds, write_foregrounds
from sib.utils.errors import InputError

FACTS = {"format": 1, "area": 0.2, "resize": None, "layer": "x", "image_size": 8, "images": 2}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": 2}, "format is 2"),
        ({"area": 1.5}, "area must lie"),
        ({"resize": "cut"}, "resize must be"),
        ({"layer": None, "area": None}, "area must lie"),
    ],
)
def test_a_header_that_is_wrong(tmp_path, change, sentence):
    maps = torch.rand(2, 1, 3, 3)
    write_foregrounds(tmp_path, FoundForegrounds(["a", "b"], maps, FACTS | change))
    with pytest.raises(InputError, match=sentence):
        read_foregrounds(tmp_path)


@pytest.mark.parametrize(
    ("names", "maps", "sentence"),
    [
        (["a", "a"], torch.rand(2, 1, 3, 3), "listed twice"),
        (["a"], torch.rand(2, 1, 3, 3), "2 maps for 1 images"),
        (["a", 3], torch.rand(2, 1, 3, 3), "no names"),
        (["a", "b"], torch.rand(2, 1, 3, 3).double(), "float32"),
        (["a", "b"], torch.rand(2, 3, 3), "float32"),
        (["a", "b"], torch.full((2, 1, 3, 3), torch.nan), "not finite"),
    ],
)
def test_content_that_is_wrong(tmp_path, names, maps, sentence):
    write_foregrounds(tmp_path, FoundForegrounds(names, maps, FACTS))
    with pytest.raises(InputError, match=sentence):
        read_foregrounds(tmp_path)


def test_a_damaged_file_is_refused(tmp_path):
    write_foregrounds(tmp_path, FoundForegrounds(["a"], torch.rand(1, 1, 3, 3), FACTS))
    path = tmp_path / foreground_file.NAME
    whole = path.read_bytes()
    for content in (b"", whole[:20], whole[:-9], b"\xff" * 40, whole.replace(b"names", b"nomes")):
        path.write_bytes(content)
        with pytest.raises(InputError, match="is damaged"):
            read_foregrounds(tmp_path)
    found = FoundForegrounds(["a\udcff.png"], torch.rand(1, 1, 3, 3), FACTS)
    write_foregrounds(tmp_path, found)
    assert read_foregrounds(tmp_path).names == found.names
