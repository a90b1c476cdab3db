"""Steps of each grade against what they must cost: `python benchmarks/unlearn_steps.py [--rounds 7]`.

    ada_zo   ≤ 1.15 × two forwards over both batches, plus its update (z is drawn again for it)
    adam     ≤ 1.10 × a hand-written torch step: two losses, backward, clip, AdamW
    hybrid   = the weighted mean of both, within 5 %

One model, one pair of batches, everything once a round in turn; printed are ratios of medians. What is timed is the
process's own time on one thread, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from unlearn_loop import VOCAB, model

from robust_unlearn_bench.objectives import OBJECTIVES, RETAIN_LOSSES
from robust_unlearn_bench.optimizers import configure
from robust_unlearn_bench.optimizers.directions import Direction
from robust_unlearn_bench.training.batching import Batches
from robust_unlearn_bench.training.encoding import Encoded
from robust_unlearn_bench.training.loop import StepClosures, Term
from robust_unlearn_bench.training.model_view import ModelView
from robust_unlearn_bench.training.precision import computing

BATCH, LENGTH = 4, 512
"""Drawing z costs time for every parameter, a forward for every token: a quarter of the tokens of a MUSE batch."""


def side(seed: int) -> Batches:
    """One batch of random text."""
    rows = torch.randint(3, VOCAB, (BATCH, LENGTH), generator=torch.Generator().manual_seed(seed)).tolist()
    return Batches([Encoded(tuple(row), start=1, source=i) for i, row in enumerate(rows)], BATCH, 0)


def closures(llama: Any, forget: Batches, retain: Batches) -> StepClosures:
    """Gradient difference through the package."""
    view = ModelView(llama, lambda: computing("bf16_autocast", torch.device("cpu")))
    down, keep = OBJECTIVES["grad_diff"](), RETAIN_LOSSES["nll"]()
    made = StepClosures(view, Term(down.means(view, None), forget), Term(keep.means(view, None), retain))
    made.seek(0)
    return made


def cross_entropy(llama: Any, ids: torch.Tensor) -> torch.Tensor:
    """What anybody would write."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = llama(input_ids=ids, use_cache=False).logits
    return torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), ids[:, 1:].flatten())


def by_hand(llama: Any, sides: list[torch.Tensor]) -> dict[str, Callable[[], Any]]:
    """Two forwards over both batches, and a first-order step."""
    optimizer = torch.optim.AdamW(llama.parameters(), lr=1e-5, weight_decay=0.0, fused=True)

    @torch.no_grad()
    def forwards() -> None:
        for _ in range(2):
            for ids in sides:
                float(cross_entropy(llama, ids))

    def step() -> None:
        for sign, ids in zip((-1, 1), sides, strict=True):
            loss = sign * cross_entropy(llama, ids)
            loss.backward()
            float(loss.detach())
        torch.nn.utils.clip_grad_norm_(llama.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return {"two forwards": forwards, "plain step": step}


def update(rule: Any) -> Callable[[], None]:
    """What a zeroth-order step does once it has its losses: draw z again, and apply c·z."""
    z = Direction("sphere", 0, 0, 0, rule.parameters)

    @torch.no_grad()
    def run() -> None:
        for name, p in rule.parameters.items():
            p.grad.copy_(z[name].mul_(0.1))
        rule.updates[0].step()

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    start = model()
    forget, retain = side(1), side(2)
    plain = copy.deepcopy(start).train()
    work = by_hand(plain, [b[0].input_ids for b in (forget, retain)])
    for name, values in (
        ("adam", {"lr": 1e-5}), ("ada_zo", {"lr": 1e-5}), ("hybrid", {"lr_fo": 1e-5, "lr_zo": 1e-5, "n_fo": 1, "n_zo": 1})
    ):  # fmt: skip
        llama = copy.deepcopy(start).train()
        rule = configure(name, values).build(dict(llama.named_parameters()), clip=1.0, seed=0)
        losses = closures(llama, forget, retain)
        work[name] = lambda r=rule, c=losses, n=1 + (name == "hybrid"): [r.step(c) for _ in range(n)]
        if name == "ada_zo":
            work["its update"] = update(rule)
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(rounds + 1):
        for name, run in work.items():
            begun = time.process_time()
            run()
            if turn:  # the first warms up
                seconds[name].append(time.process_time() - begun)
    t = {name: median(values) for name, values in seconds.items()}
    size = sum(p.numel() for p in start.parameters())
    print(f"{size / 1e6:.1f}M parameters, 2 × {BATCH} × {LENGTH} tokens, medians of {rounds}, one thread")
    print(", ".join(f"{name} {1e3 * value:.0f} ms" for name, value in t.items()))
    print(
        f"ada_zo without its update / two forwards {(t['ada_zo'] - t['its update']) / t['two forwards']:.3f} (bar 1.15)"
    )
    print(f"adam / plain step {t['adam'] / t['plain step']:.3f} (bar 1.10)")
    print(f"hybrid / (adam + ada_zo) {t['hybrid'] / (t['adam'] + t['ada_zo']):.3f} (bar 1 ± 0.05)")


if __name__ == "__main__":
    main()
