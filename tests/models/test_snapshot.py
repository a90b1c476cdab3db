"""Weights come back bit for bit, wherever they were kept."""

from __future__ import annotations

import errno
import os
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import torch

from robust_unlearn_bench.attacks.quantise.rtn import RTN
from robust_unlearn_bench.errors import AttackError, UnknownNameError
from robust_unlearn_bench.harness.plan import plan_attack
from robust_unlearn_bench.harness.session import AttackSession
from robust_unlearn_bench.models import snapshot as module
from robust_unlearn_bench.models.snapshot import Snapshot, check_keep
from robust_unlearn_bench.models.weights import fingerprint

KEEPS = ["cpu", "disk", "reload"]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def loaded(tiny_llama: Any, tiny_tokenizer: Any, tmp_path: Path) -> Any:
    """Factory of models that were loaded from a folder."""

    def build(**options: Any) -> Any:
        from robust_unlearn_bench.models.checkpoint import load

        tiny_llama(**options).save_pretrained(tmp_path / "model")
        tiny_tokenizer.save_pretrained(tmp_path / "model")
        return load(tmp_path / "model").model

    return build


def bits(model: Any) -> dict[str, torch.Tensor]:
    return {n: t.clone() for n, t in [*model.named_parameters(), *model.named_buffers()]}


def spoil(model: Any) -> None:
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            tensor.mul_(0.75)
    model.train()
    model.requires_grad_(False)


@pytest.mark.parametrize("keep", KEEPS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
def test_restore_is_bit_identical(loaded: Any, keep: Any, dtype: torch.dtype, tied: bool) -> None:
    model = loaded(dtype=dtype, tied=tied)
    before, before_print = bits(model), fingerprint(model)
    snapshot = Snapshot(model, keep)
    for _ in range(2):  # a snapshot serves every attack of a session
        spoil(model)
        assert snapshot.change(model)["all"] == pytest.approx(0.25, rel=1e-2)
        snapshot.restore(model)
        assert all(torch.equal(tensor, before[name]) for name, tensor in bits(model).items())
    assert fingerprint(model) == before_print
    assert (model.lm_head.weight is model.model.embed_tokens.weight) == tied
    assert all(p.requires_grad for p in model.parameters())
    assert not model.training


def test_odd_tensors_survive_the_disk(loaded: Any) -> None:
    """Scalars, empty tensors, integers, strides: whatever a module registers."""
    model = loaded()
    model.register_buffer("scalar", torch.tensor(3.5))
    model.register_buffer("none", torch.empty(0, 4))
    model.register_buffer("flags", torch.tensor([True, False, True]))
    model.register_buffer("count", torch.arange(5))
    model.register_buffer("turned", torch.arange(6.0).view(2, 3).T)
    before = bits(model)
    snapshot = Snapshot(model, "disk")
    with torch.no_grad():
        for tensor in model.buffers():
            tensor.zero_()
    snapshot.restore(model)
    assert all(torch.equal(tensor, before[name]) for name, tensor in bits(model).items())


def test_a_snapshot_on_disk_leaves_no_file_behind(loaded: Any, tmp_path: Path) -> None:
    snapshot = Snapshot(loaded(), "disk")
    if os.name == "posix":
        assert list((tmp_path / "cache").iterdir()) == []  # nameless: gone even when the process is killed
    assert snapshot is not None


def test_the_session_keeps_weights_where_the_plan_says(tiny_lm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[str] = []

    class Noting(Snapshot):
        def __init__(self, model: Any, keep: Any) -> None:
            kept.append(keep)
            super().__init__(model, keep)

    monkeypatch.setattr("robust_unlearn_bench.harness.session.Snapshot", Noting)
    lm = tiny_lm()
    before = bits(lm.model)
    from types import SimpleNamespace

    from robust_unlearn_bench.harness.session import Tag

    plan = plan_attack("rtn4(group_size=16)", None, None, "disk")
    assert isinstance(plan.spec.steps[0], RTN)
    request = SimpleNamespace(rub=Tag(plan, "token_scores"), args=("the old", {"text": " baker"}))
    AttackSession(lm).run([request])
    assert kept == ["disk"]
    assert all(torch.equal(tensor, before[name]) for name, tensor in bits(lm.model).items())


def test_a_full_disk_is_one_sentence(loaded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = loaded()
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10, 9, 1))
    with pytest.raises(
        AttackError, match=r"snapshot of 0\.00 GB cannot be written below .*too little free space.*RUB_CACHE"
    ):
        Snapshot(model, "disk")


def test_a_disk_that_fills_up_meanwhile_is_one_sentence(loaded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __enter__(self) -> Full:
            return self

        def __exit__(self, *error: object) -> None: ...

        def tell(self) -> int:
            return 0

        def write(self, data: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.tempfile, "TemporaryFile", lambda dir: Full())
    with pytest.raises(AttackError, match=r"No space left on device\): free some space"):
        Snapshot(loaded(), "disk")


def test_no_memory_for_a_copy_is_one_sentence(loaded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **options: Any) -> Any:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 10 bytes")

    model = loaded()
    monkeypatch.setattr(torch.Tensor, "to", fail)
    with pytest.raises(AttackError, match=r"no room for a copy of the weights .*snapshot=disk or snapshot=reload"):
        Snapshot(model)


def test_reload_refuses_weights_that_are_not_the_checkpoint_s(loaded: Any, tiny_llama: Any, tmp_path: Path) -> None:
    with pytest.raises(AttackError, match="needs a model that was loaded from a checkpoint: choose snapshot=cpu"):
        Snapshot(tiny_llama(), "reload")
    model = loaded()
    with torch.no_grad():
        model.lm_head.weight[0, 0] += 1
    with pytest.raises(AttackError, match="gives different weights when loaded again"):
        Snapshot(model, "reload")
    model = loaded()
    snapshot = Snapshot(model, "reload")
    tiny_llama(seed=1).save_pretrained(tmp_path / "model")
    with pytest.raises(AttackError, match="gives different weights"):
        snapshot.restore(model)


def test_unknown_places_are_named() -> None:
    with pytest.raises(UnknownNameError, match="unknown snapshot 'dsk': did you mean 'disk'"):
        plan_attack("gptq4", None, None, "dsk")
    assert [check_keep(keep) for keep in KEEPS] == KEEPS
