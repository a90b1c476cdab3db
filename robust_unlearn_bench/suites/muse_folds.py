"""MUSE's scalability and sustainability: what happens when more is unlearned, at once or one request after another?

MUSE-News has two series of four forget sets. scal/forget_k grow, each containing the one before; sust/forget_k are
disjoint requests, unlearned in turn, each from the model that the previous request left. The first set of either series
is raw/forget, and the dataset card gives scal/forget_k the size of sust/forget_1 … forget_k together. The target model
was trained on all four, the retrain model on none.

Each set is a suite and not a leaf, because a suite holds the text that unlearners and attacks train on. Every suite has

    the leaves of muse_news             on its own questions and passages, all of which come from the first forget set;
                                        MUSE itself reports knowmem_retain alone against k
    fold_verbmem, fold_extraction       the same two measurements on passages of the suite's own forget set

In suite sust k the relearning attacks see forget_k alone: the requests are of one size, so the attack is equally strong
at every k, and what returns of the first request (verbmem, knowmem_forget, extraction) returns without having been shown.
Attacking the same model in suite scal k draws on everything that was requested so far.

Source: Shi et al., ICLR 2025, criteria C5 and C6; https://huggingface.co/datasets/muse-bench/MUSE-News.
Departs: fold_verbmem and fold_extraction are not in MUSE, whose dataset has no prompts for these sets.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from .corpus import Corpus
from .muse import muse_corpora, muse_news, muse_source, running_text
from .muse_leaves import Extraction, VerbMem
from .suite import SUITES, Source, Suite

__all__ = ["fold_suite", "passages"]

PASSAGES = 100
"""Passages of a fold that are asked for: as many as verbmem/forget has."""

_BREAK = re.compile(r"\s+(?=\S)")


def passages(corpus: Corpus) -> list[dict[str, Any]]:
    """Up to `PASSAGES` texts of a corpus, evenly spaced, each cut in two before a word.

    Args:
        corpus: running text; texts with no break between words in their second half are left out.

    Returns:
        {"cluster", "prompt", "gt"}: the first half and its continuation, which begins with the white space between them.
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
    """The suite of one forget set.

    Args:
        kind: "scal" for the growing sets, "sust" for the successive requests.
        number: from 1 to 4.
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
    """The first request of the successive ones."""
    return fold_suite("sust", 1)


@SUITES.register("muse_news_sust2")
def muse_news_sust2() -> Suite:
    """The second request of the successive ones."""
    return fold_suite("sust", 2)


@SUITES.register("muse_news_sust3")
def muse_news_sust3() -> Suite:
    """The third request of the successive ones."""
    return fold_suite("sust", 3)


@SUITES.register("muse_news_sust4")
def muse_news_sust4() -> Suite:
    """The fourth request of the successive ones."""
    return fold_suite("sust", 4)
