"""Models that accelerate has spread over devices (`parallelize=True`, `device_map`) are attacked like any other."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate import dispatch_model
from accelerate.hooks import AlignDevicesHook

from robust_unlearn_bench.attacks import ATTACKS, AttackSpec, parse
from robust_unlearn_bench.errors import AttackError, MissingExtraError, ModelError
from robust_unlearn_bench.harness.plan import Plan
from robust_unlearn_bench.harness.session import AttackSession, Tag
from robust_unlearn_bench.suites import Corpora, Corpus, Example, Suite

CORPORA = Corpora(
    Corpus("toy/forget", tuple(Example(f"the old baker sang in the blue tower {n}") for n in range(8))),
    Corpus("toy/retain", tuple(Example(f"who wrote the new iron in a river {n}") for n in range(8))),
)
TOY = Suite("toy", "1", (), lambda data_dir: None, lambda source: CORPORA, ("none",))  # no source needed
SHORT = {
    **{family: f"{family}2(lr=0.001)" for family in ("relearn", "relearn_const", "relearn_split", "finetune")},
    "relearn_retain": "relearn2_retain(lr=0.001)",
    "relearn_ep": "relearn_ep1(lr=0.001)",
    "lora_relearn": "lora_relearn2",
    "gptq": "gptq4(group_size=16,samples=4,length=32)",
    "prune": "prune50(samples=4,length=32)",
}
PARTS = ("model.embed_tokens", "model.layers.0", "model.layers.1", "model.norm", "model.rotary_emb", "lm_head")


def dispatched(model: Any, **elsewhere: str) -> Any:
    """The model with accelerate's hooks on every module, as a device map of several devices puts them."""
    places = dict.fromkeys(PARTS, "cpu") | elsewhere
    return dispatch_model(model, places, force_hooks=True, main_device="cpu")


def attacked(lm: Any, spec: str) -> dict[str, torch.Tensor]:
    """The weights under the attack; the session has restored them afterwards."""
    seen: dict[str, torch.Tensor] = {}
    session = AttackSession(lm)
    session._ask = lambda instances, bar: (
        seen.update(state(lm.model)) or [None] * len(instances)
    )  # look instead of asking
    session.run([SimpleNamespace(rub=Tag(Plan(parse(spec), TOY), "token_scores"), args=("", {}))])
    return seen


def state(model: Any) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in [*model.named_parameters(), *model.named_buffers()]}


@pytest.mark.parametrize("family", [family for family in ATTACKS if family != "none"])
def test_the_same_attack_and_the_same_weights_back(tiny_lm: Any, family: str) -> None:
    spec = SHORT.get(family) or AttackSpec((ATTACKS[family](),)).name
    plain, spread = tiny_lm(), tiny_lm()
    spread._model = dispatched(spread.model)
    hooks = {name: m._hf_hook for name, m in spread.model.named_modules() if hasattr(m, "_hf_hook")}
    assert sum(isinstance(hook, AlignDevicesHook) for hook in hooks.values()) > len(PARTS)
    before = state(spread.model)
    try:
        one, two = attacked(plain, spec), attacked(spread, spec)
    except MissingExtraError as error:
        pytest.skip(str(error))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], before[name]) for name in one)
    after = state(spread.model)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert {name: m._hf_hook for name, m in spread.model.named_modules() if hasattr(m, "_hf_hook")} == hooks


def test_an_offloaded_model_is_refused(tiny_lm: Any, tmp_path: Path) -> None:
    lm = tiny_lm()
    places = dict.fromkeys(PARTS, "cpu") | {"model.layers.1": "disk"}
    lm._model = dispatch_model(lm.model, places, offload_dir=tmp_path, main_device="cpu")
    for family in ("gptq4", "relearn2"):
        with pytest.raises((ModelError, AttackError), match=r"needs all weights in memory, and some are offloaded"):
            attacked(lm, family)
