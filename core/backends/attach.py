"""Blenders on stacks of decoder layers that are not ours, and do not take a `BlendPass`: by hooks, for one pass."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ..types import ConfigError
from .blend_pass import BlendPass


@contextmanager
def attach(layers: Sequence[nn.Module] | nn.ModuleList, blending: BlendPass) -> Iterator[None]:
    """Put the blenders of one pass on a stack of decoder layers; the layers' classes need not know of it.

    Inside, run the stack exactly once. Each blended layer needs `input_layernorm`, whose output at image entries is the
    context, and `self_attn`, whose output (or its first part, if a tuple) gets the blend added.

    The state is the pass's, and hooks act in the thread that attached them only: generations may be interleaved, and
    share one model, when each attaches around its own passes. However the block is left, the hooks are gone. Raises
    ConfigError for layers without these parts and when the block did not run the whole stack.
    """
    handles: list[RemovableHandle] = []
    try:
        for blended in blending.layers:
            norm, attention = _hook_points(layers, blended.number)
            hooks = _LayerHooks(blending, blended.number)
            handles.append(norm.register_forward_hook(hooks.capture))
            handles.append(attention.register_forward_hook(hooks.add))
        yield
    finally:
        for handle in handles:
            handle.remove()
    if len(blending.records) != len(blending.layers):
        ran = len(blending.records)
        raise ConfigError(f"attach: got {ran} of {len(blending.layers)} blenders run, expected one pass of all layers")


class _LayerHooks:
    """The two hooks of one blended layer: remember the input norm's output, add the blend to the attention's."""

    def __init__(self, blending: BlendPass, layer: int) -> None:
        self._blending, self._layer = blending, layer
        self._seen: tuple[Tensor, Tensor] | None = None
        self._ran, self._thread = False, threading.get_ident()

    def capture(self, module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
        """After the input norm."""
        if threading.get_ident() == self._thread:  # another thread's pass through the same model is not ours
            self._seen = arguments[0], output

    def add(self, module: nn.Module, arguments: object, output: Tensor | tuple[Tensor, ...]) -> object:
        """After the attention: the output that replaces its own."""
        if threading.get_ident() != self._thread:
            return None
        if self._seen is None:
            raise ConfigError("decoder layer: got its attention before its input norm, expected a pre-norm layer")
        if self._ran:
            raise ConfigError(f"layer {self._layer}: got a second pass, expected one pass for each attach()")
        self._ran = True
        attention, *others = output if isinstance(output, tuple) else (output,)
        attention = attention.clone()  # it is not ours to change
        self._blending.add_to(attention, self._layer, *self._seen)
        return (attention, *others) if isinstance(output, tuple) else attention


def _hook_points(layers: Sequence[nn.Module] | nn.ModuleList, number: int) -> tuple[nn.Module, nn.Module]:
    """Input norm and attention of a layer; ConfigError when there is none."""
    if number >= len(layers):
        raise ConfigError(f"blended layers: got layer {number}, expected less than the model's {len(layers)}")
    layer = layers[number]
    norm, attention = getattr(layer, "input_layernorm", None), getattr(layer, "self_attn", None)
    if not isinstance(norm, nn.Module) or not isinstance(attention, nn.Module):
        raise ConfigError(
            f"layer {number}: got a {type(layer).__name__}, expected one with input_layernorm and self_attn"
        )
    return norm, attention
