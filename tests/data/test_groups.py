"""Splits that keep groups whole."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.pictures import all_names, save_classes, save_splits
from sib.data.groups import group_split, read_groups
from sib.data.open import open_data
from sib.utils.errors import InputError

NAMES = ["cat/1.png", "dog/1.png", "dog/2.png"]


class TestSplit:
    def test_by_hand(self):
        # a half of each class is two images: only one of b and c can be with a or d
        labels = [0, 0, 1, 1, 0, 0, 1, 1]
        groups = list("aabbccdd")
        kept, held = group_split(labels, groups, 0.5, seed=0)
        assert len(kept) == len(held) == 4
        assert sorted(labels[index] for index in held) == [0, 0, 1, 1]

    def test_equal_groups_are_divided_as_exactly_as_images(self):
        labels = [index % 2 for index in range(200)]
        groups = [f"g{index // 4}" for index in range(200)]  # 50 groups of two images a class
        kept, held = group_split(labels, groups, 0.2, seed=3)
        assert len(held) == 40 and sum(labels[index] for index in held) == 20
        assert not {groups[index] for index in kept} & {groups[index] for index in held}

    def test_the_seed_alone_decides(self):
        labels = [index % 2 for index in range(60)]
        groups = [f"g{index // 3}" for index in range(60)]
        first, again, other = (group_split(labels, groups, 0.3, seed) for seed in (1, 1, 2))
        assert first == again and first != other

    def test_a_small_class_is_in_both_parts(self):
        # without care, the groups of class 1 are too large to be held out
        labels = [0] * 90 + [1] * 10
        groups = [f"g{index // 3}" for index in range(90)] + ["x"] * 5 + ["y"] * 5
        kept, held = group_split(labels, groups, 0.1, seed=0)
        assert {labels[index] for index in kept} == {labels[index] for index in held} == {0, 1}

    @settings(deadline=None)
    @given(
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=1, max_size=60),
        st.floats(0.05, 0.95),
        st.integers(0, 5),
    )
    def test_no_group_is_in_both_parts_and_every_class_is(self, pairs, fraction, seed):
        labels, groups = [label for label, _ in pairs], [f"g{group}" for _, group in pairs]
        try:
            kept, held = group_split(labels, groups, fraction, seed)
        except InputError as error:
            assert "groups: " in str(error)
            return
        assert sorted(kept + held) == list(range(len(pairs)))
        assert not {groups[index] for index in kept} & {groups[index] for index in held}
        assert {labels[i] for i in kept} == {labels[i] for i in held} == set(labels)

    def test_several_labels_by_hand(self):
        # a half of each label and of the images without any: one of a and b, and one of c and d
        labels = [(0, 1), (0,), (0, 1), (0,), (1,), (), (1,), ()]
        kept, held = group_split(labels, list("aabbccdd"), 0.5, seed=0)
        assert sorted(labels[index] for index in held) == [(), (0,), (0, 1), (1,)]
        assert sorted(kept + held) == list(range(8))
        with pytest.raises(InputError, match="the group a holds all 2 images of the class cat"):
            group_split([(0, 1), (0,), (1,), (1,)], list("aabc"), 0.5, 0, ["cat", "dog"])

    @pytest.mark.parametrize(
        ("labels", "groups", "smallest", "sentence"),
        [
            ([0, 0, 1, 1], "aabc", 2, "the group a holds all 2 images of the class cat"),
            ([0, 0, 1, 1], "aaaa", 2, "the group a holds all 2 images of the class cat"),
            ([0, 0, 1, 1, 1], "abcde", 3, "the class cat is in 2 groups, a and b; it needs"),
        ],
    )
    def test_groups_that_cannot_be_divided_are_refused(self, labels, groups, smallest, sentence):
        with pytest.raises(InputError) as error:
            group_split(labels, groups, 0.5, 0, ["cat", "dog"], smallest)
        assert sentence in str(error.value)

    def test_classes_that_hang_together_are_refused(self):
        # whichever group is held out, a class loses all that stays
        labels, groups = [0, 0, 1, 1, 2, 2], "abbcca"
        with pytest.raises(InputError, match="cannot be divided so that every class"):
            group_split(labels, list(groups), 0.3, 0)


class TestFile:
    def test_names_are_found_as_those_of_annotations_are(self, tmp_path):
        path = tmp_path / "groups.csv"
        path.write_text("group,image\n a b ,cat\\1.png\nc,/x/dog/1.png\nc,2\nd,gone.png\n")
        assert read_groups(path, NAMES) == dict(zip(NAMES, ["a b", "c", "c"], strict=True))

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("image,group\ncat/1.png,a\n", "gives no group to 2 of 3 images, the first: dog/1.png"),
            ("image,group\ncat/1.png,a\ncat/1.png,b\n", "line 3: cat/1.png is in the group a"),
            (
                "image,patient\ncat/1.png,a\n",
                "image and group in its first line, once each; got 'image, patient'",
            ),
            ("image,group,group\ncat/1.png,a,b\n", "needs the columns image and group"),
            ("", "needs the columns image and group"),
            ("image,group\ncat/1.png\n", "line 2: 2 columns are needed; got 1"),
            ("image,group\ncat/1.png, \n", "line 2: group must be a name"),
            ("image,group\n1.png,a\n", "line 2: 1.png may mean cat/1.png or dog/1.png"),
        ],
    )
    def test_wrong_files_are_refused(self, text, sentence, tmp_path):
        path = tmp_path / "groups.csv"
        path.write_text(text)
        with pytest.raises(InputError, match=r"groups\.csv") as error:
            read_groups(path, NAMES)
        assert sentence in str(error.value)

    def test_a_file_that_is_missing(self, tmp_path):
        with pytest.raises(InputError, match="cannot be read: No such file"):
            read_groups(tmp_path / "none.csv", NAMES)


class TestOpen:
    def write(self, tmp_path, pairs):
        path = tmp_path / "groups.csv"
        path.write_text("image,group\n" + "".join(f"{name},{group}\n" for name, group in pairs))
        return str(path)

    def test_a_pool(self, tmp_path):
        root = save_classes(tmp_path / "mine", count=24)
        names = [f"{name}/{number}.png" for name in ("cat", "dog") for number in range(24)]
        group = {name: str(int(name[4:-4]) // 2) for name in names}
        path = self.write(tmp_path, group.items())
        splits = open_data(str(root), groups=path, test_fraction=0.25, validation_fraction=0.25)
        assert sorted(all_names(splits)) == sorted(names)
        parts = [splits.train, splits.validation, splits.test]
        found = [{group[name] for name in part.names} for part in parts]
        assert [len(each) for each in found] == [7, 2, 3]
        assert not found[0] & found[1] and not found[0] & found[2] and not found[1] & found[2]
        facts = splits.description
        assert facts["groups"] == {"train": 7, "validation": 2, "test": 3}
        assert facts["split_rule"].endswith("; no group in two splits")

    def test_splits_of_the_folder_must_not_divide_a_group(self, tmp_path):
        root = save_splits(tmp_path / "mine", count=8)
        names = [
            f"{split}/{name}/{number}.png"
            for split in ("train", "test")
            for name in ("cat", "dog")
            for number in range(8)
        ]
        own = self.write(tmp_path, [(name, name[:4] + name[-5]) for name in names])
        assert open_data(str(root), groups=own).description["groups"]["test"] == 8
        across = self.write(tmp_path, [(name, name[-5]) for name in names])
        with pytest.raises(InputError, match=r"the group \d is in both train and test"):
            open_data(str(root), groups=across)
        splits = open_data(str(root), groups=across, test_split="random")
        assert sum(splits.description["groups"].values()) == 8
