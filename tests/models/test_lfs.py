"""What git leaves in place of a file of weights."""

import pytest

from sib.models.weights import read_weights
from sib.utils.errors import InputError


@pytest.mark.parametrize("ending", ["safetensors", "pt"])
def test_a_pointer_is_named(ending, tmp_path):
    path = tmp_path / f"model.{ending}"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 100\n")
    with pytest.raises(InputError, match=rf"model.{ending} is a pointer of Git LFS .* lfs pull"):
        read_weights(path)
