"""Built-in GPTQ against llm-compressor's: seconds and output error on one random Llama, in one run.

Both quantise the same float checkpoint on the same windows, by llm-compressor's recipe (static groups, one calibration
forward for each block) and then, the built-in alone, by the protocol's (dynamic groups, true-sequential). Loading and
saving are not counted. Needs an environment with llmcompressor.

    python benchmarks/gptq_vs_llmcompressor.py [--layers 8] [--samples 32] [--length 256]
"""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from robust_unlearn_bench.attacks.blockwise import walk
from robust_unlearn_bench.attacks.quantise.backends.llmcompressor import run as llmcompressor
from robust_unlearn_bench.attacks.quantise.gptq import GPTQ, quantise
from robust_unlearn_bench.attacks.quantise.grid import Grid
from robust_unlearn_bench.attacks.quantise.hessian import Hessian
from robust_unlearn_bench.models.decoder import decoder_linears


def builtin(model: Any, windows: list[torch.Tensor], attack: GPTQ) -> None:
    """The attack without its diagnostics, which llm-compressor does not compute."""
    grid = Grid(attack.bits, attack.group_size, attack.symmetric)

    def rewrite(layer: Any, hessian: Hessian) -> None:
        factor = hessian.factor(attack.damp, attack.act_order)
        layer.write(quantise(layer.weight.float(), factor, grid, static_groups=attack.static_groups))

    walk(model, windows, Hessian, rewrite, true_sequential=attack.true_sequential)


def timed(run: Callable[..., None], folder: str, windows: list[torch.Tensor], attack: GPTQ) -> tuple[float, Any]:
    """Seconds, and the quantised model."""
    model = LlamaForCausalLM.from_pretrained(folder)
    started = time.perf_counter()
    run(model, windows, attack)
    return time.perf_counter() - started, model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("layers", 8), ("hidden", 512), ("samples", 32), ("length", 256)):
        parser.add_argument(f"--{name}", type=int, default=default)
    chosen = parser.parse_args()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=8000,
        hidden_size=chosen.hidden,
        intermediate_size=chosen.hidden * 11 // 4,
        num_hidden_layers=chosen.layers,
        num_attention_heads=8,
        num_key_value_heads=8,
        max_position_embeddings=2048,
    )
    model = LlamaForCausalLM(config).eval()
    windows = [torch.randint(3, 8000, (chosen.length,)) for _ in range(chosen.samples)]
    original: dict[str, torch.Tensor] = {}
    hessians: dict[str, Hessian] = {}

    def note(layer: Any, hessian: Hessian) -> None:
        original[layer.name], hessians[layer.name] = layer.weight.clone(), hessian

    walk(model, windows, Hessian, note)
    size = sum(p.numel() for p in model.parameters())
    print(f"{size / 1e6:.1f}M parameters, {chosen.samples} x {chosen.length} tokens, {torch.get_num_threads()} threads")

    def error(attacked: Any) -> float:
        return statistics.mean(
            (hessians[x.name].energy(x.weight - original[x.name]) / hessians[x.name].energy(original[x.name])) ** 0.5
            for x in decoder_linears(attacked)
        )

    theirs = GPTQ(static_groups=True, true_sequential=False)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        runs = {
            "built-in, llm-compressor's recipe": timed(builtin, folder, windows, theirs),
            "built-in, the protocol's recipe": timed(builtin, folder, windows, GPTQ()),
            "llm-compressor": timed(llmcompressor, folder, windows, theirs),
        }
    reference = runs["llm-compressor"][0]
    for name, (seconds, attacked) in runs.items():
        print(f"{name:36} {seconds:7.2f} s  ratio {seconds / reference:5.2f}  mean output error {error(attacked):.5f}")
    print(f"{'rounding to nearest':36} {'':27}  mean output error {error(_rounded(copy.deepcopy(model))):.5f}")


def _rounded(model: Any) -> Any:
    for layer in decoder_linears(model):
        layer.write(Grid(4).round(layer.weight))
    return model


if __name__ == "__main__":
    main()
