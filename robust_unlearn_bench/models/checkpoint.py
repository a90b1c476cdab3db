"""Read and write Hugging Face checkpoints: safetensors only, no remote code, no partially written folders."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ConfigError, ModelError

__all__ = ["Checkpoint", "load", "refuse_to_overwrite", "save", "write_cards"]


class Checkpoint(NamedTuple):
    """A causal language model in evaluation mode, and its tokenizer."""

    model: Any
    tokenizer: Any


def load(path: str | Path, dtype: str = "auto", device: str = "cpu") -> Checkpoint:
    """Load a model and its tokenizer.

    Args:
        path: checkpoint folder or hub name.
        dtype: "auto" for the checkpoint's own dtype, or "float32", "bfloat16", ….
        device: device to load the weights onto.

    Raises:
        ModelError: the checkpoint does not exist or has no safetensors weights.
    """
    import transformers
    from packaging.version import Version

    key = "dtype" if Version(transformers.__version__) >= Version("4.56") else "torch_dtype"
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(path, trust_remote_code=False)
        with _no_bars():
            model = transformers.AutoModelForCausalLM.from_pretrained(
                path, use_safetensors=True, trust_remote_code=False, **{key: dtype}
            )
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise ModelError(f"model {str(path)!r} cannot be loaded ({first}): give a folder or a hub name") from error
    return Checkpoint(model.to(device).eval(), tokenizer)


@contextmanager
def _no_bars() -> Iterator[None]:
    """Disable transformers' own progress bars, which would overwrite ours."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def refuse_to_overwrite(out: Path) -> None:
    """Raise unless a folder is absent or empty.

    Raises:
        ConfigError: the folder is not empty.
    """
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"{out} is not empty: choose another --out, so that no checkpoint is overwritten")


def save(checkpoint: Checkpoint, out: Path, cards: Mapping[str, Any]) -> Path:
    """Write a checkpoint with JSON cards beside it, in a scratch folder that is renamed when complete.

    Args:
        checkpoint: model and tokenizer to write.
        out: destination folder, replaced if it exists.
        cards: content of each JSON card by file name.
    """
    scratch = out.with_name(f".{out.name}.part")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    with _no_bars():
        checkpoint.model.save_pretrained(scratch)
    checkpoint.tokenizer.save_pretrained(scratch)
    write_cards(scratch, cards)
    shutil.rmtree(out, ignore_errors=True)
    scratch.rename(out)
    return out


def write_cards(folder: Path, cards: Mapping[str, Any]) -> Path:
    """Write JSON cards, given by file name, into a folder and return the folder."""
    for name, card in cards.items():
        (folder / name).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return folder
