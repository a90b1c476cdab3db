"""TOFU: are 1, 5 or 10 % of two hundred invented authors forgotten, and the rest kept?

Source: Maini et al., "TOFU: A Task of Fictitious Unlearning for LLMs", COLM 2024.
"""

from __future__ import annotations

from collections.abc import Callable

from .corpus import Corpora, Corpus, Example
from .ensemble import ensemble
from .privleak import TofuPrivLeak
from .sources import HubSource, MirrorSource, fetch, mirror_dir
from .suite import SUITES, Source, Suite
from .tofu_leaves import AUTHOR, TofuForget, TofuUtility, prompt

__all__ = [
    "TofuForget",
    "TofuPrivLeak",
    "TofuUtility",
    "tofu_corpora",
    "tofu_forget01",
    "tofu_forget05",
    "tofu_forget10",
]

DATASET = "locuslab/TOFU"
LAYOUT = "a folder with tofu/forget10.json and its siblings, the hub's own files"


def tofu_corpora(name: str, forget: str, retain: str) -> Callable[[Source], Corpora]:
    """Return a loader of question-answer pairs, where the loss is taken on the answer."""

    def load(source: Source) -> Corpora:
        return Corpora(
            forget=_corpus(source, forget, f"{name}/forget"), retain=_corpus(source, retain, f"{name}/retain")
        )

    return load


def _corpus(source: Source, config: str, name: str) -> Corpus:
    rows = fetch(source, config, "train", question=str, answer=str)
    return Corpus(
        name,
        tuple(
            Example(row["answer"], prompt(row["question"]), row.get("cluster", f"{config}-{i // AUTHOR}"))
            for i, row in enumerate(rows)
        ),
    )


def _source(data_dir: str | None) -> Source:
    root = mirror_dir(data_dir)
    if root is None:
        return HubSource(DATASET, LAYOUT)
    return MirrorSource(root, lambda config, split: (f"tofu/{config}.json",), DATASET, LAYOUT)


WITH_TEXT = {
    "relearn_const{k}": (20, 50),
    "relearn_const{k}_x5": (10, 20, 50),
    "relearn_muon{k}_x10": (10, 20, 50),
}

HALF = {"relearn_split_const{k}_x5": (50,)}


def _tofu(percent: int) -> Suite:
    split = f"forget{percent:02d}"
    name, version = f"tofu_{split}", "2"
    chosen = ensemble(WITH_TEXT, {}, HALF, says=("forget",), holds=(), traced=("forget",), utility=("utility",))
    return Suite(
        name=name,
        version=version,
        leaves=(TofuForget(name, version, split), TofuUtility()),
        source=_source,
        corpora=tofu_corpora(name, split, f"retain{100 - percent}"),
        attacks=chosen.attacks,
        probes=chosen.probes,
        former={"1": ("none", "gptq4", "bnb_fp4", "relearn20", "relearn50")},
        dataset=DATASET,
        extra=(TofuPrivLeak(name, version, split, f"holdout{percent:02d}"),),
    )


@SUITES.register("tofu_forget01")
def tofu_forget01() -> Suite:
    """1 % of the authors: two of them."""
    return _tofu(1)


@SUITES.register("tofu_forget05")
def tofu_forget05() -> Suite:
    """5 % of the authors: ten of them."""
    return _tofu(5)


@SUITES.register("tofu_forget10")
def tofu_forget10() -> Suite:
    """10 % of the authors: twenty of them."""
    return _tofu(10)
