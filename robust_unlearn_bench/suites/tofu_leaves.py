"""TOFU's two leaves, on rows in TOFU's own schema.

    config                                                    columns
    {forget split}_perturbed, retain_perturbed                question, answer, paraphrased_answer, perturbed_answer
    real_authors_perturbed, world_facts_perturbed             question, answer, perturbed_answer

An answer is scored on its own tokens and EOS, after `Question: …⏎Answer: ` or, on request, after the question in the
model's chat template. A "cluster" column names the author; without one, every twenty questions of TOFU's own sets are a
cluster, and every question about real authors or world facts is a cluster of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ..metrics import bootstrap, truth_ratio
from ..metrics.document import METRICS, Given, Reading
from ..metrics.forget_quality import kolmogorov_smirnov
from ..metrics.means import mean
from ..metrics.utility import harmonic_mean
from .retrain_reference import FIRST, Reference, item_id, load_reference, warn_missing
from .sources import fetch
from .suite import Metric, Request, Source

__all__ = ["AUTHOR", "TofuForget", "TofuUtility", "prompt"]

AUTHOR = 20
"""Questions per author, in dataset order."""

SETS = ("retain", "real_authors", "world_facts")
PARTS = ("prob", "rouge", "truth_ratio")


def prompt(question: str) -> str:
    """Return the prompt of an answer; its trailing space belongs to the answer's first token."""
    return f"Question: {question}\nAnswer: "


def _docs(source: Source, config: str, author: int) -> list[dict[str, Any]]:
    columns: dict[str, type] = {"question": str, "answer": str, "perturbed_answer": list}
    if config not in ("real_authors_perturbed", "world_facts_perturbed"):
        columns["paraphrased_answer"] = str
    name = config.removesuffix("_perturbed")
    return [
        {"cluster": f"{name}-{i // author}", "row": i, **row, "paraphrased_answer": row.get("paraphrased_answer")}
        for i, row in enumerate(fetch(source, config, "train", **columns))
    ]


def _requests(doc: Mapping[str, Any]) -> list[Request]:
    """Request a free answer, then scores of the true, the paraphrased (if present) and each perturbed answer."""
    question = doc["question"]
    given = [doc["answer"], *filter(None, [doc["paraphrased_answer"]]), *doc["perturbed_answer"]]
    free = Request("generate", prompt(question).rstrip(), {"max_new_tokens": 200, "chat": question})
    scores = [Request("token_scores", prompt(question), {"text": a, "eos": True, "chat": question}) for a in given]
    return [free, *scores]


GIVES: frozenset[Given] = frozenset({"output", "tokens"})


def _reading(doc: Mapping[str, Any], answers: Sequence[Mapping[str, Any]]) -> Reading:
    """Return the free answer and the tokens of the true one."""
    free, true, *_ = answers
    return Reading.scored(doc["answer"], true, output=free["text"])


@dataclass(frozen=True, slots=True)
class _Read:
    """Values derived from the answers to one question.

    Attributes:
        true, false: mean log-probability of the true answer and of each perturbed one.
        rouge: ROUGE-L recall of the free answer, with stemmer.
        log_ratio, log_ratio_arith: log truth ratio, geometric and arithmetic.
    """

    true: float | None
    false: tuple[float | None, ...]
    rouge: float | None
    log_ratio: float | None
    log_ratio_arith: float | None


def _read(doc: Mapping[str, Any], answers: Sequence[Mapping[str, Any]]) -> _Read:
    _, *scores = answers
    true, *rest = [truth_ratio.mean_logprob(score["logprobs"]) for score in scores]
    base, false = (rest[0], rest[1:]) if doc["paraphrased_answer"] else (true, rest)
    return _Read(
        true,
        tuple(false),
        METRICS["rougeL_recall"](_reading(doc, answers)),
        truth_ratio.log_truth_ratio(base, false),
        truth_ratio.log_truth_ratio(base, false, arithmetic=True),
    )


def _map(function: Callable[[float], float], value: float | None) -> float | None:
    return None if value is None else function(value)


# --- forget --------------------------------------------------------------------------------------------------------

Pair = Mapping[str, float]
"""Log truth ratios of one question: {"candidate": …, "reference": …}."""


def _forget_quality(values: Sequence[Pair]) -> float:
    return kolmogorov_smirnov(*_samples(values)).p_value


def _ks_distance(values: Sequence[Pair]) -> float:
    return kolmogorov_smirnov(*_samples(values)).distance


def _samples(values: Sequence[Pair]) -> tuple[list[float], list[float]]:
    return [value["candidate"] for value in values], [value["reference"] for value in values]


@dataclass(frozen=True, slots=True)
class TofuForget:
    """Forgetting: are the forget authors forgotten as if they had never been learnt?

    `forget_quality`, `ks_distance` and `forget_quality_first300` need the retrain model's truth ratios: they are
    metrics of this leaf only if a reference is given, and only the last of them if it covers only the first 300 rows.

    Attributes:
        suite: name of the suite, which the reference must match.
        version: version of the suite, which the reference must match.
        split: "forget01", "forget05" or "forget10".
        reference: file with the retrain model's truth ratios; None for the one that $RUB_REFERENCE names.
    """

    suite: str
    version: str
    split: str
    reference: str | None = None
    name: str = "forget"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Probability and ROUGE of the true answer, truth ratios, and the metrics that the reference allows."""
        own = (
            Metric("prob", mean, False, "more_knowledge", "holds"),
            Metric("rouge", mean, False, "more_knowledge", "forget"),
            Metric("truth_ratio", mean, True, "less_knowledge", "report"),
            Metric("truth_ratio_arith", mean, True, "less_knowledge", "report"),
            Metric("log_truth_ratio", mean, True, "less_knowledge", "report"),
        )
        first = Metric("forget_quality_first300", _forget_quality, True, "less_knowledge", "report", stderr=None)
        whole = (
            Metric("forget_quality", _forget_quality, True, "less_knowledge", "report", stderr=None),
            Metric("ks_distance", _ks_distance, False, "more_knowledge", "report", stderr=None),
        )
        reference = self._reference()
        if reference is None:
            return own
        return (*own, first) if reference.first300 else (*own, *whole, first)

    def docs(self, source: Source) -> list[dict[str, Any]]:
        """Return the rows of {split}_perturbed.

        Raises:
            DataError: the reference belongs to another suite or version, or does not cover these rows.
        """
        docs = _docs(source, f"{self.split}_perturbed", AUTHOR)
        if reference := self._reference():
            reference.require(docs)
        else:
            warn_missing(self.suite)
        return docs

    def requests(self, doc: dict[str, Any]) -> list[Request]:
        """Request a free answer and the scores of seven given ones."""
        return _requests(doc)

    def target(self, doc: dict[str, Any]) -> str:
        """Return the true answer."""
        return str(doc["answer"])

    @property
    def gives(self) -> frozenset[Given]:
        """The free answer and the tokens of the true one."""
        return GIVES

    def reading(self, doc: dict[str, Any], answers: list[Any]) -> Reading:
        """Return the free answer and the tokens of the true one."""
        return _reading(doc, answers)

    def score(self, doc: dict[str, Any], answers: list[Any]) -> dict[str, Any]:
        """Compute probability, ROUGE-L recall and truth ratios; with a reference, also the pair for the KS test."""
        read = _read(doc, answers)
        values: dict[str, Any] = {
            "prob": METRICS["prob"](_reading(doc, answers)),
            "rouge": read.rouge,
            "truth_ratio": _map(truth_ratio.closeness, read.log_ratio),
            "truth_ratio_arith": _map(truth_ratio.closeness, read.log_ratio_arith),
            "log_truth_ratio": read.log_ratio,
        }
        if reference := self._reference():
            theirs = reference.log_truth_ratio.get(item_id(doc))
            known = theirs is not None and read.log_ratio is not None
            pair = {"candidate": read.log_ratio, "reference": theirs} if known else None
            whole = {} if reference.first300 else {"forget_quality": pair, "ks_distance": pair}
            values |= {**whole, "forget_quality_first300": pair if doc["row"] < FIRST else None}
        return values

    def against(self, reference: str) -> TofuForget:
        """Return this leaf with another reference file."""
        return replace(self, reference=reference)

    def refuse(self, fingerprint: str) -> None:
        """Refuse to measure the retrain model against its own truth ratios.

        Raises:
            DataError: the fingerprint equals that of the reference.
        """
        if reference := self._reference():
            reference.refuse(fingerprint)

    def _reference(self) -> Reference | None:
        return load_reference(self.suite, self.version, self.reference)


# --- utility -------------------------------------------------------------------------------------------------------

Parts = Mapping[str, float | None]
"""Components of one question, such as {"retain_prob": …, "retain_rouge": …, "retain_truth_ratio": …}."""

COMPONENTS = tuple(f"{name}_{part}" for name in SETS for part in PARTS)


def _model_utility(values: Sequence[Parts]) -> float:
    return harmonic_mean(mean([value.get(component) for value in values]) for component in COMPONENTS)


def _model_utility_stderr(values: Sequence[Parts], clusters: Sequence[str]) -> float:
    strata = [next(name for name in SETS if f"{name}_prob" in value) for value in values]
    if set(strata) != set(SETS):
        return float("nan")
    counts = bootstrap.document_draws(clusters, strata)
    means = []
    for component in COMPONENTS:
        own = [(i, x) for i, value in enumerate(values) if (x := value.get(component)) is not None]
        means.append(bootstrap.weighted_mean([x for _, x in own], counts[:, [i for i, _ in own]]))
    return bootstrap.standard_error(bootstrap.harmonic_means(np.stack(means, axis=1)))


@dataclass(frozen=True, slots=True)
class TofuUtility:
    """Utility: what does the model still know about the retained authors, real authors and the world?

    Model utility is the harmonic mean of probability, ROUGE-L recall and truth ratio on the three sets, and NaN unless
    all nine are measured.
    """

    name: str = "utility"
    metrics: tuple[Metric, ...] = (
        Metric("model_utility", _model_utility, True, "more_utility", "utility", stderr=_model_utility_stderr),
        *(
            Metric(name, _model_utility, True, "more_utility", "report", stderr=_model_utility_stderr)
            for name in ("model_utility_arith", "model_utility_first300")
        ),
        *(Metric(component, mean, True, "more_utility", "report") for component in COMPONENTS),
    )

    def docs(self, source: Source) -> list[dict[str, Any]]:
        """Return the rows of the three sets."""
        return [
            {"set": name, **doc}
            for name in SETS
            for doc in _docs(source, f"{name}_perturbed", AUTHOR if name == "retain" else 1)
        ]

    def requests(self, doc: dict[str, Any]) -> list[Request]:
        """Request a free answer and the scores of the given ones."""
        return _requests(doc)

    def target(self, doc: dict[str, Any]) -> str:
        """Return the true answer."""
        return str(doc["answer"])

    @property
    def gives(self) -> frozenset[Given]:
        """The free answer and the tokens of the true one."""
        return GIVES

    def reading(self, doc: dict[str, Any], answers: list[Any]) -> Reading:
        """Return the free answer and the tokens of the true one."""
        return _reading(doc, answers)

    def score(self, doc: dict[str, Any], answers: list[Any]) -> dict[str, Any]:
        """Compute the three components of the document's own set; the others are None."""
        read = _read(doc, answers)
        own: Literal["retain", "real_authors", "world_facts"] = doc["set"]
        prob = truth_ratio.probability(read.true) if own == "retain" else truth_ratio.preference(read.true, read.false)
        parts = {
            f"{own}_prob": prob,
            f"{own}_rouge": read.rouge,
            f"{own}_truth_ratio": _map(truth_ratio.superiority, read.log_ratio),
        }
        arith = {**parts, f"{own}_truth_ratio": _map(truth_ratio.superiority, read.log_ratio_arith)}
        return {
            "model_utility": parts,
            "model_utility_arith": arith,
            "model_utility_first300": parts if doc["row"] < FIRST else None,
            **dict.fromkeys(COMPONENTS),
            **parts,
        }
