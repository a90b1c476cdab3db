"""MUSE: is a set of novels (Books) or news articles (News) forgotten, verbatim, as knowledge, and as membership?

Source: Shi et al., "MUSE: Machine Unlearning Six-Way Evaluation for Language Models", ICLR 2025.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from .corpus import Corpora, Corpus, Example
from .muse_leaves import Extraction, KnowMem, VerbMem
from .privleak import PrivLeak
from .sources import HubSource, MirrorSource, fetch, mirror_dir
from .suite import SUITES, Leaf, Source, Suite

__all__ = ["Extraction", "KnowMem", "PrivLeak", "VerbMem", "fold", "muse_books", "muse_corpora", "muse_news"]


def muse_corpora(name: str) -> Callable[[Source], Corpora]:
    """Forget text raw/forget, retain text raw/retain1 (the part that MUSE gives to unlearners)."""

    def load(source: Source) -> Corpora:
        return Corpora(
            forget=_corpus(source, "raw", "forget", f"{name}/forget"),
            retain=_corpus(source, "raw", "retain1", f"{name}/retain"),
        )

    return load


def fold(source: Source, kind: Literal["scal", "sust"], number: int) -> Corpus:
    """Forget text of unlearning request 1–4 (News): growing sets (scal), or one new set after another (sust)."""
    return _corpus(source, kind, f"forget_{number}", f"muse_news/{kind}/{number}")


def _corpus(source: Source, config: str, split: str, name: str) -> Corpus:
    rows = fetch(source, config, split, text=str)
    return Corpus(
        name,
        tuple(Example(row["text"], cluster=row.get("cluster", f"{config}-{split}-{i}")) for i, row in enumerate(rows)),
    )


def _files(folder: str) -> Callable[[str, str], tuple[str, ...]]:
    return lambda config, split: (f"{folder}/{config}/{split}.json", f"{folder}/{config}/{split}.txt")


def _source(dataset: str, folder: str) -> Callable[[str | None], Source]:
    layout = f"a folder with {folder}/knowmem/forget_qa.json and its siblings, as muse_bench's load_data.py writes it"

    def open_source(data_dir: str | None) -> Source:
        root = mirror_dir(data_dir)
        return MirrorSource(root, _files(folder), dataset, layout) if root else HubSource(dataset, layout)

    return open_source


def _muse(folder: str, dataset: str, retrain_auc: float, relearn: tuple[str, ...]) -> Suite:
    leaves: tuple[Leaf, ...] = (VerbMem(), KnowMem("forget"), KnowMem("retain"), PrivLeak(retrain_auc), Extraction())
    return Suite(
        name=f"muse_{folder}",
        version="1",
        leaves=leaves,
        source=_source(dataset, folder),
        corpora=muse_corpora(f"muse_{folder}"),
        attacks=("none", "gptq4", "bnb_fp4", *relearn, "relearn100_retain"),
        curve=tuple(f"relearn_const{k}" for k in (25, 50, 75, 100)),
        dataset=dataset,
    )


# Min-40 % AUC of the retrain models: muse_bench, constants.py, "forget_holdout_Min-40%".


@SUITES.register("muse_books")
def muse_books() -> Suite:
    """MUSE-Books: the Harry Potter novels."""
    return _muse("books", "muse-bench/MUSE-Books", 0.5393, ("relearn50", "relearn100"))


@SUITES.register("muse_news")
def muse_news() -> Suite:
    """MUSE-News: BBC articles."""
    return _muse("news", "muse-bench/MUSE-News", 0.4772, ("relearn100", "relearn150"))
