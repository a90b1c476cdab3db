"""Read and write Hugging Face checkpoints: safetensors only, no remote code, never half a folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ConfigError, ModelError

__all__ = ["Checkpoint", "load", "reading", "refuse_to_overwrite", "require_complete", "save", "write_cards"]


class Checkpoint(NamedTuple):
    """A causal language model in evaluation mode, and its tokenizer."""

    model: Any
    tokenizer: Any


def load(path: str | Path, dtype: str = "auto", device: str = "cpu") -> Checkpoint:
    """Load a model and its tokenizer.

    Args:
        path: folder or hub name.
        dtype: "auto" for the checkpoint's own, or "float32", "bfloat16", ….
        device: where the weights go.

    Raises:
        ModelError: there is no such checkpoint, none in safetensors, or it lacks tensors.
    """
    import transformers
    from packaging.version import Version

    key = "dtype" if Version(transformers.__version__) >= Version("4.56") else "torch_dtype"
    with reading(path, "tokenizer of model"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(path, trust_remote_code=False)
    with reading(path):
        model = _whole(path, use_safetensors=True, **{key: dtype})
    return Checkpoint(model.to(device).eval(), tokenizer)


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

    folder = Path(path)
    if (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file():
        raise ModelError(
            f"model {str(path)!r} is a PEFT adapter, not a model: merge it into its base model first, or run lm_eval "
            f"with --model_args pretrained=BASE,peft={path}"
        )
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
        checkpoint: what to write.
        out: the folder; replaced when it exists.
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
