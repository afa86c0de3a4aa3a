"""What layers of a model gave in a forward pass, for terms that look inside."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary, ref

from torch import Tensor, nn

from sib.models.layers import Reshape, cam_layer
from sib.models.stages import finer_stages


class FeatureCapture:
    """The output of the last stage, kept from a forward pass until the terms need it.

    Args:
        stages: keep those of the finer stages before it as well; see
            `sib.models.stages.finer_stages`.
    """

    def __init__(self, stages: bool = False) -> None:
        self.stages = stages
        self.names: list[str] = []
        self.reshape: Reshape | None = None
        self.outputs: dict[str, object] = {}
        self._model: ref[nn.Module] | None = None
        self._found: WeakKeyDictionary[nn.Module, dict[object, list[str]]] = WeakKeyDictionary()

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle keeps; all else belongs to one forward pass, or is found anew."""
        return {"stages": self.stages}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Begin as a new one."""
        FeatureCapture.__init__(self, **state)

    @contextmanager
    def capture(
        self,
        model: nn.Module,
        images: Tensor,
        layer: str | nn.Module | None = None,
        reshape: Reshape | None = None,
    ) -> Iterator[None]:
        """Keep what the layers give in the forward passes inside the context.

        Arguments and errors as of `sib.models.layers.cam_layer`.
        """
        name, module, self.reshape = cam_layer(model, images, layer, reshape)
        finer = self._finer(model, images, name) if self.stages and self.reshape is None else []
        self.names, self.outputs = [name, *finer], {}
        self._model = ref(model)
        modules = [module, *(model.get_submodule(each) for each in finer)]
        pairs = zip(self.names, modules, strict=True)
        handles = [each.register_forward_hook(self._keep(name)) for name, each in pairs]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def parameters(self) -> list[nn.Parameter]:
        """Those of the model of the last forward pass."""
        model = None if self._model is None else self._model()
        return [] if model is None else list(model.parameters())

    def _keep(self, name: str) -> Callable:
        def keep(layer: nn.Module, inputs: object, output: object) -> None:
            self.outputs[name] = output

        return keep

    def _finer(self, model: nn.Module, images: Tensor, last: str) -> list[str]:
        """The finer stages, looked for once for each size of the images."""
        known = self._found.setdefault(model, {})
        key = (last, *images.shape[1:])
        if key not in known:
            known[key] = finer_stages(model, images.detach(), last)
        return known[key]

    def pop(self) -> tuple[Tensor, ...]:
        """The outputs, once: the last stage's first, then the finer ones'.

        Raises:
            ValueError: there is none, or one is no tensor.
        """
        outputs, self.outputs = self.outputs, {}
        if not outputs:
            raise ValueError(
                "the calibrated objective needs the features behind the logits: compute them "
                "inside `with objective.capture_features(model, images):`, once for each call"
            )
        found = []
        for name in self.names:
            output = outputs.get(name)
            if not isinstance(output, Tensor):
                raise ValueError(f"layer must give one tensor; {name} gives {_kind(output)}")
            found.append(output)
        return tuple(found)

    def as_map(self, values: Tensor) -> Tensor:
        """Values of the shape of an output as a map (B, C, h, w).

        Raises:
            ValueError: they are none.
        """
        shaped = values if self.reshape is None else self.reshape(values)
        if shaped.ndim != 4:
            raise ValueError(
                f"layer must give a feature map (B, C, h, w); {self.names[0]} gives "
                f"{tuple(shaped.shape)}: give another layer, or reshape="
            )
        return shaped


def _kind(output: object) -> str:
    return "nothing" if output is None else type(output).__name__
