"""`rub plan`: what every attack and the evaluation will need, from config.json and the suites, before weights are loaded.

The formulas are in `training.footprint`; here are only the questions that are put to them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..attacks.attack import Attack
from ..attacks.relearn.training_attack import TrainingAttack
from ..errors import ConfigError, DataError, ModelError
from ..models.checkpoint import skeleton
from ..optimizers import OPTIMIZERS
from ..suites import SUITES, Leaf
from ..training.finetune import context_length
from ..training.footprint import (
    Demand,
    Rates,
    Run,
    Sizes,
    Work,
    calibrated,
    calibration,
    forward_operations,
    generating,
    generation,
    rewritten,
    scoring,
    seconds,
    sizes,
    training_step,
)
from ..training.machine import duration, measured_rates
from ..training.placement import Free, fit, free_memory, gigabytes, parse_bytes
from .batch_room import DEFAULT_TOKENS
from .selection import Selected, selected

__all__ = ["Forecast", "Line", "forecast", "machine"]

CHARACTERS = 4
"""Characters of text that are taken for one token."""


@dataclass(frozen=True, slots=True)
class Line:
    """The forecast of one attack, or of the evaluation under one attack.

    Attributes:
        name: the attack, or "evaluation".
        how: placement in words.
        needs: bytes; None if it cannot be carried out.
        work: passes and operations; None if they depend on data that are not here.
        refusal: why it cannot be carried out, as a sentence, or "".
    """

    name: str
    how: str
    needs: Demand | None
    work: Work | None
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Everything that a selection of tasks will need.

    Attributes:
        model: name of the model.
        s: its sizes.
        lines: one for every attack, then the evaluation.
        snapshot: bytes of the copy of the weights in CPU memory, 0 if there is none.
        free: memory that the plan was made for.
        rates: speed that the times were estimated for.
        notes: what was left out, in sentences.
    """

    model: str
    s: Sizes
    lines: list[Line]
    snapshot: int
    free: Free
    rates: Rates
    notes: list[str]

    @property
    def seconds(self) -> float:
        """Estimated seconds of everything whose work is known."""
        return sum(seconds(line.work, self.rates) for line in self.lines if line.work)

    @property
    def summary(self) -> str:
        """The plan in one line."""
        fitting = [line.needs for line in self.lines if line.needs]
        host = max((need.host for need in fitting), default=0) + self.snapshot
        here = f"{gigabytes(self.free.device)} of {self.free.where}" if self.free.device else "which the device shares"
        partly = " for the part that can be estimated" if any(line.work is None for line in self.lines) else ""
        return (
            f"plan: {self.s.parameters / 1e6:,.0f}M parameters, at most {gigabytes(max(n.device for n in fitting))} on the "
            f"device and {gigabytes(host)} in CPU memory ({here}; {gigabytes(self.free.host)} of CPU memory can be used), "
            f"about {duration(self.seconds)}{partly}"
        )

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The plan as a table."""
        return [
            {
                "work": line.name,
                "placement": line.how,
                "device": gigabytes(line.needs.device) if line.needs else "–",
                "CPU memory": gigabytes(line.needs.host) if line.needs else "–",
                "forwards": f"{line.work.forwards:,.0f}" if line.work else "–",
                "backwards": f"{line.work.backwards:,.0f}" if line.work else "–",
                "operations": f"{line.work.operations:.1e}" if line.work else "–",
                "time": duration(seconds(line.work, self.rates)) if line.work else "–",
            }
            for line in self.lines
        ]

    def refuse(self) -> None:
        """Raise if something that was selected fits nowhere.

        Raises:
            ModelError: the first reason, and how many more there are.
        """
        reasons = [line.refusal for line in self.lines if line.refusal]
        if reasons:
            more = f" ({len(reasons) - 1} more parts of this plan do not fit either)" if len(reasons) > 1 else ""
            raise ModelError(reasons[0] + more)


def machine(
    device: str | None, device_memory: str | None = None, host_memory: str | None = None, rate: float | None = None
) -> tuple[Free, Rates]:
    """Return the memory that is free on this machine and its speed, or those of another that are given.

    Args:
        device: device of the run; None for CUDA where there is one.
        device_memory: memory of another device ("24GB").
        host_memory: CPU memory of another machine.
        rate: matrix products of another device, in TFLOP/s.

    Raises:
        ConfigError: an amount cannot be read.
    """
    import torch

    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if rate is not None and not rate > 0:
        raise ConfigError(f"--rate is {rate}: give the TFLOP/s of bf16 matrix products, above 0")
    free = free_memory(device=where)
    if device_memory:
        free = free._replace(device=parse_bytes(device_memory, "--device-memory"), where=f"a device of {device_memory}")
    if host_memory:
        free = free._replace(host=parse_bytes(host_memory, "--host-memory"))
    return free, measured_rates(where, rate * 1e12 if rate else None)


def forecast(
    model: str,
    tasks: Sequence[str],
    free: Free,
    rates: Rates,
    *,
    attacks: Sequence[str] = (),
    suite: str | None = None,
    dtype: str = "auto",
    data_dir: str | None = None,
    snapshot: str = "cpu",
    limit: float | None = None,
) -> Forecast | None:
    """Plan an evaluation.

    Args:
        model: folder or hub name; only its config.json is read.
        tasks: task or group names.
        free: memory that can be used while nothing is loaded.
        rates: speed of the machine.
        attacks: attacks to put every task under; if empty, the tasks keep their own.
        suite: suite whose text the attacks on lm-eval's own tasks use.
        dtype: dtype of the weights.
        data_dir: local mirror of the data; the documents of other suites than the embedded ones are counted only there.
        snapshot: where the original weights are kept ("cpu", "disk", "reload").
        limit: documents per task, or their fraction below 1.

    Returns:
        The forecast, or None for an adapter or a quantised model, whose config.json does not describe its weights.

    Raises:
        ModelError: the model's config.json cannot be read.
        UnknownNameError: there is no such attack, suite or dtype.
    """
    bones = skeleton(model, dtype)
    if bones is None:
        return None
    s, window = sizes(bones), context_length(bones)
    chosen = selected(tasks, attacks, suite, data_dir, snapshot)
    kept = s.stored if snapshot == "cpu" and any(not entry.plan.spec.is_none for entry in chosen) else 0
    beside = free._replace(host=free.host - kept)
    lines: list[Line] = []
    trajectories: dict[Any, int] = {}
    for entry in chosen:
        for step in entry.plan.spec.steps if not entry.plan.spec.is_none else ():
            line = _attack(step, entry.plan.name, s, window, beside)
            if line.refusal and kept and not _attack(step, entry.plan.name, s, window, free).refusal:
                line = replace(line, refusal=f"{line.refusal}; with --snapshot disk (RUB_SNAPSHOT=disk) it fits")
            key = (step.trajectory, entry.plan.key[2:]) if step.trajectory is not None else None
            if key in trajectories:  # stations of one run: the longest is the run
                at = trajectories[key]
                lines[at] = max(lines[at], line, key=lambda one: one.work.forwards if one.work else 0)
                continue
            if key is not None:
                trajectories[key] = len(lines)
            lines.append(line)
    notes: list[str] = []
    lines.append(_evaluation(chosen, s, window, beside, data_dir, limit, notes))
    return Forecast(model, s, lines, kept, free, rates, notes)


def _attack(step: Attack, name: str, s: Sizes, window: int, free: Free) -> Line:
    """Return the forecast of one attack."""
    if isinstance(step, TrainingAttack):
        return _relearning(step, name, s, window, free)
    samples, length = getattr(step, "samples", 0), min(getattr(step, "length", 0), window)
    if samples and length:
        hessian, tokens = step.name == "gptq", samples * length
        passes = 2.5 if hessian else 2.0
        work = calibration(s, tokens, length, passes, hessian=hessian)
        return _fixed(name, calibrated(s, tokens, length, hessian=hessian), work, free)
    return _fixed(name, rewritten(s), Work(), free)


def _relearning(step: TrainingAttack, name: str, s: Sizes, window: int, free: Free) -> Line:
    rank = getattr(step, "rank", None)
    s = s.with_adapter(rank) if rank else s
    run = Run(
        step.precision,
        OPTIMIZERS[step.optimizer].facts,
        step.batch_size,
        min(step.window, window),
        recompute=step.gradient_checkpointing,
        micro_batch=step.micro_batch,
    )
    try:
        placed = fit(name, s, run, free)
    except ModelError as error:
        return Line(name, "does not fit", None, None, refusal=str(error))
    steps = getattr(step, "k", None) or math.ceil(
        getattr(step, "epochs", 1) * math.ceil(getattr(step, "samples", 1) / step.batch_size)
    )
    how = [
        "masters in CPU memory" if placed.on_host else "all on the device",
        *(["recomputed"] if placed.recompute else []),
        *([f"parts of {placed.micro_batch}"] if placed.micro_batch else []),
    ]
    assert placed.device_bytes is not None
    assert placed.host_bytes is not None
    work = training_step(s, run, on_host=placed.on_host, recompute=placed.recompute).times(steps)
    return Line(name, ", ".join(how), Demand(placed.device_bytes, placed.host_bytes), work)


def _fixed(name: str, needs: Demand, work: Work | None, free: Free) -> Line:
    """Return the forecast of something that has only one placement."""
    if free.holds(needs):
        return Line(name, "all on the device", needs, work)
    have = gigabytes(free.host if free.device is None else free.device)
    refusal = (
        f"{name} needs {gigabytes(needs.device)} on the device and {gigabytes(needs.host)} in CPU memory, more than "
        f"{have} on {free.where} allow: end other programs that hold memory, load the weights in bf16 (dtype=bfloat16), "
        "or take a larger device"
    )
    return Line(name, "does not fit", None, None, refusal)


# --- evaluation ----------------------------------------------------------------------------------------------------


def _evaluation(
    chosen: Sequence[Selected],
    s: Sizes,
    window: int,
    free: Free,
    data_dir: str | None,
    limit: float | None,
    notes: list[str],
) -> Line:
    """Return the forecast of the requests under all attacks; batches shrink, so one row is what has to fit."""
    work: Work | None = Work()
    widest = 1
    counted: dict[tuple[str, str], tuple[Work, int] | None] = {}
    for entry in chosen:
        for name, leaf in entry.leaves.values():
            if (name, leaf.name) not in counted:
                counted[name, leaf.name] = _documents(name, leaf, s, window, data_dir, limit)
            found = counted[name, leaf.name]
            if found is None:
                work = None
            else:
                work = work.plus(found[0]) if work else None
                widest = max(widest, found[1])
    missing = sorted({name for (name, _), found in counted.items() if found is None})
    if missing:
        notes.append(f"documents of {', '.join(missing)} are not here to be counted: give --data-dir (or RUB_DATA)")
    if others := sorted({task for entry in chosen for task in entry.others}):
        work = None
        notes.append(f"lm-eval's own tasks are not counted: {', '.join(others)}")
    width = min(window, widest if work else window)
    least = Demand(max(scoring(s, width, width).device, generating(s, width).device))
    line = _fixed("evaluation", least, work, free)
    if line.refusal:
        return line
    full = Demand(max(scoring(s, DEFAULT_TOKENS, width).device, generating(s, DEFAULT_TOKENS).device))
    needs, how = (full, f"batches of {DEFAULT_TOKENS:,} tokens") if free.holds(full) else (least, "smaller batches")
    return Line("evaluation", how, needs, work)


def _documents(
    suite: str, leaf: Leaf, s: Sizes, window: int, data_dir: str | None, limit: float | None
) -> tuple[Work, int] | None:
    """Return the work of asking all documents of a leaf and its widest row, or None if they are not here."""
    known = SUITES[suite]
    if not (known.embedded or data_dir):
        return None
    try:
        docs: list[Mapping[str, Any]] = list(leaf.docs(known.source(data_dir)))
    except DataError:
        return None
    if limit is not None:
        docs = docs[: math.ceil(limit if limit >= 1 else limit * len(docs))]
    generated: dict[int, list[int]] = {}
    scored: list[int] = []
    for doc in docs:
        for request in leaf.requests(dict(doc)):
            prompt = -(-len(request.prompt) // CHARACTERS)
            if request.kind == "generate":
                generated.setdefault(int(request.options["max_new_tokens"]), []).append(prompt)
            elif request.kind != "token_cut":
                scored.append(min(prompt + len(str(request.options.get("text", ""))) // CHARACTERS, window))
    work = Work(
        math.ceil(sum(scored) / DEFAULT_TOKENS), 0.0, sum(forward_operations(s, width, width) for width in scored)
    )
    widest = max(scored, default=1)
    for new, prompts in generated.items():
        mean, widest = sum(prompts) / len(prompts), max(widest, max(prompts) + new)
        work = work.plus(generation(s, len(prompts), mean, new, max(1, int(DEFAULT_TOKENS // (mean + new)))))
    return work, min(widest, window)
