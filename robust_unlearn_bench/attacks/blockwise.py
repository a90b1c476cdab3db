"""Rewrite the decoder block by block, each linear layer with a statistic of its inputs on calibration text.

The calibration windows pass the embedding once; from there on hidden states are handed from block to block, so that the
inputs of a block come from blocks that are already rewritten, as in deployment. The other arguments of a block (masks,
rotary tables) are recorded from a forward pass of the whole model.

Inside a block, layers that read the same tensor (q, k, v; gate, up) form a *stage*: they share one statistic of their
inputs. In true-sequential order the inputs of a stage come from earlier stages that are already rewritten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, cast

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache

from ..errors import ModelError
from ..models.decoder import Linear, decoder_blocks, linears
from ..training.model_view import evaluating

__all__ = ["Statistic", "batches", "walk"]

BATCH_TOKENS = 512
"""Most tokens in a batch of several calibration windows; a longer window is a batch of its own."""


class Statistic(Protocol):
    """A running sum over the inputs of one stage."""

    def add(self, inputs: Tensor) -> None:
        """Add further inputs [tokens, features], in the model's dtype."""
        ...


S = TypeVar("S", bound=Statistic)


class _StopForward(Exception):
    """Ends a forward pass early, once all inputs of interest have been recorded."""


@dataclass(slots=True)
class _Batch:
    """Hidden states before the current block, and the other arguments of every block."""

    hidden: Tensor
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]]

    def run(self, index: int, block: nn.Module) -> Tensor:
        """Output of block `index`."""
        args, kwargs = self.calls[index]
        output = block(self.hidden.to(next(block.parameters()).device), *args, **kwargs)
        return cast(Tensor, output[0] if isinstance(output, tuple) else output)


@dataclass(eq=False, slots=True)
class _Stage:
    """Layers that read the same tensor, and how many such tensors one forward pass has (None: unknown)."""

    layers: list[Linear] = field(default_factory=list)
    calls: int | None = None


def walk(
    model: nn.Module,
    windows: Sequence[Tensor],
    statistic: Callable[[int, torch.device], S],
    rewrite: Callable[[Linear, S], None],
    *,
    true_sequential: bool = True,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
    what: str = "blocks",
) -> list[Linear]:
    """Rewrite the linear layers of the decoder blocks in the order of the forward pass.

    Args:
        model: a causal language model.
        windows: calibration token ids, each [length].
        statistic: function of (number of input features, device) that gives an empty statistic.
        rewrite: function that is called once for each layer, with the complete statistic of its inputs, and writes new
            weights into the layer.
        true_sequential: whether the inputs of a stage come from earlier stages of its block after their rewriting.
        progress: function that is called with (blocks done, number of blocks, what).
        what: label of the progress bar.

    Returns:
        Layers that no calibration token reached; their weights are unchanged.

    Raises:
        ModelError: blocks exchange data in a way that cannot be followed block by block.
    """
    path, blocks = decoder_blocks(model)
    unreached: list[Linear] = []
    with torch.no_grad(), evaluating(model):
        flow = _enter(model, blocks, windows)
        for i, block in enumerate(blocks):
            stages = _stages(block, f"{path}.{i}", flow[0], i)
            for group in [[stage] for stage in stages] if true_sequential else [stages]:
                unreached += _rewrite_group(group, _collect(block, group, flow, i, statistic), rewrite)
            for batch in flow if i + 1 < len(blocks) else ():
                batch.hidden = batch.run(i, block).cpu()
            progress(i + 1, len(blocks), what)
    return unreached


def _rewrite_group(
    stages: Sequence[_Stage], sums: list[S | None], rewrite: Callable[[Linear, S], None]
) -> list[Linear]:
    """Rewrite the layers of some stages, free each statistic after use, and return the layers that have none."""
    unreached: list[Linear] = []
    for position, stage in enumerate(stages):
        total, sums[position] = sums[position], None
        for layer in stage.layers:
            if total is None:
                unreached.append(layer)
            else:
                rewrite(layer, total)
    return unreached


def batches(windows: Sequence[Tensor]) -> Iterator[Tensor]:
    """Stack consecutive windows of equal length, up to `BATCH_TOKENS` tokens, as [windows, length]."""
    start = 0
    while start < len(windows):
        length = len(windows[start])
        end = start + 1
        while end < len(windows) and len(windows[end]) == length and (end + 1 - start) * length <= BATCH_TOKENS:
            end += 1
        yield torch.stack(list(windows[start:end]))
        start = end


def _enter(model: nn.Module, blocks: nn.ModuleList, windows: Sequence[Tensor]) -> list[_Batch]:
    """Hidden states of every batch before the first block, and the arguments of all blocks for each batch shape."""
    device = next(model.parameters()).device
    known: dict[torch.Size, list[_Batch]] = {}
    flow = []
    for ids in batches(windows):
        same = known.setdefault(ids.shape, [])
        # Two full passes for each shape: the second proves that the arguments do not depend on the text.
        batch = _record(model, blocks, ids.to(device), all_blocks=len(same) < 2)
        if same:
            if len(same) < 2 and not _equal(batch.calls, same[0].calls):
                raise ModelError(
                    f"blocks of {type(model).__name__} receive text-dependent arguments besides the hidden states: "
                    "this architecture cannot be calibrated block by block"
                )
            batch.calls = same[0].calls
        same.append(batch)
        flow.append(batch)
    return flow


def _record(model: nn.Module, blocks: nn.ModuleList, ids: Tensor, *, all_blocks: bool) -> _Batch:
    """Run the model up to the first block, or through all of them, and record the arguments of the blocks.

    Raises:
        ModelError: the input of a block is not the output of the one before.
    """
    batch = _Batch(torch.empty(0), [])
    last: Tensor | None = None

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        rest = dict(kwargs)
        hidden = args[0] if args else rest.pop("hidden_states")
        if not batch.calls:
            batch.hidden = hidden.cpu()
        elif last is None or not torch.equal(hidden.to(last.device), last):
            raise ModelError(
                f"the input of a block of {type(model).__name__} is not the output of the block before: "
                "this architecture cannot be calibrated block by block"
            )
        batch.calls.append((tuple(map(_no_cache, args[1:])), {key: _no_cache(value) for key, value in rest.items()}))
        if not all_blocks:
            raise _StopForward

    def after(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        nonlocal last
        last = output[0] if isinstance(output, tuple) else output
        if module is blocks[-1]:
            raise _StopForward

    with ExitStack() as hooks:
        for block in blocks:
            hooks.callback(block.register_forward_pre_hook(before, with_kwargs=True).remove)
            hooks.callback(block.register_forward_hook(after).remove)
        try:
            model(input_ids=ids, use_cache=False)
        except _StopForward:
            pass
    return batch


def _no_cache(argument: Any) -> Any:
    """None in place of a key-value cache, which a second call of the block would take for preceding text."""
    return None if isinstance(argument, Cache) else argument


def _equal(left: Any, right: Any) -> bool:
    """Whether two block arguments hold equal tensors."""
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        return torch.equal(left, right)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(_equal, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(left[key], right[key]) for key in left)
    return type(left) is type(right)


def _stages(block: nn.Module, prefix: str, batch: _Batch, index: int) -> list[_Stage]:
    """Group the layers of a block by the tensor they read, in the order in which a forward pass calls them.

    Layers that the pass does not call (experts that no token chose) come last, each in a stage of its own.
    """
    layers = linears(block, prefix)
    inputs: list[Tensor] = []  # kept alive, so that equal addresses mean the same tensor
    stages: dict[tuple[Any, ...], _Stage] = {}
    placed: dict[str, _Stage] = {}

    def note(layer: Linear) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
            x: Tensor = args[0]
            inputs.append(x)
            if layer.name not in placed:
                stage = stages.setdefault((x.data_ptr(), x.shape, x._version), _Stage([], 0))
                stage.layers.append(layer)
                placed[layer.name] = stage
            stage = placed[layer.name]
            if stage.layers[0] is layer:
                assert stage.calls is not None
                stage.calls += 1

        return hook

    with ExitStack() as hooks:
        for layer in layers:
            hooks.callback(layer.module.register_forward_pre_hook(note(layer)).remove)
        batch.run(index, block)
    return [*stages.values(), *(_Stage([layer]) for layer in layers if layer.name not in placed)]


def _collect(
    block: nn.Module,
    stages: Sequence[_Stage],
    flow: Sequence[_Batch],
    index: int,
    statistic: Callable[[int, torch.device], S],
) -> list[S | None]:
    """Run every batch through the block, as far as necessary, and collect the statistic of each stage.

    Returns:
        One statistic for each stage, None where no token reached it.
    """
    sums: list[S | None] = [None] * len(stages)
    known = [stage.calls for stage in stages]
    wanted = sum(n for n in known if n is not None) if None not in known else None
    calls = 0

    def note(position: int, layer: Linear) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
            nonlocal calls
            x: Tensor = args[0].detach()
            x = x.reshape(-1, x.shape[-1])
            if len(x):
                total = sums[position]
                if total is None:
                    total = sums[position] = statistic(x.shape[-1], layer.weight.device)
                total.add(x)
            calls += 1
            if calls == wanted:
                raise _StopForward

        return hook

    with ExitStack() as hooks:
        for position, stage in enumerate(stages):
            layer = stage.layers[0]
            hooks.callback(layer.module.register_forward_pre_hook(note(position, layer)).remove)
        for batch in flow:
            calls = 0
            try:
                batch.run(index, block)
            except _StopForward:
                pass
    return sums
