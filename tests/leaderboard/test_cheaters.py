"""The cheater's catalogue: honest-looking lies, each with the score that it would have had, and what stops it.

`refused`: the validator finds an error. `labelled`: the row may stand, with a label beside it. `outscored`: the model is
as bad as its score says. Everything here is built the way a cheater would: hashes, results and ids are consistent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from fixtures.forgeries import STOLEN, forged, with_columns

from robust_unlearn_bench.leaderboard.check.validate import validate
from robust_unlearn_bench.leaderboard.page.site import render
from robust_unlearn_bench.leaderboard.record.entry import Entry
from robust_unlearn_bench.leaderboard.record.items import Value
from robust_unlearn_bench.leaderboard.record.sealing import seal
from robust_unlearn_bench.leaderboard.scoring.scorer import score
from robust_unlearn_bench.leaderboard.store import Anchors

Column = tuple[Value, ...]
Cast = dict[str, Entry]


def forget(change: Callable[[Column], Column]) -> Callable[[Cast], Entry]:
    """The leaky model with every forget column changed."""
    return lambda cast: forged(
        cast["adam"],
        with_columns(cast["adam"], lambda task, run, column: column if "retain" in task else change(column)),
    )


def utility(change: Callable[[Column], Column]) -> Callable[[Cast], Entry]:
    return lambda cast: forged(
        cast["adam"],
        with_columns(cast["adam"], lambda task, run, column: change(column) if "retain" in task else column),
    )


def leakier_half_null(column: Column) -> Column:
    middle = sorted(float(v) for v in column if isinstance(v, float))[len(column) // 2]
    return tuple(None if isinstance(v, float) and v > middle else v for v in column)


def all_but_the_best_null(column: Column) -> Column:
    best = min(range(len(column)), key=lambda i: float(column[i]))  # type: ignore[arg-type]  # numbers
    return tuple(value if i == best else None for i, value in enumerate(column))


def invented_seeds(cast: Cast) -> Entry:
    """Nine more seeds of every attack, each as good as the retrain model."""
    good = cast["retrain"].items
    seeds = range(1, 10)
    items = {
        task: replace(
            part,
            scores={**part.scores, **{
                (f"{run}#{seed}", metric): good[task].scores[run, metric] for run, metric in part.scores for seed in seeds
            }},
        )
        for task, part in cast["adam"].items.items()
    }  # fmt: skip
    told = cast["adam"].record.model_dump(mode="json")
    more = [{**a, "seed": s, "config": [{**a["config"][0], "seed": s}]} for a in told["attacks"] for s in seeds]
    results = [{**r, "seed": s} for r in told["results"] for s in seeds]
    return forged(
        cast["adam"], items, attacks=[*told["attacks"], *more], results=[*told["results"], *results]
    )  # fmt: skip


def attacks(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Cast], Entry]:
    def build(cast: Cast) -> Entry:
        told = cast["adam"].record.model_dump(mode="json")["attacks"]
        return forged(cast["adam"], attacks=[a if a["name"] == "none" else {**a, **change(a)} for a in told])

    return build


def lucky_seed(cast: Cast) -> Entry:
    """The one seed of a hundred under which the attack does nothing."""
    told = cast["adam"].record.model_dump(mode="json")
    runs = {a["name"] for a in told["attacks"] if a["name"].startswith("relearn")}
    items = {
        task: replace(part, scores={
            (f"{run}#99" if run in runs else run, metric): part.scores["none" if run in runs else run, metric]
            for run, metric in part.scores
        })
        for task, part in cast["adam"].items.items()
    }  # fmt: skip
    seeded = [
        {**a, "seed": 99, "config": [{**a["config"][0], "seed": 99}]} if a["name"] in runs else a
        for a in told["attacks"]
    ]
    results = [{**r, "seed": 99} if r["attack"] in runs else r for r in told["results"]]
    return forged(cast["adam"], items, attacks=seeded, results=results)


def copied(noise: float, only: str = "") -> Callable[[Cast], Entry]:
    """The retrain model's items under other weights, with a little noise on each value."""

    def bend(column: Column) -> Column:
        return tuple(
            min(1.0, max(0.0, v + noise * (-1) ** i)) if isinstance(v, float) else v for i, v in enumerate(column)
        )

    def build(cast: Cast) -> Entry:
        source = cast["retrain"].items

        def change(task: str, run: str, column: Column) -> Column:
            return bend(source[task].scores[run, "rougeL_f1"]) if only in task else column

        return forged(cast["adam"], with_columns(cast["adam"], change), model={**own(cast), **STOLEN})

    return build


def own(cast: Cast) -> dict[str, Any]:
    model: dict[str, Any] = cast["adam"].record.model_dump(mode="json")["model"]
    return model


def shard(cast: Cast) -> Entry:
    shared = cast["hybrid"].record.model_dump(mode="json")["model"]["weights"]["model.safetensors"]
    return forged(
        cast["adam"], model={**own(cast), **STOLEN, "weights": {**STOLEN["weights"], "b.safetensors": shared}}
    )


def polished(cast: Cast) -> Entry:
    told = cast["adam"].record.model_dump(mode="json")
    results = [{**r, "value": r["value"] / 3} if "retain" not in r["task"] else r for r in told["results"]]
    del told["submission_id"]
    return Entry.unsaved(seal(**{**told, "results": results}), cast["adam"].items)


def fewer_documents(cast: Cast) -> Entry:
    """The twenty documents on which the model leaks least."""
    told = cast["adam"].record.model_dump(mode="json")
    tasks = {name: {**task, "n": 20} for name, task in told["suite"]["tasks"].items()}
    items = {
        task: replace(
            part,
            doc_hash=part.doc_hash[:20],
            prompt_hash=part.prompt_hash[:20],
            cluster=part.cluster[:20],
            scores={key: column[:20] for key, column in part.scores.items()},
        )
        for task, part in cast["adam"].items.items()
    }
    return forged(cast["adam"], items, suite={**told["suite"], "tasks": tasks})


def turned_round(cast: Cast) -> Entry:
    """A forget metric declared as one that is only reported."""
    told = cast["adam"].record.model_dump(mode="json")
    tasks = told["suite"]["tasks"]
    for name, task in tasks.items():
        if "retain" not in name:
            task["metrics"]["rougeL_f1"]["role"] = "report"
    return forged(cast["adam"], suite={**told["suite"], "tasks": tasks})


@dataclass(frozen=True)
class Cheat:
    """A lie.

    Attributes:
        build: makes the record from the honest cast.
        outcome: what stops it.
        words: what the finding says.
        gains: whether the scorer alone would have believed it.
    """

    build: Callable[[Cast], Entry]
    outcome: str
    words: str
    gains: bool = True


CATALOGUE = {
    "one component of zero": Cheat(
        forget(lambda c: ({"z": 0.0}, *c[1:])), "refused", "a metric has one form", gains=False
    ),
    "all but the best document null": Cheat(
        forget(all_but_the_best_null), "refused", "null, where the suite's target has a number", gains=False
    ),
    "the leakier half null": Cheat(
        forget(leakier_half_null), "refused", "null, where the suite's target has a number"
    ),
    "huge values that cancel": Cheat(forget(lambda c: (1e308, -1e308, *[0.0] * (len(c) - 2))), "refused", "is not within 0 and 1"),
    "nothing leaks at all": Cheat(forget(lambda c: (0.0,) * len(c)), "labelled", "over-unlearned"),
    "utility above the range": Cheat(utility(lambda c: (2.0, *c[1:-1], 0.0)), "refused", "is not within 0 and 1", gains=False),
    "invented seeds": Cheat(invented_seeds, "refused", "the suite runs 0", gains=False),
    "a lucky seed": Cheat(lucky_seed, "refused", "the suite runs 0", gains=False),
    "a seed that is not the configuration's": Cheat(
        attacks(lambda a: {"config": [{**a["config"][0], "seed": 5}]}), "refused", "but its configuration says 5", gains=False
    ),
    "a weaker attack under the digest of the real one": Cheat(
        attacks(lambda a: {"digest": "0" * 12}), "refused", "its configuration hashes to", gains=False
    ),
    "true where the suite says one": Cheat(
        attacks(lambda a: {"config": [{**a["config"][0], "version": True}]}), "refused", "differs from the suite's in version", gains=False
    ),
    "an attack that moved no weight": Cheat(
        attacks(lambda a: {"weight_change": 0.0}), "labelled", "has not moved the weights", gains=False
    ),
    "the retrain model's items": Cheat(copied(0.0), "labelled", "items that differ by 0 on average from those of 'Retrain'"),
    "the retrain model's items with noise": Cheat(copied(1e-4), "labelled", "on average from those of 'Retrain'"),
    "the retrain model's verbatim columns": Cheat(
        copied(1e-4, only="verbmem"), "labelled", "item columns, value by value, in common with 'Retrain'", gains=False
    ),
    "a shard of another row": Cheat(shard, "labelled", "1 of 2 weight files in common with 'NPO Hybrid'", gains=False),
    "another row's weights": Cheat(
        lambda cast: forged(cast["adam"], model={**own(cast), "fingerprint": cast["hybrid"].record.model.fingerprint}),
        "labelled", "the same weights as 'NPO Hybrid'", gains=False,
    ),
    "another row's name in other letters": Cheat(
        lambda cast: forged(cast["adam"], display_name="ＮΡО-Hyｂrid"),
        "labelled", "a name that can be taken for that of 'NPO Hybrid'", gains=False,
    ),
    "polished numbers": Cheat(polished, "refused", "but its items give", gains=False),
    "fewer documents": Cheat(fewer_documents, "refused", "the suite says 80", gains=False),
    "a metric turned round": Cheat(turned_round, "refused", "the suite says forget", gains=False),
    "the target under another name": Cheat(
        lambda cast: forged(cast["target"], model={**cast["target"].record.model_dump(mode="json")["model"], "kind": "unlearned"}),
        "refused", "the weights of the target model under a new name", gains=False,
    ),
    "a model that knows nothing at all": Cheat(
        lambda cast: forged(cast["adam"], with_columns(cast["adam"], lambda task, run, c: (0.0,) * len(c))),
        "outscored", "", gains=False,
    ),
    "a refusal that an attack takes off": Cheat(lambda cast: cast["hider"], "outscored", "", gains=False),
}  # fmt: skip


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_catalogue(cast: Cast, name: str) -> None:
    cheat = CATALOGUE[name]
    entry, anchors = cheat.build(cast), Anchors(cast["target"], cast["retrain"])
    verdict = validate(entry, anchors, [cast["hybrid"]])
    found = [f for f in verdict.findings if cheat.words in f"{f.field}: {f.message}"]
    honest = value_of(cast["adam"], cast)
    if cheat.gains:
        assert (would := value_of(entry, cast)) > honest + 0.1, f"{honest} → {would}"
    if cheat.outcome == "refused":
        assert not verdict.ok
        assert any(f.level == "error" for f in found), [str(f) for f in verdict.findings]
    elif cheat.outcome == "labelled":
        assert verdict.ok, [str(f) for f in verdict.findings]
        assert any(f.level == "label" for f in found), [str(f) for f in verdict.findings]
    else:
        assert value_of(entry, cast) < value_of(cast["hybrid"], cast)


def value_of(entry: Entry, cast: Cast) -> float:
    """The score that the scorer gives to whatever it is handed."""
    board = score([entry], cast["target"], cast["retrain"], replicates=50)
    row = next(row for row in board.rows if row.entry.id == entry.id)
    return row.score.value or 0.0


@pytest.mark.parametrize("noise", [0.0, 1e-4, 1e-2])
def test_a_copy_of_the_retrain_model_wins_with_a_label_on_the_page(cast: Cast, noise: float) -> None:
    entry = copied(noise)(cast)
    board = score([entry, cast["hybrid"]], cast["target"], cast["retrain"], replicates=50)
    assert board.rows[0].entry.id in (entry.id, cast["retrain"].id)
    assert "on average from those of Retrain" in render([board])["index.html"].decode()


def test_honest_models_are_not_labelled_as_copies(cast: Cast) -> None:
    anchors, names = Anchors(cast["target"], cast["retrain"]), ("adam", "hybrid", "hider")
    for name in names:
        others = [cast[other] for other in names if other != name]
        messages = [str(f) for f in validate(cast[name], anchors, others).findings]
        assert not [m for m in messages if "in common" in m or "on average" in m or "taken for" in m], messages
