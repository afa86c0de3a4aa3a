"""Bad input is refused with one sentence."""

import pytest

from sib.data import open_data
from sib.utils.errors import InputError


def refused(root, *parts, **options):
    """The sentence with which a folder is refused; it holds every part."""
    with pytest.raises(InputError) as caught:
        open_data(str(root), **options)
    return check_sentence(str(caught.value), *parts)


def check_sentence(sentence, *parts):
    assert "\n" not in sentence and not sentence.endswith(".")
    for part in parts:
        assert part in sentence, sentence
    return sentence
