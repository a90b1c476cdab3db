"""MUSE: is a set of novels (Books) or news articles (News) forgotten, verbatim, as knowledge, and as membership?

Source: Shi et al., "MUSE: Machine Unlearning Six-Way Evaluation for Language Models", ICLR 2025.
"""

from __future__ import annotations

from collections.abc import Callable

from .corpus import Corpora, Corpus, Example
from .ensemble import Ensemble, ensemble
from .muse_leaves import AnswerProb, Extraction, KnowMem, VerbMem
from .privleak import PrivLeak
from .sources import HubSource, MirrorSource, fetch, mirror_dir
from .suite import SUITES, Leaf, Source, Suite

__all__ = [
    "Extraction",
    "KnowMem",
    "PrivLeak",
    "VerbMem",
    "muse_books",
    "muse_corpora",
    "muse_ensemble",
    "muse_news",
    "muse_source",
    "running_text",
]


WITH_TEXT = {
    "relearn_const{k}": (25, 50, 100),
    "relearn_const{k}_x5": (25, 50, 100),
    "relearn_const{k}_x20": (25,),
    "relearn_muon{k}_x10": (25, 50, 100),
    "lora_const{k}": (25, 100),
}

CURVE = tuple(f"relearn_const{k}" for k in (25, 50, 75, 100))

RETAIN = {"relearn_retain_const{k}_x5": (100,)}

HALF = {"relearn_split_const{k}_x5": (100,)}


def muse_ensemble(traced: str) -> Ensemble:
    """Return the ensemble of a suite on one of MUSE's forget sets.

    Args:
        traced: name of the leaf whose passages are in the forget set, for relearning on half of it.
    """
    return ensemble(
        WITH_TEXT,
        RETAIN,
        HALF,
        says=("extraction", "knowmem_forget", "answer_prob"),
        holds=("privleak",),
        traced=(traced,),
        utility=("knowmem_retain",),
    )


def muse_corpora(name: str, forget: tuple[str, str] = ("raw", "forget")) -> Callable[[Source], Corpora]:
    """Return a loader of the forget text in one split and the retain text in raw/retain1, which MUSE gives unlearners.

    Args:
        name: name of the suite.
        forget: configuration and split of the forget text.
    """

    def load(source: Source) -> Corpora:
        return Corpora(
            forget=running_text(source, *forget, f"{name}/forget"),
            retain=running_text(source, "raw", "retain1", f"{name}/retain"),
        )

    return load


def running_text(source: Source, config: str, split: str, name: str) -> Corpus:
    """Return the rows of one split as a corpus; a row that names no cluster is a cluster of its own.

    Raises:
        DataError: the split is missing, empty or malformed.
    """
    rows = fetch(source, config, split, text=str)
    return Corpus(
        name,
        tuple(Example(row["text"], cluster=row.get("cluster", f"{config}-{split}-{i}")) for i, row in enumerate(rows)),
    )


def _files(folder: str) -> Callable[[str, str], tuple[str, ...]]:
    return lambda config, split: (f"{folder}/{config}/{split}.json", f"{folder}/{config}/{split}.txt")


def muse_source(dataset: str, folder: str, example: str = "knowmem/forget_qa.json") -> Callable[[str | None], Source]:
    """Return a function that opens the hub dataset, or a local mirror of it in the layout of muse_bench.

    Args:
        dataset: name of the dataset on the hub.
        folder: subfolder of a mirror, "books" or "news".
        example: file in that subfolder to name in the message about missing data.
    """
    layout = f"a folder with {folder}/{example} and its siblings, as muse_bench's load_data.py writes it"

    def open_source(data_dir: str | None) -> Source:
        root = mirror_dir(data_dir)
        return MirrorSource(root, _files(folder), dataset, layout) if root else HubSource(dataset, layout)

    return open_source


def _muse(folder: str, dataset: str, retrain_auc: float, relearn: tuple[str, ...]) -> Suite:
    leaves: tuple[Leaf, ...] = (
        VerbMem(),
        KnowMem("forget"),
        KnowMem("retain"),
        PrivLeak(retrain_auc),
        Extraction(),
        AnswerProb(),
    )
    chosen = muse_ensemble("extraction")
    return Suite(
        name=f"muse_{folder}",
        version="2",
        leaves=leaves,
        source=muse_source(dataset, folder),
        corpora=muse_corpora(f"muse_{folder}"),
        attacks=chosen.attacks,
        probes={**dict.fromkeys(CURVE, chosen.probes[CURVE[0]]), **chosen.probes},
        former={"1": ("none", "gptq4", "bnb_fp4", *relearn, "relearn100_retain")},
        curve=CURVE,
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
