"""Memory and time of 7B shapes on a CUDA device, beside the plan: `python benchmarks/gpu_placement.py [--layers 32]`.

    placements   bytes on the device within 10 % of the plan; masters in CPU memory at most twice the time of the device
    evaluation   tokens per second in batches, at least 10 times those of one row at a time

Weights are random, so nothing is downloaded. Fewer layers fit smaller cards.
"""

from __future__ import annotations

import argparse
import time
from types import SimpleNamespace
from typing import Any

import torch

from robust_unlearn_bench.harness.batch_room import Room
from robust_unlearn_bench.optimizers import OPTIMIZERS
from robust_unlearn_bench.training.encoding import Encoded
from robust_unlearn_bench.training.finetune import FinetuneConfig, Finetuning
from robust_unlearn_bench.training.footprint import Run, seconds, sizes, training, training_step
from robust_unlearn_bench.training.machine import measured_rates
from robust_unlearn_bench.training.placement import Placement, free_memory, gigabytes

WIDTH, BATCH, STEPS = 2048, 4, 3


def llama(layers: int) -> Any:
    """Llama-2-7B's shapes with random bf16 weights on the device."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=32000, hidden_size=4096, intermediate_size=11008, num_hidden_layers=layers, num_attention_heads=32,
        max_position_embeddings=4096, pad_token_id=0,
    )  # fmt: skip
    with torch.device("meta"):
        model = LlamaForCausalLM(config).to(torch.bfloat16)
    model = model.to_empty(device="cuda")
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(0, 0.02)
        model.model.rotary_emb.__init__(config, device="cuda")  # its buffers are computed, not loaded
    return model.eval()


def relearning(model: Any) -> None:
    """Each placement for a few steps, those that free memory does not hold left out."""
    s, free, rates = sizes(model), free_memory(model), measured_rates("cuda")
    run = Run("bf16_autocast", OPTIMIZERS["adam"].facts, BATCH, WIDTH)
    ids = torch.randint(3, 32000, (BATCH, WIDTH)).tolist()
    sequences = [Encoded(tuple(row), 1, i) for i, row in enumerate(ids)]
    for place in (
        Placement(),
        Placement(recompute=True),
        Placement("host", recompute=True),
        Placement("host", True, 1),
    ):
        plan = training(s, run, on_host=place.on_host, recompute=place.recompute, micro_batch=place.micro_batch)
        name = f"{place.masters:6} {'recomputed' if place.recompute else '':10} parts of {place.micro_batch or BATCH}"
        if not free.holds(plan):
            print(f"{name}: left out, the plan says {gigabytes(plan.device)} and {gigabytes(plan.host)}")
            continue
        torch.cuda.reset_peak_memory_stats()
        config = FinetuneConfig(steps=STEPS, batch_size=BATCH)
        marks = []
        with Finetuning(model, sequences, config, place) as steps:
            for _ in steps:
                torch.cuda.synchronize()
                marks.append(time.perf_counter())
        found = torch.cuda.max_memory_allocated()
        expected = seconds(training_step(s, run, on_host=place.on_host, recompute=place.recompute), rates)
        step = (marks[-1] - marks[0]) / (STEPS - 1)
        print(
            f"{name}: {gigabytes(found)} on the device, plan {gigabytes(plan.device)} ({plan.device / found:.2f}); "
            f"{step:.2f} s a step, plan {expected:.2f} s"
        )


def evaluation(model: Any) -> None:
    """Tokens per second of scoring and generation, in batches and one row at a time."""
    rows, width, new = 64, 512, 64
    ids = torch.randint(3, 32000, (rows, width), device="cuda")
    for what, length in (("scoring", width), ("generation", width + new)):
        lm = SimpleNamespace(batch_size=1, model=model)
        batch = max(1, min(rows, Room(lm, length, new=what == "generation").tokens // length))
        rates = []
        for size, count in ((batch, rows), (1, 4)):
            torch.cuda.synchronize()
            begun = time.perf_counter()
            for at in range(0, count, size):
                part = ids[at : at + size]
                with torch.no_grad():
                    if what == "scoring":
                        model(input_ids=part, use_cache=False)
                    else:
                        model.generate(
                            input_ids=part, attention_mask=torch.ones_like(part), max_new_tokens=new, min_new_tokens=new,
                            do_sample=False,
                        )  # fmt: skip
            torch.cuda.synchronize()
            rates.append(count * (width if what == "scoring" else new) / (time.perf_counter() - begun))
        print(
            f"{what}: {rates[0]:,.0f} tokens/s in batches of {batch}, {rates[0] / rates[1]:.1f} times one row at a time"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=32)
    chosen = parser.parse_args()
    if not torch.cuda.is_available():
        print("benchmarks/gpu_placement.py needs a CUDA device, and torch has none: nothing was measured")
        return
    print(torch.cuda.get_device_name())
    model = llama(chosen.layers)
    relearning(model)
    evaluation(model)


if __name__ == "__main__":
    main()
