"""Several processes that share one model (FSDP2): who they are, and how a model is spread over them.

    torchrun --nproc_per_node 2 -m robust_unlearn_bench unlearn RECIPE --model DIR --out DIR --device cuda

`accelerate launch --multi_gpu --num_processes 2 -m robust_unlearn_bench …` is the same, on CPUs too; with its --cpu flag
accelerate starts one process whatever --num_processes says, unless MPI is set up.

Each process computes its part of every batch; losses are summed and gradients averaged, so that all take the same step.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from ..models.decoder import decoder_blocks

__all__ = ["ALONE", "Ranks", "join", "leave", "spread", "whole"]


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those that share the model.

    Attributes:
        rank: from 0; the first one writes and prints.
        world: how many there are.
        device: of this process ("cpu", "cuda:1").
    """

    rank: int = 0
    world: int = 1
    device: str = "cpu"

    def sum(self, value: float) -> float:
        """The sum over all processes, the same on each."""
        if self.world == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(total)
        return float(total)

    def mean(self, value: float) -> float:
        """The mean over all processes: what each of them computed for itself, made exactly equal."""
        return value if self.world == 1 else self.sum(value) / self.world


ALONE = Ranks()
"""One process that does everything."""


def join(device: str = "cpu") -> Ranks:
    """Join the processes that a launcher (torchrun, accelerate launch) started; `ALONE` where there is no launcher.

    Further calls find the processes joined; `leave` is for the end of the program.

    Args:
        device: where to compute; "cuda" is each process's own.

    Raises:
        ConfigError: the launcher is DeepSpeed's.
    """
    if os.environ.get("ACCELERATE_USE_DEEPSPEED", "").lower() == "true":
        raise ConfigError(
            "DeepSpeed takes the optimizer step inside its backward pass, so rules that look at perturbed weights cannot "
            "run under it: launch with torchrun, or with accelerate launch --multi_gpu"
        )
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return ALONE
    if device == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return Ranks(torch.distributed.get_rank(), world, device)


def leave() -> None:
    """Part from the other processes after success; after an error they may be waiting, and the launcher ends them."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def spread(model: nn.Module, ranks: Ranks) -> None:
    """Shard a model's parameters over the processes, decoder layer by decoder layer, onto their devices.

    The root is resharded after its forward pass too: otherwise embeddings, final norm and head would stay gathered, and
    a perturbation of their shards would be lost on the next pass.

    Args:
        model: on every process the same; changed in place, its parameters are new objects.
        ranks: the processes.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(torch.device(ranks.device).type, (ranks.world,))
    for layer in decoder_blocks(model)[1]:
        fully_shard(layer, mesh=mesh, reshard_after_forward=True)
    fully_shard(model, mesh=mesh, reshard_after_forward=True)


def whole(
    parameters: Mapping[str, Tensor], dtypes: Mapping[str, torch.dtype], ranks: Ranks = ALONE
) -> dict[str, Tensor]:
    """Every parameter in full on the first process, nothing on the others; all must ask together.

    Args:
        parameters: by name, sharded where there are several processes.
        dtypes: what each is rounded to, by name; others are ignored.
        ranks: the processes.

    Returns:
        Tensors on the CPU; one that is there in its dtype already shares the parameter's memory.
    """
    full = {}
    for name, p in parameters.items():
        values = p.detach().to(dtypes[name])
        if ranks.world > 1:
            values = values.full_tensor()  # type: ignore[attr-defined]  # a DTensor
        if ranks.rank == 0:
            full[name] = values.cpu()
    return full
