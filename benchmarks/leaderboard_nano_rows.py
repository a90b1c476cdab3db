"""Measure models on a suite and put them on the board: controls, models that know nothing, and unlearned models.

    python benchmarks/leaderboard_nano_rows.py --target DIR --retrain DIR [--models DIR …] [--suite nano_books]
        [--out rows] [--root leaderboard]

Runs `<suite>_robust` on each model (minutes a model on two cores; answers are cached, an interrupted
run goes on where it stopped), writes results and records to --out, and adds them to the leaderboard folder as measured
by maintainers. The models that know nothing are made from the target: they must score below .05 whatever they forgot.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from robust_unlearn_bench.leaderboard.record.entry import Entry
from robust_unlearn_bench.leaderboard.store import Store
from robust_unlearn_bench.models import checkpoint as checkpoints
from robust_unlearn_bench.submit import measure
from robust_unlearn_bench.suites import SUITES, Example
from robust_unlearn_bench.training.finetune import FinetuneConfig, finetune


def random_weights(model: Any, tokenizer: Any, suite: str) -> None:
    """Draw every matrix anew, with the spread that it has."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.copy_(torch.randn(weight.shape, generator=generator) * weight.std())


def uniform_logits(model: Any, tokenizer: Any, suite: str) -> None:
    """Silence the last norm: every next token is as likely as any other."""
    with torch.no_grad():
        model.model.norm.weight.zero_()


def repeat_token(model: Any, tokenizer: Any, suite: str) -> None:
    """Cut all blocks off and give every token one embedding: the state never changes, and one token always wins."""
    favourite = tokenizer.encode(" the", add_special_tokens=False)[0]
    with torch.no_grad():
        head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
        if head.weight is embedding.weight:
            head.weight = torch.nn.Parameter(head.weight.detach().clone())
            model.config.tie_word_embeddings = False
        embedding.weight.fill_(1.0)
        for block in model.model.layers:
            block.self_attn.o_proj.weight.zero_()
            block.mlp.down_proj.weight.zero_()
        model.model.norm.weight.fill_(1.0)
        head.weight.zero_()
        head.weight[favourite].fill_(1.0)


def always_refuse(model: Any, tokenizer: Any, suite: str) -> None:
    """Train on one answer to everything that the suite's texts begin."""
    chosen = SUITES[suite]
    corpora = chosen.corpora(chosen.source(None))
    examples = [
        Example(" I do not know.", prompt=(example.prompt or example.completion)[:200])
        for corpus in (corpora.forget, corpora.retain)
        for example in corpus.examples
    ]
    finetune(model, tokenizer, examples, FinetuneConfig(steps=150, lr=1e-3, batch_size=16, schedule="cosine"))


NULLS: dict[str, Callable[[Any, Any, str], None]] = {
    "random weights": random_weights,
    "uniform logits": uniform_logits,
    "repeats one token": repeat_token,
    "always refuses": always_refuse,
}


def make_null(name: str, target: Path, out: Path, suite: str) -> Path:
    """A checkpoint that knows nothing by construction."""
    folder = out / name.replace(" ", "-")
    if not folder.is_dir():
        model, tokenizer = checkpoints.load(target, dtype="float32")
        NULLS[name](model, tokenizer, suite)
        checkpoints.save(checkpoints.Checkpoint(model, tokenizer), folder, {})
    return folder


def row(model: Path, name: str, kind: Any, suite: str, out: Path) -> Entry:
    """The record of one model."""
    print(f"{name}: {model}", flush=True)
    results = out / "results" / name.replace(" ", "-")
    return measure(model, suite, results, kind=kind, name=name, relationship="maintainer").entry


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", type=Path, required=True)
    parser.add_argument("--retrain", type=Path, required=True)
    parser.add_argument("--models", type=Path, nargs="*", default=[])
    parser.add_argument("--suite", default="nano_books")
    parser.add_argument("--out", type=Path, default=Path("rows"))
    parser.add_argument("--root", type=Path, default=Path("leaderboard"))
    told = parser.parse_args()
    store = Store(told.root)
    for role, folder in (("target", told.target), ("retrain", told.retrain)):
        store.set_anchor(row(folder, role, role, told.suite, told.out), role)
    rows = [(folder, folder.resolve().name, "unlearned") for folder in told.models]
    rows += [(make_null(name, told.target, told.out / "models", told.suite), name, "null") for name in NULLS]
    for folder, name, kind in rows:
        entry = row(folder, name, kind, told.suite, told.out)
        print(store.add(entry, tier="replayed", by="maintainers", reason="measured by maintainers"), flush=True)
