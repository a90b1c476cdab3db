"""Peak memory of GPTQ beyond the model, against what the algorithm has to hold (Linux; resident memory).

It has to hold the hidden states of all calibration tokens (in CPU memory, wherever the model is) and, while a Hessian is
factored, four matrices of its size. What it takes beyond the model and those hidden states is compared with one decoder
block plus four times the widest Hessian. The environment variable makes glibc give freed arrays back at once.

    MALLOC_MMAP_THRESHOLD_=1000000 python benchmarks/gptq_memory.py [--layers 8] [--hidden 768] [--samples 32] [--length 512]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from robust_unlearn_bench.attacks.blockwise import BATCH_TOKENS, walk
from robust_unlearn_bench.attacks.quantise.gptq import quantise
from robust_unlearn_bench.attacks.quantise.grid import Grid
from robust_unlearn_bench.attacks.quantise.hessian import Hessian
from robust_unlearn_bench.models.decoder import Linear, decoder_blocks


def status(key: str) -> int:
    """Bytes of a line of /proc/self/status: VmRSS (now) or VmHWM (peak since the last reset)."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[key].split()[0]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("layers", 8), ("hidden", 768), ("samples", 32), ("length", 512)):
        parser.add_argument(f"--{name}", type=int, default=default)
    chosen = parser.parse_args()
    config = LlamaConfig(
        vocab_size=8000,
        hidden_size=chosen.hidden,
        intermediate_size=chosen.hidden * 11 // 4,
        num_hidden_layers=chosen.layers,
        num_attention_heads=8,
        num_key_value_heads=8,
    )
    model = LlamaForCausalLM(config).eval()
    windows = [torch.randint(3, 8000, (chosen.length,)) for _ in range(chosen.samples)]

    def rewrite(layer: Linear, hessian: Hessian) -> None:
        layer.write(quantise(layer.weight.float(), hessian.factor(0.01, False), Grid(4)))

    walk(model, windows[:1], Hessian, lambda layer, hessian: None)  # allocators and thread pools warm up
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    walk(model, windows, Hessian, rewrite)
    extra = status("VmHWM") - before

    hidden, inner = chosen.hidden, config.intermediate_size
    block = sum(p.numel() for p in decoder_blocks(model)[1][0].parameters()) * 4
    tokens = max(BATCH_TOKENS, chosen.length)
    parts = {
        "hidden states": chosen.samples * chosen.length * hidden * 4,
        "one block's weights": block,
        "widest Hessian": inner**2 * 4,
        "one forward's activations": tokens * (3 * inner + 8 * hidden) * 4,
    }
    whole = sum(p.numel() for p in model.parameters()) * 4
    print(f"model {whole / 2**20:.0f} MiB, peak beyond it {extra / 2**20:.0f} MiB")
    for name, size in parts.items():
        print(f"  {name:26} {size / 2**20:6.0f} MiB")
    bar = block + 4 * parts["widest Hessian"]
    rest = extra - parts["hidden states"]
    print(
        f"beyond model and hidden states {rest / 2**20:.0f} MiB; one block and four times the widest Hessian "
        f"{bar / 2**20:.0f} MiB; ratio {rest / bar:.2f} (bar 1.00)"
    )


if __name__ == "__main__":
    main()
