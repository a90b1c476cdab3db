"""From examples to token ids with a scored part: the one place where training text is tokenised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import DataError
from ..suites.corpus import Example

__all__ = ["Encoded", "encode"]


@dataclass(frozen=True, slots=True)
class Encoded:
    """One training sequence.

    Attributes:
        ids: token ids, the first of them the prefix token (BOS) where the tokenizer has one.
        start: the loss falls on ids[start:]; at least 1, because nothing predicts the first token.
        source: position of the example that the sequence was cut from.
        cut: tokens of the example that found no room in the window.
    """

    ids: tuple[int, ...]
    start: int
    source: int
    cut: int = 0


def encode(examples: Sequence[Example], tokenizer: Any, window: int) -> list[Encoded]:
    """Tokenise examples in order.

    Running text (no prompt) is cut into consecutive windows of at most `window` tokens, each prefixed by BOS, without
    EOS; every token after BOS is scored. A prompt with its completion becomes BOS + prompt + completion + EOS, where
    the completion and EOS are scored; when that is longer than the window, the prompt loses tokens on its left, then
    the completion on its right.

    Args:
        examples: prompt and completion; prompt "" stands for running text.
        tokenizer: a Hugging Face tokenizer; its own special-token template is not used.
        window: longest sequence, in tokens.

    Returns:
        One sequence per pair and one per window of running text.

    Raises:
        DataError: an example has nothing to score, or the window is shorter than two tokens.

    Source: prompt and completion are separated as lm-eval's `_encode_pair` does, so that training and evaluation see
        the same tokens: whitespace at the end of the prompt moves to the completion, and the completion's tokens are
        those of the joint text after as many as the prompt has alone.
    """
    if window < 2:
        raise DataError(f"a window of {window} tokens has no room for text: give at least 2")
    prefix = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    head = () if prefix is None else (int(prefix),)
    tail = () if tokenizer.eos_token_id is None else (int(tokenizer.eos_token_id),)
    prompts = [example.prompt.rstrip() for example in examples]
    wholes = _ids(tokenizer, [example.prompt + example.completion for example in examples])
    contexts = _ids(tokenizer, prompts)
    sequences: list[Encoded] = []
    for source, (example, whole, context) in enumerate(zip(examples, wholes, contexts, strict=True)):
        if example.prompt == "":
            sequences += _windows(head, whole, window, source)
        else:
            sequences.append(_pair(head, context, (*whole[len(context) :], *tail), window, source))
        if not sequences or sequences[-1].source != source or sequences[-1].start >= len(sequences[-1].ids):
            raise DataError(f"example {source} has no token to learn (text {example.completion[:40]!r}): remove it")
    return sequences


def _ids(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    if not texts:
        return []
    ids: list[list[int]] = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    return ids


def _windows(head: tuple[int, ...], text: list[int], window: int, source: int) -> list[Encoded]:
    room = window - len(head)
    cuts = (text[at : at + room] for at in range(0, len(text), room))
    return [Encoded((*head, *part), start=1, source=source) for part in cuts if len(head) + len(part) > 1]


def _pair(head: tuple[int, ...], prompt: list[int], completion: tuple[int, ...], window: int, source: int) -> Encoded:
    kept = completion[: window - len(head)]
    room = window - len(head) - len(kept)
    context = prompt[len(prompt) - room :] if room < len(prompt) else prompt
    ids = (*head, *context, *kept)
    cut = len(prompt) + len(completion) - len(context) - len(kept)
    return Encoded(ids, start=max(1, len(head) + len(context)), source=source, cut=cut)
