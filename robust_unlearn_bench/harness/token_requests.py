"""Token-level requests to a causal language model, answered in length-sorted batches.

    kind           prompt, options                             answer
    generate       max_new_tokens, until=[str]                 {"text", "truncated"}
    token_scores   text, eos=False, stats=False                {"logprobs", "greedy", "truncated"[, "mean", "std"]}
    token_cut      tokens                                      {"text"}

Text is tokenised by `training.encoding.tokenise`, as in training: BOS comes first if the tokenizer itself adds it.

`generate` decodes greedily. Prompts are cut on the left to leave room for the new tokens; "truncated" is the number of
tokens cut. The text is decoded without special tokens, is not stripped, and ends before the first `until` string.

`token_scores` returns the natural log-probability of every token of `text` after `prompt`, from a log-softmax in fp32,
and whether it is the most likely token. With an empty prompt, every token after BOS is scored; if the tokenizer adds no
BOS, the first token of the text has no prediction, and every token after it is scored. Whatever exceeds the context is
cut: the prompt on the left, a text without prompt on the right.
`stats` adds mean and standard deviation of the log-probability under the model's own distribution (Min-K++).

`token_cut` keeps the first n tokens, including BOS, and decodes them without BOS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from ..errors import ModelError
from ..training.encoding import Tokens, tokenise
from .batch_room import Room, halved_when_full, in_batches

__all__ = ["KINDS", "answer"]

Progress = Callable[[int], None]

KINDS = ("generate", "token_scores", "token_cut")


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: kind, prompt and options."""

    kind: str
    prompt: str
    options: dict[str, Any]


def answer(lm: Any, asks: Sequence[Ask], progress: Progress = lambda done: None) -> list[dict[str, Any]]:
    """Answer requests of our own kinds, in their order.

    Args:
        lm: lm-eval model with its weights in this process (`--model hf`).
        asks: requests of any mixture of kinds.
        progress: callback that receives the number of requests answered since the last call.

    Raises:
        ModelError: the model gives no token-level access or is not a causal language model.
    """
    model = getattr(lm, "model", None)
    if not isinstance(model, torch.nn.Module):
        raise ModelError(
            "this task needs token log-probabilities from a model in this process: use --model hf "
            "(for vLLM and API models, only lm-eval's own tasks can be scored)"
        )
    if getattr(lm, "backend", "causal") != "causal":
        raise ModelError(
            "this task needs a causal language model, and this one is an encoder-decoder: choose another model"
        )
    answers: list[dict[str, Any] | None] = [None] * len(asks)
    for kind, handler in (("token_cut", _cut), ("token_scores", _score), ("generate", _generate)):
        chosen = [i for i, ask in enumerate(asks) if ask.kind == kind]
        if chosen:
            for i, result in handler(lm, [asks[i] for i in chosen], progress):
                answers[chosen[i]] = result
    missing = [asks[i].kind for i, result in enumerate(answers) if result is None]
    if missing:
        raise ModelError(f"request kind {missing[0]!r} is not one of {', '.join(KINDS)}")
    return [result for result in answers if result is not None]


def _cut(lm: Any, asks: Sequence[Ask], progress: Progress) -> Iterator[tuple[int, dict[str, Any]]]:
    for i, (ask, ids) in enumerate(zip(asks, _prompt_ids(lm, asks), strict=True)):
        kept = ids[: int(ask.options["tokens"])]
        yield i, {"text": lm.tokenizer.decode(kept, skip_special_tokens=True)}
        progress(1)


def _prompt_ids(lm: Any, asks: Sequence[Ask]) -> list[list[int]]:
    return [
        [*tokens.context, *tokens.completion] for tokens in tokenise([("", ask.prompt) for ask in asks], lm.tokenizer)
    ]


# --- scoring -------------------------------------------------------------------------------------------------------


def _score(lm: Any, asks: Sequence[Ask], progress: Progress) -> Iterator[tuple[int, dict[str, Any]]]:
    """Score tokens; requests for the same tokens share a row, such as MUSE's membership and extraction of a passage."""
    rows: dict[tuple[int, ...], list[_Scored]] = {}
    texts = tokenise([(ask.prompt, str(ask.options["text"])) for ask in asks], lm.tokenizer)
    for i, (ask, tokens) in enumerate(zip(asks, texts, strict=True)):
        ids, scored, cut = _fit(lm, ask, tokens)
        rows.setdefault(tuple(ids), []).append(_Scored(i, scored, cut, bool(ask.options.get("stats"))))
    step, lengths = _score_batch(lm), [len(ids) for ids in rows]
    room = Room(lm, max(lengths, default=0), new=False)
    for batch in in_batches(list(rows.items()), lengths, room):
        results = halved_when_full(step, batch, max(len(ids) for ids, _ in batch), room)
        yield from results
        progress(len(results))


def _fit(lm: Any, ask: Ask, tokens: Tokens) -> tuple[list[int], int, int]:
    """Return the token ids that fit the context, the number of last ones that are scored, and the number cut."""
    limit = int(lm.max_length)
    completion = [*tokens.completion, *([lm.eot_token_id] if ask.options.get("eos") else [])]
    ids = [*tokens.context, *completion]
    kept = ids[-limit:] if ask.prompt else ids[:limit]
    return kept, max(0, min(len(completion), len(kept) - 1)), len(ids) - len(kept)


class _Scored(NamedTuple):
    """A request that a row answers: index, number of last tokens scored, number of tokens cut, and a flag for stats."""

    request: int
    scored: int
    cut: int
    stats: bool


_Row = tuple[tuple[int, ...], list[_Scored]]


def _score_batch(lm: Any) -> Callable[[Sequence[_Row]], list[tuple[int, dict[str, Any]]]]:
    """Return a function that scores right-padded rows; causal attention needs no mask to hide the padding."""

    def step(rows: Sequence[_Row]) -> list[tuple[int, dict[str, Any]]]:
        width = max(len(ids) for ids, _ in rows)
        inputs = torch.full((len(rows), width), int(lm.tokenizer.pad_token_id or 0), dtype=torch.long)
        for r, (ids, _) in enumerate(rows):
            inputs[r, : len(ids)] = torch.tensor(ids)
        with torch.no_grad():
            logits = lm.model(input_ids=inputs.to(lm.device), use_cache=False).logits  # [rows, width, V]
        return [(ask.request, _read(logits[r], ids, ask)) for r, (ids, askers) in enumerate(rows) for ask in askers]

    return step


def _read(logits: torch.Tensor, ids: Sequence[int], ask: _Scored) -> dict[str, Any]:
    """Compute the answer to one request from its row; logits [width, V]."""
    logp = torch.log_softmax(logits[len(ids) - 1 - ask.scored : len(ids) - 1].float(), dim=-1)  # [scored, V]
    targets = torch.tensor(ids[len(ids) - ask.scored :], device=logp.device)
    own = logp.gather(1, targets[:, None])[:, 0] if ask.scored else logp.new_zeros(0)
    result: dict[str, Any] = {
        "logprobs": own.tolist(),
        "greedy": (logp.argmax(-1) == targets).tolist() if ask.scored else [],
        "truncated": ask.cut,
    }
    if ask.stats:
        weighted = logp.exp() * logp
        mean = weighted.sum(-1)
        square = torch.linalg.vecdot(weighted, logp)
        result |= {"mean": mean.tolist(), "std": (square - mean.square()).clamp_min(0).sqrt().tolist()}
    return result


# --- generation ----------------------------------------------------------------------------------------------------

SHARED = 64
"""Smallest number of leading tokens (of a few-shot context) for which prompts share the forward pass over them."""


class _Prompt(NamedTuple):
    """A prompt: index of its request, token ids, and number of tokens cut."""

    request: int
    ids: list[int]
    cut: int


def _generate(lm: Any, asks: Sequence[Ask], progress: Progress) -> Iterator[tuple[int, dict[str, Any]]]:
    settings: dict[tuple[int, tuple[str, ...]], list[_Prompt]] = {}
    for i, (ask, ids) in enumerate(zip(asks, _prompt_ids(lm, asks), strict=True)):
        new = int(ask.options["max_new_tokens"])
        room = int(lm.max_length) - new
        if room <= 0:
            raise ModelError(
                f"{new} new tokens are requested, but the model's context holds {lm.max_length}: "
                "use a model with a longer context"
            )
        prompt = _Prompt(i, ids[-room:], max(len(ids) - room, 0))
        settings.setdefault((new, tuple(ask.options.get("until", ()))), []).append(prompt)
    for (new, until), prompts in settings.items():
        step = _generate_batch(lm, new, until)
        space = Room(lm, max(len(prompt.ids) for prompt in prompts) + new, new=True)
        for rows in _by_beginning(prompts):
            for batch in in_batches(rows, [len(row.ids) + new for row in rows], space):
                yield from halved_when_full(step, batch, max(len(row.ids) for row in batch) + new, space)
                progress(len(batch))


def _by_beginning(prompts: Sequence[_Prompt]) -> list[list[_Prompt]]:
    """Group the prompts with a common beginning, and put all others into one group."""
    groups: dict[tuple[int, ...], list[_Prompt]] = {}
    for prompt in prompts:
        groups.setdefault(tuple(prompt.ids[:SHARED]), []).append(prompt)
    shared = [rows for beginning, rows in groups.items() if len(rows) > 1 and len(beginning) == SHARED]
    alone = [prompt for rows in groups.values() if not any(rows is group for group in shared) for prompt in rows]
    return [*shared, alone] if alone else shared


def _generate_batch(
    lm: Any, new: int, until: tuple[str, ...]
) -> Callable[[Sequence[_Prompt]], list[tuple[int, dict[str, Any]]]]:
    """Return a function that decodes left-padded prompts greedily until each row meets a stop string or its limit."""
    stop = {"stop_strings": list(until), "tokenizer": lm.tokenizer} if until else {}

    def step(rows: Sequence[_Prompt]) -> list[tuple[int, dict[str, Any]]]:
        beginning, cache = _encode_beginning(lm, rows)
        n, width = len(beginning), max(len(row.ids) for row in rows)
        inputs = torch.full((len(rows), width), int(lm.tokenizer.pad_token_id or 0), dtype=torch.long)
        mask = torch.zeros_like(inputs)
        for r, row in enumerate(rows):  # shared beginning, padding, rest
            for part, columns in ((row.ids[:n], slice(0, n)), (row.ids[n:], slice(width - len(row.ids) + n, width))):
                inputs[r, columns] = torch.tensor(part, dtype=torch.long)
                mask[r, columns] = 1
        with torch.no_grad():
            output = lm.model.generate(
                input_ids=inputs.to(lm.device),
                attention_mask=mask.to(lm.device),
                past_key_values=cache,
                max_new_tokens=new,
                do_sample=False,
                num_beams=1,
                temperature=1.0,
                top_p=1.0,
                top_k=50,
                repetition_penalty=1.0,
                no_repeat_ngram_size=0,
                use_cache=True,
                pad_token_id=lm.tokenizer.pad_token_id,
                **stop,
            )
        texts = [lm.tokenizer.decode(row, skip_special_tokens=True) for row in output[:, width:].tolist()]
        return [
            (row.request, {"text": _before(text, until), "truncated": row.cut})
            for row, text in zip(rows, texts, strict=True)
        ]

    return step


def _encode_beginning(lm: Any, rows: Sequence[_Prompt]) -> tuple[list[int], Any]:
    """Return the tokens that all rows begin with and their keys and values for each row, or neither if not worthwhile.

    The beginning is shared only if each token attends to all tokens before it: a sliding window or a recurrent state
    would count the padding between the common beginning and the rest.
    """
    from transformers import DynamicCache

    common = _common([row.ids[:-1] for row in rows])
    config = lm.model.config.get_text_config()
    plain = not getattr(config, "sliding_window", None) and {*(getattr(config, "layer_types", None) or ())} <= {
        "full_attention"
    }
    if len(rows) < 2 or len(common) < SHARED or not plain:
        return [], None
    with torch.no_grad():
        output = lm.model(input_ids=torch.tensor([common], device=lm.device), use_cache=True)
    cache: Any = getattr(output, "past_key_values", None)
    if type(cache) is not DynamicCache:
        return [], None
    cache.batch_repeat_interleave(len(rows))
    return common, cache


def _common(rows: Sequence[list[int]]) -> list[int]:
    """Return the tokens that all rows begin with."""
    first, last = min(rows), max(rows)
    return first[: next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))]


def _before(text: str, until: Iterable[str]) -> str:
    """Return the text before the first occurrence of any stop string."""
    ends = [found for mark in until if (found := text.find(mark)) >= 0]
    return text[: min(ends)] if ends else text
