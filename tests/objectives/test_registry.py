"""What methods are called."""

import pytest

from sib.objectives.registry import training_title


@pytest.mark.parametrize(
    ("config", "title"),
    [
        ({"method": "sib"}, "S-IB"),
        ({"method": "sib", "guided_share": None}, "S-IB"),
        ({"method": "sib", "guided_share": 1.0}, "guided S-IB"),
        ({"method": "sib", "guided_share": 0.1}, "S-IB guided by 0.1 of the masks"),
        ({"method": "energy", "guided_share": 1.0}, "energy loss"),
    ],
)
def test_a_title_says_whether_masks_guided_sib(config, title):
    assert training_title(config) == title
