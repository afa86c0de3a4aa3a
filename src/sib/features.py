"""What a layer of a model gave in a forward pass, for terms that look inside."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from sib.models.layers import Reshape, cam_layer


class Features:
    """The output of one layer, kept from a forward pass to the terms that need it."""

    def __init__(self) -> None:
        self.name = "none"
        self.reshape: Reshape | None = None
        self.output: Tensor | None = None

    @contextmanager
    def recorded(
        self,
        model: nn.Module,
        images: Tensor,
        layer: str | nn.Module | None = None,
        reshape: Reshape | None = None,
    ) -> Iterator[None]:
        """Keep what the layer gives in the forward passes inside the context.

        Arguments and errors as of `sib.models.layers.cam_layer`.
        """
        self.name, module, self.reshape = cam_layer(model, images, layer, reshape)
        self.output = None

        def keep(layer: nn.Module, inputs: object, output: Tensor) -> None:
            self.output = output

        handle = module.register_forward_hook(keep)
        try:
            yield
        finally:
            handle.remove()

    def take(self) -> Tensor:
        """The output, once.

        Raises:
            ValueError: there is none, or it is no tensor.
        """
        output, self.output = self.output, None
        if output is None:
            raise ValueError(
                "the calibrated objective needs the features behind the logits: compute them "
                "inside `with objective.recording(model, images):`, once for each call"
            )
        if not isinstance(output, Tensor):
            raise ValueError(
                f"layer must give one tensor; {self.name} gives {type(output).__name__}"
            )
        return output

    def as_map(self, values: Tensor) -> Tensor:
        """Values of the shape of the output as a map (B, C, h, w).

        Raises:
            ValueError: they are none.
        """
        shaped = values if self.reshape is None else self.reshape(values)
        if shaped.ndim != 4:
            raise ValueError(
                f"layer must give a feature map (B, C, h, w); {self.name} gives "
                f"{tuple(shaped.shape)}: give another layer, or reshape="
            )
        return shaped
