"""Forget and retain text, from a suite's corpora or a user's own files."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import ConfigError, DataError
from ..objectives.idk import REFUSALS
from ..suites import SUITES
from ..suites.corpus import Corpora, Corpus, Example

__all__ = ["corpora_for", "read_jsonl", "refuse_overlap", "with_refusals"]


def corpora_for(
    suite: str | None, forget: str | Path | None, retain: str | Path | None, data_dir: str | None = None
) -> Corpora:
    """Load forget and retain text, from files if given, else from the suite.

    Raises:
        ConfigError: a file is missing and no suite is named.
        DataError: a set is missing, malformed or empty.
    """
    if suite is None and (forget is None or retain is None):
        raise ConfigError(
            "there is no text to forget or to retain: name a suite in the recipe, or give --forget and --retain files"
        )
    known = SUITES[suite].corpora(SUITES[suite].source(data_dir)) if suite and not (forget and retain) else None
    chosen = [
        read_jsonl(path) if path is not None else getattr(known, side)
        for side, path in (("forget", forget), ("retain", retain))
    ]
    for corpus in chosen:
        if not corpus.examples:
            raise DataError(f"corpus {corpus.name} is empty: there is nothing to forget or to retain")
    return Corpora(*chosen)


def read_jsonl(path: str | Path) -> Corpus:
    """Read examples, one per line: {"text": …}, {"question": …, "answer": …} or {"prompt": …, "completion": …}.

    A question becomes the prompt "Question: …", newline, "Answer:", and its answer the completion.

    Raises:
        DataError: the file cannot be read, or a line has none of these forms.
    """
    try:
        lines = Path(path).expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    return Corpus(
        Path(path).name, tuple(_example(line, f"{path}, line {n}") for n, line in enumerate(lines, 1) if line)
    )


def _example(line: str, where: str) -> Example:
    try:
        row: Any = json.loads(line)
    except ValueError as error:
        raise DataError(f"{where}: not JSON ({error})") from error
    row = row if isinstance(row, dict) else {}
    cluster = str(row.get("cluster", ""))
    if isinstance(text := row.get("text"), str):
        return Example(text, cluster=cluster)
    for first, second in (("question", "answer"), ("prompt", "completion")):
        prompt, completion = row.get(first), row.get(second)
        if isinstance(prompt, str) and isinstance(completion, str):
            if first == "question":
                prompt, completion = f"Question: {prompt}\nAnswer:", f" {completion}"
            return Example(completion, prompt, cluster)
    raise DataError(f'{where}: write {{"text": …}}, {{"question": …, "answer": …}} or {{"prompt": …, "completion": …}}')


def refuse_overlap(corpora: Corpora, allowed: int = 0) -> int:
    """Return the number of forget examples that are also retain examples, ignoring differences in white space.

    Raises:
        DataError: there are more than `allowed`.
    """
    kept = {" ".join(text.split()) for text in corpora.retain.texts}
    count = sum(" ".join(text.split()) in kept for text in corpora.forget.texts)
    if count > allowed:
        raise DataError(
            f"{count} of {len(corpora.forget)} examples in {corpora.forget.name} are also in {corpora.retain.name}: "
            f"remove them, or allow this many"
        )
    return count


def with_refusals(objective: str, corpus: Corpus, seed: int) -> Sequence[Example]:
    """Return the corpus with every completion replaced by a refusal, drawn from the seed.

    Raises:
        DataError: an example has no prompt to refuse.
    """
    draw = random.Random(seed)
    refused = []
    for i, example in enumerate(corpus.examples):
        if not example.prompt:
            raise DataError(
                f"objective {objective} teaches refusals to questions, but example {i} of {corpus.name} is running "
                "text: choose another objective, or give question-answer pairs"
            )
        space = example.completion[: len(example.completion) - len(example.completion.lstrip())]
        refused.append(Example(space + draw.choice(REFUSALS), example.prompt, example.cluster))
    return refused
