"""What is given in place of a file of weights."""

import pytest

from sib.models.start import weights_file
from sib.models.weights import read_weights
from sib.utils.errors import InputError


@pytest.mark.parametrize("ending", ["safetensors", "pt"])
def test_a_pointer_is_named(ending, tmp_path):
    path = tmp_path / f"model.{ending}"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 100\n")
    with pytest.raises(InputError, match=rf"model.{ending} is a pointer of Git LFS .* lfs pull"):
        read_weights(path)


def test_a_folder_with_one_file_of_weights_is_no_run(tmp_path):
    path = tmp_path / "model.safetensors"
    path.touch()
    with pytest.raises(InputError, match=f"give a run folder of sib train, or the file {path}"):
        weights_file(tmp_path)
    (tmp_path / "other.pt").touch()
    with pytest.raises(InputError, match=r"give a run folder of sib train$"):
        weights_file(tmp_path)
