"""Unlearning end to end on a tiny target: what comes out, that it resumes bit for bit, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from robust_unlearn_bench.errors import ConfigError, DataError, ModelError, RubError, TrainingError
from robust_unlearn_bench.models import checkpoint as checkpoints
from robust_unlearn_bench.objectives import OBJECTIVES
from robust_unlearn_bench.unlearn import unlearn
from robust_unlearn_bench.unlearn.state import RunFolder


def card_of(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / "unlearning.json").read_text())
    return told


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = checkpoints.load(folder).model.state_dict()
    return state


def same(one: Path, two: Path) -> bool:
    return all(torch.equal(value, weights(two)[name]) for name, value in weights(one).items())


def test_card_and_log(target: Path, files: Any, recipe_file: Any, tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    out = unlearn(
        recipe_file(tuning={"trials": 3, "selected_on": "retain"}, optimizer={"name": "adam", "lr": 3e-3}), target, tmp_path / "out",
        forget=files["forget"], retain=files["retain"], progress=lambda *a: seen.append(a),
    )  # fmt: skip
    told = card_of(out)
    assert [s[:2] for s in seen] == [(n, 12) for n in range(1, 13)]
    assert seen[0][2].startswith("forget loss 13.863, retain"), "NPO at step 0 is (2/β)·log 2"
    assert (told["objective"], told["optimizer"], told["grade"]) == ("npo", "adam", "first")
    assert (told["forward"], told["backward"], told["steps"]) == (24 + 2, 24, 12), "2 forwards score 8 sequences"
    assert (told["tuning_trials"], told["selected_on"], told["seeds"]) == (3, "retain", [0])
    assert told["hyperparameters"]["optimizer.lr"] == 3e-3
    after, before = (told["completion_probability"][k] for k in ("after", "before"))
    assert before["forget"] > 0.9
    assert after["forget"] < 0.5 * before["forget"]
    old, new = weights(target), weights(out)
    moved = sum(float((new[n].double() - old[n].double()).square().sum()) for n in new) ** 0.5
    assert told["weight_change"]["absolute"] == pytest.approx(moved, rel=1e-6)
    log = [json.loads(line) for line in (out / "unlearning.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == list(range(1, 13))
    assert {"forget", "retain", "norm", "forwards", "backwards", "seconds"} <= set(log[0])
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".")) == []


def test_reuse_is_for_the_very_same_run_only(target: Path, files: Any, recipe_file: Any, tmp_path: Path) -> None:
    data = {"forget": files["forget"], "retain": files["retain"]}
    out = unlearn(recipe_file(steps=2), target, tmp_path / "out", **data)
    stamp = (out / "unlearning.json").stat().st_mtime_ns
    assert unlearn(recipe_file(steps=2), target, out, reuse=True, **data) == out
    assert (out / "unlearning.json").stat().st_mtime_ns == stamp
    with pytest.raises(ConfigError, match="not empty"):
        unlearn(recipe_file(steps=3), target, out, reuse=True, **data)


OPTIMIZERS: list[dict[str, Any]] = [
    {"name": "adam", "lr": 1e-3},
    {"name": "sophia", "lr": 1e-3, "every": 3},
    {"name": "hybrid", "lr_fo": 1e-3, "lr_zo": 1e-3, "n_fo": 2, "n_zo": 2},
    {"name": "hizoo", "lr": 1e-3},
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: o["name"])
@pytest.mark.parametrize("precision", ["fp32", "bf16_kahan"])
@pytest.mark.filterwarnings("ignore:eps=")  # the tiny weights are coarse for this ε; warned of on purpose
def test_interrupted_run_resumes_bit_for_bit(
    target: Path, files: Any, recipe_file: Any, tmp_path: Path, optimizer: dict[str, Any], precision: str
) -> None:
    """Killed at step 11 of 12, after the checkpoint at 8; candidates, log and counts are those of a straight run."""
    data = {"forget": files["forget"], "retain": files["retain"]}
    path = recipe_file(optimizer=optimizer, precision=precision, checkpoint_every=4)
    straight = unlearn(path, target, tmp_path / "straight", **data)

    def kill(done: int, total: int, what: str) -> None:
        if done == 11:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unlearn(path, target, tmp_path / "resumed", progress=kill, **data)
    assert not (tmp_path / "resumed").exists()
    steps: list[int] = []
    resumed = unlearn(path, target, tmp_path / "resumed", progress=lambda d, t, w: steps.append(d), **data)
    assert steps == [9, 10, 11, 12]
    assert same(straight, resumed)
    one, two = card_of(straight), card_of(resumed)
    for key in ("forward", "backward", "completion_probability", "weight_change"):
        assert one[key] == two[key], key
    logs = [
        [json.loads(x)["forget"] for x in (f / "unlearning.jsonl").read_text().splitlines()]
        for f in (straight, resumed)
    ]
    assert logs[0] == logs[1]


def test_resume_with_a_changed_recipe_shows_the_difference(
    target: Path, files: Any, recipe_file: Any, tmp_path: Path
) -> None:
    data = {"forget": files["forget"], "retain": files["retain"]}
    changed = {"name": "adam", "lr": 2e-3}

    def kill(done: int, total: int, what: str) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unlearn(recipe_file(checkpoint_every=2), target, tmp_path / "out", progress=kill, **data)
    with pytest.raises(ConfigError, match=r"interrupted run that differs \(recipe\.optimizer\.lr: 0\.001 → 0\.002\)"):
        unlearn(recipe_file(checkpoint_every=2, optimizer=changed), target, tmp_path / "out", **data)

    with pytest.raises(KeyboardInterrupt):
        unlearn(recipe_file(), target, tmp_path / "nothing saved", progress=kill, **data)
    unlearn(recipe_file(optimizer=changed), target, tmp_path / "nothing saved", **data)


def test_best_checkpoint_is_the_one_that_is_written(target: Path, files: Any, recipe_file: Any, tmp_path: Path) -> None:
    """A rule that wants retention takes the first checkpoint of a run that destroys it; a 4-step run ends there too."""
    data = {"forget": files["forget"], "retain": files["retain"]}
    harsh = {"retain_weight": 0.0, "optimizer": {"name": "adam", "lr": 3e-3}, "schedule": "constant"}
    chosen = unlearn(
        recipe_file(**harsh, checkpoint_every=4, select={"rule": "best_retain"}), target, tmp_path / "a", **data
    )
    told = card_of(chosen)
    assert told["steps"] == 4
    assert [c["step"] for c in told["completion_probability"]["checkpoints"]] == [4, 8, 12]
    assert same(chosen, unlearn(recipe_file(**harsh, steps=4), target, tmp_path / "b", **data))


HARSH: dict[str, Any] = {
    "retain_weight": 0.0, "optimizer": {"name": "adam", "lr": 3e-3}, "schedule": "constant", "precision": "bf16_autocast",
}  # fmt: skip
"""Forgets at the expense of the retain text, so that the first checkpoint is the best."""


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("train", [[], [r"model\.layers\.1\..*"]], ids=["all", "part"])
def test_the_kept_checkpoint_holds_the_bits_that_are_written(
    target: Path, files: Any, recipe_file: Any, tmp_path: Path, dtype: torch.dtype, train: list[str]
) -> None:
    """Step 4 of 12 is chosen: it is the model of a 4-step run, saved and loaded, whether or not a run is interrupted."""
    loaded = checkpoints.load(target)
    loaded.model.to(dtype)
    checkpoints.save(loaded, tmp_path / "own", {})
    data = {"forget": files["forget"], "retain": files["retain"]}
    short = unlearn(recipe_file(**HARSH, train=train, steps=4), tmp_path / "own", tmp_path / "short", **data)
    saved = weights(short)

    def look(done: int, total: int, what: str) -> None:
        if done == 11:
            kept = torch.load(tmp_path / ".out.run" / "chosen.pt")
            assert set(kept) == {name for name in saved if not train or name.startswith("model.layers.1.")}
            assert all(torch.equal(values, saved[name]) and values.dtype == dtype for name, values in kept.items())
            raise KeyboardInterrupt

    path = recipe_file(**HARSH, train=train, checkpoint_every=4, select={"rule": "best_retain"})
    with pytest.raises(KeyboardInterrupt):
        unlearn(path, tmp_path / "own", tmp_path / "out", progress=look, **data)
    out = unlearn(path, tmp_path / "own", tmp_path / "out", **data)
    straight = unlearn(path, tmp_path / "own", tmp_path / "straight", **data)
    assert card_of(out)["steps"] == 4
    assert {values.dtype for values in saved.values()} == {dtype}
    assert same(out, short)
    assert same(straight, short)


@pytest.mark.parametrize("select", [{"rule": "last"}, {"rule": "best_retain"}], ids=lambda s: s["rule"])
def test_no_checkpoint_is_kept_that_could_not_be_chosen_later(
    target: Path, files: Any, recipe_file: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, select: dict[str, str]
) -> None:
    """With the rule "last" none is; the last one is the model itself, so even the best of all is not written again."""
    kept: list[int] = []
    monkeypatch.setattr(RunFolder, "keep", lambda folder, weights: kept.append(len(weights)))
    path = recipe_file(steps=4, checkpoint_every=4, select=select)
    unlearn(path, target, tmp_path / "out", forget=files["forget"], retain=files["retain"])
    assert kept == []
    if select["rule"] == "last":
        path = recipe_file(checkpoint_every=4, select=select)
        unlearn(path, target, tmp_path / "longer", forget=files["forget"], retain=files["retain"])
        assert kept == []


def test_stops_where_the_recipe_says(target: Path, files: Any, recipe_file: Any, tmp_path: Path) -> None:
    path = recipe_file(objective={"name": "grad_ascent"}, retain_weight=0.0, stop_at=-2.0, steps=200)
    out = unlearn(path, target, tmp_path / "out", forget=files["forget"], retain=files["retain"])
    losses = [json.loads(x)["forget"] for x in (out / "unlearning.jsonl").read_text().splitlines()]
    assert losses[-1] <= -2.0 < min(losses[:-1])
    assert len(losses) < 200


@pytest.mark.parametrize("moment", ["at the step that stops", "before the result is written"])
def test_a_run_that_stopped_early_ends_there_when_it_is_resumed(
    target: Path, files: Any, recipe_file: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    data = {"forget": files["forget"], "retain": files["retain"]}
    path = recipe_file(
        objective={"name": "grad_ascent"}, retain_weight=0.0, stop_at=-2.0, steps=200, checkpoint_every=3
    )
    straight = unlearn(path, target, tmp_path / "straight", **data)
    end = card_of(straight)["steps"]
    assert end < 200

    written = moment == "before the result is written"

    def kill(*_: Any) -> None:
        raise KeyboardInterrupt

    def at_the_end(done: int, total: int, what: str) -> None:
        if done == end and not written:
            kill()

    with monkeypatch.context() as patched:
        if written:
            patched.setattr(checkpoints, "save", kill)
        with pytest.raises(KeyboardInterrupt):
            unlearn(path, target, tmp_path / "resumed", progress=at_the_end, **data)
    steps: list[int] = []
    resumed = unlearn(path, target, tmp_path / "resumed", progress=lambda d, t, w: steps.append(d), **data)
    assert steps == ([] if written else list(range((end - 1) // 3 * 3 + 1, end + 1)))
    assert same(straight, resumed)
    one, two = card_of(straight), card_of(resumed)
    for key in ("steps", "forward", "backward", "completion_probability", "weight_change"):
        assert one[key] == two[key], key
    logs = [(folder / "unlearning.jsonl").read_text().count("\n") for folder in (straight, resumed)]
    assert logs == [end, end]


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_every_objective_moves_in_its_direction(
    target: Path, files: Any, recipe_file: Any, tmp_path: Path, name: str
) -> None:
    inside = {"rmu": {"layer": 1, "coefficient": 20.0}, "lat": {"layer": 0}}
    objective: dict[str, Any] = {"name": name} | inside.get(name, {})
    changes: dict[str, Any] = {"objective": objective, "steps": 25, "optimizer": {"name": "adam", "lr": 5e-3}}
    if name == "jensun":
        changes["steps"] = 60  # its gradient is proportional to the refusal token's probability, which starts near 0
    if name == "rmu":
        changes["retain"] = {"name": "activation", "layer": 1}
    out = unlearn(recipe_file(**changes), target, tmp_path / "out", forget=files["forget"], retain=files["retain"])
    told = card_of(out)["completion_probability"]
    assert told["after"]["forget"] < told["before"]["forget"] - 0.1


@pytest.mark.parametrize("retain", ["nll", "kl", "jsd"])
def test_retain_losses_run_and_start_at_their_floor(
    target: Path, files: Any, recipe_file: Any, tmp_path: Path, retain: str
) -> None:
    out = unlearn(
        recipe_file(retain={"name": retain}, steps=3), target, tmp_path / "out",
        forget=files["forget"], retain=files["retain"],
    )  # fmt: skip
    first = json.loads((out / "unlearning.jsonl").read_text().splitlines()[0])
    assert first["retain"] < (0.2 if retain == "nll" else 1e-5)


def test_only_named_parameters_change(target: Path, files: Any, recipe_file: Any, tmp_path: Path) -> None:
    pattern = r"model\.layers\.1\.mlp\.down_proj\.weight"
    out = unlearn(
        recipe_file(train=[pattern]), target, tmp_path / "out", forget=files["forget"], retain=files["retain"]
    )
    old, new = weights(target), weights(out)
    assert [n for n in old if not torch.equal(old[n], new[n])] == ["model.layers.1.mlp.down_proj.weight"]
    assert card_of(out)["trained_parameters"] == 32 * 64


def test_adapter_is_trained_and_merged(target: Path, files: Any, recipe_file: Any, tmp_path: Path) -> None:
    path = recipe_file(lora={"rank": 4, "alpha": 8}, optimizer={"name": "adam", "lr": 1e-2}, steps=20)
    out = unlearn(path, target, tmp_path / "out", forget=files["forget"], retain=files["retain"])
    old, new = weights(target), weights(out)
    assert list(old) == list(new)
    changed = {n for n in old if not torch.equal(old[n], new[n])}
    assert changed == {n for n in old if n.endswith("_proj.weight")}
    told = card_of(out)["completion_probability"]
    assert told["after"]["forget"] < told["before"]["forget"] - 0.1


BAD: list[tuple[dict[str, Any], type[RubError], str]] = [
    ({"optimizer": {"name": "hybrid"}, "steps": 100}, ConfigError, r"steps=100 would end on .* use 80 or 120"),
    (
        {"optimizer": {"name": "hybrid"}, "steps": 120, "checkpoint_every": 100},
        ConfigError, "checkpoint_every=100 .* use 80 or 120",
    ),
    ({"train": [r"layers\.9\..*"]}, ModelError, r"'layers.*matches no parameter of this model; it has model\.layers\.0"),
    ({"objective": {"name": "rmu", "layer": 7}}, ModelError, "no decoder layer 7: choose one from 0 to 1"),
    ({"optimizer": {"name": "sgd", "lr": 1e30}, "clip": None, "checkpoint_every": 1}, TrainingError, "last good checkpoint"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "kind", "message"), BAD)
def test_refusals(
    target: Path, files: Any, recipe_file: Any, tmp_path: Path, changes: Any, kind: type[RubError], message: str
) -> None:
    path = recipe_file(**changes)
    if "clip" in changes:
        path.write_text(path.read_text().replace("{", '{"clip": null, ', 1))
    with pytest.raises(kind, match=message):
        unlearn(path, target, tmp_path / "out", forget=files["forget"], retain=files["retain"])
    assert not (tmp_path / "out").exists()


def test_bad_data(target: Path, files: Any, recipe_file: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match="no text to forget or to retain"):
        unlearn(recipe_file(), target, out, forget=files["forget"])
    with pytest.raises(DataError, match=r"8 of 8 examples in forget\.jsonl are also in forget\.jsonl"):
        unlearn(recipe_file(), target, out, forget=files["forget"], retain=files["forget"])
    with pytest.raises(DataError, match=r"objective dpo teaches refusals to questions, but example 0 .* running text"):
        unlearn(recipe_file(objective={"name": "dpo"}), target, out, forget=files["text"], retain=files["retain"])
    files["text"].write_text("\n")
    with pytest.raises(DataError, match=r"text\.jsonl is empty"):
        unlearn(recipe_file(), target, out, forget=files["text"], retain=files["retain"])


def test_passes_agree_with_the_grade_table(target: Path, files: Any, recipe_file: Any, tmp_path: Path) -> None:
    """Through the real closures, with micro-batches: shares add up to whole passes."""
    from robust_unlearn_bench.optimizers import OPTIMIZERS as REGISTERED

    for name in ("adam", "sam", "rs", "tar", "ada_zo"):
        path = recipe_file(optimizer={"name": name}, objective={"name": "grad_ascent"}, steps=4, micro_batch=3)
        out = unlearn(path, target, tmp_path / name, forget=files["forget"], retain=files["retain"])
        cost = REGISTERED[name].facts.cost
        assert card_of(out)["forward"] == 4 * (cost.forget_forwards + cost.retain_forwards)
        assert card_of(out)["backward"] == 4 * (cost.forget_backwards + cost.retain_backwards)


def test_first_log_ratio_is_zero(target: Path, files: Any, recipe_file: Any, tmp_path: Path) -> None:
    """The cached reference and the model agree at step 0: NPO and DPO start at (2/β)·log 2, up to bf16's rounding."""
    for name in ("npo", "dpo"):
        for precision, error in (("fp32", 1e-4), ("bf16_autocast", 0.1)):
            path = recipe_file(objective={"name": name, "beta": 1.0}, steps=1, precision=precision)
            out = unlearn(path, target, tmp_path / name / precision, forget=files["forget"], retain=files["retain"])
            first = json.loads((out / "unlearning.jsonl").read_text())
            assert first["forget"] == pytest.approx(2 * 0.6931472, abs=error)
