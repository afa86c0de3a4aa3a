"""Bad files in a published set end in one sentence each."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from helpers import official
from helpers.pictures import replace_line
from helpers.refusals import check_sentence
from sib.data import open_data
from sib.data.readers.annotation import read_boxes
from sib.data.readers.unpickle import read_pickle
from sib.utils.errors import InputError


def refused(name, root, *parts, **options):
    with pytest.raises(InputError) as caught:
        open_data(name, root=root, **options)
    return check_sentence(str(caught.value), *parts)


class RunsCode:
    """Pickled, it asks to write a file when it is read."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return Path.write_text, (self.target, "ran")


class TestCifar:
    @pytest.fixture
    def root(self, tmp_path):
        return official.make_cifar100(tmp_path, classes=3)

    @pytest.fixture
    def rewrite(self, root):
        path = root / "cifar-100-python" / "train"

        def rewrite(**changes):
            batch = pickle.loads(path.read_bytes(), encoding="bytes")
            batch.update({key.encode(): value for key, value in changes.items()})
            path.write_bytes(official.python2_pickle(batch))

        return rewrite

    def test_pickle_that_wants_to_run_code(self, root, tmp_path):
        (root / "cifar-100-python" / "train").write_bytes(pickle.dumps(RunsCode(tmp_path / "ran")))
        refused("cifar100", root, "train asks to run", "nothing but numbers, names and arrays")
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize(
        "payload",
        [
            b"cos\nsystem\n(S'true'\ntR.",
            b"cbuiltins\neval\n(S'1'\ntR.",
            b"\x80\x04\x8c\x0enumpy.__init__\x8c\x04load\x93.",
            b"cnumpy\nload\n.",
            b"cnumpy\nndarray.tofile\n.",
        ],
    )
    def test_whatever_is_no_array_is_refused(self, payload, tmp_path):
        (tmp_path / "a").write_bytes(payload)
        with pytest.raises(InputError, match=r"a asks to run \w+"):
            read_pickle(tmp_path / "a")

    def test_a_pickle_of_todays_numpy_is_read(self, tmp_path):
        array = np.arange(6, dtype=np.uint8).reshape(2, 3)
        (tmp_path / "a").write_bytes(pickle.dumps({b"data": array}, protocol=4))
        assert np.array_equal(read_pickle(tmp_path / "a")[b"data"], array)

    def test_cut_off(self, root):
        path = root / "cifar-100-python" / "test"
        path.write_bytes(path.read_bytes()[:1000])
        refused("cifar100", root, "test is damaged: ")

    def test_no_dictionary(self, root):
        (root / "cifar-100-python" / "meta").write_bytes(pickle.dumps([1]))
        refused("cifar100", root, "meta lacks fine_label_names; it is not a file of CIFAR-100")

    def test_rows_of_another_length(self, root, rewrite):
        rewrite(data=np.zeros((6, 3071), np.uint8))
        refused("cifar100", root, "rows of 3072 bytes; got shape (6, 3071)")

    def test_numbers_that_are_no_bytes(self, root, rewrite):
        rewrite(data=np.zeros((6, 3072), np.float32))
        refused("cifar100", root, "data must be an array of bytes; got float32 numbers")

    def test_label_that_is_no_class(self, root, rewrite):
        rewrite(fine_labels=[0, 1, 2, 0, 1, 3])
        refused("cifar100", root, "fine_labels must be 0 to 2, as in meta; got 3")

    def test_too_few_labels(self, root, rewrite):
        rewrite(fine_labels=[0])
        refused("cifar100", root, "a list of 6 labels")


class TestXml:
    def refused(self, tmp_path, text, *parts):
        path = tmp_path / "a.xml"
        path.write_text(text)
        with pytest.raises(InputError) as caught:
            read_boxes(path, (18, 24))
        check_sentence(str(caught.value), "a.xml", *parts)

    def test_bomb(self, tmp_path):
        entities = "".join(
            f'<!ENTITY e{i} "{f"&e{i - 1};" * 10 if i else "boom"}">' for i in range(9)
        )
        text = f"<!DOCTYPE a [{entities}]><annotation>&e8;</annotation>"
        self.refused(tmp_path, text, "declares a document type or entities")

    def test_external_entity(self, tmp_path):
        (tmp_path / "secret").write_text("12")
        text = f'<!DOCTYPE a [<!ENTITY s SYSTEM "file://{tmp_path}/secret">]>'
        text += official.annotation("a", "n0").replace("<xmin>6", "<xmin>&s;")
        self.refused(tmp_path, text, "declares a document type or entities")

    def test_cut_off(self, tmp_path):
        self.refused(tmp_path, official.annotation("a", "n0")[:-5], "is not valid XML")

    def test_no_box(self, tmp_path):
        self.refused(tmp_path, official.annotation("a", "n0", ()), "holds no box")

    def test_too_large(self, tmp_path):
        self.refused(tmp_path, " " * (2**20 + 1), "more than 1048576 bytes")

    @pytest.mark.parametrize("edge", ["many", "nan", "inf", ""])
    def test_edge_that_is_no_number(self, edge, tmp_path):
        text = official.annotation("a", "n0").replace("<xmax>18", f"<xmax>{edge}")
        self.refused(tmp_path, text, f"<xmax> must be a number of pixels; got {edge!r}")

    def test_edge_that_lacks(self, tmp_path):
        text = official.annotation("a", "n0").replace("<ymax>13</ymax>", "")
        self.refused(tmp_path, text, "<ymax> must be a number of pixels; got nothing")


class TestStanfordDogs:
    @pytest.fixture
    def root(self, tmp_path):
        return official.make_stanford_dogs(tmp_path, classes=2)

    def annotate(self, root, *box):
        path = root / "Annotation/n02085620-Dog_1/n02085620_3"
        path.write_text(official.annotation("a", "n0", (box,)))

    def test_list_naming_a_missing_image(self, root):
        (root / "Images/n02085621-Dog_2/n02085621_3.jpg").unlink()
        refused("stanford_dogs", root, "test_list.mat: there is no image", "n02085621_3.jpg")

    def test_missing_annotation(self, root):
        (root / "Annotation/n02085621-Dog_2/n02085621_3").unlink()
        refused("stanford_dogs", root, "n02085621_3.jpg has no annotation", "is missing")

    def test_box_outside_the_image(self, root):
        self.annotate(root, 30, 4, 40, 13)
        refused("stanford_dogs", root, "the box 30 4 10 9 covers no pixel of its image of 24 × 18")

    def test_box_with_its_edges_exchanged(self, root):
        self.annotate(root, 18, 4, 6, 13)
        refused("stanford_dogs", root, "width and height must be above 0; got -12 × 9")

    def test_list_of_another_shape(self, root):
        scipy.io.savemat(root / "lists/test_list.mat", {"file_list": np.zeros((2, 3)), "labels": 1})
        refused("stanford_dogs", root, "test_list.mat must hold file_list and labels", "(2, 3)")

    def test_list_of_something_else(self, root):
        scipy.io.savemat(root / "lists/test_list.mat", {"other": 1})
        refused("stanford_dogs", root, "got shapes () and ()")

    def test_cut_off_list(self, root):
        path = root / "lists/test_list.mat"
        path.write_bytes(path.read_bytes()[:300])
        refused("stanford_dogs", root, "test_list.mat cannot be read as a MATLAB file")

    @pytest.mark.parametrize(("place", "value"), [(144, 5), (220, 1), (241, 255)])
    def test_list_with_a_damaged_byte_that_can_crash_its_reader(self, place, value, root):
        path = root / "lists/test_list.mat"
        content = bytearray(path.read_bytes())
        content[place] = value
        path.write_bytes(content)
        refused("stanford_dogs", root, "test_list.mat cannot be read as a MATLAB file")

    def test_path_that_leaves_the_images(self, root):
        official.write_mat(root / "lists/test_list.mat", [("../secret", 1)])
        refused("stanford_dogs", root, "file_list must hold <class>/<image>; got '../secret.jpg'")

    def test_label_below_1(self, root):
        official.write_mat(root / "lists/test_list.mat", [("n02085620-Dog_1/n02085620_3", 0)])
        refused("stanford_dogs", root, "labels must be whole numbers of at least 1; got 0")

    def test_label_of_two_folders(self, root):
        rows = [("n02085620-Dog_1/n02085620_3", 1), ("n02085621-Dog_2/n02085621_3", 1)]
        official.write_mat(root / "lists/test_list.mat", rows)
        refused("stanford_dogs", root, "label 1 is given to n02085620-Dog_1 and to n02085621-Dog_2")

    def test_image_in_both_lists(self, root):
        official.write_mat(root / "lists/test_list.mat", [("n02085620-Dog_1/n02085620_1", 1)])
        refused("stanford_dogs", root, "n02085620_1.jpg is listed a second time")


class TestOxfordPet:
    @pytest.fixture
    def root(self, tmp_path):
        return official.make_oxford_pet(tmp_path, classes=2)

    def test_unknown_id_in_a_list(self, root):
        replace_line(root / "oxford-iiit-pet/annotations/test.txt", 2, "dog_breed_2_99 2 2 1")
        refused("oxford_pet", root, "test.txt, line 2: there is no image", "dog_breed_2_99.jpg")

    def test_malformed_line(self, root):
        replace_line(root / "oxford-iiit-pet/annotations/test.txt", 1, "Cat_breed_1_3 1")
        refused("oxford_pet", root, "test.txt, line 1: expected <image> <class id>")

    def test_image_in_both_lists(self, root):
        replace_line(root / "oxford-iiit-pet/annotations/test.txt", 1, "Cat_breed_1_1 1 1 1")
        refused(
            "oxford_pet",
            root,
            "test.txt, line 1: Cat_breed_1_1 is duplicated",
            "line 1 names it too",
        )

    def test_class_id_of_two_breeds(self, root):
        replace_line(root / "oxford-iiit-pet/annotations/test.txt", 2, "dog_breed_2_3 1 2 1")
        refused("oxford_pet", root, "class id 1 is Cat_breed_1 in another line; got dog_breed_2_3")

    def test_missing_trimap(self, root):
        (root / "oxford-iiit-pet/annotations/trimaps/Cat_breed_1_1.png").unlink()
        refused("oxford_pet", root, "trainval.txt, line 1: there is no trimap")

    def save_trimap(self, root, trimap):
        path = root / "oxford-iiit-pet/annotations/trimaps/Cat_breed_1_3.png"
        Image.fromarray(trimap).save(path)

    def test_trimap_of_another_size(self, root):
        self.save_trimap(root, np.ones((18, 25), np.uint8))
        refused("oxford_pet", root, "Cat_breed_1_3.png is 25 × 18 pixels, its image 24 × 18")

    @pytest.mark.parametrize("value", [0, 4])
    def test_trimap_of_another_code(self, value, root):
        trimap = np.full((18, 24), 2, np.uint8)
        trimap[0, 0] = value
        self.save_trimap(root, trimap)
        with pytest.raises(InputError, match=f"holds the value {value}; a trimap holds 1"):
            open_data("oxford_pet", root=root).test[0]

    def test_trimap_in_colour(self, root):
        self.save_trimap(root, np.ones((18, 24, 3), np.uint8))
        with pytest.raises(InputError, match=r"is a colour image; .* values 1 to 3"):
            open_data("oxford_pet", root=root).test[0]


class TestCub:
    def test_segmentation_of_another_size(self, tmp_path):
        official.make_cub200(tmp_path, classes=2)
        path = next((tmp_path / "segmentations").rglob("*.png"))
        Image.fromarray(np.ones((18, 25), np.uint8)).save(path)
        refused("cub200", tmp_path, path.name, "is 25 × 18 pixels, its image 24 × 18")

    def test_masks_of_the_users_own(self, published_root):
        refused("cub200", published_root("cub200"), "masks cannot be given for cub200", masks="a")

    @pytest.mark.parametrize("name", ["cifar100", "imagenet"])
    def test_random_test(self, published_root, name):
        root = published_root(name)
        refused(name, root, f"test_split must be own for {name}", test_split="random")


class TestImagenet:
    @pytest.fixture
    def root(self, tmp_path):
        return official.make_imagenet(tmp_path, classes=2, boxes=True)

    def test_class_that_is_not_trained(self, root):
        (root / "ILSVRC/Data/CLS-LOC/val/n09999999").mkdir()
        refused("imagenet", root, "val has the class n09999999, which train lacks")

    def test_empty_class(self, root):
        (root / "ILSVRC/Data/CLS-LOC/train/n09999999").mkdir()
        refused("imagenet", root, "train/n09999999 holds no image")

    def test_val_without_class_folders_and_table(self, root):
        folder = root / "ILSVRC/Data/CLS-LOC/val"
        for path in list(folder.glob("*/*")):
            path.rename(folder / path.name)
        refused("imagenet", root, "images without class folders", "LOC_val_solution.csv")
        (root / "LOC_val_solution.csv").write_text("ILSVRC2012_val_00000003,n01440764 1 2 3 4\n")
        refused("imagenet", root, "gives", "ILSVRC2012_val_00001003.JPEG no class that train has")
