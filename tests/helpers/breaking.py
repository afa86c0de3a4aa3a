"""A network that breaks in chosen training steps; ``--arch helpers.breaking:make``."""

from sib.models import SmallResNet

BAD_STEPS: set[int] = set()


class Breaking(SmallResNet):
    """Its activations are NaN in the training steps of `BAD_STEPS`, counted from 1."""

    calls = 0

    def forward(self, images):
        if self.training:
            self.calls += 1
            if self.calls in BAD_STEPS:
                images = images * float("nan")
        return super().forward(images)


def make(classes):
    """For ``--arch``."""
    return Breaking(classes)
