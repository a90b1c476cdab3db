"""Answers are served only where everything that they depend on is as it was."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from robust_unlearn_bench.errors import DataError
from robust_unlearn_bench.harness import answer_key
from robust_unlearn_bench.harness.answer_key import AttackKeys, setting
from robust_unlearn_bench.harness.plan import Plan, plan_attack
from robust_unlearn_bench.harness.session import AttackSession, Tag
from robust_unlearn_bench.suites import Corpora, Corpus, Example, Suite


def key(attack: str, folder: Path) -> str:
    return json.dumps(AttackKeys().of(plan_attack(attack, "muse_books", str(folder))))


@pytest.mark.parametrize("name", ["forget", "retain1"])
def test_attacks_are_known_by_the_content_of_their_data_wherever_it_lies(
    mirror: Path, tmp_path: Path, name: str
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(mirror, moved)
    before = key("rtn4", mirror)
    assert key("rtn4", moved) == before
    path = mirror / f"books/raw/{name}.json"
    path.write_text(path.read_text().replace("text 3", "text III"))
    assert key("rtn4", mirror) != before


def test_a_text_file_is_known_by_its_content(mirror: Path, tmp_path: Path) -> None:
    text = tmp_path / "own.txt"
    text.write_text("One text.\n\nAnother.")
    attack = f"finetune5(text='{text}')"
    before = key(attack, mirror)
    text.write_text("One text.\n\nAnother one.")
    assert key(attack, mirror) != before


def test_the_unattacked_model_needs_no_data(tmp_path: Path) -> None:
    assert key("none", tmp_path / "absent") == '["none"]'
    with pytest.raises(DataError, match="is not a folder"):
        key("rtn4", tmp_path / "absent")


def test_each_corpus_is_read_once_for_all_attacks() -> None:
    reads = []

    def corpora(source: Any) -> Corpora:
        reads.append(source)
        return Corpora(Corpus("toy/forget", (Example("a"),)), Corpus("toy/retain", (Example("b"),)))

    suite = Suite("toy", "1", (), lambda data_dir: None, corpora, ("none",))
    keys = AttackKeys()
    found = [keys.of(Plan(plan_attack(attack, None).spec, suite)) for attack in ("rtn4", "rtn8", "relearn50", "rtn4")]
    assert len(reads) == 1
    assert found[0] == found[3] != found[1]


@pytest.mark.slow
def test_a_hundred_megabytes_are_no_burden() -> None:
    passages = tuple(
        Example("the old baker sang in the blue tower. " * 30 + str(i)) for i in range(100_000_000 // 1150)
    )
    corpora = Corpora(Corpus("toy/forget", passages), Corpus("toy/retain", ()))
    suite = Suite("toy", "1", (), lambda data_dir: None, lambda source: corpora, ("none",))
    started = time.process_time()
    AttackKeys().of(Plan(plan_attack("rtn4", None).spec, suite))
    assert time.process_time() - started < 5


CHANGES: dict[str, Callable[[Any], None]] = {
    "generation_config": lambda lm: setattr(lm.model.generation_config, "suppress_tokens", [3]),
    "config": lambda lm: setattr(lm.model.config, "rope_theta", 5.0),
    "attention": lambda lm: setattr(lm.model.config, "_attn_implementation", "eager"),
    "eos": lambda lm: setattr(lm.tokenizer, "eos_token", "<pad>"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_answers_changes_the_setting(tiny_lm: Any, change: str) -> None:
    lm = tiny_lm()
    eos = lm.tokenizer.eos_token
    before = setting(lm)
    assert setting(tiny_lm()) == before
    try:
        CHANGES[change](lm)
        assert setting(lm) != before
    finally:
        lm.tokenizer.eos_token = eos


def test_the_folder_of_the_model_does_not_matter(tiny_lm: Any) -> None:
    lm = tiny_lm()
    before = setting(lm)
    lm.model.config._name_or_path = "/elsewhere"
    assert setting(lm) == before


def test_versions_matter_where_the_library_is_used(tiny_lm: Any, monkeypatch: pytest.MonkeyPatch, mirror: Path) -> None:
    lm = tiny_lm()
    known = answer_key.version

    def upgraded(*packages: str) -> None:
        monkeypatch.setattr(answer_key, "version", lambda name: "99" if name in packages else known(name))

    before = setting(lm), key("rtn4", mirror), key("none", mirror)
    upgraded("bitsandbytes")
    assert setting(lm) == before[0]
    assert key("rtn4", mirror) != before[1]
    assert key("none", mirror) == before[2]
    upgraded("transformers")
    assert setting(lm) != before[0]


@dataclass
class Request:
    rub: Tag
    args: tuple[Any, ...] = ("the old", {"text": " baker"})
    answers: list[Any] = field(default_factory=list)


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUB_ANSWERS", "on")
    monkeypatch.setenv("RUB_CACHE", str(tmp_path))


@pytest.mark.usefixtures("cached")
def test_changed_data_are_not_answered_with_old_answers(tiny_lm: Any, mirror: Path) -> None:
    attack = "relearn1(lr=0.01)"

    def run() -> Any:
        lm = tiny_lm()
        return AttackSession(lm).run([Request(Tag(plan_attack(attack, "muse_books", str(mirror)), "token_scores"))])

    first = run()
    assert run() == first
    (mirror / "books/raw/forget.json").write_text(json.dumps(["the old tower, the old river, the old iron"] * 5))
    assert run() != first


@pytest.mark.usefixtures("cached")
def test_a_model_with_hooks_meets_no_cached_answer_and_leaves_none(
    tiny_lm: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def ask(lm: Any) -> Any:
        return AttackSession(lm).run([Request(Tag(plan_attack("none", None), "token_scores"))])

    plain = ask(tiny_lm())
    hooked = tiny_lm()
    hooked.model.model.layers[0].register_forward_hook(lambda _, __, output: output * 0.5)
    with caplog.at_level("INFO", logger="robust_unlearn_bench"):
        assert ask(hooked) != plain
    assert "has forward hooks: its answers are neither taken from the cache nor kept in it" in caplog.text
    assert ask(tiny_lm()) == plain


@pytest.mark.usefixtures("cached")
def test_missing_data_cost_the_attack_alone(tiny_lm: Any, tmp_path: Path) -> None:
    plans = [plan_attack("rtn4(group_size=16)", "muse_books", str(tmp_path / "absent")), plan_attack("none", None)]
    with pytest.raises(DataError, match="is not a folder"):
        AttackSession(tiny_lm()).run([Request(Tag(plan, "token_scores")) for plan in plans])
    assert plans[1].report["model"]["fingerprint"]
