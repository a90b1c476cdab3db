"""Read and write Hugging Face checkpoints: safetensors only, no remote code, never half a folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ConfigError, MissingExtraError, ModelError

__all__ = ["Checkpoint", "is_adapter", "load", "refuse_to_overwrite", "save", "write_cards"]


class Checkpoint(NamedTuple):
    """A causal language model in evaluation mode, and its tokenizer."""

    model: Any
    tokenizer: Any


def load(path: str | Path, dtype: str = "auto", device: str = "cpu") -> Checkpoint:
    """Load a model and its tokenizer; an adapter is merged into its base model.

    Args:
        path: folder or hub name, of a checkpoint or of a PEFT adapter.
        dtype: "auto" for the checkpoint's own, or "float32", "bfloat16", ….
        device: device of the weights.

    Raises:
        ModelError: there is no such checkpoint, none in safetensors, or an adapter of a kind that cannot be merged.
        MissingExtraError: `path` is an adapter and peft is not installed.
    """
    import transformers

    try:
        with _no_bars():
            if is_adapter(path):
                model, words = _merged(path, dtype)
            else:
                model, words = _whole(path, dtype), path
        tokenizer = transformers.AutoTokenizer.from_pretrained(words, trust_remote_code=False)
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise ModelError(f"model {str(path)!r} cannot be loaded ({first}): give a folder or a hub name") from error
    return Checkpoint(model.to(device).eval(), tokenizer)


def is_adapter(path: str | Path) -> bool:
    """Whether a folder or hub repository holds a PEFT adapter, that is, an `adapter_config.json`."""
    from transformers.utils import find_adapter_config_file

    return find_adapter_config_file(str(path)) is not None


def _whole(path: str | Path, dtype: str, revision: str | None = None) -> Any:
    import transformers
    from packaging.version import Version

    key = "dtype" if Version(transformers.__version__) >= Version("4.56") else "torch_dtype"
    return transformers.AutoModelForCausalLM.from_pretrained(
        path, revision=revision or "main", use_safetensors=True, trust_remote_code=False, **{key: dtype}
    )


def _merged(path: str | Path, dtype: str) -> tuple[Any, str | Path]:
    """Base model with the adapter's changes in its weights, and where its tokenizer is: with the adapter, else the base."""
    from transformers.utils import cached_file

    try:
        from peft import PeftConfig, PeftModel
    except ImportError as error:
        raise MissingExtraError("peft", "peft", f"adapter {path}") from error
    config = PeftConfig.from_pretrained(str(path))
    if config.is_prompt_learning:
        raise ModelError(f"{path} is an adapter of type {config.peft_type}, which cannot be merged: give a whole model")
    cached_file(str(path), "adapter_model.safetensors")  # an OSError where there are only pickled weights
    base = config.base_model_name_or_path
    model = PeftModel.from_pretrained(_whole(base, dtype, config.revision), str(path)).merge_and_unload()
    model.name_or_path = str(path)  # what a snapshot reads again
    return model, path if (Path(path) / "tokenizer_config.json").is_file() else base


@contextmanager
def _no_bars() -> Iterator[None]:
    """Without transformers' own progress bars, which would write over ours."""
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
        ConfigError: it holds something.
    """
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"{out} is not empty: choose another --out, so that no checkpoint is overwritten")


def save(checkpoint: Checkpoint, out: Path, cards: Mapping[str, Any]) -> Path:
    """Write a checkpoint with JSON cards beside it, in a scratch folder that is renamed when complete.

    Args:
        checkpoint: model and tokenizer to write.
        out: the folder; replaced where it exists.
        cards: file name → content.
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
    """Write JSON cards, file name → content, into a folder and return it."""
    for name, card in cards.items():
        (folder / name).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return folder
