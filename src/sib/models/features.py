"""The outputs of a model's layers in a forward pass, for terms that need them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, ref

from torch import Tensor, nn

from sib.models.axes import ADVICE, find_axes
from sib.models.layers import CamLayer, Reshape, cam_layer
from sib.models.stages import finer_stages, given_stages, map_shape
from sib.models.trace import trace


class _Stages(NamedTuple):
    """The stages of a model that have places."""

    last: str | None
    """Name of the last stage; None if it has one place."""
    reshapes: dict[str, Reshape | None]
    """Output → (B, C, h, w) by name, the last stage first; None where it is one already."""


class FeatureCapture:
    """The outputs of stages, kept from a forward pass until the terms need them.

    A stage whose map has one place is left out, since that place holds the whole map.

    Args:
        stages: finer stages before the last one whose outputs are kept too: the names of their
            layers, or True for those of `sib.models.stages.finer_stages`.
    """

    def __init__(self, stages: bool | Sequence[str] = False) -> None:
        self.stages = stages
        self.names: list[str] = []
        self.last: str | None = None
        """Name of the last stage; None where it has one place."""
        self.outputs: dict[str, object] = {}
        self._is_new = False  # whether a forward pass was captured and not asked for yet
        self._reshapes: dict[str, Reshape | None] = {}
        self._model: ref[nn.Module] | None = None
        self._stages_by_model: WeakKeyDictionary[nn.Module, dict[object, _Stages]] = (
            WeakKeyDictionary()
        )

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle keeps; the rest belongs to one forward pass or is recomputed."""
        return {"stages": self.stages}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Start without features, like a new object."""
        FeatureCapture.__init__(self, **state)

    @contextmanager
    def capture(
        self,
        model: nn.Module,
        images: Tensor,
        layer: str | nn.Module | None = None,
        reshape: Reshape | None = None,
    ) -> Iterator[None]:
        """Keep the layers' outputs in the forward passes inside the context.

        Arguments and errors as in `sib.models.layers.cam_layer`.
        """
        found = self._stages_of(model, images, layer, reshape)
        self.last, self._reshapes = found.last, found.reshapes
        self.names, self.outputs = list(found.reshapes), {}
        self._model, self._is_new = ref(model), True
        modules = [(name, model.get_submodule(name)) for name in self.names]
        handles = [each.register_forward_hook(self._keep(name)) for name, each in modules]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def parameters(self) -> list[nn.Parameter]:
        """The parameters of the model that ran in the last forward pass."""
        model = None if self._model is None else self._model()
        return [] if model is None else list(model.parameters())

    def _keep(self, name: str) -> Callable[..., None]:
        def keep(layer: nn.Module, inputs: object, output: object) -> None:
            self.outputs[name] = output

        return keep

    def _stages_of(
        self,
        model: nn.Module,
        images: Tensor,
        layer: str | nn.Module | None,
        reshape: Reshape | None,
    ) -> "_Stages":
        """The stages, which are found once for each image size."""
        place = cam_layer(model, images, layer, reshape)
        known = self._stages_by_model.setdefault(model, {})
        key = (place.name, *images.shape[1:])
        if key not in known:
            known[key] = self._look_for(model, images.detach(), place)
        return known[key]

    def _look_for(self, model: nn.Module, images: Tensor, place: CamLayer) -> "_Stages":
        found = trace(model, images)
        if self.stages is True:
            finer = finer_stages(model, images, place.name, reshape=place.reshape)
        else:
            finer = given_stages(model, images, self.stages or ())
        reshapes = {each: find_axes(model, images, each, found).reshape for each in finer}
        shape = map_shape(found, place.name, place.reshape) if place.name in found.shapes else ()
        if len(shape) == 3 and shape[1] * shape[2] == 1:
            return _Stages(None, reshapes)
        return _Stages(place.name, {place.name: place.reshape} | reshapes)

    def pop(self) -> tuple[Tensor, ...]:
        """Return and forget the outputs: the last stage's first, then the finer ones'.

        Raises:
            ValueError: there is no output, or one is not a tensor.
        """
        outputs, self.outputs = self.outputs, {}
        is_new, self._is_new = self._is_new, False
        if not is_new:
            raise ValueError(
                "the calibrated objective needs the features from which the logits are computed: "
                "compute them inside `with objective.capture_features(model, images):`, once for "
                "each call"
            )
        found = []
        for name in self.names:
            output = outputs.get(name)
            if not isinstance(output, Tensor):
                raise ValueError(
                    f"layer must give one tensor; {name} gives {_kind(output)} in this forward pass"
                )
            found.append(output)
        return tuple(found)

    def as_map(self, values: Tensor, name: str | None = None) -> Tensor:
        """Values of the shape of an output as a map (B, C, h, w).

        Args:
            values: of the output's shape.
            name: name of the stage; the first one by default.

        Raises:
            ValueError: they are not a map.
        """
        name = self.names[0] if name is None else name
        reshape = self._reshapes[name]
        shaped = values if reshape is None else reshape(values)
        if shaped.ndim != 4:
            raise ValueError(
                f"layer must give a feature map (B, C, h, w); {name} gives {tuple(shaped.shape)}: "
                f"{ADVICE}"
            )
        return shaped


def _kind(output: object) -> str:
    return "nothing" if output is None else type(output).__name__
