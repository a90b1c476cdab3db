"""One unlearning run on a loaded model: set up from a recipe, trained in the one loop, ended by the selection rule."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..optimizers.rule import Parameters, Rule
from ..seeding import seed_of
from ..suites.corpus import Corpora
from ..suites.general import general_corpus
from ..training.batching import Batches
from ..training.encoding import Encoded, encode
from ..training.finetune import context_length, recomputing
from ..training.footprint import sizes
from ..training.loop import Step, StepClosures, Term, train
from ..training.lora import adapter
from ..training.model_view import Count, ModelView, without_dropout
from ..training.placement import Placement, fit, free_memory, weights_for
from ..training.precision import Weights, cast, computing, trainable
from ..training.ranks import ALONE, Ranks, spread, whole
from .corpora import with_refusals
from .frozen_reference import frozen, score
from .preflight import refuse_bad_stops, refuse_unsharded, run_of
from .recipe import Recipe
from .select import Candidate, best, completion_probability
from .state import RunFolder
from .subset import only

__all__ = ["Outcome", "UnlearningRun", "copy_into"]

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of a run.

    Attributes:
        steps: number of steps that the chosen checkpoint has taken.
        before: forget and retain probability of the target, at step 0.
        chosen: checkpoint that became the model.
        candidates: all checkpoints.
        count: number of passes of the whole run.
        trained: number of parameters that were trained.
        sequences: number of sequences in the forget set and in the retain set.
        truncated: tokens of both sets that did not fit into the window.
        placement: where weights, gradients and states were.
    """

    steps: int
    before: Candidate
    chosen: Candidate
    candidates: list[Candidate]
    count: Count
    trained: int
    sequences: tuple[int, int]
    truncated: int
    placement: Placement


class UnlearningRun:
    """A run that changes a model in place.

    When several processes share the model, it remains sharded, and the chosen checkpoint is in the folder.

    Args:
        recipe: recipe of the run.
        model: the target.
        tokenizer: tokenizer of the target.
        corpora: forget and retain text.
        folder: folder for log, state and best checkpoint; None on all processes but the first.
        progress: called with (steps done, total steps, description of the losses).
        ranks: processes that share the model.
        placement: where weights, gradients and states are; None to choose it from the free memory.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: nn.Module,
        tokenizer: Any,
        corpora: Corpora,
        folder: RunFolder | None,
        progress: Progress,
        ranks: Ranks = ALONE,
        placement: Placement | None = None,
    ) -> None:
        self.recipe = recipe
        self.model = model
        self.tokenizer = tokenizer
        self.folder = folder
        self.progress = progress
        self.ranks = ranks
        self.placement = placement or Placement(recompute=recipe.gradient_checkpointing, micro_batch=recipe.micro_batch)
        self._chosen = placement is not None or ranks.world > 1
        self.count = Count()
        self._stored_in: dict[str, torch.dtype] = {}
        self.objective = recipe.objective.with_tokenizer(tokenizer)
        self.retain = recipe.retain.with_tokenizer(tokenizer)
        self.device = torch.device(ranks.device) if ranks.world > 1 else next(model.parameters()).device
        self.forget_sequences = self._encode(corpora.forget.examples)
        self.retain_sequences = self._encode(corpora.retain.examples)
        self.companions = self._companions(corpora)

    def carry_out(self) -> Outcome:
        """Train, and leave the chosen checkpoint in the model, in the model's own dtype.

        Raises:
            ConfigError: the recipe stops where the optimizer must not, or needs unsharded weights in a sharded run.
            ModelError: the model cannot be trained as the recipe says.
            TrainingError: a loss or gradient is not finite.
        """
        recipe = self.recipe
        with ExitStack() as stack:
            reference = None
            if "model" in (self.objective.needs, self.retain.needs if recipe.retain_weight else ""):
                reference = frozen(self.model, lambda: computing(recipe.precision, self.device), self.count)
            if recipe.lora:
                what = f"recipe key lora ({recipe.lora.rank})"
                stack.enter_context(adapter(self.model, recipe.lora.rank, recipe.lora.alpha, recipe.seed, what))
            else:
                stack.enter_context(only(self.model, recipe.train))
            self._stored_in = {name: p.dtype for name, p in self.model.named_parameters()}
            if self.ranks.world > 1:
                refuse_unsharded(recipe)
                cast(self.model, recipe.precision)
                for model in (self.model, *([reference.model] if reference else [])):
                    spread(model, self.ranks)
            parameters = trainable(self.model)
            self._place()
            weights = stack.enter_context(weights_for(self.placement, self.model, parameters, recipe.precision))
            stack.enter_context(without_dropout(self.model))
            if self.placement.recompute:
                stack.enter_context(recomputing(self.model))
            return self._train(weights, reference)
        raise AssertionError("an exit stack does not swallow exceptions")

    def _place(self) -> None:
        """Choose the placement, unless it is given; sharded weights stay where they are."""
        if self._chosen:
            return
        sides = (self.forget_sequences, self.retain_sequences, self.companions or [])
        width = max(len(sequence.ids) for side in sides for sequence in side)
        self.placement = fit("this recipe", sizes(self.model), run_of(self.recipe, width), free_memory(self.model))

    def _train(self, weights: Weights, reference: ModelView | None) -> Outcome:
        recipe, parameters = self.recipe, weights.masters
        view = ModelView(self.model, weights.compute, self.count)
        forget, retain = self._batches(view)
        rule = recipe.optimizer.build(parameters, clip=recipe.clip, seed=recipe.seed)
        weights.around(rule.updates)
        steps = recipe.steps or math.ceil((recipe.epochs or 0) * forget.per_epoch)
        refuse_bad_stops(rule, steps, recipe.checkpoint_every)
        closures = StepClosures(
            view,
            Term(self.objective.means(view, reference), forget, recipe.forget_weight),
            Term(self.retain.means(view, reference), retain, recipe.retain_weight) if recipe.retain_weight else None,
            self.placement.micro_batch,
            self.ranks,
        )

        def measure(step: int) -> Candidate:
            known = (self.ranks.mean(completion_probability(view, side)) for side in (forget, retain))
            return Candidate(step, *known)

        before = measure(0)
        state = self.folder.load() if self.folder else None
        candidates = self._resume(state, parameters, weights, rule) if state else []
        start = state["step"] if state else 0
        closures.last_good = self._good(start) if state else "none"
        start = steps if state and state["finished"] else start
        begun = time.perf_counter()
        for step in train(rule, closures, steps=steps, start=start, schedule=recipe.schedule, warmup=recipe.warmup):
            self._log(step, time.perf_counter() - begun)
            self.progress(step.number, steps, _words(step))
            last = step.number == steps or self._should_stop(rule, step)
            if last or (recipe.checkpoint_every and step.number % recipe.checkpoint_every == 0):
                candidates.append(measure(step.number))
                if best(recipe.select, candidates) is candidates[-1] and self._is_needed_later(last):
                    self._keep(parameters)
                if self._save(step.number, last, parameters, weights, rule, candidates):
                    closures.last_good = self._good(step.number)
            if last:
                break
        chosen = best(recipe.select, candidates)
        if chosen is not candidates[-1] and self.folder and self.ranks.world == 1:
            copy_into(parameters, self.folder.kept())
        return Outcome(
            steps=chosen.step,
            before=before,
            chosen=chosen,
            candidates=candidates,
            count=self.count,
            trained=sum(p.numel() for p in parameters.values()),
            sequences=(len(self.forget_sequences), len(self.retain_sequences)),
            truncated=sum(s.cut for s in self.forget_sequences + self.retain_sequences),
            placement=self.placement,
        )

    def _encode(self, examples: Any) -> list[Encoded]:
        return encode(examples, self.tokenizer, min(self.recipe.window, context_length(self.model)))

    def _companions(self, corpora: Corpora) -> list[Encoded] | None:
        """Return one companion for each forget sequence, or None if the objective uses none."""
        if self.objective.companion == "refusal":
            return self._encode(with_refusals(self.objective.name, corpora.forget, self.recipe.seed))
        if self.objective.companion == "finetuning":
            text = self._encode(general_corpus().examples)
            return [text[i % len(text)] for i in range(len(self.forget_sequences))]
        return None

    def _batches(self, view: ModelView) -> tuple[Batches, Batches]:
        """Return forget and retain batches; log-probabilities under the reference are computed here, at step 0."""
        recipe, size = self.recipe, self.recipe.batch_size
        scores = self.objective.needs == "sequence_logprobs"

        def scored(sequences: list[Encoded]) -> torch.Tensor | None:
            return score(view, sequences, self.placement.micro_batch or size, self.device) if scores else None

        beside = None
        if self.companions:
            beside = Batches(self.companions, size, 0, self.device, before=scored(self.companions))
        seeds = [seed_of(side, recipe.seed) for side in ("forget", "retain")]
        forget = Batches(
            self.forget_sequences, size, seeds[0], self.device, beside, before=scored(self.forget_sequences)
        )
        return forget, Batches(self.retain_sequences, size, seeds[1], self.device)

    def _should_stop(self, rule: Rule, step: Step) -> bool:
        """Return whether the forget loss is down to `stop_at` and the rule may stop at this step."""
        limit = self.recipe.stop_at
        return limit is not None and step.forget <= limit and rule.may_stop_after(step.number)

    def _log(self, step: Step, seconds: float) -> None:
        if self.folder is None:
            return
        line = step._asdict() | {
            "forwards": round(self.count.forwards, 3),
            "backwards": round(self.count.backwards, 3),
            "seconds": round(seconds, 3),
        }
        line["step"] = line.pop("number")
        with self.folder.log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")

    def _is_needed_later(self, last: bool) -> bool:
        """Return whether the best checkpoint so far may be read again; the last one is in the model or its shards."""
        return self.ranks.world > 1 if last else self.recipe.select.rule != "last"

    def _keep(self, parameters: Parameters) -> None:
        """Write the best checkpoint so far, rounded as the model is when it is saved."""
        full = whole(parameters, self._stored_in, self.ranks)
        if self.folder:
            self.folder.keep(full)

    def _good(self, step: int) -> str:
        assert self.folder is not None
        return f"{self.folder.state}, step {step}"

    def _save(
        self,
        step: int,
        finished: bool,
        parameters: Parameters,
        weights: Weights,
        rule: Rule,
        candidates: list[Candidate],
    ) -> bool:
        """Write the state that a resumed run needs, if the run can be resumed; return whether it was written."""
        if not self.recipe.checkpoint_every or self.folder is None or self.ranks.world > 1:
            return False
        self.folder.save(
            {
                "step": step,
                "finished": finished,
                "weights": {name: p.detach() for name, p in parameters.items()},
                "lost": weights.state_dict(),
                "rule": rule.state_dict(),
                "passes": [self.count.forwards, self.count.backwards],
                "candidates": [list(c) for c in candidates],
            }
        )
        return True

    def _resume(self, state: Any, parameters: Parameters, weights: Weights, rule: Rule) -> list[Candidate]:
        copy_into(parameters, state["weights"])
        weights.load_state_dict(state["lost"])
        rule.load_state_dict(state["rule"])
        self.count.forwards, self.count.backwards = state["passes"]
        return [Candidate(*c) for c in state["candidates"]]


def _words(step: Step) -> str:
    retain = "" if step.retain is None else f", retain {step.retain:.3f}"
    return f"forget loss {step.forget:.3f}{retain}"


@torch.no_grad()
def copy_into(parameters: Parameters, saved: Mapping[str, torch.Tensor]) -> None:
    """Set parameters to saved values, by name; the others are unchanged."""
    for name, values in saved.items():
        parameters[name].copy_(values)
