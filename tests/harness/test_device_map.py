"""Models that accelerate has spread over devices (`parallelize=True`, `device_map`) are attacked like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import dispatch_model
from accelerate.hooks import AlignDevicesHook

from robust_unlearn_bench.attacks import ATTACKS
from robust_unlearn_bench.errors import AttackError, ModelError
from robust_unlearn_bench.registry import BUILT_IN

PARTS = ("model.embed_tokens", "model.layers.0", "model.layers.1", "model.norm", "model.rotary_emb", "lm_head")


def dispatched(model: Any, **elsewhere: str) -> Any:
    """The model with accelerate's hooks on every module, as a device map of several devices puts them."""
    places = dict.fromkeys(PARTS, "cpu") | elsewhere
    return dispatch_model(model, places, force_hooks=True, main_device="cpu")


@pytest.mark.parametrize("family", [name for name in ATTACKS if ATTACKS.origin(name) == BUILT_IN and name != "none"])
def test_the_same_attack_and_the_same_weights_back(tiny_lm: Any, state: Any, attacked: Any, family: str) -> None:
    plain, spread = tiny_lm(), tiny_lm()
    spread._model = dispatched(spread.model)
    hooks = {name: m._hf_hook for name, m in spread.model.named_modules() if hasattr(m, "_hf_hook")}
    assert sum(isinstance(hook, AlignDevicesHook) for hook in hooks.values()) > len(PARTS)
    before = state(spread.model)
    (one, _), (two, _) = attacked(plain, family), attacked(spread, family)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], before[name]) for name in one)
    after = state(spread.model)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert {name: m._hf_hook for name, m in spread.model.named_modules() if hasattr(m, "_hf_hook")} == hooks


def test_an_offloaded_model_is_refused(tiny_lm: Any, attacked: Any, tmp_path: Path) -> None:
    lm = tiny_lm()
    places = dict.fromkeys(PARTS, "cpu") | {"model.layers.1": "disk"}
    lm._model = dispatch_model(lm.model, places, offload_dir=tmp_path, main_device="cpu")
    for family in ("gptq4", "relearn2"):
        with pytest.raises((ModelError, AttackError), match=r"needs all weights in memory, and some are offloaded"):
            attacked(lm, family)
