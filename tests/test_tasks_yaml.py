"""lm-eval finds every name in tasks/."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from robust_unlearn_bench.attacks.spec import label_of, parse
from robust_unlearn_bench.harness.lm_eval_versions import task_index
from robust_unlearn_bench.harness.task_yaml import UTILITY, task_files, utility_files
from robust_unlearn_bench.suites import SUITES

WITH_MIRROR = [name for name in SUITES if not name.startswith("nano_")]


@pytest.fixture(scope="module")
def ours() -> Any:
    """lm-eval's task manager on our folder alone (its own three thousand files take seconds to read)."""
    from lm_eval.tasks import TaskManager

    return TaskManager(include_path=str(Path(__file__).resolve().parent.parent / "tasks"), include_defaults=False)


def test_every_file_is_read_by_lm_eval(ours: Any) -> None:
    assert len(ours.all_subtasks) + len(ours.all_groups) == len({**task_files(SUITES), **utility_files()})


def test_no_group_bears_the_final_name_of_a_leaf(ours: Any) -> None:
    attacks = {attack for name in SUITES for attack in (*SUITES[name].attacks, *SUITES[name].curve)}
    leaves = [*ours.all_subtasks, *UTILITY]
    final = {leaf if attack == "none" else f"{leaf}__{attack}" for leaf in leaves for attack in attacks}
    assert not final & {*ours.all_groups, *ours.all_tags}


@pytest.mark.parametrize("suite", WITH_MIRROR)
def test_the_robust_group_loads_every_leaf_under_every_attack(
    ours: Any, mirror: Path, monkeypatch: pytest.MonkeyPatch, suite: str
) -> None:
    monkeypatch.setenv("RUB_DATA", str(mirror))
    loaded = ours.load([f"{suite}_robust"])
    wanted = [
        f"{suite}_{leaf.name}" + ("" if attack == "none" else f"__{attack}")
        for attack in SUITES[suite].attacks
        for leaf in SUITES[suite].under(attack)
    ]
    assert list(loaded["tasks"]) == wanted
    for name, task in loaded["tasks"].items():
        assert task.task_name == name
        assert len(task.eval_docs) > 0
    assert list(loaded["group_map"][f"{suite}_robust"]) == [
        SUITES[suite].clean_group if attack == "none" else f"{suite}__{attack}" for attack in SUITES[suite].attacks
    ]


def test_a_reference_may_come_with_the_metadata(root: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lm_eval.tasks import TaskManager

    from robust_unlearn_bench.errors import DataError

    monkeypatch.setenv("RUB_DATA", str(mirror))
    monkeypatch.delenv("RUB_REFERENCE", raising=False)
    path = str(root / "tasks")
    manager = TaskManager(include_path=path, include_defaults=False, metadata={"reference": str(mirror / "r.json")})
    with pytest.raises(DataError, match=r"there is no reference file .*r\.json"):
        manager.load(["tofu_forget10_forget"])


def test_curve_groups(ours: Any, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUB_DATA", str(mirror))
    names = ours.load(["muse_books_curve"])["tasks"]
    assert [n for n in names if "extraction" in n] == [
        f"muse_books_extraction__relearn_const{k}" for k in (25, 50, 75, 100)
    ]


@pytest.mark.parametrize("series", ["muse_news_scal", "muse_news_sust"])
def test_a_series_is_one_group_of_unattacked_suites(
    ours: Any, mirror: Path, monkeypatch: pytest.MonkeyPatch, series: str
) -> None:
    monkeypatch.setenv("RUB_DATA", str(mirror))
    loaded = ours.load([series])
    assert list(loaded["group_map"][series]) == [f"{series}{k}" for k in (1, 2, 3, 4)]
    leaves = [leaf.name for leaf in SUITES[f"{series}1"].leaves]
    assert list(loaded["tasks"]) == [f"{series}{k}_{leaf}" for k in (1, 2, 3, 4) for leaf in leaves]


def test_tags_pick_the_unattacked_leaves(ours: Any) -> None:
    by_tag = {tag: task_index(ours)[tag].tags for tag in ours.all_tags}
    families = {name.partition("_")[0] for name in SUITES}
    assert set(by_tag) == {"unlearning", *(f"unlearning_{family}" for family in families)}
    leaves = {f"{name}_{leaf.name}" for name in SUITES if not SUITES[name].series for leaf in SUITES[name].leaves}
    assert by_tag["unlearning"] == leaves
    assert set.union(*(by_tag[f"unlearning_{family}"] for family in families)) == leaves


def test_readmes_name_every_leaf_and_group(root: Path, ours: Any) -> None:
    for folder in sorted(path for path in (root / "tasks").iterdir() if path.is_dir()):
        readme = (folder / "README.md").read_text(encoding="utf-8")
        for section in ("### Paper", "### Citation", "### Groups, Tags, and Tasks", "### Checklist"):
            assert section in readme, (folder, section)
        for path in folder.rglob("*.yaml"):
            config = yaml.load(path.read_text(encoding="utf-8").replace("!function ", ""), yaml.SafeLoader)
            name = config.get("task") if "group" not in config else config["group"]
            _suite, _, attack = name.partition("__")
            name = re.sub(r"^(muse_news_(?:scal|sust))\d", r"\1K", name)  # one line for the four suites of a series
            steps = parse(attack).steps if attack and attack != "none" else ()
            labels = [label_of(step.name).text("K") for step in steps]
            assert any(f"`{known}`" in readme for known in (name, attack, *labels) if known), (folder, name)


@pytest.mark.slow
def test_no_name_of_ours_hides_one_of_lm_evals_and_the_utility_group_uses_its_tasks(root: Path, ours: Any) -> None:
    from lm_eval.tasks import TaskManager

    everything = TaskManager()
    theirs = {
        name
        for name, entry in task_index(everything).items()
        if entry.yaml_path is None or "robust_unlearn_bench" not in entry.yaml_path.as_posix()
    }
    tags = set(ours.all_tags)
    assert not ({*ours.all_tasks} - tags) & theirs
    assert set(UTILITY) <= theirs
