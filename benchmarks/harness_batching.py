"""Clean evaluation of nano_books: our length-sorted batches against a loop over single requests.

The loop is how MUSE's own script evaluates: one `generate` or one forward pass a document. Prints seconds, the ratio,
and tokens per second of scoring and of generation.
"""

from __future__ import annotations

import time
from typing import Any

import torch

from robust_unlearn_bench.harness.token_requests import Ask, answer
from robust_unlearn_bench.nano.pretrain import train
from robust_unlearn_bench.suites import SUITES

LEAVES = ("verbmem", "knowmem_forget", "knowmem_retain", "privleak", "extraction")


def requests() -> list[Ask]:
    suite = SUITES["nano_books"]
    source = suite.source(None)
    return [
        Ask(r.kind, r.prompt, dict(r.options))
        for leaf in suite.leaves
        if leaf.name in LEAVES
        for doc in leaf.docs(source)
        for r in leaf.requests(doc)
        if r.kind != "token_cut"
    ]


def one_by_one(lm: Any, asks: list[Ask]) -> int:
    tokens = 0
    for ask in asks:
        if ask.kind == "generate":
            inputs = torch.tensor([lm.tok_encode(ask.prompt)])
            out = lm.model.generate(
                inputs,
                attention_mask=torch.ones_like(inputs),
                max_new_tokens=ask.options["max_new_tokens"],
                do_sample=False,
                pad_token_id=lm.tokenizer.pad_token_id,
            )
            lm.tokenizer.decode(out[0, inputs.shape[1] :])
            tokens += out.shape[1] - inputs.shape[1]
        else:
            inputs = torch.tensor([lm.tok_encode(ask.prompt + ask.options["text"])])
            with torch.no_grad():
                logits = lm.model(inputs).logits[0, :-1].float()
            torch.log_softmax(logits, -1).gather(1, inputs[0, 1:, None]).sum().item()
            tokens += inputs.shape[1]
    return tokens


def main() -> None:
    from lm_eval.models.huggingface import HFLM

    lm = HFLM(pretrained=str(train("nano_books", "target")), device="cpu", dtype="float32")
    asks = requests()
    kinds = {kind: [ask for ask in asks if ask.kind == kind] for kind in ("generate", "token_scores")}
    total = {"loop": 0.0, "batched": 0.0}
    for kind, chosen in kinds.items():
        started = time.perf_counter()
        tokens = one_by_one(lm, chosen)
        loop = time.perf_counter() - started
        started = time.perf_counter()
        answer(lm, chosen)
        batched = time.perf_counter() - started
        total["loop"] += loop
        total["batched"] += batched
        print(
            f"{kind:13} {len(chosen):5} requests  loop {loop:6.1f} s ({tokens / loop:7.0f} tokens/s)  "
            f"batched {batched:6.1f} s ({tokens / batched:7.0f} tokens/s)  {loop / batched:5.1f} x"
        )
    print(f"whole clean evaluation: {total['loop'] / total['batched']:.1f} x faster than batch size 1")


if __name__ == "__main__":
    main()
