"""Bytes per parameter that relearning holds beyond a bf16 model, by precision and optimizer (Linux).

Each row is a process of its own: three steps on sequences so short that activations hardly count. Printed are the peak of
all live tensors, the peak of resident memory (with what allocators and libraries add on this machine), and the arithmetic
in docs/attacks.md.

    python benchmarks/relearn_memory.py [--hidden 768] [--layers 10]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import LlamaConfig, LlamaForCausalLM

from robust_unlearn_bench.training.encoding import Encoded
from robust_unlearn_bench.training.finetune import FinetuneConfig, Finetuning

EXPECTED = {
    ("bf16_autocast", "adam"): 14.0,
    ("bf16_autocast", "adam8bit"): 8.2,
    ("bf16_pure", "adam8bit"): 4.2,
    ("bf16_kahan", "adam8bit"): 6.2,
}


def status(key: str) -> int:
    """Bytes of a line of /proc/self/status: VmRSS (now) or VmHWM (peak since the last reset)."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[key].split()[0]) * 1024


class Live(TorchDispatchMode):
    """Bytes of all live tensors of a model and of everything computed within the block."""

    def __init__(self, model: LlamaForCausalLM) -> None:
        super().__init__()
        self._sizes: dict[int, int] = {}
        self.now = self.peak = 0
        for p in model.parameters():
            self._note(p.detach())

    def _note(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._sizes:
            self._sizes[key] = storage.nbytes()
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self.now -= self._sizes.pop(key)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self._note(tensor)
        return out


def llama(hidden: int, layers: int) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=256,
        hidden_size=hidden,
        intermediate_size=hidden * 8 // 3,
        num_hidden_layers=layers,
        num_attention_heads=8,
        num_key_value_heads=8,
    )
    return LlamaForCausalLM(config).to(torch.bfloat16)


def relearn(model: LlamaForCausalLM, precision: str, optimizer: str) -> None:
    sequences = [Encoded(tuple(range(3, 11)), 1, i) for i in range(4)]
    options = FinetuneConfig(steps=3, lr=1e-5, batch_size=1, precision=precision, optimizer=optimizer)
    with Finetuning(model, sequences, options) as run:
        for _ in run:
            pass


def measure(hidden: int, layers: int, precision: str, optimizer: str) -> tuple[float, float]:
    """Peak bytes per parameter beyond the model: of live tensors, and of resident memory."""
    relearn(llama(64, 1), precision, optimizer)  # whatever is loaded on first use counts for no parameter
    model = llama(hidden, layers)
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    with Live(model) as live:
        start = live.now
        relearn(model, precision, optimizer)
    size = sum(p.numel() for p in model.parameters())
    return (live.peak - start) / size, (status("VmHWM") - before) / size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("hidden", 768), ("layers", 10)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--only", nargs=2, help="precision and optimizer: one row, in this process")
    chosen = parser.parse_args()
    if chosen.only:
        print(*measure(chosen.hidden, chosen.layers, *chosen.only))
        return
    for (precision, optimizer), expected in EXPECTED.items():
        words = [sys.executable, __file__, "--hidden", str(chosen.hidden), "--layers", str(chosen.layers)]
        done = subprocess.run([*words, "--only", precision, optimizer], capture_output=True, text=True, check=True)
        live, resident = map(float, done.stdout.split()[-2:])
        print(f"{precision:14} {optimizer:9} live {live:5.1f}  resident {resident:5.1f}  arithmetic {expected:5.1f}")


if __name__ == "__main__":
    main()
