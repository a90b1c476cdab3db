from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from robust_unlearn_bench.attacks import AttackContext
from robust_unlearn_bench.attacks.calibration import PROBE_WINDOWS, calibrate, check_text, probe
from robust_unlearn_bench.errors import ConfigError, DataError
from robust_unlearn_bench.suites.corpus import Corpora, Corpus, Example


def _lists(windows: object) -> list[list[int]]:
    return [window.tolist() for window in windows]


def test_windows_are_cut_from_the_joined_examples_and_start_with_bos(context: AttackContext) -> None:
    text = calibrate(context, "retain", samples=1000, length=24, seed=0)
    stream = [token for example in context.corpora.retain.texts for token in [*map(int, example.split()), 2]]
    expected = [[1, *stream[at : at + 23]] for at in range(0, len(stream) - 22, 23)]
    assert len(expected) == 12 * 91 // 23
    assert sorted(_lists(text.windows)) == sorted(expected)


def test_draw_is_seeded_and_without_replacement(context: AttackContext) -> None:
    first = calibrate(context, "retain", 20, 24, seed=0)
    again = calibrate(context, "retain", 20, 24, seed=0)
    other = calibrate(context, "retain", 20, 24, seed=1)
    assert first.report == again.report
    assert first.report["sha256"] != other.report["sha256"]
    assert len({tuple(window) for window in _lists(first.windows)}) == 20
    assert {k: v for k, v in first.report.items() if k != "sha256"} == {
        "corpus": "suite/retain",
        "samples": 20,
        "tokens": 480,
        "left_out_for_forget_text": 0,
    }


def test_window_of_the_model_caps_the_length(context: AttackContext) -> None:
    assert {len(w) for w in calibrate(context, "retain", 5, 2048, 0).windows} == {24}


def test_probe_and_calibration_do_not_meet(context: AttackContext) -> None:
    windows = len(calibrate(context, "retain", 1000, 24, 0).windows)
    chosen = _lists(calibrate(context, "retain", windows - PROBE_WINDOWS, 24, 0).windows)
    held_out = _lists(probe(context, 24, 0))
    assert len(held_out) == PROBE_WINDOWS
    assert not [window for window in held_out if window in chosen]


def test_a_text_shorter_than_a_window_is_one_window(context: AttackContext) -> None:
    short = dataclasses.replace(context, corpora=None, general=Corpus("general", (Example("5 6 7"),)))
    assert _lists(calibrate(short, "general", 9, 24, 0).windows) == [[1, 5, 6, 7, 2]]


def test_without_corpora_retain_means_general_text_and_forget_is_refused(context: AttackContext) -> None:
    bare = dataclasses.replace(context, corpora=None)
    assert calibrate(bare, "retain", 4, 24, 0).corpus == "general"
    with pytest.raises(DataError, match="belongs to none"):
        calibrate(bare, "forget", 4, 24, 0)


def test_forget_text_is_refused_unless_asked_for(context: AttackContext) -> None:
    assert context.corpora is not None
    forget = context.corpora.forget
    mixed = Corpus("suite/retain", context.corpora.retain.examples[:4] + forget.examples)
    dirty = dataclasses.replace(context, corpora=Corpora(forget, mixed), window=80)
    with pytest.raises(DataError, match="passages of the forget text"):
        calibrate(dirty, "retain", 1000, 80, 0)
    assert calibrate(dirty, "forget", 1000, 80, 0).left_out == 0


def test_a_stray_forget_passage_is_left_out_and_counted(context: AttackContext) -> None:
    assert context.corpora is not None
    retain, forget = context.corpora.retain, context.corpora.forget
    words = forget.examples[0].completion.split()[:50]
    quoting = Corpus("suite/retain", (Example(" ".join(words)), *retain.examples))
    once = dataclasses.replace(context, corpora=Corpora(forget, quoting), window=60)
    text = calibrate(once, "retain", 1000, 60, 0)
    assert text.report["left_out_for_forget_text"] == 1
    assert all(int(words[0]) != window[1] or int(words[1]) != window[2] for window in _lists(text.windows))
    shorter = Corpus("suite/retain", (Example(" ".join(words[:49])), *retain.examples))  # no passage: 49 words
    assert calibrate(dataclasses.replace(once, corpora=Corpora(forget, shorter)), "retain", 1000, 60, 0).left_out == 0


def test_short_forget_answers_are_found_whole(context: AttackContext) -> None:
    answer = " ".join(str(n) for n in range(20, 32))
    forget = Corpus("suite/forget", (Example(answer, prompt="3 4 5"),))
    retain = Corpus("suite/retain", (Example("7 8 9 " + answer + " 10 11 12"),))
    dirty = dataclasses.replace(context, corpora=Corpora(forget, retain))
    with pytest.raises(DataError, match="calibration=forget"):
        calibrate(dirty, "retain", 10, 24, 0)


def test_real_tofu_retain_rows_hold_no_forget_answer(shared: Path, context: AttackContext) -> None:
    from robust_unlearn_bench.attacks.calibration import _Passages

    def rows(name: str) -> list[dict[str, str]]:
        return [json.loads(line) for line in (shared / "data/tofu" / f"{name}.json").read_text().splitlines()]

    passages = _Passages(Corpus("forget", tuple(Example(r["answer"], r["question"]) for r in rows("forget10"))))
    assert sum(passages.within(r["question"] + " " + r["answer"]) for r in rows("retain90")) == 0
    # 400 answers, of which 5 have fewer than 8 words.
    assert (
        sum(passages.within("Question: " + r["question"] + "\nAnswer: " + r["answer"]) for r in rows("forget10")) > 390
    )


def test_empty_corpora_and_unknown_texts_are_named(context: AttackContext) -> None:
    with pytest.raises(DataError, match="corpus nothing is empty"):
        calibrate(dataclasses.replace(context, corpora=None, general=Corpus("nothing", ())), "general", 4, 24, 0)
    with pytest.raises(ConfigError, match="did you mean 'retain'"):
        check_text("gptq", "retains")


def test_hash_depends_on_the_order_of_windows(context: AttackContext) -> None:
    text = calibrate(context, "retain", 4, 24, 0)
    turned = dataclasses.replace(text, windows=text.windows[::-1])
    assert text.report["sha256"] != turned.report["sha256"]
    assert torch.equal(torch.stack(text.windows).flip(0), torch.stack(turned.windows))
