"""Train the two models of a nano suite: the target and the retrain model, which never saw the forget set.

Each is a Llama of four million parameters, trained from scratch in a minute or two on two cores. Finished models are
kept in the cache, under a name derived from everything that they depend on.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import multiprocessing
import os
import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import UnknownNameError
from ..models import checkpoint as checkpoints
from ..paths import cache_dir
from ..suites.corpus import Corpus
from ..world import tokenizer as words
from ..world.source import NanoSource
from .lessons import Role, lessons

__all__ = ["COURSES", "SHAPES", "Course", "Shape", "is_trained", "train", "train_several"]

Progress = Callable[[int, int, str], None]

VERSION = 2
"""Version of the training; increased whenever training changes in a way that the cache key does not reflect."""

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
    """Training of one stage: Muon, cosine to 0 after a warm-up of 5 %, fp32 weights under bf16 autocast.

    Attributes:
        steps: optimizer steps, the same for both roles, so the retrain model reads its smaller text more often.
        batch: sequences per step.
        lr: peak learning rate.
    """

    steps: int
    batch: int = 8
    lr: float = 3e-3


COURSES: Mapping[str, tuple[Course, ...]] = {
    "books": (Course(320), Course(20, batch=32, lr=3e-4)),
    "news": (Course(320), Course(20, batch=32, lr=3e-4)),
    "tofu": (Course(400, batch=32),),
    "wmdp": (Course(160), Course(100, batch=32, lr=1e-3)),
}
"""Part of the world → one course for each stage of its lessons."""


def train(
    suite: str,
    role: Role,
    seed: int = 0,
    *,
    dose: float = 1.0,
    progress: Progress = lambda done, total, what: None,
) -> Path:
    """Train one model, or find it in the cache.

    Args:
        suite: "nano_books", "nano_news", "nano_tofu" or "nano_wmdp".
        role: "target" or "retrain".
        seed: seed of the weights and of the data order.
        dose: share of the forget text that a target learns, see `lessons`.
        progress: called with (steps done, total steps, description of the loss).

    Returns:
        The checkpoint's folder in the cache.

    Raises:
        UnknownNameError: there is no such suite.
    """
    plan = _plan(suite, role, seed, dose)
    if not plan.folder.is_dir():
        shape = SHAPES[plan.size]
        checkpoint = checkpoints.Checkpoint(_blank(shape, seed), words.load(shape.window))
        before = 0
        for course, corpus in plan.stages:
            _fit(checkpoint, corpus, course, seed, partial(_from, before, _steps(suite), progress))
            before += course.steps
        _place(checkpoint, plan.card, plan.folder)
    return plan.folder


def is_trained(suite: str, role: Role, seed: int = 0) -> bool:
    """Return whether the cache holds this model."""
    return _plan(suite, role, seed).folder.is_dir()


class _Plan(NamedTuple):
    """Training text of a model, and the folder of the result."""

    size: str
    stages: list[tuple[Course, Corpus]]
    card: dict[str, Any]
    folder: Path


def _plan(suite: str, role: Role, seed: int, dose: float = 1.0) -> _Plan:
    size, part = _split(suite)
    source = NanoSource(part, size)
    stages = [(course, _text(source, role, seed, i, course, dose)) for i, course in enumerate(COURSES[part])]
    card = {
        "suite": suite,
        "role": role,
        "seed": seed,
        "version": VERSION,
        "shape": asdict(SHAPES[size]),
        "courses": [asdict(course) for course, _ in stages],
        "data": [corpus.sha256 for _, corpus in stages],
        "tokenizer": hashlib.sha256(words.FILE.read_bytes()).hexdigest(),
        **({"dose": dose} if dose < 1 else {}),
    }
    digest = hashlib.sha256(json.dumps(card, sort_keys=True).encode()).hexdigest()[:12]
    return _Plan(size, stages, card, cache_dir() / "nano" / f"{suite}-{role}-{digest}")


def _from(before: int, total: int, progress: Progress, done: int, _: int, what: str) -> None:
    """Report the progress of one stage as progress of the whole run."""
    progress(before + done, total, what)


def train_several(
    models: Sequence[tuple[str, Role]], seed: int = 0, *, progress: Progress = lambda done, total, what: None
) -> list[Path]:
    """Train several models, two at a time on half the cores each: models of this size gain little from more cores.

    Args:
        models: suite and role of each model.
        seed: seed of the weights and of the data order.
        progress: called with (steps done, total steps, description of model and loss).

    Returns:
        Folders of the models in the cache.

    Raises:
        UnknownNameError: there is no such suite.
    """
    cores = os.cpu_count() or 1
    if min(cores, len(models)) < 2:
        return [train(suite, role, seed=seed, progress=progress) for suite, role in models]
    spawn = multiprocessing.get_context("spawn")
    told = spawn.SimpleQueue()
    done, total = dict.fromkeys(models, 0), sum(_steps(suite) for suite, _ in models)
    with spawn.Pool(2, _one_of_two, (told, cores // 2)) as pool:
        running = pool.map_async(_train_one, [(suite, role, seed) for suite, role in models], chunksize=1)
        while not running.ready():
            running.wait(0.2)
            while not told.empty():
                model, done[model], what = told.get()
                progress(sum(done.values()), total, f"{' '.join(model)}, {what}")
        return running.get()


def _steps(suite: str) -> int:
    return sum(course.steps for course in COURSES[_split(suite)[1]])


def _split(suite: str) -> tuple[str, str]:
    """Split the name of a suite into size and part of the world."""
    size, _, part = suite.partition("_")
    if size not in SHAPES or part not in COURSES:
        raise UnknownNameError("nano suite", suite, [f"{s}_{p}" for s in SHAPES for p in COURSES])
    return size, part


def _one_of_two(told: Any, threads: int) -> None:
    """Set up a process of `train_several`."""
    import torch

    torch.set_num_threads(threads)
    global _told
    _told = told


_told: Any = None


def _train_one(model: tuple[str, Role, int]) -> Path:
    suite, role, seed = model
    return train(suite, role, seed=seed, progress=lambda done, _, what: _told.put(((suite, role), done, what)))


def _text(source: NanoSource, role: Role, seed: int, stage: int, course: Course, dose: float) -> Corpus:
    """Return as many examples as a stage uses."""
    epochs = lessons(source, role, random.Random(f"{seed}/{role}"), stage, dose)
    examples = itertools.islice(itertools.chain.from_iterable(epochs), course.steps * course.batch)
    return Corpus(f"{source}/{role}/{stage}", tuple(examples))


def _fit(checkpoint: checkpoints.Checkpoint, text: Corpus, course: Course, seed: int, progress: Progress) -> None:
    """Train one stage."""
    from ..training.finetune import FinetuneConfig, finetune

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
    """Return an untrained model, with weights drawn without touching the global generator."""
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
    """Move a model into the cache atomically; if another process was faster, its model stays."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as scratch:
        made = checkpoints.save(checkpoint, Path(scratch) / folder.name, {CARD: card})
        try:
            made.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
