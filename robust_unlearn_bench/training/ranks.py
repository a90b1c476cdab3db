"""Several processes that share one model (FSDP2), and the sharding of the model over them.

    torchrun --nproc_per_node 2 -m robust_unlearn_bench unlearn RECIPE --model DIR --out DIR --device cuda

`accelerate launch --multi_gpu --num_processes 2 -m robust_unlearn_bench …` does the same, on CPUs too. With its --cpu
flag, however, accelerate starts a single process regardless of --num_processes, unless MPI is set up.

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
    """Position of this process among those that share the model.

    Attributes:
        rank: number of this process, from 0; only the first one writes and prints.
        world: number of processes.
        device: device of this process ("cpu", "cuda:1").
    """

    rank: int = 0
    world: int = 1
    device: str = "cpu"

    def sum(self, value: float) -> float:
        """Return the sum over all processes, the same on each."""
        if self.world == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(total)
        return float(total)

    def mean(self, value: float) -> float:
        """Return the mean over all processes, which makes a value that each computed for itself exactly equal."""
        return value if self.world == 1 else self.sum(value) / self.world


ALONE = Ranks()
"""A single process that does everything."""


def join(device: str = "cpu") -> Ranks:
    """Join the processes that a launcher (torchrun, accelerate launch) started; return `ALONE` without a launcher.

    Repeated calls are allowed; call `leave` at the end of the program.

    Args:
        device: device to compute on; "cuda" stands for each process's own device.

    Raises:
        ConfigError: the launcher is DeepSpeed's.
    """
    if os.environ.get("ACCELERATE_USE_DEEPSPEED", "").lower() == "true":
        raise ConfigError(
            "DeepSpeed takes the optimizer step inside its backward pass, so rules that evaluate perturbed weights "
            "cannot run under it: launch with torchrun, or with accelerate launch --multi_gpu"
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
    """Leave the process group after success; after an error others may be waiting, and the launcher ends them."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def spread(model: nn.Module, ranks: Ranks) -> None:
    """Shard a model's parameters over the processes, decoder layer by decoder layer, onto their devices.

    The root is resharded after its forward pass too: otherwise embeddings, final norm and head would stay gathered, and
    a perturbation of their shards would be lost on the next pass.

    Args:
        model: model with the same weights on every process; changed in place, with new parameter objects.
        ranks: processes that share the model.
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
    """Gather every parameter in full on the first process, none on the others; all processes must call this together.

    Args:
        parameters: parameters by name, sharded if there are several processes.
        dtypes: dtype that each parameter is rounded to, by name; further names are ignored.
        ranks: processes that share the model.

    Returns:
        Tensors on the CPU; one that needs no move and no cast shares memory with its parameter.
    """
    full = {}
    for name, p in parameters.items():
        values = p.detach().to(dtypes[name])
        if ranks.world > 1:
            values = values.full_tensor()  # type: ignore[attr-defined]  # a DTensor
        if ranks.rank == 0:
            full[name] = values.cpu()
    return full
