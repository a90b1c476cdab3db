"""Tokenisation of text, in one place for both training and evaluation.

A sequence begins the way the tokenizer itself begins a text: with BOS for Llama, Gemma and Mistral, with nothing for
Qwen, Pythia and OLMo. Other benchmarks measure this way, and models of the second kind were trained this way. After
BOS, every token of a text is predicted. Without BOS, the first token is not: running text is scored from its second
token on, in training as in evaluation, whereas a completion after a prompt is scored in full.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..errors import DataError
from ..suites.corpus import Example

__all__ = ["Encoded", "Tokens", "encode", "prefix_ids", "tokenise"]


class Tokens(NamedTuple):
    """Token ids of a text in two parts.

    Attributes:
        context: tokens of the prefix (see `prefix_ids`) and the prompt; empty if there is neither.
        completion: tokens that follow; without a prompt, the whole text.
    """

    context: list[int]
    completion: list[int]


def prefix_ids(tokenizer: Any) -> list[int]:
    """Return the tokens that a tokenizer puts before every text: [BOS] or none.

    Args:
        tokenizer: a Hugging Face tokenizer.
    """
    text = "0"
    bare: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    whole: list[int] = tokenizer(text, add_special_tokens=True)["input_ids"]
    return whole[: next(at for at in range(len(whole)) if whole[at : at + len(bare)] == bare)]


def tokenise(pairs: Sequence[tuple[str, str]], tokenizer: Any) -> list[Tokens]:
    """Tokenise prompts with their completions.

    Prompt and completion are tokenised as one text, which is split after as many tokens as the prompt has on its own;
    whitespace at the end of the prompt goes to the completion. A text that already begins with the prefix (a chat
    template writes BOS itself) gets no second one. Nothing is appended to a text, whatever the tokenizer's template.

    Args:
        pairs: pairs of prompt and completion; the prompt is "" for running text.
        tokenizer: a Hugging Face tokenizer.

    Source: the split between prompt and completion is that of lm-eval's `_encode_pair`.
    """
    prefix = prefix_ids(tokenizer)
    wholes = _bare(tokenizer, [prompt + completion for prompt, completion in pairs])
    prompts = _bare(tokenizer, [prompt.rstrip() for prompt, _ in pairs])
    tokens = []
    for whole, prompt in zip(wholes, prompts, strict=True):
        if whole[: len(prefix)] != prefix:
            whole, prompt = [*prefix, *whole], [*prefix, *prompt]
        at = max(len(prefix), len(prompt))
        tokens.append(Tokens(whole[:at], whole[at:]))
    return tokens


def _bare(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    if not texts:
        return []
    ids: list[list[int]] = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    return ids


@dataclass(frozen=True, slots=True)
class Encoded:
    """One training sequence.

    Attributes:
        ids: token ids, beginning with BOS if the tokenizer puts it before a text.
        start: position of the first scored token; at least 1, because nothing predicts the first token.
        source: position of the example that the sequence was cut from.
        cut: number of the example's tokens that did not fit into the window.
    """

    ids: tuple[int, ...]
    start: int
    source: int
    cut: int = 0


def encode(examples: Sequence[Example], tokenizer: Any, window: int) -> list[Encoded]:
    """Tokenise examples in order.

    Running text (no prompt) is cut into consecutive windows of at most `window` tokens, each preceded by the prefix and
    without EOS; every token after the first of a window is scored (with BOS, that is all of the text). A prompt and its
    completion become prefix + prompt + completion + EOS, where the completion and EOS are scored; if that exceeds the
    window, the prompt is cut on its left, then the completion on its right.

    Args:
        examples: prompts and completions; the prompt is "" for running text.
        tokenizer: a Hugging Face tokenizer.
        window: longest sequence, in tokens.

    Returns:
        One sequence per pair and one per window of running text.

    Raises:
        DataError: an example has nothing to score, or the window is shorter than two tokens.
    """
    if window < 2:
        raise DataError(f"a window of {window} tokens has no room for text: give at least 2")
    head = prefix_ids(tokenizer)
    tail = () if tokenizer.eos_token_id is None else (int(tokenizer.eos_token_id),)
    encoded = tokenise([(example.prompt, example.completion) for example in examples], tokenizer)
    sequences: list[Encoded] = []
    for source, (example, (context, completion)) in enumerate(zip(examples, encoded, strict=True)):
        if example.prompt == "":
            sequences += _windows(head, completion, window, source)
        else:
            sequences.append(_pair(head, context[len(head) :], [*completion, *tail], window, source))
        if not sequences or sequences[-1].source != source or sequences[-1].start >= len(sequences[-1].ids):
            raise DataError(f"example {source} has no token to learn (text {example.completion[:40]!r}): remove it")
    return sequences


def _windows(head: list[int], text: list[int], window: int, source: int) -> list[Encoded]:
    room = window - len(head)
    cuts = (text[at : at + room] for at in range(0, len(text), room))
    return [Encoded((*head, *part), start=1, source=source) for part in cuts if len(head) + len(part) > 1]


def _pair(head: list[int], prompt: list[int], completion: list[int], window: int, source: int) -> Encoded:
    kept = completion[: window - len(head)]
    room = window - len(head) - len(kept)
    context = prompt[len(prompt) - room :] if room < len(prompt) else prompt
    ids = (*head, *context, *kept)
    cut = len(prompt) + len(completion) - len(context) - len(kept)
    return Encoded(ids, start=max(1, len(head) + len(context)), source=source, cut=cut)
