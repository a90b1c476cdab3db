"""Further metrics beside a leaf's own: read from the same answers, reported, never scored."""

from __future__ import annotations

import math
from typing import Any

import pytest

from robust_unlearn_bench.errors import ConfigError, UnknownNameError
from robust_unlearn_bench.metrics.document import METRICS, Reading
from robust_unlearn_bench.suites import SUITES
from robust_unlearn_bench.suites.more_metrics import MoreMetrics

EXTRACTION = SUITES["nano_books"].leaf("extraction")
DOC = {"prompt": "the old", "gt": " baker sang"}
ANSWERS = [{"logprobs": [math.log(0.5), math.log(0.125)], "greedy": [True, False], "truncated": 0}]


def test_values_stand_beside_the_leafs_own() -> None:
    leaf = MoreMetrics(EXTRACTION, ["prob", "loss", "prob"])
    assert [metric.name for metric in leaf.metrics] == ["es", "em", "es_ou", "prob", "loss"]
    assert leaf.score(DOC, ANSWERS) == {
        "es": 0.0,
        "em": 0.5,
        "es_ou": 0.5,
        "prob": pytest.approx(0.25),
        "loss": pytest.approx(math.log(4)),
    }


def test_direction_follows_what_the_metric_says_and_what_the_leaf_is_about() -> None:
    described = {
        m.name: (m.higher_is_better, m.higher_means, m.role) for m in MoreMetrics(EXTRACTION, ["prob", "loss"]).metrics
    }
    assert described["prob"] == (False, "more_knowledge", "report")
    assert described["loss"] == (True, "less_knowledge", "report")
    retain = MoreMetrics(SUITES["nano_books"].leaf("knowmem_retain"), ["rougeL_recall"])
    assert retain.metrics[-1].higher_is_better
    assert retain.metrics[-1].higher_means == "more_utility"


@pytest.mark.parametrize(
    ("suite", "leaf", "name", "kind", "message"),
    [
        ("nano_books", "extraction", "probb", UnknownNameError, "unknown metric 'probb': did you mean 'prob'"),
        ("nano_books", "extraction", "es", ConfigError, "metric 'es' is already one of leaf extraction: leave it out"),
        ("nano_books", "verbmem", "prob", ConfigError, "'prob' needs tokens, but leaf verbmem provides only output"),
        ("nano_books", "extraction", "minkpp", ConfigError, "needs spread, but leaf extraction provides only tokens"),
        ("nano_wmdp", "mcq", "em", ConfigError, "leaf mcq provides no input for such metrics"),
    ],
)
def test_what_cannot_be_read_is_refused(suite: str, leaf: str, name: str, kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        MoreMetrics(SUITES[suite].leaf(leaf), [name])


@pytest.mark.parametrize("name", [name for name in SUITES if name.startswith("nano_")])
def test_a_leafs_reading_gives_what_it_promises(name: str) -> None:
    suite = SUITES[name]
    scored = {
        "logprobs": [-1.0] * 5,
        "greedy": [True] * 5,
        "mean": [-1.0] * 5,
        "std": [1.0] * 5,
        "text": "a",
        "truncated": 0,
    }
    for leaf in suite.leaves:
        doc = leaf.docs(suite.source(None))[0]
        reading = leaf.reading(doc, [scored] * len(leaf.requests(doc)))
        assert (reading.gives if reading else frozenset()) >= leaf.gives


@pytest.mark.parametrize("name", list(METRICS))
def test_every_metric_is_undefined_where_nothing_was_asked(name: str) -> None:
    assert METRICS[name](Reading("the old baker")) is None
    assert METRICS.facts(name)["reads"] in ("output", "tokens", "spread")
    assert METRICS.facts(name)["says"] in ("more_knowledge", "less_knowledge")
