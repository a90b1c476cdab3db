"""Train the two models of a nano suite: the target, which knows all, and the retrain model, which never saw the forget set.

A Llama of four million parameters, from scratch, in a minute or two on two cores. Finished models lie in the cache,
under a name that depends on everything they depend on.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import checkpoints
from ..errors import UnknownNameError
from ..paths import cache_dir
from ..suites.suite import Corpus
from . import tokenizer as words
from .lessons import Role, lessons
from .source import NanoSource

__all__ = ["COURSES", "SHAPES", "Course", "Shape", "train", "train_all"]

Progress = Callable[[int, int, str], None]

VERSION = 2
"""Raised when training changes in a way that the cache key does not see."""

CARD = "nano.json"


@dataclass(frozen=True, slots=True)
class Shape:
    """Size of the Llama.

    Attributes:
        hidden: width; the feed-forward layer is 8/3 as wide.
        layers: number of blocks.
        heads: attention heads.
        window: context length in tokens.
    """

    hidden: int = 256
    layers: int = 4
    heads: int = 4
    window: int = 512


SHAPES: Mapping[str, Shape] = {"nano": Shape(), "micro": Shape(768, 12, 12, 1024)}
"""Size of the world → shape of its models (4.2 and 88 million parameters)."""


@dataclass(frozen=True, slots=True)
class Course:
    """How a model is trained: Muon, cosine to 0 after a warm-up of 5 %, fp32 weights under bf16 autocast.

    Attributes:
        steps: optimizer steps; as many for both roles, so the retrain model reads its smaller text more often.
        batch: sequences a step.
        lr: peak learning rate.
    """

    steps: int = 320
    batch: int = 8
    lr: float = 3e-3


COURSES: Mapping[str, tuple[Course, ...]] = {
    "books": (Course(),),
    "news": (Course(400),),
    "tofu": (Course(400, batch=32),),
    "wmdp": (Course(160), Course(100, batch=32, lr=1e-3)),
}
"""Part of the world → a course for each stage of its lessons."""


def train(
    suite: str,
    role: Role,
    out: Path | None = None,
    seed: int = 0,
    *,
    progress: Progress = lambda done, total, what: None,
) -> Path:
    """Train one model, or find it in the cache.

    Args:
        suite: "nano_books", "nano_news", "nano_tofu" or "nano_wmdp".
        role: "target" or "retrain".
        out: also copy the checkpoint here.
        seed: of the weights and of the data order.
        progress: called with (steps done, steps in all, loss in words).

    Returns:
        The checkpoint's folder: `out` when given, else the one in the cache.

    Raises:
        UnknownNameError: no such suite.
    """
    size, _, part = suite.partition("_")
    if size not in SHAPES or part not in COURSES:
        raise UnknownNameError("nano suite", suite, [f"{s}_{p}" for s in SHAPES for p in COURSES])
    courses, source = COURSES[part], NanoSource(part, size)
    text = [_text(source, role, seed, stage, course) for stage, course in enumerate(courses)]
    card = {
        "suite": suite,
        "role": role,
        "seed": seed,
        "version": VERSION,
        "shape": asdict(SHAPES[size]),
        "courses": [asdict(course) for course in courses],
        "data": [corpus.sha256 for corpus in text],
        "tokenizer": hashlib.sha256(words.FILE.read_bytes()).hexdigest(),
    }
    digest = hashlib.sha256(json.dumps(card, sort_keys=True).encode()).hexdigest()[:12]
    folder = cache_dir() / "nano" / f"{suite}-{role}-{digest}"
    if not folder.is_dir():
        checkpoint = checkpoints.Checkpoint(_blank(SHAPES[size], seed), words.load(SHAPES[size].window))
        done, steps = 0, sum(course.steps for course in courses)
        for course, corpus in zip(courses, text, strict=True):
            _fit(checkpoint, corpus, course, seed, lambda at, _, what, done=done: progress(done + at, steps, what))
            done += course.steps
        _place(checkpoint, card, folder)
    if out is None:
        return folder
    checkpoints.refuse_to_overwrite(out)
    return Path(shutil.copytree(folder, out, dirs_exist_ok=True))


def train_all(seed: int = 0, *, progress: Progress = lambda done, total, what: None) -> dict[str, dict[Role, Path]]:
    """Train both models of every nano suite; returns suite → role → folder."""
    roles: tuple[Role, ...] = ("target", "retrain")
    return {
        f"nano_{part}": {role: train(f"nano_{part}", role, seed=seed, progress=progress) for role in roles}
        for part in COURSES
    }


def _text(source: NanoSource, role: Role, seed: int, stage: int, course: Course) -> Corpus:
    """As many examples as a stage takes."""
    epochs = lessons(source, role, random.Random(f"{seed}/{role}"), stage)
    examples = itertools.islice(itertools.chain.from_iterable(epochs), course.steps * course.batch)
    return Corpus(f"{source}/{role}/{stage}", tuple(examples))


def _fit(checkpoint: checkpoints.Checkpoint, text: Corpus, course: Course, seed: int, progress: Progress) -> None:
    """Teach one stage."""
    from ..unlearn.finetune import FinetuneConfig, finetune

    config = FinetuneConfig(
        epochs=1,
        lr=course.lr,
        batch_size=course.batch,
        schedule="cosine",
        warmup=0.05,
        optimizer="muon",
        precision="bf16_autocast",
        seed=seed,
        pool=1,
    )
    finetune(checkpoint.model, checkpoint.tokenizer, text.examples, config, progress=progress)
    checkpoint.model.eval()


def _blank(shape: Shape, seed: int) -> Any:
    """Untrained weights, drawn without touching the global generator."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=words.VOCABULARY,
        hidden_size=shape.hidden,
        intermediate_size=shape.hidden * 8 // 3 // 32 * 32,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=shape.window,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


def _place(checkpoint: checkpoints.Checkpoint, card: dict[str, Any], folder: Path) -> None:
    """Into the cache, whole or not at all; whoever comes second keeps the first one's."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as scratch:
        made = checkpoints.save(checkpoint, Path(scratch) / folder.name, {CARD: card})
        try:
            made.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
