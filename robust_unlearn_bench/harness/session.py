"""Attack, answer, restore: every request of every selected task, one attack at a time.

For each attack (and each suite whose data it uses), all answers are taken from the cache if it has them. Otherwise the
attack is applied to the weights, every request tagged with it is answered, and the snapshot is copied back. Attacks on
one trajectory (`relearn_const25`, `…50`) are stations of one run. A failing attack is reported after the others have
run and their answers are cached.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, NamedTuple, TypeVar

from tqdm import tqdm

from ..attacks import AttackContext
from ..attacks.spec import label_of
from ..errors import AttackError, ModelError, RubError
from ..models.snapshot import Snapshot
from ..models.weights import fingerprint, out_of_memory, require_float_weights
from .cached_answers import Recall
from .peak_memory import PeakMemory
from .plan import Plan
from .readable import refuse_incomplete
from .token_requests import KINDS, Ask, answer

__all__ = ["AttackSession", "Tag"]

log = logging.getLogger("robust_unlearn_bench")

T = TypeVar("T")


class Tag(NamedTuple):
    """Tag of an attacked task's request: its attack, and the kind of request to answer once the model is attacked."""

    plan: Plan
    kind: str


class _Failure(NamedTuple):
    attack: str
    error: Exception


class AttackSession:
    """Session that carries out all attacks on one model.

    Args:
        lm: lm-eval model.

    Raises:
        AttackError: from `run`, after every other attack has been carried out and its answers cached.
    """

    def __init__(self, lm: Any) -> None:
        self.lm = lm
        self._snapshot: Snapshot | None = None
        self._fingerprint: str | None = None
        self._failures: list[_Failure] = []

    def run(self, instances: Sequence[Any]) -> list[Any]:
        """Answer tagged instances (attribute `rub`: Tag) in their order."""
        _merge_adapter(self.lm)
        self._fingerprint = self._identify()
        recall = Recall(self.lm, self._fingerprint)
        groups: dict[tuple[str, ...], list[int]] = {}
        for i, instance in enumerate(instances):
            groups.setdefault(instance.rub.plan.key, []).append(i)
        answers: list[Any] = [None] * len(instances)
        with tqdm(total=len(groups), desc="attacks", disable=None if self.lm.rank == 0 else True) as bar:
            for trajectory in self._trajectories(groups, instances):
                missing = []
                for key in trajectory:
                    chosen = [instances[i] for i in groups[key]]
                    found = recall.find(chosen)
                    if not all(_from_all_ranks(self.lm, found is not None)) or found is None:
                        missing.append(key)
                        continue
                    self._report(chosen, found.report)
                    for i, result in zip(groups[key], found.answers, strict=True):
                        answers[i] = result
                    bar.update(1)
                plans = [instances[groups[key][0]].rub.plan for key in missing]
                with closing(self._stations(missing, plans, bar)) as stations:
                    for key, report in stations:
                        chosen = [instances[i] for i in groups[key]]
                        results = self._asked(chosen, bar)
                        if results is None:
                            continue
                        self._report(chosen, report)
                        recall.keep(chosen, report, results)
                        for i, result in zip(groups[key], results, strict=True):
                            answers[i] = result
                        bar.update(1)
        self._raise_failures()
        return answers

    # --- attacks ---------------------------------------------------------------------------------------------------

    def _trajectories(
        self, groups: dict[tuple[str, ...], list[int]], instances: Sequence[Any]
    ) -> list[list[tuple[str, ...]]]:
        """Group the keys that one run serves, the unattacked model first."""
        runs: dict[Any, list[tuple[str, ...]]] = {}
        for key in sorted(groups, key=lambda key: key != ("none",)):
            plan = instances[groups[key][0]].rub.plan
            shared = plan.spec.steps[0].trajectory if len(plan.spec.steps) == 1 else None
            runs.setdefault((key[2:], shared) if shared is not None else key, []).append(key)
        return list(runs.values())

    def _stations(
        self, keys: list[tuple[str, ...]], plans: list[Plan], bar: Any
    ) -> Generator[tuple[tuple[str, ...], dict[str, Any]], None, None]:
        """Yield each key while the weights are under its attack; restore them afterwards, whatever happens."""
        if not keys:
            return
        if keys == [("none",)]:
            yield keys[0], {"diagnostics": [{}], "seconds": 0.0}
            return
        name = "+".join(plan.name for plan in plans)
        model = require_float_weights(getattr(self.lm, "model", None), plans[0].spec.name)
        snapshot = self._snapshot or Snapshot(model, plans[0].snapshot)
        self._snapshot = snapshot
        try:
            with _detached_cache_hook(self.lm):
                if len(keys) == 1 and plans[0].spec.steps[0].trajectory is None:
                    yield keys[0], self._apply(plans[0], model, bar)
                else:
                    yield from self._stages(keys, plans, model, bar)
        except RubError as error:
            self._failures.append(_Failure(name, error))
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            self._ran_out_of_memory(name, plans[0].remedies)
        finally:
            snapshot.restore(model)

    def _ran_out_of_memory(self, name: str, remedies: str) -> None:
        """Record the failure and free cached GPU memory; what the caller still holds is freed when it returns."""
        import torch

        log.error("attack %s ran out of memory; the weights are restored and the other attacks continue", name)
        self._failures.append(_Failure(name, AttackError(f"attack {name} ran out of memory: {remedies}")))
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _apply(self, plan: Plan, model: Any, bar: Any) -> dict[str, Any]:
        """Apply all steps of a spec in order, and return the report."""
        context = plan.context(self.lm.tokenizer, int(self.lm.max_length), _progress(bar, plan.name))
        memory = PeakMemory(model)
        started = time.perf_counter()
        steps = []
        for step in plan.spec.steps:
            bar.set_postfix_str(f"applying {step.name}")
            steps.append(step.apply(model, context))
            model.eval()
        return self._measured(plan, context, model, steps, time.perf_counter() - started, memory)

    def _stages(
        self, keys: list[tuple[str, ...]], plans: list[Plan], model: Any, bar: Any
    ) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
        """Yield the stations of one trajectory, in order of their step counts."""
        step: Any = plans[0].spec.steps[0]
        context = plans[0].context(self.lm.tokenizer, int(self.lm.max_length), _progress(bar, step.name))
        field = label_of(step.name).field
        at = {getattr(plan.spec.steps[0], field): (key, plan) for key, plan in zip(keys, plans, strict=True)}
        memory = PeakMemory(model)
        spent, started = 0.0, time.perf_counter()
        with closing(step.stages(model, context, sorted(at))) as stations:
            for k, diagnostics in stations:
                spent += time.perf_counter() - started
                key, plan = at[k]
                was_training = model.training
                model.eval()
                yield key, self._measured(plan, context, model, [diagnostics], spent, memory)
                model.train(was_training)
                memory.resume()
                started = time.perf_counter()

    def _measured(
        self,
        plan: Plan,
        context: AttackContext,
        model: Any,
        diagnostics: list[dict[str, Any]],
        seconds: float,
        memory: PeakMemory,
    ) -> dict[str, Any]:
        assert self._snapshot is not None
        peak = memory.read()
        same = _from_all_ranks(self.lm, fingerprint(model)) if self.lm.world_size > 1 else []
        if len(set(same)) > 1:
            raise AttackError(f"attack {plan.name} gave different weights on different ranks: run it in one process")
        change = self._snapshot.change(model)
        if change["all"] == 0.0:
            diagnostics[-1].setdefault("flags", []).append("attack_changed_nothing")
        if change["all"] != change["all"] or change["all"] == float("inf"):
            diagnostics[-1].setdefault("flags", []).append("non_finite")
        log.info("attack %s: weights moved by %.2e, %.1f s", plan.name, change["all"], seconds)
        corpora = context.corpora
        return {
            "diagnostics": diagnostics,
            "data": {"forget": corpora.forget.sha256, "retain": corpora.retain.sha256} if corpora else {},
            "relative_weight_change": change,
            "seconds": round(seconds, 3),
            "peak_memory_bytes": peak,
        }

    def _raise_failures(self) -> None:
        if not self._failures:
            return
        if len(self._failures) == 1:
            raise self._failures[0].error
        listed = "; ".join(f"{name}: {error}" for name, error in self._failures)
        raise AttackError(f"{len(self._failures)} attacks failed, the other answers are cached: {listed}")

    # --- requests --------------------------------------------------------------------------------------------------

    def _asked(self, instances: Sequence[Any], bar: Any) -> list[Any] | None:
        """Return the answers, or None if memory ran out."""
        try:
            return self._ask(instances, bar)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
        remedies = "give a smaller batch_size, or load the weights in bf16 (dtype=bfloat16)"
        self._ran_out_of_memory(f"{instances[0].rub.plan.name}, while it was measured,", remedies)
        return None

    def _ask(self, instances: Sequence[Any], bar: Any) -> list[Any]:
        """Answer our own kinds of request in our own batches, and lm-eval's kinds with lm-eval itself."""
        answers: list[Any] = [None] * len(instances)
        kinds: dict[str, list[int]] = {}
        for i, instance in enumerate(instances):
            kinds.setdefault(instance.rub.kind, []).append(i)
        own = [i for kind in KINDS for i in kinds.get(kind, [])]
        done = 0

        def progress(count: int) -> None:
            nonlocal done
            done += count
            bar.set_postfix_str(f"answering {instances[0].rub.plan.name}: {done}/{len(own)}")

        if own:
            asks = [Ask(instances[i].rub.kind, instances[i].args[0], instances[i].args[1]) for i in own]
            for i, result in zip(own, answer(self.lm, asks, progress), strict=True):
                answers[i] = result
        for kind, members in kinds.items():
            if kind not in KINDS:
                replies = getattr(self.lm, kind)([instances[i] for i in members])
                for i, result in zip(members, replies, strict=True):
                    answers[i] = result
        return answers

    def _identify(self) -> str | None:
        """Return the fingerprint of the weights before any attack, or None if they are not in this process."""
        import torch

        model = getattr(self.lm, "model", None)
        if not isinstance(model, torch.nn.Module) or any(p.is_meta for p in model.parameters()):
            return None
        refuse_incomplete(self.lm)
        found = fingerprint(model)
        if len(set(_from_all_ranks(self.lm, found))) > 1:
            raise ModelError("the ranks hold different weights: load the same checkpoint on each")
        return found

    def _report(self, instances: Sequence[Any], report: dict[str, Any]) -> None:
        """Pass the report, the model's identity and the data hashes to every plan that shares this attack."""
        model = getattr(self.lm, "model", None)
        identity = {
            "fingerprint": self._fingerprint,
            "dtype": str(getattr(model, "dtype", "")).removeprefix("torch."),
            "remote_code": type(model).__module__.partition(".")[0] == "transformers_modules",
            "parameters": sum(p.numel() for p in model.parameters())
            if self._fingerprint and model is not None
            else None,
        }
        for plan in {id(i.rub.plan): i.rub.plan for i in instances}.values():
            plan.report.update(report, model=identity)


def _progress(bar: Any, name: str) -> Any:
    def update(done: int, total: int, what: str) -> None:
        bar.set_postfix_str(f"{name}: {what} {done}/{total}")

    return update


def _from_all_ranks(lm: Any, value: T) -> list[T]:
    """Return the values of all ranks."""
    if lm.world_size == 1:
        return [value]
    import torch.distributed as dist

    values: list[Any] = [None] * lm.world_size
    dist.all_gather_object(values, value)
    return values


@contextmanager
def _detached_cache_hook(lm: Any) -> Iterator[None]:
    """Keep attacked answers out of lm-eval's `--use_cache` database."""
    from lm_eval.api.model import CacheHook

    hook = lm.cache_hook
    lm.set_cache_hook(CacheHook(None))
    try:
        yield
    finally:
        lm.set_cache_hook(hook)


def _merge_adapter(lm: Any) -> None:
    """Merge a PEFT adapter (`peft=DIR`) into the weights, so that attacks act on the weights as deployed."""
    model = getattr(lm, "model", None)
    if hasattr(model, "merge_and_unload") and hasattr(model, "peft_config"):
        log.info("merging the PEFT adapter into the model before it is attacked")
        lm._model = model.merge_and_unload()  # type: ignore[union-attr]  # narrowed by hasattr
