"""MUSE's scalability and sustainability: unlearning more text, at once or one request after another.

MUSE-News has two series of four forget sets. The sets scal/forget_k grow, each containing the one before. The sets
sust/forget_k are disjoint requests that are unlearned in turn, each from the model that resulted from the previous
request. The first set of either series is raw/forget, and according to the dataset card scal/forget_k is as large as
sust/forget_1 … forget_k together. The target was trained on all four sets, the retrain model on none.

Each set is a suite rather than a leaf, because a suite holds the text that unlearners and attacks train on. Every suite
has

    the leaves of muse_news             on the questions and passages of muse_news, all from the first forget set;
                                        MUSE itself reports only knowmem_retain against k
    fold_verbmem, fold_extraction       the same two measurements on passages of the suite's own forget set

In suite sust k the relearning attacks train on forget_k alone. The requests have equal sizes, so the attack is equally
strong at every k, and any part of the first request that returns (verbmem, knowmem_forget, extraction) returns without
having been shown. In suite scal k the attacks on the same model train on everything requested so far.

Source: Shi et al., ICLR 2025, criteria C5 and C6; https://huggingface.co/datasets/muse-bench/MUSE-News.
Departs: fold_verbmem and fold_extraction are not in MUSE, whose dataset has no prompts for these sets.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from .corpus import Corpus
from .muse import muse_corpora, muse_ensemble, muse_news, muse_source, running_text
from .muse_leaves import Extraction, VerbMem
from .suite import SUITES, Source, Suite

__all__ = ["fold_suite", "passages"]

PASSAGES = 100
"""Number of passages per fold, as in verbmem/forget."""

_BREAK = re.compile(r"\s+(?=\S)")


def passages(corpus: Corpus) -> list[dict[str, Any]]:
    """Choose up to `PASSAGES` evenly spaced texts of a corpus, and cut each in two at a break between words.

    Args:
        corpus: running text; texts with no break between words in their second half are left out.

    Returns:
        Documents with "cluster", "prompt" (the first half) and "gt" (the rest, from the white space on).
    """
    docs = []
    for example in corpus.examples:
        if found := _BREAK.search(example.completion, len(example.completion) // 2):
            cut = found.start()
            prompt, rest = example.completion[:cut], example.completion[cut:]
            docs.append({"cluster": example.cluster, "prompt": prompt, "gt": rest})
    count = min(len(docs), PASSAGES)
    return [docs[i * len(docs) // count] for i in range(count)]


def fold_suite(kind: Literal["scal", "sust"], number: int) -> Suite:
    """Build the suite of one forget set.

    Args:
        kind: "scal" for the growing sets, "sust" for the successive requests.
        number: position in the series, from 1 to 4.
    """
    name, split, news = f"muse_news_{kind}{number}", f"forget_{number}", muse_news()
    asked = _passages_of(name, kind, split)
    return replace(
        news,
        name=name,
        leaves=(
            *news.leaves,
            VerbMem("fold_verbmem", passages=asked),
            Extraction("fold_extraction", passages=asked),
        ),
        source=muse_source(news.dataset, "news", f"{kind}/{split}.json"),
        corpora=muse_corpora(name, forget=(kind, split)),
        probes=muse_ensemble("fold_extraction").probes,
        curve=(),
        series=f"muse_news_{kind}",
    )


def _passages_of(name: str, config: str, split: str) -> Callable[[Source], list[dict[str, Any]]]:
    return lambda source: passages(running_text(source, config, split, f"{name}/forget"))


@SUITES.register("muse_news_scal1")
def muse_news_scal1() -> Suite:
    """The first forget set of the growing series."""
    return fold_suite("scal", 1)


@SUITES.register("muse_news_scal2")
def muse_news_scal2() -> Suite:
    """The second forget set of the growing series."""
    return fold_suite("scal", 2)


@SUITES.register("muse_news_scal3")
def muse_news_scal3() -> Suite:
    """The third forget set of the growing series."""
    return fold_suite("scal", 3)


@SUITES.register("muse_news_scal4")
def muse_news_scal4() -> Suite:
    """The fourth forget set of the growing series."""
    return fold_suite("scal", 4)


@SUITES.register("muse_news_sust1")
def muse_news_sust1() -> Suite:
    """The first of the successive requests."""
    return fold_suite("sust", 1)


@SUITES.register("muse_news_sust2")
def muse_news_sust2() -> Suite:
    """The second of the successive requests."""
    return fold_suite("sust", 2)


@SUITES.register("muse_news_sust3")
def muse_news_sust3() -> Suite:
    """The third of the successive requests."""
    return fold_suite("sust", 3)


@SUITES.register("muse_news_sust4")
def muse_news_sust4() -> Suite:
    """The fourth of the successive requests."""
    return fold_suite("sust", 4)
