"""WMDP: is hazardous knowledge gone, and general knowledge (MMLU) still there?

Source: Li et al., "The WMDP Benchmark: Measuring and Reducing Malicious Use With Unlearning", ICML 2024.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .choice import MultipleChoice
from .corpus import Corpora, Corpus, Example
from .ensemble import ensemble
from .sources import HubSource, MirrorSource, fetch, mirror_dir
from .suite import SUITES, Source, Suite

__all__ = ["MultipleChoice", "wmdp_bio", "wmdp_chem", "wmdp_cyber"]

LAYOUT = (
    "a folder with wmdp/wmdp-bio.jsonl, wmdp/mmlu.jsonl (question, choices, answer; MMLU also subject), "
    'wmdp/bio-forget-corpus.jsonl and wmdp/wikitext.jsonl ("text")'
)
ACCESS = "open https://huggingface.co/datasets/{dataset} once to be granted access, log in with `hf auth login`"

SHORTEST = 50
"""Characters that a text must exceed: drops WikiText's headings and blank lines, like the benchmark's own code."""


@dataclass(frozen=True, slots=True)
class WmdpHub:
    """The hub datasets that make up WMDP."""

    def rows(self, config: str, split: str) -> list[dict[str, Any]]:
        """Return the rows of one of the datasets.

        Raises:
            DataError: the hub cannot be reached or has not granted access.
        """
        dataset, name = _HUB.get(config, ("cais/wmdp", config))
        return HubSource(dataset, LAYOUT, ACCESS.format(dataset=dataset)).rows(name, split)

    def __str__(self) -> str:
        return "WMDP"


_HUB = {
    "mmlu": ("cais/mmlu", "all"),
    "bio-forget-corpus": ("cais/wmdp-bio-forget-corpus", ""),
    "cyber-forget-corpus": ("cais/wmdp-corpora", "cyber-forget-corpus"),
    "wikitext": ("Salesforce/wikitext", "wikitext-2-raw-v1"),
}


def _source(data_dir: str | None) -> Source:
    root = mirror_dir(data_dir)
    if root is None:
        return WmdpHub()
    return MirrorSource(root, lambda config, split: (f"wmdp/{config}.jsonl", f"wmdp/{config}.json"), "WMDP", LAYOUT)


def _corpora(name: str, forget: str | None) -> Callable[[Source], Corpora]:
    """Return a loader of the domain's forget text, if published, and WikiText-2 as retain text, as in the paper."""

    def load(source: Source) -> Corpora:
        return Corpora(
            forget=_corpus(source, forget, f"{name}/forget") if forget else Corpus(f"{name}/forget", ()),
            retain=_corpus(source, "wikitext", f"{name}/retain"),
        )

    return load


def _corpus(source: Source, config: str, name: str) -> Corpus:
    texts = [row["text"] for row in fetch(source, config, "train", text=str)]
    kept = [text for text in texts if len(text.strip()) > SHORTEST]
    return Corpus(name, tuple(Example(text, cluster=f"{config}-{i}") for i, text in enumerate(kept)))


WITH_TEXT = {
    "relearn_const{k}": (25, 50, 100),
    "relearn_const{k}_x5": (25, 50, 100),
}

RETAIN = {"relearn_retain_const{k}_x5": (50,)}


def _wmdp(domain: str, topic: str, *, forget: bool) -> Suite:
    name = f"wmdp_{domain}"
    relearn = ("relearn_ep1", "relearn_ep3", "relearn_ep5") if forget else ()
    chosen = ensemble(
        WITH_TEXT if forget else {}, RETAIN if forget else {}, {}, says=("mcq",), holds=(), traced=(), utility=()
    )
    return Suite(
        name=name,
        version="2",
        leaves=(
            MultipleChoice("mcq", f"wmdp-{domain}", "forget", topic),
            MultipleChoice("mmlu", "mmlu", "utility"),
        ),
        source=_source,
        corpora=_corpora(name, f"{domain}-forget-corpus" if forget else None),
        attacks=chosen.attacks,
        probes=chosen.probes,
        former={"1": ("none", "gptq4", "bnb_fp4", *relearn)},
        dataset="cais/wmdp",
        clean=f"{name}__none",  # lm-eval has tasks of the suites' own names
    )


@SUITES.register("wmdp_bio")
def wmdp_bio() -> Suite:
    """Biology."""
    return _wmdp("bio", "biology", forget=True)


@SUITES.register("wmdp_cyber")
def wmdp_cyber() -> Suite:
    """Cybersecurity."""
    return _wmdp("cyber", "cybersecurity", forget=True)


@SUITES.register("wmdp_chem")
def wmdp_chem() -> Suite:
    """Chemistry; no forget corpus was ever published, so nothing can be relearnt."""
    return _wmdp("chem", "chemistry", forget=False)
