"""Names in sentences."""

from sib.data.understood import named
from sib.utils.names import separated


def test_names_with_commas_are_told_apart():
    assert separated(["cat", "dog"]) == "cat, dog"
    assert separated(["Abyssinian, ruddy", "Bengal"]) == "Abyssinian, ruddy; Bengal"
    assert named(["a, b/1.jpg", "c.jpg"], 5) == "a, b/1.jpg; c.jpg and 2 more"
