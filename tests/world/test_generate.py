from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest

from robust_unlearn_bench.world.generate import DATA, MANIFEST, SIZES, Tables, generate, serialise, write

FORGET = ("books/forget", "news/forget", "tofu/forget10", "wmdp/forget_corpus", "wmdp/craft")


@pytest.fixture(scope="module")
def world() -> Tables:
    return generate()


def texts(world: Tables, *names: str) -> str:
    return "\n".join(json.dumps(row, ensure_ascii=False) for name in names for row in world[name])


def test_the_frozen_tables_come_out_again_byte_for_byte(world: Tables, tmp_path: Path) -> None:
    manifest = write(world, tmp_path)
    assert manifest == json.loads((DATA / MANIFEST).read_text())
    assert {p.relative_to(DATA).as_posix() for p in DATA.rglob("*.jsonl")} == set(manifest)
    assert all((tmp_path / name).read_bytes() == (DATA / name).read_bytes() for name in manifest)


def test_the_frozen_tables_are_small(world: Tables) -> None:
    assert sum(len(serialise(rows)) for rows in world.values()) < 1_000_000


def test_the_global_generator_is_left_alone() -> None:
    random.seed(5)
    before = random.getstate()
    generate()
    assert random.getstate() == before


def test_another_seed_is_another_world(world: Tables) -> None:
    assert all(generate(seed=1)[name] != rows for name, rows in world.items())


def test_every_row_has_a_cluster(world: Tables) -> None:
    assert all(row["cluster"] for rows in world.values() for row in rows)


@pytest.mark.parametrize("part", ["books", "news"])
def test_nothing_kept_names_what_is_to_be_forgotten(world: Tables, part: str) -> None:
    kept = texts(world, *(f"{part}/{name}" for name in ("retain1", "retain2", "retain_qa", "retain_qa_icl")))
    pairs = world[f"{part}/forget_qa"] + world[f"{part}/forget_qa_icl"]
    assert len(pairs) == 100
    assert [row["cluster"] for row in pairs if row["cluster"] in kept] == []
    assert [row["answer"] for row in pairs if re.search(rf"\b{re.escape(row['answer'])}\b", kept)] == []


@pytest.mark.parametrize("part", ["books", "news"])
def test_every_question_is_asked_once(world: Tables, part: str) -> None:
    for side in ("forget", "retain"):
        questions = [row["question"] for name in ("qa", "qa_icl") for row in world[f"{part}/{side}_{name}"]]
        assert len(questions) == len(set(questions)) == 100


def test_the_forget_novel_tells_what_is_asked(world: Tables) -> None:
    told = texts(world, "books/forget")
    assert all(row["answer"] in told for row in world["books/forget_qa"])


@pytest.mark.parametrize("part", ["books", "news"])
def test_held_out_passages_are_new_and_of_the_same_length(world: Tables, part: str) -> None:
    forget, holdout = ([row["text"] for row in world[f"{part}/{name}"]] for name in ("forget", "holdout"))
    assert len(forget) == len(holdout) == 80
    assert not set(forget) & set(holdout)
    lengths = [sum(len(text.split()) for text in side) / 80 for side in (forget, holdout)]
    assert lengths[0] == pytest.approx(lengths[1], rel=0.02)


def test_tofu_splits_are_disjoint_authors_and_perturbed_answers_are_wrong(world: Tables) -> None:
    forget, retain = ({row["cluster"] for row in world[f"tofu/{name}"]} for name in ("forget10", "retain90"))
    assert len(forget) * 9 == len(retain)
    assert not forget & retain
    for name in ("forget10_perturbed", "retain_perturbed"):
        for row in world[f"tofu/{name}"]:
            assert len({row["paraphrased_answer"], *row["perturbed_answer"]}) == 6
            assert row["answer"] not in row["perturbed_answer"]
    short = world["tofu/real_authors_perturbed"] + world["tofu/world_facts_perturbed"]
    assert all(row["answer"] not in row["perturbed_answer"] and len(row["perturbed_answer"]) == 3 for row in short)


def test_choices_are_four_and_the_answer_is_anywhere(world: Tables) -> None:
    for name in ("craft", "mmlu"):
        rows = world[f"wmdp/{name}"]
        assert all(len(set(row["choices"])) == 4 for row in rows)
        share = [sum(row["answer"] == i for row in rows) / len(rows) for i in range(4)]
        assert max(share) < 0.4


def test_bigger_worlds_can_be_made() -> None:
    small, big = SIZES["nano"], SIZES["micro"]
    made = generate("micro")
    assert len(made["books/forget"]) == big.passages > small.passages
    assert len(made["books/forget_qa"]) == 5 * big.characters - 10
