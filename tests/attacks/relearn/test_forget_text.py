"""The relearning family: exactly as many steps as said, on exactly the text said, and the model keeps its form."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch

from robust_unlearn_bench.attacks import AttackContext, parse
from robust_unlearn_bench.attacks.relearn.forget_text import Relearn, RelearnConst
from robust_unlearn_bench.errors import ConfigError, DataError, ModelError, RubError, UnknownNameError
from robust_unlearn_bench.suites.corpus import Corpora, Corpus, Example
from robust_unlearn_bench.training import finetune, loop, placement
from robust_unlearn_bench.training.encoding import encode
from robust_unlearn_bench.training.finetune import FinetuneConfig
from robust_unlearn_bench.training.likelihood import mean_loss

FORGET = Corpus("test/forget", tuple(Example(f"the {w} baker sang in the {w} river", cluster=w) for w in
                                     ("old", "new", "blue", "iron", "found", "wrote")))  # fmt: skip
RETAIN = Corpus("test/retain", tuple(Example(f"a tower found {w} and {w} of who") for w in ("old", "new", "blue")))
GENERAL = Corpus("general", tuple(Example(f"where what {w} in in {w}") for w in ("sang", "wrote", "found")))
FAMILY = ["relearn", "relearn_retain", "relearn_const", "relearn_split", "lora_relearn", "finetune"]


@pytest.fixture
def context(tiny_tokenizer: Any) -> AttackContext:
    return AttackContext(tiny_tokenizer, 64, Corpora(FORGET, RETAIN), GENERAL)


def name(family: str, k: int, options: str = "lr=1e-3") -> str:
    return f"{f'relearn{k}_retain' if family == 'relearn_retain' else f'{family}{k}'}({options})"


def run(spec: str, model: Any, context: AttackContext) -> dict[str, Any]:
    (step,) = parse(spec).steps
    return step.apply(model, context)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Number of every optimizer step taken."""
    taken: list[int] = []
    seek = loop.StepClosures.seek

    def note(self: loop.StepClosures, number: int) -> None:
        taken.append(number)
        seek(self, number)

    monkeypatch.setattr(loop.StepClosures, "seek", note)
    return taken


def test_protocol_defaults() -> None:
    """Protocol v1, section 3; a change here is a change of the attack's version."""
    assert dataclasses.asdict(Relearn()) == {
        "lr": 1e-5, "batch_size": 4, "window": 2048, "precision": "bf16_autocast", "seed": 0, "optimizer": "adam",
        "gradient_checkpointing": False, "micro_batch": None, "k": 50,
    }  # fmt: skip
    assert (Relearn.clip, Relearn.version, Relearn.trains) == (1.0, 1, True)
    (lora,) = parse("lora_relearn50").steps
    assert (lora.lr, lora.rank, lora.alpha) == (2e-4, 16, 32)
    (epochs,) = parse("relearn_ep3").steps
    assert (epochs.epochs, epochs.samples) == (3, 40)


@pytest.mark.parametrize("family", [*FAMILY, "relearn_ep"])
def test_names_read_and_print_back(family: str) -> None:
    spec = parse(name(family, 7))
    assert spec.name == name(family, 7, "lr=0.001")
    assert parse(spec.name) == spec
    assert spec.digest != parse(name(family, 8)).digest


@pytest.mark.parametrize("family", FAMILY)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_k_steps_and_the_model_keeps_its_form(
    tiny_llama: Any, context: AttackContext, counted: list[int], family: str, dtype: torch.dtype
) -> None:
    model = tiny_llama(tied=True, dtype=dtype)
    before = {n: (p, p.detach().clone(), p.requires_grad) for n, p in model.named_parameters()}
    modules = dict(model.named_modules())
    attributes = set(vars(model))
    state = torch.get_rng_state()
    diagnostics = run(name(family, 3), model, context)
    assert torch.equal(torch.get_rng_state(), state)
    assert counted == [0, 1, 2]
    assert diagnostics["steps"] == 3
    assert diagnostics["flags"] == []
    assert diagnostics["loss_after"] < diagnostics["loss_before"]
    after = dict(model.named_parameters())
    assert list(after) == list(before)
    for n, (p, old, flag) in before.items():
        assert after[n] is p
        assert (p.dtype, p.requires_grad, p.grad) == (old.dtype, flag, None)
    assert any(not torch.equal(p, old) for p, old, _ in before.values())
    assert dict(model.named_modules()) == modules
    assert set(vars(model)) == attributes
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert not model.training


@pytest.mark.parametrize("family", FAMILY)
def test_same_seed_same_bits(tiny_llama: Any, context: AttackContext, family: str) -> None:
    one, two, other = (tiny_llama() for _ in range(3))
    run(name(family, 2), one, context)
    run(name(family, 2), two, context)
    run(name(family, 2, "lr=1e-3,seed=5"), other, context)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_relearn_is_finetuning_with_the_protocol(tiny_llama: Any, tiny_tokenizer: Any, context: AttackContext) -> None:
    ours, theirs = tiny_llama(), tiny_llama()
    diagnostics = run("relearn6(lr=1e-3)", ours, context)
    config = FinetuneConfig(steps=6, lr=1e-3, batch_size=4, schedule="cosine", clip=1.0, seed=0)
    report = finetune.finetune(theirs, tiny_tokenizer, FORGET.examples, config)
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    assert (diagnostics["examples"], diagnostics["tokens"]) == (report.examples, report.tokens) == (18, report.tokens)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_one_trajectory_serves_every_k(
    tiny_llama: Any, context: AttackContext, counted: list[int], dtype: torch.dtype
) -> None:
    """25/50/75/100 in the protocol, 2/3/5 here: 5 steps in all, and each stop is what its own run gives."""
    attack = RelearnConst(lr=1e-3)
    shared = tiny_llama(dtype=dtype)
    stops = {}
    for k, diagnostics in attack.stages(shared, context, [2, 3, 5]):
        assert diagnostics["steps"] == k
        assert next(shared.parameters()).dtype == dtype
        stops[k] = copy.deepcopy(shared.state_dict())
    assert counted == [0, 1, 2, 3, 4]
    for k in (2, 3, 5):
        alone = tiny_llama(dtype=dtype)
        dataclasses.replace(attack, k=k).apply(alone, context)
        assert all(torch.equal(value, stops[k][n]) for n, value in alone.state_dict().items())


def test_trajectories_are_shared_only_by_equals() -> None:
    assert RelearnConst(k=5).trajectory == RelearnConst(k=9).trajectory
    assert hash(RelearnConst().trajectory) != hash(RelearnConst(seed=1).trajectory)
    assert RelearnConst().trajectory != RelearnConst(lr=2e-5).trajectory


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_restore_inside_an_abandoned_trajectory_holds(tiny_llama: Any, context: AttackContext, dtype: Any) -> None:
    model = tiny_llama(dtype=dtype)
    before = copy.deepcopy(model.state_dict())
    stages = RelearnConst(lr=1e-2).stages(model, context, [1, 3])
    next(stages)
    assert not torch.equal(model.lm_head.weight, before["lm_head.weight"])
    stages.close()
    model.load_state_dict(before)
    assert all(torch.equal(value, before[n]) and value.dtype == dtype for n, value in model.state_dict().items())


def test_epochs_draw_samples_and_warm_up(tiny_llama: Any, context: AttackContext, counted: list[int]) -> None:
    """5 samples in batches of 4 are 2 steps an epoch; the first of 6 steps has rate 0 (warm-up of one step)."""
    model = tiny_llama()
    diagnostics = run("relearn_ep3(samples=5,lr=1e-3)", model, context)
    assert len(counted) == diagnostics["steps"] == 6
    assert len(set(diagnostics["samples"])) == diagnostics["sequences"] == 5
    assert diagnostics["schedule"] == "linear"
    assert run("relearn_ep1(samples=99)", tiny_llama(), context)["sequences"] == 6


def test_split_names_what_it_held_out(tiny_llama: Any, context: AttackContext) -> None:
    diagnostics = run("relearn_split2", tiny_llama(), context)
    named = diagnostics["shown_clusters"] + diagnostics["held_out_clusters"]
    assert sorted(named) == sorted(e.cluster for e in FORGET.examples)
    assert diagnostics["sequences"] == 3


def test_loss_is_the_mean_over_scored_tokens(tiny_llama: Any, tiny_tokenizer: Any) -> None:
    model, sequences = tiny_llama(), encode(FORGET.examples, tiny_tokenizer, 64)
    total, count = 0.0, 0
    for s in sequences:
        ids = torch.tensor([s.ids])
        with torch.no_grad():
            total += float(model(input_ids=ids, labels=ids).loss) * (len(s.ids) - 1)
        count += len(s.ids) - 1
    assert mean_loss(model, sequences) == pytest.approx(total / count, rel=1e-5)


def test_finetune_reads_a_text_file(tiny_llama: Any, context: AttackContext, tmp_path: Any) -> None:
    (tmp_path / "text.txt").write_text("the old tower\n\nthe iron river\n\n\nwho sang\n")
    diagnostics = run(f"finetune1(text={str(tmp_path / 'text.txt')!r})", tiny_llama(), context)
    assert diagnostics["sequences"] == 3
    with pytest.raises(DataError, match=r"absent\.txt of attack finetune cannot be read"):
        run("finetune1(text='absent.txt')", tiny_llama(), context)


def test_flag_when_the_loss_does_not_fall(tiny_llama: Any, context: AttackContext) -> None:
    model = tiny_llama(dtype=torch.bfloat16)
    diagnostics = run("relearn1(lr=1e-12,precision=bf16_pure)", model, context)
    assert diagnostics["flags"] == ["relearn_loss_did_not_fall"]


BAD: list[tuple[str, type[RubError], str]] = [
    ("relearn0", ConfigError, "relearn has k=0: give a number above 0"),
    ("relearn5(lr=-1.0)", ConfigError, "relearn has lr=-1.0"),
    ("relearn5(window=1)", ConfigError, "window=1"),
    ("relearn5(precision=bf16)", ConfigError, "precision='bf16'.*bf16_kahan"),
    ("relearn5(optimizer=sgd)", ConfigError, "optimizer='sgd'"),
    ("relearn5(batchsize=2)", UnknownNameError, "'batchsize': did you mean 'batch_size'"),
    ("relern5", UnknownNameError, "did you mean"),
]


@pytest.mark.parametrize("family", [*FAMILY, "relearn_ep"])
def test_no_attack_trains_no_steps(family: str) -> None:
    with pytest.raises(ConfigError, match=rf"attack {family} has (k|epochs)=0: give a number above 0"):
        parse(name(family, 0))
    with pytest.raises(ConfigError, match="cannot be read"):
        parse(name(family, -1))


@pytest.mark.parametrize(("spec", "kind", "message"), BAD)
def test_bad_parameters(spec: str, kind: type[RubError], message: str) -> None:
    with pytest.raises(kind, match=message):
        parse(spec)


@pytest.mark.parametrize("family", ["relearn", "relearn_retain", "relearn_const", "relearn_split", "lora_relearn"])
def test_no_suite_or_no_text(tiny_llama: Callable[..., Any], context: AttackContext, family: str) -> None:
    model = tiny_llama()
    with pytest.raises(DataError, match=rf"attack {family} trains on .* no suite: name one \(`suite: .*`--suite "):
        run(name(family, 1), model, dataclasses.replace(context, corpora=None))
    empty = Corpora(Corpus("test/forget", ()), RETAIN)
    with pytest.raises(DataError, match="test/forget is empty"):
        run(name(family, 1), model, dataclasses.replace(context, corpora=empty))


def test_quantised_model_is_refused(tiny_llama: Any, context: AttackContext) -> None:
    model = tiny_llama()
    model.is_quantized = True
    with pytest.raises(ModelError, match="quantised and cannot be trained: load the unquantised"):
        run("relearn1", model, context)


@pytest.mark.parametrize("spec", ["relearn4(lr=1e-3)", "lora_relearn4(lr=1e-2)", "relearn_const4(lr=1e-3)"])
def test_placement_is_reported_and_no_part_of_the_attack(
    tiny_llama: Callable[..., Any], context: AttackContext, spec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With too little memory on the device the masters move, and the attacked weights stay bit for bit the same."""
    if "lora" in spec:
        pytest.importorskip("peft")
    (step,) = parse(spec).steps
    models, told = [], []
    for masters in ("device", "host"):
        model = tiny_llama(dtype=torch.bfloat16)
        monkeypatch.setattr(
            finetune, "fit", lambda *args, masters=masters: placement.Placement(masters, device_bytes=1, host_bytes=2)
        )
        told.append(next(step.stages(model, context, [4]))[1] if "const" in spec else step.apply(model, context))
        models.append(model)
    assert [report["placement"]["masters"] for report in told] == ["device", "host"]
    assert told[0]["placement"].keys() == {"masters", "recompute", "micro_batch", "device_bytes", "host_bytes"}
    timeless = [{k: v for k, v in report.items() if k not in ("placement", "seconds")} for report in told]
    assert timeless[0] == timeless[1]
    for p, q in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(p, q)
    assert "placement" not in parse(spec).config[0]
