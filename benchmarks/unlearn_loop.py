"""One training step of the package's loop against a hand-written torch loop: `python benchmarks/unlearn_loop.py`.

Both see the same model, the same batches of 4 × 96 tokens, AdamW, clip 1.0, bf16 autocast; printed is the ratio of the
fastest of several interleaved runs. The bar is 1.10.
"""

from __future__ import annotations

import copy
import time
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from robust_unlearn_bench.suites.corpus import Example
from robust_unlearn_bench.training.finetune import FinetuneConfig, finetune

STEPS, BATCH, LENGTH, VOCAB = 20, 4, 96, 4096


class Numbers:
    """A tokenizer whose words are token ids."""

    bos_token_id, eos_token_id = 1, 2

    def __call__(self, texts: list[str], **_: Any) -> dict[str, list[list[int]]]:
        """Read the numbers."""
        return {"input_ids": [[int(word) for word in text.split()] for text in texts]}


def model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCAB, hidden_size=256, intermediate_size=704, num_hidden_layers=4, num_attention_heads=4,
            num_key_value_heads=4, max_position_embeddings=512, tie_word_embeddings=True,
        )
    )  # fmt: skip


def plain(llama: Any, batches: list[torch.Tensor]) -> float:
    """What anybody would write."""
    optimizer = torch.optim.AdamW(llama.parameters(), lr=1e-4, weight_decay=0.0, fused=True)
    llama.train()
    begun = time.perf_counter()
    for ids in batches:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = llama(input_ids=ids, use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), ids[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(llama.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return time.perf_counter() - begun


def main() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(3, VOCAB, (BATCH * STEPS, LENGTH - 1), generator=generator)
    examples = [Example(" ".join(map(str, row))) for row in rows.tolist()]
    batches = [torch.cat([torch.ones(BATCH, 1, dtype=torch.int64), part], 1) for part in rows.split(BATCH)]
    start = model()
    ours, theirs = [], []
    for _ in range(4):
        theirs.append(plain(copy.deepcopy(start), batches))
        report = finetune(copy.deepcopy(start), Numbers(), examples, FinetuneConfig(steps=STEPS, lr=1e-4))
        ours.append(report.seconds)
    print(f"plain {min(theirs) / STEPS * 1e3:.1f} ms/step, loop {min(ours) / STEPS * 1e3:.1f} ms/step")
    print(f"ratio {min(ours) / min(theirs):.3f} (bar 1.10)")


if __name__ == "__main__":
    main()
