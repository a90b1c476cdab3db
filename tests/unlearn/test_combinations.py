"""Every objective starts with every optimizer; every recipe starts on a Llama of eight tiny layers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from robust_unlearn_bench.objectives import OBJECTIVES
from robust_unlearn_bench.optimizers import OPTIMIZERS
from robust_unlearn_bench.suites.corpus import Corpora, Corpus, Example
from robust_unlearn_bench.unlearn import load_recipe, recipe_files
from robust_unlearn_bench.unlearn.corpora import corpora_for
from robust_unlearn_bench.unlearn.recipe import Recipe
from robust_unlearn_bench.unlearn.run import UnlearningRun
from robust_unlearn_bench.unlearn.state import RunFolder

pytestmark = pytest.mark.slow

NEEDED = {"pytorch-optimizer": "pytorch_optimizer"}


def available(optimizer: str) -> bool:
    extra = OPTIMIZERS[optimizer].facts.extra
    return (not extra or find_spec(NEEDED[extra]) is not None) and (optimizer != "muon" or hasattr(torch.optim, "Muon"))


def corpora(forget: Sequence[tuple[str, str]], retain: Sequence[tuple[str, str]]) -> Corpora:
    sides = [
        Corpus(name, tuple(Example(f" {answer}", f"Question: {question}\nAnswer:") for question, answer in rows))
        for name, rows in (("forget", forget), ("retain", retain))
    ]
    return Corpora(*sides)


def starts(recipe: Recipe, model: Any, tokenizer: Any, text: Corpora, folder: Path) -> None:
    """Two steps: losses are finite, weights have moved and are finite."""
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    steps: list[int] = []
    run = UnlearningRun(
        recipe, model, tokenizer, text, RunFolder(folder, {}), lambda done, total, what: steps.append(done)
    )
    run.carry_out()
    assert steps == [1, 2]
    assert all(math.isfinite(json.loads(line)["forget"]) for line in run.folder.log.read_text().splitlines())
    assert all(bool(torch.isfinite(p).all()) for p in model.parameters())
    assert any(not torch.equal(p, before[name]) for name, p in model.named_parameters())


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_every_objective_starts(
    tiny_llama: Callable[..., Any], tiny_tokenizer: Any, tmp_path: Path, optimizer: str
) -> None:
    if not available(optimizer):
        pytest.skip(f"needs the extra {OPTIMIZERS[optimizer].facts.extra}")
    text = corpora(
        [("who sang", "the baker"), ("what was old", "iron")], [("who wrote", "the tower"), ("where", "river")]
    )
    start = tiny_llama(seed=3).state_dict()
    model = tiny_llama()
    for objective in sorted(OBJECTIVES):
        model.load_state_dict(start)
        recipe = Recipe(
            objective={"name": objective, **({"layer": 1} if objective in ("rmu", "lat") else {})},
            optimizer={"name": optimizer, **({"n_fo": 1, "n_zo": 1} if optimizer == "hybrid" else {})},
            steps=2,
            batch_size=2,
            precision="fp32",
        )
        starts(recipe, model, tiny_tokenizer, text, tmp_path / objective)


@pytest.fixture(scope="module")
def rows(shared: Path) -> Corpora:
    """Real TOFU rows."""
    files = [shared / "data" / "tofu" / f"{name}.json" for name in ("forget10", "retain90")]
    sides = [[json.loads(line) for line in path.read_text().splitlines()[:4]] for path in files]
    return corpora(*[[(row["question"], row["answer"]) for row in side] for side in sides])


@pytest.fixture(scope="module")
def eight_layers(tiny_tokenizer: Any) -> Callable[[], Any]:
    """A random Llama with the layers that RMU's recipes name."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tiny_tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=8,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=64,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
    start = {name: value.clone() for name, value in model.state_dict().items()}

    def fresh() -> Any:
        model.load_state_dict(start)
        return model

    return fresh


@pytest.mark.parametrize("suite", sorted({name.split("/")[0] for name in recipe_files()}))
def test_recipes_start(
    eight_layers: Callable[[], Any],
    tiny_tokenizer: Any,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    suite: str,
) -> None:
    """On the first texts of their suite where they come with the package, else on real TOFU rows."""
    if suite.startswith("nano_"):
        own = corpora_for(suite, None, None)
        text = Corpora(*(Corpus(side.name, side.examples[:4]) for side in (own.forget, own.retain)))
    else:
        text = request.getfixturevalue("rows")
    for name in recipe_files():
        if name.startswith(f"{suite}/"):
            published = load_recipe(name)
            short = ["steps=2", "epochs=null", "batch_size=2", "checkpoint_every=2", "window=24"]
            if published.optimizer.name == "hybrid":
                short += ["optimizer.n_fo=1", "optimizer.n_zo=1"]
            if available(published.optimizer.name):
                starts(load_recipe(name, short), eight_layers(), tiny_tokenizer, text, tmp_path / name)
