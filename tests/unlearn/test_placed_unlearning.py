"""Every optimizer unlearns the same with its masters in CPU memory, bit for bit, and so does a run that moved them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from robust_unlearn_bench.errors import MissingExtraError, ModelError
from robust_unlearn_bench.objectives import OBJECTIVES
from robust_unlearn_bench.optimizers import OPTIMIZERS
from robust_unlearn_bench.suites.corpus import Corpora, Corpus, Example
from robust_unlearn_bench.training.placement import Placement
from robust_unlearn_bench.unlearn.recipe import Recipe
from robust_unlearn_bench.unlearn.run import Outcome, UnlearningRun
from robust_unlearn_bench.unlearn.unlearning import unlearn

TEXT = Corpora(
    *(
        Corpus(name, tuple(Example(f" the {a} in the {b}", f"Question: who {verb}?\nAnswer:") for a, b in pairs))
        for name, verb, pairs in (
            ("forget", "found", [("baker", "tower"), ("river", "iron"), ("iron", "baker")]),
            ("retain", "wrote", [("old", "new"), ("blue", "old"), ("tower", "river")]),
        )
    )
)
SETTINGS: dict[str, dict[str, Any]] = {"hybrid": {"n_fo": 2, "n_zo": 2}}


def outcome(recipe: Recipe, model: Any, tokenizer: Any, placement: Placement | None) -> Outcome:
    return UnlearningRun(
        recipe, model, tokenizer, TEXT, None, lambda done, total, what: None, placement=placement
    ).carry_out()


def placed_alike(recipe: Recipe, build: Callable[..., Any], tokenizer: Any, dtype: Any = torch.float32) -> None:
    models = [build(seed=3, dtype=dtype) for _ in range(2)]
    start = {name: p.detach().clone() for name, p in models[0].named_parameters()}
    results = [
        outcome(recipe, model, tokenizer, Placement(place))  # type: ignore[arg-type]
        for model, place in zip(models, ("host", "device"), strict=True)
    ]
    assert results[0].candidates == results[1].candidates
    for (name, p), q in zip(models[0].named_parameters(), models[1].parameters(), strict=True):
        assert torch.equal(p, q), name
    assert any(not torch.equal(p, start[name]) for name, p in models[0].named_parameters())


@pytest.mark.parametrize("precision", ["fp32", "bf16_autocast"])
@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_every_optimizer_is_bit_equal(
    tiny_llama: Callable[..., Any], tiny_tokenizer: Any, optimizer: str, precision: Any
) -> None:
    recipe = Recipe(
        objective={"name": "npo"},
        optimizer={"name": optimizer, **SETTINGS.get(optimizer, {})},
        steps=4,
        batch_size=2,
        precision=precision,
    )
    try:
        placed_alike(recipe, tiny_llama, tiny_tokenizer)
    except MissingExtraError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("objective", sorted(OBJECTIVES))
def test_every_objective_is_bit_equal(tiny_llama: Callable[..., Any], tiny_tokenizer: Any, objective: str) -> None:
    layer = {"layer": 1} if objective in ("rmu", "lat") else {}
    recipe = Recipe(
        objective={"name": objective, **layer}, optimizer={"name": "adam", "lr": 1e-3}, steps=2, batch_size=2
    )
    placed_alike(recipe, tiny_llama, tiny_tokenizer, torch.bfloat16)


def test_an_adapter_and_chosen_layers_are_bit_equal(tiny_llama: Callable[..., Any], tiny_tokenizer: Any) -> None:
    pytest.importorskip("peft")
    for change in ({"lora": {"rank": 4, "alpha": 8}}, {"train": [r"model\.layers\.1\..*"]}):
        recipe = Recipe(
            objective={"name": "grad_diff"}, optimizer={"name": "adam", "lr": 1e-2}, steps=3, batch_size=2, **change
        )
        placed_alike(recipe, tiny_llama, tiny_tokenizer)


def test_the_best_checkpoint_and_the_state_are_independent_of_the_placement(
    target: Path, files: dict[str, Path], recipe_file: Callable[..., Path], tmp_path: Path, monkeypatch: Any
) -> None:
    """A run is killed with its masters on the device and goes on with them in CPU memory, chosen by free memory."""
    recipe = recipe_file(
        steps=6, checkpoint_every=2, select={"rule": "best_retain"}, optimizer={"name": "hybrid", "n_fo": 1, "n_zo": 1}
    )

    class Killed(Exception):
        pass

    def kill(done: int, total: int, what: str) -> None:
        if done == 3:
            raise Killed

    def carried_out(name: str, **more: Any) -> Path:
        return unlearn(recipe, target, tmp_path / name, forget=files["forget"], retain=files["retain"], **more)

    whole = carried_out("whole")
    with pytest.raises(Killed):
        carried_out("moved", progress=kill)
    monkeypatch.setenv("RUB_DEVICE_MEMORY", "800KB")
    moved = carried_out("moved")
    told = [json.loads((folder / "unlearning.json").read_text()) for folder in (whole, moved)]
    assert [card["placement"]["masters"] for card in told] == ["device", "host"]
    a, b = (load_file(folder / "model.safetensors") for folder in (whole, moved))
    assert all(torch.allclose(a[name], b[name], atol=1e-5) for name in a)


def test_memory_that_cannot_suffice_is_refused_in_one_sentence(
    tiny_llama: Callable[..., Any], tiny_tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUB_DEVICE_MEMORY", "10KB")
    recipe = Recipe(objective={"name": "npo"}, optimizer={"name": "adam"}, steps=1)
    with pytest.raises(ModelError, match=r"this recipe needs .* on the device .* 93% of 1e-05 GB .* can be used"):
        outcome(recipe, tiny_llama(), tiny_tokenizer, None)


def test_the_plan_is_announced_before_the_model_is_loaded(
    target: Path, files: dict[str, Path], recipe_file: Callable[..., Path], tmp_path: Path, monkeypatch: Any
) -> None:
    said: list[str] = []
    texts: dict[str, Any] = {"forget": files["forget"], "retain": files["retain"], "announce": said.append}
    unlearn(recipe_file(steps=2), target, tmp_path / "out", **texts)
    assert len(said) == 1
    assert said[0].startswith("plan: 0M parameters, all on the device: 0.00")
    assert said[0].endswith("for 2 steps")
    (target / "model.safetensors").unlink()
    monkeypatch.setenv("RUB_DEVICE_MEMORY", "10KB")
    with pytest.raises(ModelError, match="this recipe needs"):
        unlearn(recipe_file(steps=2), target, tmp_path / "other", **texts)
