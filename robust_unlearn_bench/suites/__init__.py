"""What is forgotten: suites, their leaves and their data. `SUITES` maps a name to a `Suite`."""

from __future__ import annotations

from ..registry import Registry
from .corpus import Corpora, Corpus, Example
from .suite import Leaf, Metric, Request, Source, Suite

__all__ = ["SUITES", "Corpora", "Corpus", "Example", "Leaf", "Metric", "Request", "Source", "Suite"]

SUITES: Registry[Suite] = Registry(
    "suite",
    lazy={
        "muse_books": "robust_unlearn_bench.suites.muse:MUSE_BOOKS",
        "muse_news": "robust_unlearn_bench.suites.muse:MUSE_NEWS",
        **{
            f"muse_news_{kind}{k}": f"robust_unlearn_bench.suites.muse_folds:MUSE_NEWS_{kind.upper()}{k}"
            for kind in ("scal", "sust")
            for k in (1, 2, 3, 4)
        },
        "tofu_forget01": "robust_unlearn_bench.suites.tofu:TOFU_FORGET01",
        "tofu_forget05": "robust_unlearn_bench.suites.tofu:TOFU_FORGET05",
        "tofu_forget10": "robust_unlearn_bench.suites.tofu:TOFU_FORGET10",
        "wmdp_bio": "robust_unlearn_bench.suites.wmdp:WMDP_BIO",
        "wmdp_cyber": "robust_unlearn_bench.suites.wmdp:WMDP_CYBER",
        "wmdp_chem": "robust_unlearn_bench.suites.wmdp:WMDP_CHEM",
        "nano_books": "robust_unlearn_bench.suites.nano_suites:NANO_BOOKS",
        "nano_news": "robust_unlearn_bench.suites.nano_suites:NANO_NEWS",
        "nano_tofu": "robust_unlearn_bench.suites.nano_suites:NANO_TOFU",
        "nano_wmdp": "robust_unlearn_bench.suites.nano_suites:NANO_WMDP",
    },
)
