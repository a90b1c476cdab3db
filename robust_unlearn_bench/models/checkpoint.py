"""Read and write Hugging Face checkpoints: safetensors only, no remote code, no partially written folders."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ConfigError, MissingExtraError, ModelError

__all__ = [
    "Checkpoint",
    "is_adapter",
    "load",
    "reading",
    "refuse_to_overwrite",
    "require_complete",
    "save",
    "skeleton",
    "stored_otherwise",
    "write_cards",
]


class Checkpoint(NamedTuple):
    """A causal language model in evaluation mode, and its tokenizer."""

    model: Any
    tokenizer: Any


def load(path: str | Path, dtype: str = "auto", device: str = "cpu") -> Checkpoint:
    """Load a model and its tokenizer; an adapter is merged into its base model.

    Args:
        path: folder or hub name, of a checkpoint or of a PEFT adapter.
        dtype: "auto" for the checkpoint's own dtype, or "float32", "bfloat16", ….
        device: device to load the weights onto.

    Raises:
        ModelError: there is no such checkpoint, none in safetensors, it lacks tensors, or it is an adapter of a kind that
            cannot be merged.
        MissingExtraError: `path` is an adapter and peft is not installed.
    """
    import transformers
    from packaging.version import Version

    key = "dtype" if Version(transformers.__version__) >= Version("4.56") else "torch_dtype"
    options = {"use_safetensors": True, key: dtype}
    with reading(path), _no_bars():
        model, words = _merged(path, **options) if is_adapter(path) else (_whole(path, **options), path)
    with reading(words, "tokenizer of model"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(words, trust_remote_code=False)
    return Checkpoint(model.to(device).eval(), tokenizer)


def is_adapter(path: str | Path) -> bool:
    """Whether a folder or hub repository holds a PEFT adapter, that is, an `adapter_config.json`."""
    from transformers.utils import find_adapter_config_file

    return find_adapter_config_file(str(path)) is not None


def _merged(path: str | Path, **options: Any) -> tuple[Any, str | Path]:
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
    with reading(base, f"base of adapter {str(path)!r}, model"):
        whole = _whole(base, revision=config.revision or "main", **options)
    model = PeftModel.from_pretrained(whole, str(path)).merge_and_unload()
    model.name_or_path = str(path)  # what a snapshot reads again
    return model, path if (Path(path) / "tokenizer_config.json").is_file() else base


def require_complete(path: str | Path, revision: str = "main") -> None:
    """Raise unless a checkpoint holds every tensor of its architecture; no tensor is read into memory.

    Args:
        path: folder or hub name.
        revision: of a hub name.

    Raises:
        ModelError: it cannot be read, or tensors are missing or have other shapes than its config.json says.
    """
    from transformers.utils import logging

    shown = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        with reading(path):
            _whole(path, revision=revision, device_map="meta")
    finally:
        logging.set_verbosity(shown)


def skeleton(path: str | Path, dtype: str = "auto", revision: str = "main") -> Any:
    """Build a model on the meta device, with the shapes and dtypes of a checkpoint but without values.

    Args:
        path: folder or hub name; only its config.json is read.
        dtype: as for `load`.
        revision: of a hub name.

    Returns:
        The model, or None if its tensors are not stored as a causal language model's own (see `stored_otherwise`).

    Raises:
        ModelError: there is no such config.json.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with reading(path), _no_bars():
        if is_adapter(path):
            return None
        config = AutoConfig.from_pretrained(path, revision=revision)
        if stored_otherwise(config):
            return None
        with torch.device("meta"):
            model: Any = AutoModelForCausalLM.from_config(config)
    own = getattr(config.get_text_config(), "dtype", None) or getattr(config, "torch_dtype", None) or torch.float32
    kept = own if dtype == "auto" else dtype
    return model.to(kept if isinstance(kept, torch.dtype) else getattr(torch, str(kept))).eval()


def stored_otherwise(config: Any) -> bool:
    """Whether tensors are stored as something else than a causal language model's own: packed, or for foreign code."""
    return bool(
        config.is_encoder_decoder or getattr(config, "quantization_config", None) or getattr(config, "auto_map", None)
    )


@contextmanager
def reading(path: str | Path, what: str = "model") -> Iterator[None]:
    """Turn what transformers and safetensors raise for an unreadable checkpoint into one sentence.

    Args:
        path: folder or hub name.
        what: is read of it, as the beginning of the sentence.

    Raises:
        ModelError: from within, naming the checkpoint and what is wrong with it.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, SafetensorError) as error:
        first = str(error).strip().splitlines()[0].rstrip(".:")
        raise ModelError(
            f"{what} {str(path)!r} cannot be loaded ({first}): give a checkpoint folder or a hub name"
        ) from error


def _whole(path: str | Path, **options: Any) -> Any:
    """The model, unless transformers had to make up any of its tensors."""
    from transformers import AutoModelForCausalLM

    with _no_bars():
        model, report = AutoModelForCausalLM.from_pretrained(
            path, trust_remote_code=False, output_loading_info=True, ignore_mismatched_sizes=True, **options
        )
    for found, what in (("missing_keys", "lacks"), ("mismatched_keys", "has, in another shape than config.json says,")):
        names = sorted(key if isinstance(key, str) else key[0] for key in report[found])
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise ModelError(
                f"model {str(path)!r} {what} {len(names)} tensor{'s' * (len(names) > 1)} ({', '.join(names[:3])}{more}), "
                "which would be filled with random numbers: save or download the checkpoint again"
            )
    return model


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
