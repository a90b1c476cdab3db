"""Everything that an answer depends on besides the weights: model settings, and an attack's texts and libraries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from torch import nn

from .. import __version__
from ..suites import Corpora
from ..suites.general import general_corpus
from .plan import Plan

__all__ = ["AttackKeys", "has_hooks", "setting"]

ANSWERING = ("torch", "transformers", "tokenizers", "lm-eval")
ATTACKING = ("bitsandbytes", "peft", "gptqmodel", "llmcompressor")
"""Libraries that only attacks call and that do not affect the unattacked model."""

OF_LM = (
    "add_bos_token",
    "prefix_token_id",
    "eot_token_id",
    "max_length",
    "softmax_dtype",
    "truncation",
    "device",
    "world_size",
    "rank",
)


def setting(lm: Any) -> str:
    """Compute the SHA-256 of the tokenizer, configurations, options of the lm-eval model, and library versions.

    Args:
        lm: lm-eval model with its weights in this process.
    """
    tokenizer = lm.tokenizer
    backend = getattr(tokenizer, "backend_tokenizer", None)
    parts = {
        "package": __version__,
        "versions": _versions(ANSWERING),
        "vocabulary": backend.to_str() if backend is not None else tokenizer.get_vocab(),
        "special tokens": tokenizer.special_tokens_map,
        "config": _entries(lm.model.config),
        "attention": getattr(lm.model.config, "_attn_implementation", None),
        "generation": _entries(getattr(lm.model, "generation_config", None)),
        "lm": {name: str(getattr(lm, name, None)) for name in OF_LM},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _entries(config: Any) -> dict[str, Any]:
    """Return the entries of a Hugging Face configuration, except the folder that it was loaded from."""
    return {key: value for key, value in config.to_dict().items() if key != "_name_or_path"} if config else {}


def _versions(packages: Sequence[str]) -> dict[str, str | None]:
    return {package: _installed(package) for package in packages}


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def has_hooks(model: nn.Module) -> bool:
    """Return whether any module runs forward hooks, which can change every answer and cannot be hashed."""
    return any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


class AttackKeys:
    """Cache keys of the attacks of one session; each corpus is read once, however many attacks use it."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], list[Any]] = {}
        self._texts: dict[tuple[str, str | None], list[str]] = {}

    def of(self, plan: Plan) -> list[Any]:
        """Return the parameters, content hashes and library versions of an attack; just ["none"] without an attack.

        Raises:
            DataError: a text that the attack reads is missing or malformed.
        """
        if plan.spec.is_none:
            return ["none"]
        if plan.key not in self._known:
            texts = [step.own_text() for step in plan.spec.steps]
            own = [text.sha256 if text is not None else None for text in texts]
            self._known[plan.key] = [plan.spec.config, self._context(plan), own, _versions(ATTACKING)]
        return self._known[plan.key]

    def _context(self, plan: Plan) -> list[str]:
        """Return the hashes of the texts that every attack on the suite's data receives."""
        where = (plan.suite.name if plan.suite else "", plan.data_dir)
        if where not in self._texts:
            corpora: Corpora | None = plan.corpora()
            of_suite = [corpora.forget.sha256, corpora.retain.sha256] if corpora else []
            self._texts[where] = [*of_suite, general_corpus().sha256]
        return self._texts[where]
