"""Every formula of the plan: bytes, operations and seconds of training, scoring and generation, from a model's shapes.

The shapes can be those of a model on the meta device, so nothing has to be loaded. Bytes are those of live tensors; what
allocators and libraries add is left to the margin that `placement` keeps. B is bytes per entry: 2 in bf16, 4 in fp32.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import nn

from ..models.decoder import decoder_blocks, linears
from ..optimizers.grade import Facts
from .host_weights import image_dtypes
from .precision import kept_in
from .precision_names import Precision

__all__ = [
    "Demand",
    "Rates",
    "Run",
    "Sizes",
    "Work",
    "activations",
    "calibrated",
    "calibration",
    "fitting_tokens",
    "forward_operations",
    "generating",
    "generation",
    "rewritten",
    "scoring",
    "seconds",
    "sizes",
    "training",
    "training_step",
]

LOGITS = 12
"""Bytes per entry of a table of logits in training: bf16 and fp32 copy, log-softmax, and their gradients in turn."""

UNKNOWN_STATES = 16.0
"""Bytes of states per parameter assumed for an optimizer whose states depend on the shapes (Kronecker factors)."""


class Demand(NamedTuple):
    """Bytes that a piece of work needs at its peak, the model included, on the device and in CPU memory."""

    device: int
    host: int = 0


class Work(NamedTuple):
    """What a piece of work does.

    Attributes:
        forwards: passes of a batch forward.
        backwards: passes of a batch backward.
        operations: floating-point operations of the matrix products.
        read: bytes of weights and caches that are read where reading takes longer than computing (generation).
        moved: bytes between device and CPU memory.
        updated: bytes that an update in CPU memory reads and writes.
    """

    forwards: float = 0.0
    backwards: float = 0.0
    operations: float = 0.0
    read: float = 0.0
    moved: float = 0.0
    updated: float = 0.0

    def times(self, factor: float) -> Work:
        """Return the work done `factor` times."""
        return Work(*(factor * part for part in self))

    def plus(self, other: Work) -> Work:
        """Return this work and another."""
        return Work(*(a + b for a, b in zip(self, other, strict=True)))


class Run(NamedTuple):
    """A training run, as far as memory and work depend on it.

    Attributes:
        precision: precision of weights and arithmetic.
        optimizer: facts about states, estimates and passes of the optimizer.
        batch: sequences per step, of each loss.
        width: tokens of the longest sequence.
        losses: 1 for a run on one text, 2 with a retain loss.
        reference: a frozen copy of the model stays on the device.
        recompute: activations are to be recomputed in any case.
        micro_batch: largest number of sequences in one pass in any case.
    """

    precision: Precision
    optimizer: Facts
    batch: int
    width: int
    losses: int = 1
    reference: bool = False
    recompute: bool = False
    micro_batch: int | None = None

    @property
    def states(self) -> float:
        """Bytes per trained parameter besides master and gradient."""
        states = UNKNOWN_STATES if self.optimizer.state_bytes is None else self.optimizer.state_bytes
        return states + self.optimizer.extra_bytes + (2 if self.precision == "bf16_kahan" else 0)


class Rates(NamedTuple):
    """How fast a machine is, in operations and bytes per second.

    Attributes:
        operations: matrix products, as they are reached inside a model.
        read: the device's own memory.
        moved: between device and CPU memory; 12e9 is what PCIe 4 with 16 lanes carries from pinned memory in practice
            in the worse direction.
        updated: CPU memory.
    """

    operations: float
    read: float
    moved: float = 12e9
    updated: float = 20e9


class Sizes(NamedTuple):
    """Sizes of a model, in entries unless they say bytes.

    Attributes:
        parameters: all parameters.
        stored: bytes of all parameters as loaded.
        trained: trained parameters.
        frozen: bytes of all others as loaded.
        narrow: trained parameters whose image on the device is bf16 under autocast.
        largest: largest trained tensor.
        products: weights that a token is multiplied with: linear layers, the head included.
        block: weights of the linear layers of one decoder block.
        blocks: number of decoder blocks.
        hidden: width of the hidden states.
        features: inputs and outputs of all linear layers of a block.
        widest: widest input or output of a linear layer in a block.
        cached: keys and values of one token in all blocks.
        vocabulary: rows of the head.
        itemsize: bytes of a stored weight.
        recomputable: whether the model is able to recompute activations.
    """

    parameters: int
    stored: int
    trained: int
    frozen: int
    narrow: int
    largest: int
    products: int
    block: int
    blocks: int
    hidden: int
    features: int
    widest: int
    cached: int
    vocabulary: int
    itemsize: int
    recomputable: bool

    def with_adapter(self, rank: int) -> Sizes:
        """Return the sizes with a low-rank adapter on every linear layer of the blocks, which alone is trained."""
        added = rank * self.features * self.blocks
        return self._replace(
            trained=added,
            frozen=self.stored,
            narrow=added,
            largest=rank * self.widest,
            products=self.products + added,
        )


def sizes(model: nn.Module) -> Sizes:
    """Measure a model, on any device (the meta device included); what is trained is what requires a gradient.

    Raises:
        ModelError: the model has no decoder blocks.
    """
    everything = dict(model.named_parameters())
    trained = {name: p for name, p in everything.items() if p.requires_grad}
    narrow = image_dtypes(model, trained, "bf16_autocast")
    blocks = decoder_blocks(model)[1]
    shapes = [linear.weight.shape for linear in linears(blocks[0], "")]
    config: Any = getattr(model, "config", None)
    text: Any = getattr(config, "get_text_config", lambda: config)()
    embedding: Any = model.get_input_embeddings()  # type: ignore[operator]  # a Hugging Face model
    hidden = int(embedding.weight.shape[1])
    heads = int(getattr(text, "num_attention_heads", 0) or getattr(text, "n_head", 0) or 1)
    keys = int(getattr(text, "num_key_value_heads", None) or heads) * int(
        getattr(text, "head_dim", None) or hidden // heads
    )
    head: Any = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None  # type: ignore[operator]
    vocabulary = int(head.weight.shape[0] if head is not None else embedding.weight.shape[0])
    in_blocks = sum(p.numel() for p in blocks.parameters() if p.dim() > 1)
    return Sizes(
        parameters=sum(p.numel() for p in everything.values()),
        stored=sum(p.numel() * p.element_size() for p in everything.values()),
        trained=sum(p.numel() for p in trained.values()),
        frozen=sum(p.numel() * p.element_size() for p in everything.values() if not p.requires_grad),
        narrow=sum(p.numel() for name, p in trained.items() if narrow[name] == torch.bfloat16),
        largest=max((p.numel() for p in trained.values()), default=0),
        products=in_blocks + vocabulary * hidden,
        block=in_blocks // len(blocks),
        blocks=len(blocks),
        hidden=hidden,
        features=sum(rows + columns for rows, columns in shapes),
        widest=max((max(shape) for shape in shapes), default=hidden),
        cached=2 * keys * len(blocks),
        vocabulary=vocabulary,
        itemsize=next(iter(everything.values())).element_size(),
        recomputable=bool(getattr(model, "supports_gradient_checkpointing", False)),
    )


# --- training ------------------------------------------------------------------------------------------------------


def activations(s: Sizes, tokens: int, precision: Precision, *, recompute: bool, backward: bool = True) -> int:
    """Return the most bytes of activations and logits in one pass over `tokens` tokens.

    A block keeps the inputs and outputs of its linear layers, B·(Σ in + out), the product of its gate, B·widest, and for
    each of two norms its input and its normalised input in the dtype of the masters. In fp32 layers that read the same
    tensor share it (autocast casts it for each), and so do the norms: five hidden states less. Recomputed, only the
    hidden states between blocks remain, and one block at a time; its backward pass takes a quarter more. A pass
    without gradients holds about one block without the norms.
    """
    b = 4 if precision == "fp32" else 2
    k = kept_in(precision).itemsize
    block = b * (s.features + s.widest) + (-1 if precision == "fp32" else 4) * k * s.hidden
    logits = LOGITS * s.vocabulary
    if not backward:
        return tokens * max(b * (s.hidden + 2 * s.widest) + k * s.hidden, logits)
    if recompute:
        return tokens * (s.blocks * k * s.hidden + max(logits, block + block // 4))
    return tokens * (s.blocks * block + max(logits, block // 2))


def training(s: Sizes, run: Run, *, on_host: bool, recompute: bool, micro_batch: int | None) -> Demand:
    """Return the most bytes that a training run holds.

    With k bytes per master and gradient (4, or 2 in bf16_pure), everything on the device takes per trained parameter
    k + states + k for the gradient, or during a forward pass 2 for the bf16 images that autocast keeps. Masters in CPU
    memory leave an image on the device (2 under autocast, k for what is not narrow) and one gradient at a time. Autocast
    also keeps bf16 images of fp32 weights that are not narrow (a head tied to the embedding) or not trained.

    Args:
        s: sizes of the model.
        run: the run.
        on_host: masters, gradients and states are in CPU memory.
        recompute: activations are recomputed.
        micro_batch: largest number of sequences in one pass; None for the whole batch.
    """
    k = kept_in(run.precision).itemsize
    autocast = run.precision == "bf16_autocast"
    rows = min(run.batch, micro_batch or run.batch)
    gradient = run.optimizer.gradient
    gradients = k * s.trained if gradient else 0
    frozen = s.frozen if autocast else (s.parameters - s.trained) * k
    base = frozen + (s.stored if run.reference else 0)
    passes = activations(s, rows * run.width, run.precision, recompute=recompute, backward=gradient)
    drawn = 0 if gradient else 4 * s.largest
    wide = 2 * max(0, s.products - s.narrow) if autocast and (s.itemsize == 4 or not s.frozen) else 0
    if on_host:
        image = 2 * s.narrow + k * (s.trained - s.narrow) if autocast else k * s.trained
        one = k * s.largest if gradient else drawn
        return Demand(int(base + image + max(wide + passes, one)), int(s.trained * (k + run.states) + gradients))
    images = 2 * s.narrow + wide if autocast else 0
    earlier = gradients if run.losses > 1 or rows < run.batch else 0
    return Demand(int(base + s.trained * (k + run.states) + max(images + passes + earlier, gradients) + drawn))


def forward_operations(s: Sizes, tokens: float, width: float) -> float:
    """Return the operations of a forward pass: 2 per token and weight, and 2·width·hidden in each causal attention."""
    return tokens * (2.0 * s.products + 2.0 * width * s.hidden * s.blocks)


def training_step(s: Sizes, run: Run, *, on_host: bool, recompute: bool) -> Work:
    """Return the work of one step; a backward pass is two forward passes, and three where activations are recomputed.

    Args:
        s: sizes of the model.
        run: the run; its sequences are taken to be as long as the longest.
        on_host: masters are in CPU memory: images travel there and back, gradients back.
        recompute: activations are recomputed.
    """
    cost, several = run.optimizer.cost, run.losses > 1
    forwards = cost.forget_forwards + (cost.retain_forwards if several else 0)
    backwards = cost.forget_backwards + (cost.retain_backwards if several else 0)
    one = forward_operations(s, run.batch * run.width, run.width)
    backward = 2.0 if s.trained > s.parameters / 2 else 4 / 3  # most weights then need no gradient of their own
    image = 2 * s.narrow + 4 * (s.trained - s.narrow)
    renewed = 1.0 if run.optimizer.gradient else max(1.0, forwards)
    return Work(
        forwards,
        backwards,
        one * (forwards + backwards * (backward + (1 if recompute else 0))),
        moved=image * (renewed + backwards) if on_host else 0.0,
        updated=2 * s.trained * (8 + run.states) if on_host else 0.0,
    )


# --- attacks that do not train ---------------------------------------------------------------------------------------


def rewritten(s: Sizes) -> Demand:
    """Return the bytes of an attack that rewrites one tensor at a time: the model, and that tensor in fp32 twice."""
    return Demand(s.stored + 8 * s.widest * s.hidden)


def calibrated(s: Sizes, tokens: int, window: int, *, hessian: bool) -> Demand:
    """Return the bytes of an attack that walks through the blocks with calibration text.

    On the device the model, one window's pass through a block, a copy and an fp32 copy of a layer and, with a Hessian,
    its 4·d² bytes; in CPU memory the hidden states of all tokens.
    """
    layer = (4 + s.itemsize) * s.widest * s.hidden + (4 * s.widest**2 if hessian else 0)
    block = window * s.itemsize * (s.features + 2 * s.hidden)
    return Demand(s.stored + max(layer, block), tokens * s.hidden * s.itemsize)


def calibration(s: Sizes, tokens: float, window: float, passes: float, *, hessian: bool) -> Work:
    """Return the work of calibration: passes over the blocks and, with a Hessian, a sum of T·d² per group of layers."""
    one = forward_operations(s, tokens, window)
    sums = tokens * s.blocks * (3 * s.hidden**2 + s.widest**2) if hessian else 0.0
    return Work(passes, 0.0, passes * one + sums)


# --- evaluation ----------------------------------------------------------------------------------------------------


def scoring(s: Sizes, tokens: int, width: int) -> Demand:
    """Return the bytes of scoring: weights, logits of the batch, and four fp32 tables of one row while it is read."""
    inside = tokens * s.itemsize * (2 * s.hidden + 3 * s.widest)
    return Demand(s.stored + max(inside, s.itemsize * tokens * s.vocabulary + 16 * width * s.vocabulary))


def generating(s: Sizes, tokens: int) -> Demand:
    """Return the bytes of generation: weights, keys and values, and the hidden states of the prompts."""
    return Demand(s.stored + tokens * s.itemsize * (s.cached + 2 * s.hidden + 3 * s.widest))


def fitting_tokens(s: Sizes, free: float, width: int, *, new: bool) -> int:
    """Return how many padded tokens a batch of scoring (or, with `new`, of generation) may have beside the model.

    Args:
        s: sizes of the model.
        free: free bytes on the device, the model not included.
        width: tokens of the longest row.
        new: whether tokens are generated.
    """
    one, two = ((generating(s, n) if new else scoring(s, n, width)).device for n in (0, 1 << 20))
    return int((free - (one - s.stored)) / ((two - one) / (1 << 20)))


def generation(s: Sizes, rows: float, prompt: float, new: float, batch: int) -> Work:
    """Return the work of generating `new` tokens after each of `rows` prompts; every step reads all weights once."""
    operations = forward_operations(s, rows * prompt, prompt) + forward_operations(s, rows * new, prompt + new)
    steps = -(-rows // max(batch, 1)) * new
    read = steps * s.stored + rows * new * (prompt + new / 2) * s.cached * s.itemsize
    return Work(steps + -(-rows // max(batch, 1)), 0.0, operations, read)


def seconds(work: Work, rates: Rates) -> float:
    """Return an estimate: computing or reading, whichever takes longer, then transfers and updates, not overlapped."""
    return (
        max(work.operations / rates.operations, work.read / rates.read)
        + work.moved / rates.moved
        + work.updated / rates.updated
    )
