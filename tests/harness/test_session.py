from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch

from robust_unlearn_bench.attacks import ATTACKS, AttackDefaults, AttackSpec
from robust_unlearn_bench.errors import AttackError, ModelError
from robust_unlearn_bench.harness.plan import Plan
from robust_unlearn_bench.harness.session import AttackSession, Tag
from robust_unlearn_bench.suites import Corpora, Corpus, Example, Suite

CORPORA = Corpora(Corpus("toy/forget", (Example("the old baker"),)), Corpus("toy/retain", (Example("a blue river"),)))
TOY = Suite("toy", "1", (), lambda data_dir: None, lambda source: CORPORA, ("none",))


ERRORS: dict[str, BaseException] = {
    "attack": AttackError("boom"),
    "interrupt": KeyboardInterrupt(),
    "memory": MemoryError(),
    "cuda memory": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "cpu memory": RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
    "bug": RuntimeError("shapes do not match"),
}


@ATTACKS.register("scale")
@dataclass(frozen=True, slots=True)
class Scale(AttackDefaults):
    """Multiplies every weight; counts how often."""

    name: ClassVar[str] = "scale"
    applied: ClassVar[list[float]] = []

    factor: float = 0.5
    error: str = ""

    def apply(self, model: Any, context: Any) -> dict[str, Any]:
        self.applied.append(self.factor)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(self.factor).requires_grad_(False)
        model.train()
        if self.error:
            raise ERRORS[self.error]
        return {}


@ATTACKS.register("walk", label="walk{k}")
@dataclass(frozen=True, slots=True)
class Walk(AttackDefaults):
    """Subtracts a little from every weight, k times."""

    name: ClassVar[str] = "walk"
    trains: ClassVar[bool] = True
    steps: ClassVar[list[int]] = []

    k: int = 1

    @property
    def trajectory(self) -> tuple[str]:
        return ("walk",)

    def apply(self, model: Any, context: Any) -> dict[str, Any]:
        ((_, diagnostics),) = self.stages(model, context, [self.k])
        return diagnostics

    def stages(self, model: Any, context: Any, stops: list[int]) -> Any:
        for i in range(1, max(stops) + 1):
            self.steps.append(i)
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.sub_(0.01)
            if i in stops:
                yield i, {"k": i}


@dataclass
class Request:
    rub: Tag
    args: tuple[Any, ...] = ("the old", {"text": " baker"})
    answers: list[Any] = field(default_factory=list)


def request(*steps: Any, text: str = " baker", kind: str = "token_scores") -> Request:
    spec = SimpleNamespace() if not steps else AttackSpec(steps)
    return Request(Tag(_Plan(spec, TOY), kind), ("the old", {"text": text}))


class _Plan(Plan):
    """Attacks of this file are not registered, so they are named by their spec."""

    @property
    def name(self) -> str:
        return self.spec.name


@pytest.fixture(autouse=True)
def _fresh():
    Scale.applied.clear()
    Walk.steps.clear()


@pytest.fixture
def none():
    from robust_unlearn_bench.attacks.none import NoAttack

    return NoAttack()


def state(model: Any) -> dict[str, torch.Tensor]:
    return {n: t.clone() for n, t in [*model.named_parameters(), *model.named_buffers()]}


def identical(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[n], right[n]) for n in left)


def test_attacked_answers_come_from_attacked_weights_and_the_weights_come_back(tiny_lm, none):
    lm = tiny_lm()
    before = state(lm.model)
    clean, attacked = AttackSession(lm).run([request(none), request(Scale())])
    assert identical(before, state(lm.model))
    with torch.no_grad():
        for parameter in lm.model.parameters():
            parameter.mul_(0.5)
    (by_hand,) = AttackSession(lm).run([request(none)])
    assert attacked["logprobs"] == by_hand["logprobs"] != clean["logprobs"]


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("error", ["", "attack", "interrupt", "memory"])
def test_restore_is_bit_identical_even_after_errors(tiny_lm, tied, dtype, error):
    lm = tiny_lm(tied=tied, dtype=dtype)
    before = state(lm.model)
    run = lambda: AttackSession(lm).run([request(Scale(error=error))])  # noqa: E731  # the call under test, with or without raises
    if error:
        with pytest.raises(KeyboardInterrupt if error == "interrupt" else AttackError):
            run()
    else:
        run()
    assert identical(before, state(lm.model))
    assert all(p.requires_grad and p.grad is None for p in lm.model.parameters())
    assert not lm.model.training


@pytest.mark.parametrize("error", ["memory", "cuda memory", "cpu memory"])
@pytest.mark.parametrize("trains", [False, True])
def test_out_of_memory_is_one_sentence_and_the_others_go_on(tiny_lm, none, monkeypatch, caplog, error, trains):
    monkeypatch.setattr(Scale, "trains", trains)
    lm = tiny_lm()
    before = state(lm.model)
    requests = [request(Scale(error=error)), request(Scale(factor=0.25)), request(none)]
    with pytest.raises(AttackError, match=r"^attack scale\(.*\) ran out of memory: ") as caught:
        AttackSession(lm).run(requests)
    assert Scale.applied == [0.5, 0.25]
    assert requests[1].rub.plan.report["relative_weight_change"]["all"] == pytest.approx(0.75)
    assert ("RUB_DEVICE_MEMORY" if trains else "RUB_SNAPSHOT=disk") in str(caught.value)
    assert str(caught.value).count("\n") == 0
    assert "the other attacks continue" in caplog.text
    assert identical(before, state(lm.model))


def test_out_of_memory_while_answering_costs_that_attack_alone(tiny_lm, none, monkeypatch):
    lm = tiny_lm()
    before = state(lm.model)
    session = AttackSession(lm)
    ask = session._ask

    def asked(instances, bar):
        if instances[0].rub.plan.spec == AttackSpec((Scale(),)):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return ask(instances, bar)

    monkeypatch.setattr(session, "_ask", asked)
    requests = [request(Scale()), request(Scale(factor=0.25)), request(none)]
    with pytest.raises(AttackError, match="scale, while it was measured, ran out of memory: give a smaller batch_size"):
        session.run(requests)
    assert all(r.rub.plan.report for r in requests[1:])
    assert identical(before, state(lm.model))


def test_a_bug_is_not_taken_for_a_lack_of_memory(tiny_lm):
    lm = tiny_lm()
    before = state(lm.model)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        AttackSession(lm).run([request(Scale(error="bug"))])
    assert identical(before, state(lm.model))


def test_an_error_while_answering_restores_too(tiny_lm):
    lm = tiny_lm()
    before = state(lm.model)
    with pytest.raises(ModelError, match="999 new tokens"):
        AttackSession(lm).run(
            [Request(Tag(_Plan(AttackSpec((Scale(),)), TOY), "generate"), ("a", {"max_new_tokens": 999}))]
        )
    assert identical(before, state(lm.model))


def test_one_application_serves_all_requests(tiny_lm, none):
    lm = tiny_lm()
    AttackSession(lm).run(
        [request(Scale()), request(none), request(Scale(), text=" tower"), request(Scale(factor=0.25))]
    )
    assert Scale.applied == [0.5, 0.25]


def test_one_trajectory_serves_all_its_stations(tiny_lm, none):
    lm = tiny_lm()
    three, one, clean = AttackSession(lm).run([request(Walk(k=3)), request(Walk(k=1)), request(none)])
    assert Walk.steps == [1, 2, 3]
    assert len({tuple(a["logprobs"]) for a in (three, one, clean)}) == 3
    (alone,) = AttackSession(lm).run([request(Walk(k=1))])
    assert alone == one


def test_other_attacks_are_answered_and_kept_when_one_fails(tiny_lm, none, tmp_path, monkeypatch):
    monkeypatch.setenv("RUB_ANSWERS", "on")
    monkeypatch.setenv("RUB_CACHE", str(tmp_path))
    lm = tiny_lm()
    requests = [request(Scale(error="attack")), request(Scale(factor=0.25))]
    with pytest.raises(AttackError, match="boom"):
        AttackSession(lm).run(requests)
    Scale.applied.clear()
    AttackSession(lm).run(requests[1:])
    assert Scale.applied == []


def test_a_second_run_takes_everything_from_the_cache_and_equals_the_first(tiny_lm, none, tmp_path, monkeypatch):
    monkeypatch.setenv("RUB_ANSWERS", "on")
    monkeypatch.setenv("RUB_CACHE", str(tmp_path))
    lm = tiny_lm()
    requests = [request(none), request(Scale()), request(Walk(k=2))]
    first = AttackSession(lm).run(requests)
    reports = [dict(r.rub.plan.report) for r in requests]
    Scale.applied.clear()
    Walk.steps.clear()
    again = [request(none), request(Scale()), request(Walk(k=2))]
    assert AttackSession(lm).run(again) == first
    assert [dict(r.rub.plan.report) for r in again] == reports
    assert Scale.applied == Walk.steps == []
    AttackSession(tiny_lm(seed=1)).run([request(Scale())])
    assert Scale.applied == [0.5], "another model has a cache of its own"


def test_lm_eval_s_own_cache_sees_no_attacked_answer(tiny_lm, none):
    lm = tiny_lm()
    seen: list[Any] = []
    lm.set_cache_hook(SimpleNamespace(add_partial=lambda kind, request, result: seen.append(kind), dbdict=None))
    loglikelihood = lambda *steps: Request(Tag(_Plan(AttackSpec(steps), TOY), "loglikelihood"), ("the", " old"))  # noqa: E731  # two calls below
    AttackSession(lm).run([loglikelihood(Scale())])
    assert seen == []
    AttackSession(lm).run([loglikelihood(none)])
    assert seen == ["loglikelihood"]


def test_code_of_the_models_own_repository_leaves_a_trace(tiny_lm, none, monkeypatch):
    reports = []
    for module in ("transformers.models.llama.modeling_llama", "transformers_modules.org.name.modeling"):
        lm, asked = tiny_lm(), request(none)
        monkeypatch.setattr(type(lm.model), "__module__", module)
        AttackSession(lm).run([asked])
        reports.append(asked.rub.plan.report["model"]["remote_code"])
    assert reports == [False, True]


def test_reports_hold_what_a_record_needs(tiny_lm):
    asked = request(Scale())
    AttackSession(tiny_lm()).run([asked])
    report = asked.rub.plan.report
    assert report["data"] == {"forget": CORPORA.forget.sha256, "retain": CORPORA.retain.sha256}
    assert report["relative_weight_change"]["all"] == pytest.approx(0.5)
    assert len(report["model"]["fingerprint"]) == 64


def test_nan_weights_are_refused_by_name(tiny_lm, none):
    lm = tiny_lm()
    with torch.no_grad():
        lm.model.model.layers[1].mlp.up_proj.weight[0, 0] = float("nan")
    with pytest.raises(ModelError, match=r"layers\.1\.mlp\.up_proj\.weight holds NaN"):
        AttackSession(lm).run([request(none)])


def test_an_attack_that_changes_nothing_is_flagged(tiny_lm):
    asked = request(Scale(factor=1.0))
    AttackSession(tiny_lm()).run([asked])
    assert asked.rub.plan.report["diagnostics"][0]["flags"] == ["attack_changed_nothing"]


def test_a_model_without_weights_in_process_is_refused():
    lm = SimpleNamespace(model=None, rank=0, world_size=1)
    with pytest.raises(ModelError, match="rub attack scale"):
        AttackSession(lm).run([request(Scale())])


def test_a_quantised_model_is_refused_and_told_what_to_do(tiny_lm):
    lm = tiny_lm()
    lm.model.is_quantized = True
    with pytest.raises(ModelError, match=r"needs float weights, and this model is quantised: .*`rub attack scale"):
        AttackSession(lm).run([request(Scale())])


def test_a_model_without_linear_layers_is_refused_and_the_others_go_on(tiny_lm, none):
    from robust_unlearn_bench.attacks.quantise.rtn import RTN

    lm = tiny_lm()
    del lm.model.model.layers[:]
    requests = [request(RTN()), request(Scale())]
    with pytest.raises(ModelError, match="has no list of decoder blocks: give a transformer language model"):
        AttackSession(lm).run(requests)
    assert Scale.applied == [0.5]
