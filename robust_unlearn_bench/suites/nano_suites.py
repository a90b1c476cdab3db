"""The embedded suites: MUSE's, TOFU's and WMDP's own leaves on a fictional world that ships with the package.

Their models are small and trained from scratch, so relearning uses a learning rate of 1e-4, where the full-size suites
use 1e-5.
"""

from __future__ import annotations

from collections.abc import Callable

from ..world.source import NanoSource
from .corpus import Corpora, Corpus, Example
from .ensemble import Ensemble, ensemble
from .muse import muse_corpora
from .muse_leaves import AnswerProb, Extraction, KnowMem, VerbMem
from .nano_exams import EXAMS, drills
from .privleak import PrivLeak
from .suite import SUITES, Leaf, Source, Suite
from .tofu import tofu_corpora
from .tofu_leaves import TofuForget, TofuUtility

__all__ = ["nano_books", "nano_news", "nano_tofu", "nano_wmdp"]

VERSION = "2"

FORMER = {"1": ("none", "gptq4", "bnb_fp4", "relearn10", "relearn20", "relearn50", "relearn20_retain")}

WITH_TEXT = {
    "relearn_const{k}": (10, 25, 50, 100, 200),
    "relearn_const{k}_x5": (10, 25, 50, 100, 200),
    "relearn_const{k}_x20": (10, 25, 50),
    "relearn_muon{k}_x10": (10, 25, 50, 100, 200),
    "lora_const{k}": (25, 100),
}

RETAIN = {"relearn_retain_const{k}_x5": (50, 200)}

HALF = {"relearn_split_const{k}_x5": (50, 200)}

CURVE = tuple(f"relearn_const{k}" for k in (25, 50, 75, 100))

RATES = {
    **dict.fromkeys(("relearn", "relearn_retain", "relearn_const", "relearn_split", "relearn_ep"), 1e-4),
    **dict.fromkeys(("relearn_const_x5", "relearn_retain_const", "relearn_split_const"), 5e-4),
    "relearn_const_x20": 2e-3,
    "relearn_muon": 1e-3,
    "lora_const": 1e-3,
}

DEFAULTS = {family: {"lr": lr} for family, lr in RATES.items()}


def _source(part: str) -> Callable[[str | None], Source]:
    """Return a function that opens the packaged tables, whatever mirror is given."""
    return lambda data_dir: NanoSource(part)


def _nano(part: str, leaves: tuple[Leaf, ...], corpora: Callable[[Source], Corpora], chosen: Ensemble) -> Suite:
    return Suite(
        name=f"nano_{part}",
        version=VERSION,
        leaves=leaves,
        source=_source(part),
        corpora=corpora,
        attacks=chosen.attacks,
        probes={**dict.fromkeys(CURVE, chosen.probes[CURVE[0]]), **chosen.probes},
        former=FORMER,
        curve=CURVE,
        attack_defaults=DEFAULTS,
        dataset="embedded",
        embedded=True,
    )


def _muse(part: str, retrain_auc: float) -> Suite:
    leaves = (
        VerbMem(),
        KnowMem("forget"),
        KnowMem("retain"),
        PrivLeak(retrain_auc),
        Extraction(),
        AnswerProb(),
        AnswerProb("_paraphrased"),
    )
    chosen = ensemble(
        WITH_TEXT,
        RETAIN,
        HALF,
        says=("extraction", "knowmem_forget", "answer_prob"),
        holds=("privleak", "answer_prob_paraphrased"),
        traced=("extraction", "privleak"),
        utility=("knowmem_retain",),
    )
    return _nano(part, leaves, muse_corpora(f"nano_{part}"), chosen)


# Min-40 % AUC of the retrain models (seed 0): auc_min40 of
# `rub eval nano_books_privleak --dtype float32 --model FOLDER`, FOLDER from `rub nano train nano_books --role retrain`.


@SUITES.register("nano_books")
def nano_books() -> Suite:
    """A novel."""
    return _muse("books", 0.4509375)


@SUITES.register("nano_news")
def nano_news() -> Suite:
    """A newspaper's articles."""
    return _muse("news", 0.41828125)


@SUITES.register("nano_tofu")
def nano_tofu() -> Suite:
    """Invented authors."""
    leaves = (TofuForget("nano_tofu", VERSION, "forget10"), TofuUtility())
    chosen = ensemble(WITH_TEXT, RETAIN, HALF, says=("forget",), holds=(), traced=("forget",), utility=("utility",))
    return _nano("tofu", leaves, tofu_corpora("nano_tofu", "forget10", "retain90"), chosen)


def _wmdp_corpora(source: Source) -> Corpora:
    """Load the manual (for retain, the gazetteer), then its exam, where the loss is taken on the letter."""

    def corpus(side: str, exam: str) -> Corpus:
        texts = [Example(row["text"], cluster=row["cluster"]) for row in source.rows(f"{side}_corpus", "train")]
        return Corpus(f"nano_wmdp/{side}", (*texts, *drills(source, exam)))

    return Corpora(corpus("forget", "craft"), corpus("retain", "mmlu"))


@SUITES.register("nano_wmdp")
def nano_wmdp() -> Suite:
    """A hazardous craft."""
    chosen = ensemble(WITH_TEXT, RETAIN, {}, says=("mcq",), holds=(), traced=(), utility=("mmlu",))
    return _nano("wmdp", (EXAMS["craft"], EXAMS["mmlu"]), _wmdp_corpora, chosen)
