"""The placement is the fastest that fits into the memory that is free, and it changes no number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from robust_unlearn_bench.errors import ConfigError, ModelError
from robust_unlearn_bench.optimizers import OPTIMIZERS
from robust_unlearn_bench.suites.corpus import Example
from robust_unlearn_bench.training import placement
from robust_unlearn_bench.training.encoding import encode
from robust_unlearn_bench.training.finetune import FinetuneConfig, Finetuning
from robust_unlearn_bench.training.footprint import Run, Sizes, sizes, training
from robust_unlearn_bench.training.placement import MARGIN, Free, Placement, fit, free_memory, parse_bytes

RUN = Run("bf16_autocast", OPTIMIZERS["adam"].facts, 4, 512)


@pytest.fixture
def small(tiny_llama: Any) -> Sizes:
    return sizes(tiny_llama())


def enough_for(s: Sizes, run: Run, placement: Placement) -> Free:
    """Memory that holds just this placement."""
    needs = training(
        s, run, on_host=placement.on_host, recompute=placement.recompute, micro_batch=placement.micro_batch
    )
    return Free(int(needs.device / MARGIN) + 1, int(needs.host / MARGIN) + 1)


@pytest.mark.parametrize(
    "expected",
    [
        Placement(),
        Placement(recompute=True),
        Placement(recompute=True, micro_batch=2),
        Placement(recompute=True, micro_batch=1),
    ],
)
def test_the_fastest_that_fits_is_chosen(small: Sizes, expected: Placement) -> None:
    chosen = fit("this", small, RUN, enough_for(small, RUN, expected))
    assert (chosen.masters, chosen.recompute, chosen.micro_batch) == (
        "device",
        expected.recompute,
        expected.micro_batch,
    )


def test_masters_move_to_cpu_memory_when_nothing_smaller_helps(small: Sizes) -> None:
    needs = enough_for(small, RUN, Placement(recompute=True, micro_batch=1))
    assert needs.device is not None
    chosen = fit("this", small, RUN, Free(needs.device - 2, 10**9))
    assert chosen.masters == "host"
    assert chosen.host_bytes == 16 * small.trained


def test_what_is_asked_for_in_any_case_is_kept(small: Sizes) -> None:
    run = RUN._replace(recompute=True, micro_batch=3)
    chosen = fit("this", small, run, Free(10**12, 10**12))
    assert (chosen.recompute, chosen.micro_batch) == (True, 3)
    tight = enough_for(small, run, Placement(recompute=True, micro_batch=2))
    assert fit("this", small, run, tight).micro_batch == 2


def test_memory_that_cannot_suffice_is_refused_with_what_is_missing(small: Sizes) -> None:
    with pytest.raises(
        ModelError, match=r"^relearn50 needs .* GB on the device and .* GB in CPU memory .* 93% of 1e-05 GB"
    ):
        fit("relearn50", small, RUN, Free(10_000, 10**9, "cuda:0"))
    with pytest.raises(ModelError, match=r"^relearn50 needs .* GB of CPU memory .* 93% of 1e-05 GB can be used"):
        fit("relearn50", small, RUN, Free(None, 10_000))


def test_a_cpu_has_one_memory(small: Sizes) -> None:
    """Masters beside images would only add to it, so they stay."""
    chosen = fit("this", small, RUN, Free(None, 10**10))
    assert chosen.masters == "device"


def test_free_memory_counts_what_others_use(tiny_llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU of 24 GB of which another process uses 20, 4 GB and the model's own share can be used."""
    model = tiny_llama()
    own = sum(p.numel() * 4 for p in model.parameters())
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int(4e9), int(24e9)))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 500)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 200)
    found = free_memory(model, "cuda:1")
    assert found.device == int(4e9) + 300 + own
    assert found.where == "cuda:1"
    monkeypatch.setenv("RUB_DEVICE_MEMORY", "3GB")
    assert free_memory(model, "cuda:1").device == int(3e9)
    assert free_memory(model).device == int(3e9), "a simulated device"
    monkeypatch.delenv("RUB_DEVICE_MEMORY")
    assert free_memory(model).device is None
    assert free_memory(model).host > own


def test_the_limit_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 3 MB allowed and 2.5 used, .4 are files that the system would drop."""
    monkeypatch.setattr(placement, "CONTAINER", tmp_path)
    whole = free_memory(device="cpu").host
    for name, content in {"max": "3000000\n", "current": "2500000\n", "stat": "anon 1\ninactive_file 400000\n"}.items():
        (tmp_path / f"memory.{name}").write_text(content)
    assert free_memory(device="cpu").host == 900_000
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory(device="cpu").host == pytest.approx(whole, rel=0.2)


@pytest.mark.parametrize(
    ("text", "size"), [("24GB", 24e9), ("22.5 GiB", 22.5 * 2**30), ("800kb", 8e5), ("1g", 1e9), ("512", 512)]
)
def test_amounts_of_memory(text: str, size: float) -> None:
    assert parse_bytes(text, "it") == int(size)


@pytest.mark.parametrize("text", ["", "much", "24GX", "0GB", "-1GB"])
def test_other_amounts_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--device-memory is .*: give an amount of memory such as 24GB"):
        parse_bytes(text, "--device-memory")


def test_the_environment_limits_a_run_without_changing_it(
    tiny_llama: Any, tiny_tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From everything on the device down to one sequence at a time, masters in CPU memory."""
    sequences = encode(
        [Example(f"the old {w} sang in the river") for w in "baker tower iron blue".split()], tiny_tokenizer, 64
    )
    config = FinetuneConfig(steps=3, lr=1e-2)
    models, chosen = [], []
    for limit in (None, "500KB", "400KB"):
        if limit:
            monkeypatch.setenv("RUB_DEVICE_MEMORY", limit)
        model = tiny_llama()
        with Finetuning(model, sequences, config) as run:
            list(run)
        models.append(model)
        chosen.append(run.placement)
    assert chosen[0].masters == "device"
    assert {placement.masters for placement in chosen[1:]} == {"host"}
    for model in models[1:]:
        for p, q in zip(models[0].parameters(), model.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-2, atol=2e-3)
