"""The model that lm-eval is asked to load, or has loaded: a whole checkpoint, or an adapter on one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import MissingExtraError, ModelError
from ..models.checkpoint import reading, require_complete, stored_otherwise

__all__ = ["refuse_incomplete", "refuse_unreadable", "with_adapter"]


def with_adapter(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return lm-eval's model arguments with a PEFT adapter folder replaced by its base model and `peft=` the folder.

    Args:
        arguments: lm-eval's model arguments.

    Raises:
        MissingExtraError: the model is an adapter and peft is not installed.
        ModelError: the folder names no base model.
    """
    name = arguments.get("pretrained")
    if not isinstance(name, (str, Path)) or "peft" in arguments:  # lm-eval also takes a loaded model
        return dict(arguments)
    config = Path(name) / "adapter_config.json"
    if not config.is_file():
        return dict(arguments)
    if find_spec("peft") is None:
        raise MissingExtraError("peft", "peft", f"adapter {name}")
    base = json.loads(config.read_text(encoding="utf-8")).get("base_model_name_or_path")
    if not base:
        raise ModelError(f"adapter {name} names no base model: add base_model_name_or_path to its adapter_config.json")
    words = {"tokenizer": name} if (config.parent / "tokenizer_config.json").is_file() else {}
    return {**arguments, "pretrained": base, "peft": name, **words}


def refuse_unreadable(arguments: Mapping[str, Any]) -> None:
    """Say in one sentence, before anything is loaded, that a model is nowhere, damaged or incomplete.

    Args:
        arguments: lm-eval's model arguments; those that lead to other files than a plain checkpoint's are lm-eval's.

    Raises:
        ModelError: naming the model and what is wrong with it.
    """
    from transformers import AutoConfig, AutoTokenizer

    name = arguments.get("pretrained")
    if not isinstance(name, str) or arguments.keys() & {"gguf_file", "subfolder", "trust_remote_code"}:
        return
    revision = str(arguments.get("revision", "main"))
    with reading(name):
        config = AutoConfig.from_pretrained(name, revision=revision)
    with reading(name, "tokenizer of model"):
        AutoTokenizer.from_pretrained(arguments.get("tokenizer") or name, revision=revision)
    if not stored_otherwise(config):
        require_complete(name, revision)


def refuse_incomplete(lm: Any) -> None:
    """Refuse a folder that lacks tensors, which transformers filled with random numbers when lm-eval loaded it.

    Args:
        lm: an lm-eval model with its weights in this process.

    Raises:
        ModelError: naming the folder and a few of the missing tensors.
    """
    source = getattr(lm, "pretrained", None)
    if not isinstance(source, str) or not any(Path(source).glob("*.safetensors")):
        return
    if not stored_otherwise(lm.model.config):
        require_complete(source)
