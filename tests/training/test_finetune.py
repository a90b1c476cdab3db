"""Plain training equals the loop that anybody would write by hand."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from robust_unlearn_bench.errors import ConfigError, DataError, TrainingError
from robust_unlearn_bench.suites.corpus import Example
from robust_unlearn_bench.training.batching import Batches
from robust_unlearn_bench.training.encoding import encode
from robust_unlearn_bench.training.finetune import FinetuneConfig, finetune
from robust_unlearn_bench.training.model_view import without_dropout
from robust_unlearn_bench.training.schedule import factor

TEXTS = [Example(f"the {a} {b} sang in the river") for a in ("old", "new", "iron") for b in ("baker", "tower", "river")]
PAIRS = [Example(prompt=f"Question: who {v} it?\nAnswer:", completion=f" the {v} baker") for v in ("found", "wrote")]
CONFIG = FinetuneConfig(steps=6, lr=1e-3, batch_size=4, schedule="cosine", precision="fp32", seed=3)


def by_hand(model: Any, tokenizer: Any, examples: list[Example], config: FinetuneConfig) -> list[float]:
    """Masked cross-entropy by Hugging Face's own labels argument, with an attention mask, AdamW and clipping."""
    batches = Batches(encode(examples, tokenizer, 64), config.batch_size, config.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=0.0)
    losses = []
    for step in range(config.steps or 0):
        for group in optimizer.param_groups:
            group["lr"] = config.lr * factor(step, config.steps or 0, config.schedule)
        batch = batches[step]
        mask = torch.zeros_like(batch.input_ids)
        for row, i in enumerate(batch.index.tolist()):
            mask[row, : len(batches.sequences[i].ids)] = 1
        loss = model(input_ids=batch.input_ids, attention_mask=mask, labels=batch.labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


@pytest.mark.parametrize("examples", [TEXTS, TEXTS + PAIRS])
@pytest.mark.parametrize("tied", [True, False])
def test_trajectory_equals_a_hand_written_loop(tiny_llama: Any, tiny_tokenizer: Any, examples: Any, tied: bool) -> None:
    ours, theirs = tiny_llama(tied=tied), tiny_llama(tied=tied)
    losses: list[float] = []
    finetune(ours, tiny_tokenizer, examples, CONFIG, on_step=lambda step: losses.append(step.forget))
    assert losses == pytest.approx(by_hand(theirs, tiny_tokenizer, examples, CONFIG), rel=1e-5)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "bf16_autocast", "bf16_pure", "bf16_kahan"])
def test_same_seed_same_bits(tiny_llama: Any, tiny_tokenizer: Any, precision: Any) -> None:
    start = tiny_llama()
    config = replace(CONFIG, precision=precision, steps=3)
    models = [copy.deepcopy(start) for _ in range(2)]
    state = torch.get_rng_state()
    for model in models:
        finetune(model, tiny_tokenizer, TEXTS, config)
    assert torch.equal(torch.get_rng_state(), state)
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(next(models[0].parameters()), next(start.parameters()))


def test_micro_batches_and_checkpointing_do_not_change_the_step(tiny_llama: Any, tiny_tokenizer: Any) -> None:
    models = [tiny_llama() for _ in range(2)]
    finetune(models[0], tiny_tokenizer, TEXTS + PAIRS, CONFIG)
    finetune(models[1], tiny_tokenizer, TEXTS + PAIRS, replace(CONFIG, micro_batch=1, gradient_checkpointing=True))
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_report(tiny_llama: Any, tiny_tokenizer: Any) -> None:
    """9 texts in batches of 4 are 3 steps an epoch: 1.5 epochs are 5 steps, 9 + 8 sequences."""
    seen: list[tuple[int, int]] = []
    config = replace(CONFIG, steps=None, epochs=1.5)
    report = finetune(
        tiny_llama(), tiny_tokenizer, TEXTS, config, progress=lambda done, total, what: seen.append((done, total))
    )
    assert (report.steps, report.examples, report.sequences, report.truncated) == (5, 17, 9, 0)
    lengths = {len(s.ids) - 1 for s in encode(TEXTS, tiny_tokenizer, 64)}
    assert 17 * min(lengths) <= report.tokens <= 17 * max(lengths)
    assert seen == [(n, 5) for n in range(1, 6)]
    assert report.loss_last < report.loss_first


def test_window_is_the_shorter_of_config_and_model(tiny_llama: Any, tiny_tokenizer: Any) -> None:
    text = [Example("the old baker sang " * 30)]
    wide = finetune(tiny_llama(window=32), tiny_tokenizer, text, replace(CONFIG, steps=1))
    narrow = finetune(tiny_llama(window=32), tiny_tokenizer, text, replace(CONFIG, steps=1, window=16))
    assert narrow.sequences > wide.sequences > 1


def test_parameter_without_gradient_stays_bit_identical(tiny_llama: Any, tiny_tokenizer: Any) -> None:
    model = tiny_llama()
    model.extra = torch.nn.Parameter(torch.randn(5, generator=torch.Generator().manual_seed(0)))
    before = model.extra.detach().clone()
    frozen = model.model.layers[0].mlp.up_proj.weight
    frozen.requires_grad_(False)
    kept = frozen.detach().clone()
    finetune(model, tiny_tokenizer, TEXTS, CONFIG)
    assert torch.equal(model.extra, before)
    assert torch.equal(frozen, kept)


def test_mode_and_dropout_come_back(tiny_llama: Callable[..., Any]) -> None:
    model = torch.nn.Sequential(torch.nn.Dropout(0.5), tiny_llama().model.layers[0])
    model.eval()
    model[0].train()
    model[1].self_attn.attention_dropout = 0.25
    with without_dropout(model):
        assert model[1].training
        assert (model[0].p, model[1].self_attn.attention_dropout) == (0.0, 0.0)
    assert (model[0].training, model[1].training) == (True, False)
    assert (model[0].p, model[1].self_attn.attention_dropout) == (0.5, 0.25)


def test_diverging_run_stops_and_says_where(tiny_llama: Any, tiny_tokenizer: Any) -> None:
    config = replace(CONFIG, lr=1e30, clip=None, optimizer="sgd", schedule="constant")
    with pytest.raises(
        TrainingError, match=r"forget loss is (nan|inf) at step 2, examples \[.*lower the learning rate"
    ):
        finetune(tiny_llama(), tiny_tokenizer, TEXTS, config)


def test_bad_input(tiny_llama: Any, tiny_tokenizer: Any) -> None:
    with pytest.raises(DataError, match="empty"):
        finetune(tiny_llama(), tiny_tokenizer, [], CONFIG)
    with pytest.raises(ConfigError, match="steps is None and epochs is None"):
        FinetuneConfig()
    with pytest.raises(ConfigError, match="lr is 0"):
        FinetuneConfig(steps=1, lr=0)
    with pytest.raises(ConfigError, match="unknown optimizer 'adams': did you mean 'adam'"):
        finetune(tiny_llama(), tiny_tokenizer, TEXTS, replace(CONFIG, optimizer="adams"))
