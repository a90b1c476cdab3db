"""Copies between a device and CPU memory; those of CUDA need a GPU."""

from __future__ import annotations

import pytest
import torch

from robust_unlearn_bench.training.transfer import CudaTransfers, Transfers, transfers_for


def check(transfers: Transfers, device: str) -> None:
    """Values arrive rounded to the dtype of their destination, each handed over once, in order."""
    values = torch.tensor([1.0, 1.001, -3.3])
    there = torch.zeros(3, dtype=torch.bfloat16, device=device)
    transfers.send(values, there)
    assert torch.equal(there.cpu(), values.bfloat16())
    taken: list[torch.Tensor] = []
    for number in range(20):
        transfers.fetch(there + number, taken.append)
    transfers.finish()
    assert [float(t[0]) for t in taken] == [1.0 + number for number in range(20)]
    assert all(t.device.type == "cpu" for t in taken)
    transfers.finish()
    assert len(taken) == 20


def test_at_once() -> None:
    check(transfers_for(torch.device("cpu")), "cpu")
    kept = torch.ones(2)
    taken: list[torch.Tensor] = []
    transfers_for(torch.device("cpu")).fetch(kept, taken.append)
    kept.zero_()
    assert taken[0].sum() == 2, "a copy, not the device's own tensor"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_overlapped_on_cuda() -> None:
    transfers = transfers_for(torch.device("cuda"))
    assert isinstance(transfers, CudaTransfers)
    check(transfers, "cuda")
