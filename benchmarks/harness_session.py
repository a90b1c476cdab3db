"""The robust suite against the sum of its parts run by hand, and the memory of an attack session.

Parts: the clean requests, once for each attack, plus each attack applied to a copy of the model. Prints the ratio
session / parts, in wall time and in processor time (which other programs on the machine disturb less), and resident memory
against the model's own size.

    python benchmarks/harness_session.py [--attacks none gptq4 …] [--leaves verbmem privleak …]
"""

from __future__ import annotations

import argparse
import copy
import os
import resource
import time
from typing import Any

os.environ["RUB_ANSWERS"] = "off"

from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from robust_unlearn_bench.harness.plan import Plan, plan_attack
from robust_unlearn_bench.harness.session import AttackSession, Tag
from robust_unlearn_bench.harness.token_requests import Ask, answer
from robust_unlearn_bench.nano.pretrain import train
from robust_unlearn_bench.suites import SUITES, Suite

SUITE = "nano_books"


def clock() -> tuple[float, float]:
    """Wall time and processor time of this process."""
    return time.perf_counter(), time.process_time()


def asks(suite: Suite, leaves: list[str]) -> list[Ask]:
    source = suite.source(None)
    found = [(leaf, doc) for leaf in suite.leaves if leaf.name in leaves for doc in leaf.docs(source)]
    return [Ask(r.kind, r.prompt, dict(r.options)) for leaf, doc in found for r in leaf.requests(doc)]


def by_hand(lm: Any, plans: list[Plan], requests: list[Ask]) -> tuple[float, float]:
    """Seconds of answering after each attack, and of each attack on a fresh copy (the copying is not counted)."""
    wall = processor = 0.0
    clean = lm.model
    for plan in plans:
        lm._model = copy.deepcopy(clean)
        context = plan.context(lm.tokenizer, lm.max_length, lambda done, total, what: None)
        started = clock()
        for step in plan.spec.steps:
            step.apply(lm.model, context)
            lm.model.eval()
        answer(lm, requests)
        done = clock()
        wall, processor = wall + done[0] - started[0], processor + done[1] - started[1]
    lm._model = clean
    return wall, processor


def in_session(lm: Any, plans: list[Plan], requests: list[Ask]) -> tuple[float, float]:
    instances = []
    for plan in plans:
        for ask in requests:
            instance = Instance("rub_attacked", {}, (ask.prompt, ask.options), 0)
            instance.rub = Tag(plan, ask.kind)
            instances.append(instance)
    started = clock()
    AttackSession(lm).run(instances)
    done = clock()
    return done[0] - started[0], done[1] - started[1]


def main() -> None:
    suite = SUITES[SUITE]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attacks", nargs="+", default=list(suite.attacks))
    parser.add_argument("--leaves", nargs="+", default=[leaf.name for leaf in suite.leaves])
    chosen = parser.parse_args()
    lm = HFLM(pretrained=str(train(SUITE, "target")), device="cpu", dtype="float32")
    requests = asks(suite, chosen.leaves)
    plans = [plan_attack(name, SUITE) for name in chosen.attacks]
    answer(lm, requests[:50])
    session, parts = in_session(lm, plans, requests), by_hand(lm, plans, requests)
    print(f"{SUITE}, {len(plans)} attacks, {len(requests)} requests each")
    for what, one, other in zip(("wall", "processor"), session, parts, strict=True):
        print(f"{what:10} in one session {one:.1f} s, parts by hand {other:.1f} s, ratio {one / other:.3f} (bar 1.10)")
    size = sum(p.numel() * p.element_size() for p in lm.model.parameters())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(
        f"weights {size / 2**20:.0f} MiB, one snapshot as much, peak resident set of the process {peak / 2**20:.0f} MiB"
    )


if __name__ == "__main__":
    main()
