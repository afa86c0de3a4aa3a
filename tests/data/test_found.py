"""Found foregrounds travel with their images through crops, flips and policies."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.squares import Squares
from sib.data.found import EnlargedSource, FoundSource
from sib.data.loader import make_loader
from sib.data.subset import SubsetSource
from sib.data.transforms import JointTransform
from sib.functional.area import largest_area


def bright(images):
    """Where a picture shows its square, (…, 1, H, W)."""
    return images.float().amin(dim=-3, keepdim=True).sub(45).sign().clamp_min(0).bool()


def exact_maps(source, size, whole):
    """Maps that show the square of each picture, at the views' own resolution."""
    transform = JointTransform(size, resize="squash" if whole else "crop")
    return {
        name: transform(source[index]).foreground.as_subclass(Tensor).float()
        for index, name in enumerate(source.names)
    }


def found_source(source, size, whole, keeps=None):
    maps = exact_maps(source, size, whole)
    share = float(torch.stack(list(maps.values())).mean(dim=(1, 2, 3)).max())
    return FoundSource(
        source, maps, share, size, None if whole else "crop", keeps or [False] * len(source)
    )


@pytest.mark.parametrize("augment", ["none", "flip", "crop"])
@pytest.mark.parametrize("size", [(32, 32), (40, 64)])
def test_the_found_foreground_follows_the_image(augment, size):
    source = Squares(16, size)
    found = found_source(source, 32, whole=augment == "crop")
    loader = make_loader(found, image_size=32, batch_size=16, augment=augment, train=True)
    agreement = []
    for epoch in range(3):
        loader.set_epoch(epoch)
        (batch,) = loader
        assert batch.annotated.any()
        for image, mask in zip(batch.images, batch.foreground, strict=True):
            square = bright(image)
            if square.sum() > 20:
                agreement.append((square & mask).sum() / (square | mask).sum())
    assert torch.stack(agreement).mean() > 0.75  # a pixel of the outline is one side or the other


def test_a_policy_moves_both():
    source = found_source(Squares(32), 32, whole=True)
    batch = next(
        iter(make_loader(source, image_size=32, batch_size=32, augment="trivial", train=True))
    )
    images, masks = batch.images, batch.foreground
    seen = [
        float((images[i].float().mean(0)[masks[i, 0]]).mean())
        for i in range(32)
        if masks[i].sum() > 20
    ]
    rest = [
        float((images[i].float().mean(0)[~masks[i, 0]]).mean())
        for i in range(32)
        if masks[i].sum() > 20
    ]
    apart = sum(abs(a - b) > 15 for a, b in zip(seen, rest, strict=True))
    assert len(seen) > 15 and apart > 0.8 * len(seen)


def test_images_are_those_without_found_foregrounds():
    source = Squares(8, (40, 64))
    for augment in ("none", "flip", "crop"):
        found = found_source(source, 32, whole=augment == "crop")
        options = {"image_size": 32, "batch_size": 8, "augment": augment, "train": True, "seed": 3}
        (one,), (other,) = make_loader(found, **options), make_loader(source, **options)
        assert torch.equal(one.images, other.images) and one.names == other.names


def test_the_mask_is_the_largest_part_of_the_map():
    source = Squares(3)
    maps = {name: torch.rand(1, 4, 4) for name in source.names[:2]}
    found = FoundSource(source, maps, 0.2, 32, "crop", [False] * 3)
    expected = largest_area(maps["square 1"][None], 0.2, (32, 32))[0]
    assert torch.equal(found[1].foreground.as_subclass(Tensor), expected)
    assert found[2].foreground is None  # an image without a map, whose annotation is not used
    assert len(found) == 3 and found.annotated and found.labels == source.labels


def test_chosen_annotation_wins():
    source = Squares(2)
    maps = {name: torch.rand(1, 4, 4) for name in source.names}
    found = FoundSource(source, maps, 0.2, 32, "crop", [True, False])
    assert torch.equal(found[0].foreground, source[0].foreground)
    assert not torch.equal(found[1].foreground, source[1].foreground)
    bare = FoundSource(Squares(2, annotated=False), maps, 0.2, 32, "crop", [True, False])
    assert bare[0].foreground is not None  # chosen, but there is none to keep


def test_a_view_that_is_larger_shows_the_same_part():
    for size, whole in (((32, 32), True), ((40, 40), False)):
        source = EnlargedSource(Squares(4, size), 32, 128)
        for index in range(4):
            view = JointTransform(128)(source[index]).foreground.float()
            seen = JointTransform(32)(Squares(4, size)[index]).foreground.float()
            assert (source[index].image.shape[-1] == 128) == whole
            small = F.adaptive_avg_pool2d(view, 32)
            assert (small - seen).abs().mean() < 0.02


def test_a_part_of_a_source():
    part = SubsetSource(Squares(6), [4, 1])
    assert (part.names, part.labels, len(part)) == (["square 4", "square 1"], [0, 1], 2)
    assert torch.equal(part[0].image, Squares(6)[4].image)
