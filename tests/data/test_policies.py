"""RandAugment and TrivialAugment: the foreground moves with the image."""

import pickle

import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from sib.data import JointTransform, Sample
from sib.data.policies import GEOMETRIC, Policy

SIZE = 64


def square():
    """A white square on grey, and its mask."""
    image = torch.full((3, SIZE, SIZE), 90, dtype=torch.uint8)
    mask = torch.zeros(1, SIZE, SIZE, dtype=torch.uint8)
    image[:, 20:40, 24:48], mask[:, 20:40, 24:48] = 255, 1
    return image, mask


@pytest.mark.parametrize("name", GEOMETRIC)
@pytest.mark.parametrize("kind", ["randaugment", "trivial"])
def test_each_geometric_operation_moves_the_mask_with_the_object(kind, name):
    policy = Policy(kind)
    space = policy._policy._AUGMENTATION_SPACE
    policy._policy._AUGMENTATION_SPACE = {name: space[name]}
    for _ in range(10):
        image, mask = square()
        moved, (followed,) = policy(image, [mask])
        found = moved[0] > 172  # halfway between grey and white
        # pixels at the edge are mixed in the image and not in the mask
        assert (found ^ followed[0].bool()).sum() <= 60
        assert followed.shape == mask.shape and followed.dtype == torch.uint8


@pytest.mark.parametrize("kind", ["randaugment", "trivial"])
def test_colours_leave_the_mask(kind):
    policy = Policy(kind)
    space = policy._policy._AUGMENTATION_SPACE
    policy._policy._AUGMENTATION_SPACE = {k: v for k, v in space.items() if k not in GEOMETRIC}
    for _ in range(20):
        image, mask = square()
        _, (followed,) = policy(image, [mask])
        assert torch.equal(followed, mask)


@pytest.mark.parametrize(
    ("kind", "official"), [("randaugment", v2.RandAugment), ("trivial", v2.TrivialAugmentWide)]
)
def test_the_image_is_torchvisions(kind, official):
    policy, reference = Policy(kind), official(interpolation=v2.InterpolationMode.BILINEAR)
    for seed in range(30):
        torch.manual_seed(seed)
        found, _ = policy(square()[0], [])
        torch.manual_seed(seed)
        expected = reference(tv_tensors.Image(square()[0]))
        assert torch.equal(found, expected.as_subclass(torch.Tensor))


@pytest.mark.parametrize("augment", ["randaugment", "trivial"])
def test_in_the_joint_transform(augment):
    image, mask = square()
    transform = pickle.loads(pickle.dumps(JointTransform(48, augment)))  # as workers get it
    sample = Sample(tv_tensors.Image(image), 3, tv_tensors.Mask(mask.bool()))
    for _ in range(10):
        found = transform(sample)
        assert found.image.shape == (3, 48, 48) and found.image.dtype == torch.uint8
        assert found.foreground.shape == (1, 48, 48) and found.foreground.dtype == torch.bool
        assert found.label == 3
