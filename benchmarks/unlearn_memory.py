"""Memory of each optimizer on a 50M-parameter Llama, carried over to 7B: `python benchmarks/unlearn_memory.py [NAME …]`.

Every optimizer takes two steps in a process of its own (hybrid: one of each kind). Measured are the bytes of its states
between steps, and the peak of the resident memory beyond what the process had before the model was built, on fp32
weights and 2 × 8 tokens, so that activations are small. Linux only.

    adam8bit   states ≤ 2.3 bytes per parameter
    ada_zo     peak ≤ inference + one copy of the weights + states, on 2 × 4 × 256 tokens
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BILLIONS = 6.74
"""Parameters of Llama-2-7B."""


def status(key: str) -> int:
    """Bytes of a line of /proc/self/status: VmRSS (now) or VmHWM (peak since the last reset)."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[key].split()[0]) * 1024


def llama(layers: int = 6) -> Any:
    """50M parameters in layers of Llama's proportions; one layer warms the process up."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=8000, hidden_size=768, intermediate_size=2048, num_hidden_layers=layers, num_attention_heads=12,
        num_key_value_heads=12, tie_word_embeddings=True,
    )  # fmt: skip
    return LlamaForCausalLM(config).train()


class Losses:
    """Gradient difference on two batches of random tokens."""

    def __init__(self, model: Any, rows: int, length: int) -> None:
        import torch

        self.model = model
        self.sides = torch.randint(3, 8000, (2, rows, length), generator=torch.Generator().manual_seed(1))

    def forget(self, backward: bool) -> float:
        """Descent on this raises the loss."""
        return self._loss(0, -1.0, backward)

    def retain(self, backward: bool) -> float:
        """Descent on this keeps it."""
        return self._loss(1, 1.0, backward)

    def sampled(self, backward: bool, seed: int) -> tuple[float, int]:
        """As memory goes, labels drawn from the model are labels."""
        return self._loss(0, 1.0, backward), self.sides[0].numel()

    def _loss(self, side: int, sign: float, backward: bool) -> float:
        import torch

        with torch.set_grad_enabled(backward):
            loss = sign * self.model(input_ids=self.sides[side], labels=self.sides[side], use_cache=False).loss
        if backward:
            loss.backward()
        return float(loss.detach())


def tensors(held: Any) -> Iterator[Any]:
    """Every tensor inside nested dicts and lists."""
    if isinstance(held, dict | list | tuple):
        for value in held.values() if isinstance(held, dict) else held:
            yield from tensors(value)
    elif hasattr(held, "element_size"):
        yield held


def measure(name: str, rows: int, length: int) -> None:
    """In a process of its own: print parameters, bytes of states, and the peak."""
    import torch

    from robust_unlearn_bench.optimizers import configure
    from robust_unlearn_bench.optimizers.zeroth_order import loss_of

    def steps(model: Any, rows: int, length: int) -> Any:
        losses = Losses(model, rows, length)
        if name == "inference":
            loss_of(losses)
            return None
        hyper = {"n_fo": 1, "n_zo": 1} if name == "hybrid" else {}
        rule = configure(name, hyper).build(dict(model.named_parameters()), clip=1.0, seed=0)
        for _ in range(2):
            rule.step(losses)
        return rule

    torch.set_num_threads(1)
    steps(llama(layers=1), 1, 8)
    before = status("VmRSS")
    model = llama()
    Path("/proc/self/clear_refs").write_text("5")
    rule = steps(model, rows, length)
    peak = status("VmHWM") - before
    held = {id(t): t.numel() * t.element_size() for t in tensors(rule.state_dict() if rule else {})}
    parameters = sum(p.numel() for p in model.parameters())
    print(json.dumps({"parameters": parameters, "states": sum(held.values()), "peak": peak}))


def child(name: str, rows: int = 1, length: int = 8) -> dict[str, int]:
    """`measure` in a new process whose freed memory goes back at once."""
    done = subprocess.run(
        [sys.executable, __file__, "--measure", name, str(rows), str(length)], capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"},
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    told: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return told


def main() -> None:
    from importlib.util import find_spec

    from tabulate import tabulate

    from robust_unlearn_bench.optimizers import OPTIMIZERS, by_grade, grade_of

    wanted = sys.argv[1:] or [
        name
        for name in by_grade()
        if OPTIMIZERS[name].facts.extra != "pytorch-optimizer" or find_spec("pytorch_optimizer")
    ]
    found = {name: child(name) for name in wanted}
    rows = []
    for name, told in found.items():
        states, peak = (told[key] / told["parameters"] for key in ("states", "peak"))
        listed = OPTIMIZERS[name].facts.state_bytes
        rows.append([name, grade_of(name), listed, states, peak, states * BILLIONS, peak * BILLIONS])
    heads = ["optimizer", "grade", "states B/param, listed", "measured", "peak B/param", "7B: states GB", "7B: peak GB"]
    print(f"{next(iter(found.values()))['parameters'] / 1e6:.1f}M parameters, fp32 weights, few activations")
    print(tabulate(rows, headers=heads, floatfmt=("", "", ".2f", ".2f", ".2f", ".1f", ".1f")))
    if "adam8bit" in found:
        told = found["adam8bit"]
        print(f"adam8bit states {told['states'] / told['parameters']:.3f} B/param (bar 2.3)")
    if "ada_zo" in found:
        inference, step = child("inference", 4, 256), child("ada_zo", 4, 256)
        allowed = inference["peak"] + 4 * step["parameters"] + step["states"]
        print(
            f"ada_zo peak {step['peak'] / 2**20:.0f} MiB / (inference {inference['peak'] / 2**20:.0f} MiB + one copy + "
            f"states) {step['peak'] / allowed:.3f} (bar 1.00)"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
