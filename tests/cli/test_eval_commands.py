"""`rub eval` on a tiny checkpoint: attacks, groups, controls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from robust_unlearn_bench.cli import app
from robust_unlearn_bench.cli.eval_commands import specs
from robust_unlearn_bench.errors import ConfigError, ModelError, UnknownNameError

ATTACKS = "none rtn4(group_size=16) noise5+rtn4(group_size=16)"


def run(*arguments: Any) -> str:
    """What the command prints."""
    return CliRunner().invoke(app, ["eval", *map(str, arguments)], catch_exceptions=False).stdout


@pytest.fixture
def checkpoint(tiny_llama: Any, tiny_tokenizer: Any, tmp_path: Path) -> Any:
    """Factory of checkpoint folders."""

    def write(name: str, seed: int) -> Path:
        tiny_llama(window=512, seed=seed).save_pretrained(tmp_path / name)
        tiny_tokenizer.save_pretrained(tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture(autouse=True)
def _nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUB_CACHE", str(tmp_path / "cache"))


@pytest.mark.slow
def test_every_task_under_every_attack(checkpoint: Any, tmp_path: Path) -> None:
    model = checkpoint("model", seed=0)
    printed = run(
        "nano_books_extraction,nano_wmdp_mcq", "--model", model, "--attacks", ATTACKS, "--out", tmp_path / "out",
        "--limit", 3, "--device", "cpu", "--snapshot", "disk",
    )  # fmt: skip
    found = json.loads(next((tmp_path / "out").rglob("results_*.json")).read_text())
    names = [config["metadata"]["robust_unlearn_bench"]["attack"]["name"] for config in found["configs"].values()]
    half = [name for name in dict.fromkeys(names) if name != "none"]
    assert len(half) == 2
    tasks = ["nano_books_extraction", "nano_wmdp_mcq"]
    wanted = {f"{task}{'' if attack == 'none' else f'__{attack}'}" for task in tasks for attack in ["none", *half]}
    assert set(found["configs"]) == wanted
    groups = {name: set(members) for name, members in found["group_subtasks"].items() if members}
    assert {frozenset(members) for members in groups.values()} == {
        frozenset(f"{task}{'' if attack == 'none' else f'__{attack}'}" for task in tasks) for attack in ["none", *half]
    }
    for task, config in found["configs"].items():
        told = config["metadata"]["robust_unlearn_bench"]
        assert (told["attack"].get("relative_weight_change", {"all": 0})["all"] > 0) == ("__" in task)
        assert found["n-samples"][task]["effective"] == 3
    assert "noise5+rtn4" in printed
    assert len(list((tmp_path / "out").rglob("samples_*.jsonl"))) == 6


@pytest.mark.slow
@pytest.mark.parametrize("attacks", [(), ("--attacks", "none")])
def test_a_suites_name_means_the_suite_although_lm_eval_has_a_task_of_that_name(
    checkpoint: Any, mirror: Path, attacks: tuple[str, ...]
) -> None:
    """lm-eval's `wmdp_bio` is a task on the hub; ours is read from the mirror and has MMLU beside it."""
    given = ("--model", checkpoint("model", seed=0), "--device", "cpu", "--data-dir", mirror, "--json")
    told = json.loads(run("wmdp_bio", *given, *attacks).strip().splitlines()[-1])
    assert {"wmdp_bio_mcq", "wmdp_bio_mmlu"} <= set(told["results"])
    assert set(told["configs"]) == {"wmdp_bio_mcq", "wmdp_bio_mmlu"}


def testspecs_are_separated_by_blanks_or_semicolons_outside_parentheses() -> None:
    assert specs("none gptq4;relearn50(lr=2e-5, seed=1)+rtn4 ; noise5") == [
        "none", "gptq4", "relearn50(lr=2e-5, seed=1)+rtn4", "noise5",
    ]  # fmt: skip
    assert specs("") == []


@pytest.mark.slow
def test_controls_print_leakage(checkpoint: Any, tmp_path: Path) -> None:
    model, target, retrain = (checkpoint(name, seed) for seed, name in enumerate(("mine", "target", "retrain")))
    given = ("--model", model, "--target", target, "--retrain", retrain, "--controls", "--device", "cpu")
    attacks = ("--attacks", "none rtn4(group_size=16)")
    printed = run("nano_books_extraction", *given, *attacks, "--out", tmp_path / "out", "--json")
    told = json.loads(printed.strip().splitlines()[-1])
    assert {row["attack"].partition("@")[0] for row in told["leakage"]} == {"none", "rtn4"}
    numbers = {}
    for name in ("model", "target", "retrain"):
        file = next((tmp_path / "out" / name).rglob("results_*.json"))
        numbers[name] = {
            k.partition("__")[2]: v["es,none"]
            for k, v in json.loads(file.read_text())["results"].items()
            if "es,none" in v
        }
        assert (tmp_path / "out" / "records" / name / "record.json").is_file()
    for row in told["leakage"]:
        attack = "" if row["attack"] == "none" else row["attack"]
        assert row["model"] == f"{numbers['model'][attack]:.3f}"
        assert row["target, unattacked"] == f"{numbers['target']['']:.3f}"
        assert row["retrain, attacked"] == f"{numbers['retrain'][attack]:.3f}"
    assert len(told["board"]) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["muse_books", "--controls", "--out", "o"],
            "--controls needs --target MODEL and --retrain MODEL for muse_books",
        ),
        (["nano_books", "--controls"], "choose a folder with --out FOLDER"),
        (["nano_books", "--controls", "--out", "o", "--limit", "2"], "needs every document: leave out --limit"),
        (["nano_books", "--target", "t"], "are for --controls"),
    ],
)
def test_what_controls_need(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run(*arguments, "--model", "m")


@pytest.mark.slow
def test_unknown_attacks_and_tasks_are_named(checkpoint: Any) -> None:
    model = checkpoint("model", 0)
    with pytest.raises(UnknownNameError, match="unknown attack 'gtpq4': did you mean 'gptq4'"):
        run("nano_books", "--model", model, "--attacks", "gtpq4")
    with pytest.raises(UnknownNameError, match=r"unknown task 'nano_bocks': did you mean .*'nano_books'"):
        run("nano_bocks", "--model", model, "--attacks", "gptq4")


def test_a_model_that_is_nowhere_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot be loaded .* give a checkpoint folder or a hub name"):
        run("nano_books", "--model", tmp_path / "absent")


def test_only_safetensors_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pickle beside them runs code when it is opened."""
    import robust_unlearn_bench.harness.evaluate as harness

    given = []

    def evaluate(kind: str, arguments: dict[str, Any], tasks: list[str], **options: Any) -> dict[str, Any]:
        given.append(arguments)
        return {"results": {}, "configs": {}}

    monkeypatch.setattr(harness, "evaluate", evaluate)
    run("nano_books", "--model", tmp_path, "--json")
    assert given == [{"pretrained": str(tmp_path), "dtype": "auto", "use_safetensors": True}]
