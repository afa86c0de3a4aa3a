"""The five published sets, read from tiny versions in their official layout."""

import json
import pickle
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import official
from helpers.pictures import all_names
from sib.cli.main import main
from sib.data import make_loader, open_data
from sib.data.datasets.catalogue import CATALOGUE
from sib.data.readers.annotation import read_boxes
from sib.data.sample import Box

SETS = list(official.MAKERS)
AREA = (official.BOX[2] - official.BOX[0]) * (official.BOX[3] - official.BOX[1])


def rectangle():
    left, top, right, bottom = official.BOX
    mask = torch.zeros(official.HEIGHT, official.WIDTH, dtype=torch.bool)
    mask[top:bottom, left:right] = True
    return mask


@pytest.mark.parametrize("name", SETS)
class TestEach:
    def test_counts_classes_and_splits(self, name, published_root):
        splits = open_data(name, root=published_root(name))
        classes = CATALOGUE[name].classes
        assert len(splits.classes) == len(set(splits.classes)) == classes
        assert len(splits.train) == len(splits.validation) == len(splits.test) == classes
        assert sorted(splits.test.labels) == list(range(classes))
        names = all_names(splits)
        assert len(set(names)) == 3 * classes
        assert splits.name == name

    def test_description_is_json_and_counts(self, name, published_root):
        description = open_data(name, root=published_root(name)).description
        assert json.loads(json.dumps(description)) == description
        assert description["classes"] == CATALOGUE[name].classes
        assert len(description["splits_sha256"]) == 64

    def test_images_bear_the_colour_of_their_class(self, name, published_root):
        source = open_data(name, root=published_root(name)).test
        for index in (0, len(source) // 2, len(source) - 1):
            sample = source[index]
            assert sample.label == source.labels[index]
            colour = np.random.default_rng(sample.label).integers(40, 216, 3)
            corner = sample.image[:, :, :4].float().mean((1, 2)).numpy()
            assert np.abs(corner - colour).max() < 25

    def test_batches_come_from_worker_processes_too(self, name, published_root):
        source = open_data(name, root=published_root(name)).test
        again = pickle.loads(pickle.dumps(source))
        assert torch.equal(again[1].image, source[1].image)
        loader = make_loader(source, image_size=16, batch_size=8, train=False)
        batch = next(iter(loader))
        assert batch.images.shape == (8, 3, 16, 16)
        assert batch.names == list(source.names[:8])


@pytest.mark.parametrize("name", ["cub200", "stanford_dogs", "oxford_pet"])
def test_foreground_is_the_rectangle(name, published_root):
    splits = open_data(name, root=published_root(name))
    assert splits.train.annotated
    for sample in (splits.train[0], splits.test[5]):
        assert torch.equal(sample.foreground[0].as_subclass(torch.Tensor), rectangle())


@pytest.mark.parametrize("name", ["cifar100", "imagenet"])
def test_without_annotation_nothing_is_annotated(name, published_root):
    splits = open_data(name, root=published_root(name))
    assert not splits.train.annotated and splits.train[0].foreground is None


@pytest.mark.parametrize("name", SETS)
def test_root_may_be_the_official_folder_itself(name, published_root):
    root = published_root(name)
    folder = {
        "cifar100": root / "cifar-100-python",
        "cub200": root / "CUB_200_2011",
        "stanford_dogs": root,
        "imagenet": root / "ILSVRC" / "Data" / "CLS-LOC",
        "oxford_pet": root / "oxford-iiit-pet",
    }[name]
    assert open_data(name, root=folder).description == open_data(name, root=root).description


@pytest.mark.parametrize("name", SETS)
def test_missing_set_says_what_to_put_where(name, tmp_path):
    with pytest.raises(ValueError) as caught:
        open_data(name, root=tmp_path)
    assert f"{tmp_path} holds no {CATALOGUE[name].title}" in str(caught.value)
    wanted = "image-net.org" if name == "imagenet" else f"sib data prepare {name}"
    assert wanted in str(caught.value)


class TestCifar:
    def test_rows_are_planes_of_red_green_and_blue(self, tmp_path):
        official.make_cifar100(tmp_path, classes=3)
        stored = pickle.loads((tmp_path / "cifar-100-python/test").read_bytes(), encoding="bytes")
        splits = open_data("cifar100", root=tmp_path)
        assert torch.equal(
            splits.test[2].image.as_subclass(torch.Tensor).flatten(),
            torch.from_numpy(stored[b"data"][2]),
        )
        assert splits.classes == ["thing_0", "thing_1", "thing_2"]

    def test_training_and_validation_share_one_array(self, tmp_path):
        splits = open_data("cifar100", root=official.make_cifar100(tmp_path, classes=3))
        assert splits.train.images is splits.validation.images

    def test_a_sample_is_a_copy(self, tmp_path):
        splits = open_data("cifar100", root=official.make_cifar100(tmp_path, classes=3))
        before = splits.train[0].image.clone()
        splits.train[0].image.zero_()
        assert torch.equal(splits.train[0].image, before)


class TestCub:
    def test_segmentations_inside_the_folder_go_before_those_beside(self, tmp_path):
        official.make_cub200(tmp_path, classes=2)
        inside = tmp_path / "CUB_200_2011" / "segmentations"
        shutil.copytree(tmp_path / "segmentations", inside)
        for path in inside.rglob("*.png"):
            Image.fromarray(np.full((18, 24), 255, np.uint8)).save(path)
        assert open_data("cub200", root=tmp_path).test[0].foreground.all()

    def test_boxes_without_segmentations(self, tmp_path):
        official.make_cub200(tmp_path, classes=2, segmentations=False)
        sample = open_data("cub200", root=tmp_path).test[0]
        assert torch.equal(sample.foreground[0].as_subclass(torch.Tensor), rectangle())


class TestStanfordDogs:
    def test_lists_may_lie_beside_the_images_as_their_archive_unpacks(self, tmp_path):
        official.make_stanford_dogs(tmp_path, classes=2)
        for path in (tmp_path / "lists").iterdir():
            path.rename(tmp_path / path.name)
        assert len(open_data("stanford_dogs", root=tmp_path).test) == 2

    def test_classes_lose_the_number_of_their_synset(self, tmp_path):
        official.make_stanford_dogs(tmp_path, classes=2)
        assert open_data("stanford_dogs", root=tmp_path).classes == ["Dog_1", "Dog_2"]


class TestOxfordPet:
    def test_outline_counts_as_foreground(self, tmp_path):
        official.make_oxford_pet(tmp_path, classes=2)
        path = tmp_path / "oxford-iiit-pet/annotations/trimaps/Cat_breed_1_3.png"
        trimap = np.full((18, 24), 2, np.uint8)
        trimap[3, 5], trimap[3, 6] = 1, 3
        Image.fromarray(trimap).save(path)
        foreground = open_data("oxford_pet", root=tmp_path).test[0].foreground[0]
        assert foreground.nonzero().tolist() == [[3, 5], [3, 6]]

    def test_classes_stand_in_the_order_of_their_ids(self, tmp_path):
        official.make_oxford_pet(tmp_path, classes=11)
        classes = open_data("oxford_pet", root=tmp_path).classes
        assert classes[:2] == ["Cat_breed_1", "dog_breed_2"] and classes[10] == "dog_breed_11"


class TestImagenet:
    def test_boxes_of_both_splits(self, tmp_path):
        official.make_imagenet(tmp_path, classes=3, boxes=True)
        splits = open_data("imagenet", root=tmp_path)
        for sample in (splits.train[0], splits.test[2]):
            assert torch.equal(sample.foreground[0].as_subclass(torch.Tensor), rectangle())

    def test_only_a_part_of_the_images_may_have_boxes(self, tmp_path):
        official.make_imagenet(tmp_path, classes=3, boxes=True)
        shutil.rmtree(tmp_path / "ILSVRC/Annotations/CLS-LOC/train/n01440764")
        train = open_data("imagenet", root=tmp_path).train
        assert [train[i].foreground is not None for i in range(3)] == [False, True, True]

    def test_folders_train_and_val_alone(self, tmp_path):
        official.make_imagenet(tmp_path, classes=3)
        (tmp_path / "ILSVRC/Data/CLS-LOC").rename(tmp_path / "imagenet")
        splits = open_data("imagenet", root=tmp_path)
        assert splits.classes == ["n01440764", "n01440765", "n01440766"]
        assert splits.test.names[0] == "val/n01440764/ILSVRC2012_val_00000003.JPEG"

    def test_val_without_class_folders_takes_its_classes_from_the_table(self, tmp_path):
        official.make_imagenet(tmp_path, classes=2, boxes=True)
        folder = tmp_path / "ILSVRC/Data/CLS-LOC/val"
        for path in list(folder.glob("*/*")):
            path.rename(folder / path.name)
        lines = ["ImageId,PredictionString"]
        lines += ["ILSVRC2012_val_00000003,n01440764 6 4 18 13 n01440764 1 2 3 4 "]
        lines += ["ILSVRC2012_val_00001003,n01440765 6 4 18 13 "]
        (tmp_path / "LOC_val_solution.csv").write_text("\n".join(lines))
        test = open_data("imagenet", root=tmp_path).test
        assert list(test.names) == [
            "val/ILSVRC2012_val_00000003.JPEG",
            "val/ILSVRC2012_val_00001003.JPEG",
        ]
        assert test.labels == [0, 1]
        assert int(test[1].foreground.sum()) == AREA

    def test_names_from_the_table_of_words_stay_distinct(self, tmp_path):
        official.make_imagenet(tmp_path, classes=3)
        words = ["n01440764 tench, Tinca tinca", "n01440765 crane", "n01440766 crane, bird"]
        (tmp_path / "LOC_synset_mapping.txt").write_text("\n".join(words))
        classes = open_data("imagenet", root=tmp_path).classes
        assert classes == ["tench", "crane (n01440765)", "crane (n01440766)"]

    def test_slices_and_subsets_keep_the_order(self, tmp_path):
        source = open_data("imagenet", root=official.make_imagenet(tmp_path, classes=4)).test
        part = source.subset([3, 1])
        assert part.labels == [3, 1]
        assert list(part.names) == [source.names[3], source.names[1]]
        assert [r.label for r in source.records[1:3]] == [1, 2]
        assert list(source.names[2:]) == list(source.names)[2:]


class TestAnnotation:
    def test_edges_are_brought_to_the_size_of_the_file(self, tmp_path):
        path = tmp_path / "a.xml"
        path.write_text(official.annotation("a", "n0", ((6, 4, 18, 13), (0, 0, 24, 18))))
        assert read_boxes(path, (36, 24)) == (Box(6, 8, 12, 18), Box(0, 0, 24, 36))

    def test_a_size_of_zero_is_taken_for_the_files(self, tmp_path):
        path = tmp_path / "a.xml"
        text = official.annotation("a", "n0").replace("<width>24", "<width>0")
        path.write_text(text)
        assert read_boxes(path, (18, 100)) == (Box(6, 4, 12, 9),)

    def test_several_boxes_are_united(self, tmp_path):
        official.make_stanford_dogs(tmp_path, classes=2)
        path = tmp_path / "Annotation/n02085620-Dog_1/n02085620_3"
        path.write_text(official.annotation("a", "n0", ((0, 0, 2, 2), (1, 1, 3, 3))))
        foreground = open_data("stanford_dogs", root=tmp_path).test[0].foreground
        assert int(foreground.sum()) == 7

    def test_what_leaves_the_image_is_cut_off(self, tmp_path):
        official.make_stanford_dogs(tmp_path, classes=2)
        path = tmp_path / "Annotation/n02085620-Dog_1/n02085620_3"
        path.write_text(official.annotation("a", "n0", ((20, 16, 30, 30),)))
        foreground = open_data("stanford_dogs", root=tmp_path).test[0].foreground
        assert int(foreground.sum()) == 4 * 2


def test_train_takes_a_published_set_from_its_root(published_root, tmp_path, capsys):
    arguments = ["train", "--data", "oxford_pet", "--root", str(published_root("oxford_pet"))]
    arguments += ["--arch", "small_resnet", "--image-size", "32", "--epochs", "1", "--workers", "0"]
    arguments += [
        "--device",
        "cpu",
        "--objective",
        "published",
        "--objective.window-size",
        "5",
        "--out",
        str(tmp_path / "run"),
    ]
    assert main(arguments) == 0
    assert "oxford_pet: 37 images to train, 37 to validate, 37 to test" in capsys.readouterr().out
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert "foreground_energy" in result["test"]
