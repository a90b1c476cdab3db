from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch

from robust_unlearn_bench.errors import ModelError
from robust_unlearn_bench.harness.token_requests import Ask, _encode_beginning, _Prompt, answer

TEXTS = [
    "the old baker",
    "a river in the blue tower",
    "who wrote the iron",
    "x",
    "the tower was old and new and blue in the river",
]


def score(prompt: str, text: str, **options: object) -> Ask:
    return Ask("token_scores", prompt, {"text": text, **options})


def generate(prompt: str, new: int = 6, until: tuple[str, ...] = ()) -> Ask:
    return Ask("generate", prompt, {"max_new_tokens": new, "until": list(until)})


def test_scores_equal_a_forward_pass_of_each_text_alone(tiny_lm):
    lm = tiny_lm()
    for text, got in zip(TEXTS, answer(lm, [score("", text) for text in TEXTS]), strict=True):
        ids = lm.tokenizer(text)["input_ids"]
        logp = torch.log_softmax(lm.model(torch.tensor([ids])).logits[0].float(), -1)
        want = [logp[t - 1, ids[t]].item() for t in range(1, len(ids))]
        assert got["logprobs"] == pytest.approx(want, abs=1e-5)
        assert got["greedy"] == [int(logp[t - 1].argmax()) == ids[t] for t in range(1, len(ids))]
        assert got["truncated"] == 0


def test_only_the_continuation_is_scored(tiny_lm):
    lm = tiny_lm()
    prompt, text = "Question: who sang\nAnswer:", " the baker"
    (got,) = answer(lm, [score(prompt, text)])
    whole = lm.tokenizer(prompt + text)["input_ids"]
    context = lm.tokenizer(prompt)["input_ids"]
    logp = torch.log_softmax(lm.model(torch.tensor([whole])).logits[0].float(), -1)
    want = [logp[t - 1, whole[t]].item() for t in range(len(context), len(whole))]
    assert got["logprobs"] == pytest.approx(want, abs=1e-5)


def test_eos_is_one_more_scored_token(tiny_lm):
    plain, ended = answer(tiny_lm(), [score("the", " old baker"), score("the", " old baker", eos=True)])
    assert len(ended["logprobs"]) == len(plain["logprobs"]) + 1
    assert ended["logprobs"][:-1] == pytest.approx(plain["logprobs"], abs=1e-5)


def test_stats_are_mean_and_deviation_of_the_log_probability_under_the_model(tiny_lm):
    lm = tiny_lm()
    (got,) = answer(lm, [score("", "the old tower", stats=True)])
    ids = lm.tokenizer("the old tower")["input_ids"]
    logits = lm.model(torch.tensor([ids])).logits[0, :-1].double()
    for t, row in enumerate(torch.log_softmax(logits, -1).tolist()):
        mean = sum(math.exp(x) * x for x in row)
        variance = sum(math.exp(x) * (x - mean) ** 2 for x in row)
        assert got["mean"][t] == pytest.approx(mean, abs=1e-4)
        assert got["std"][t] == pytest.approx(math.sqrt(variance), abs=1e-4)


def test_a_batch_answers_as_each_request_alone(tiny_lm):
    asks = [score("", t) for t in TEXTS] + [generate(t) for t in TEXTS] + [score("the old", " " + t) for t in TEXTS]
    lm = tiny_lm(batch_size=len(asks))
    together = answer(lm, asks)
    alone = [answer(lm, [ask])[0] for ask in asks]
    for left, right in zip(together, alone, strict=True):
        assert left.keys() == right.keys()
        assert left.get("text") == right.get("text")
        assert left.get("logprobs", []) == pytest.approx(right.get("logprobs", []), abs=1e-5)


@pytest.fixture
def forwarded():
    """Counts the tokens that pass through the model."""

    def watch(lm):
        seen = []
        lm.model.register_forward_pre_hook(
            lambda _, __, kwargs: seen.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
        )
        return seen

    return watch


def test_a_common_beginning_is_encoded_once_and_answers_stay_the_same(tiny_lm, forwarded):
    context = "the old baker sang in the blue tower " * 10
    prompts = [f"{context}{text}" for text in TEXTS]
    lm = tiny_lm(window=256)
    alone = [answer(lm, [generate(prompt)])[0] for prompt in prompts]
    seen = forwarded(lm)
    assert answer(lm, [generate(prompt) for prompt in prompts]) == alone
    beginning = seen[0]
    assert beginning[0] == 1
    assert beginning[1] >= 64
    assert seen[1][0] == len(prompts)
    assert seen[1][1] < 20


def test_two_few_shot_contexts_do_not_meet_in_one_batch(tiny_lm, forwarded):
    contexts = ("the old baker sang in the blue tower " * 10, "a river wrote the iron tower and " * 10)
    prompts = [context + text for text in TEXTS[:3] for context in contexts]
    lm = tiny_lm(window=256)
    alone = [answer(lm, [generate(prompt)])[0] for prompt in prompts]
    seen = forwarded(lm)
    assert answer(lm, [generate(prompt) for prompt in prompts]) == alone
    assert sum(rows == 1 and tokens >= 64 for rows, tokens in seen) == 2


@pytest.mark.parametrize("config", [{"sliding_window": 128}, {"layer_types": ["linear_attention"]}])
def test_only_full_attention_shares_a_beginning(tiny_lm, forwarded, config):
    lm = tiny_lm(window=256)
    for key, value in config.items():
        setattr(lm.model.config, key, value)
    seen = forwarded(lm)
    step = _encode_beginning(lm, [_Prompt(i, [*range(5, 100), i], 0) for i in (1, 2)])
    assert step == ([], None)
    assert not seen


def test_the_same_tokens_are_scored_once_for_all_who_ask(tiny_lm, forwarded):
    lm = tiny_lm()
    asks = [score("", "the old baker", stats=True), score("the", " old baker"), score("", "the old baker")]
    alone = [answer(lm, [ask])[0] for ask in asks]
    seen = forwarded(lm)
    assert answer(lm, asks) == alone
    assert [rows for rows, _ in seen] == [1]


def test_generation_is_greedy(tiny_lm):
    lm = tiny_lm()
    (got,) = answer(lm, [generate("the old", new=5)])
    ids = lm.tokenizer("the old")["input_ids"]
    for _ in range(5):
        ids.append(int(lm.model(torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] == lm.eot_token_id:
            break
    assert got["text"] == lm.tokenizer.decode(
        ids[len(lm.tokenizer("the old")["input_ids"]) :], skip_special_tokens=True
    )


def test_generation_ends_before_the_first_stop_string(tiny_lm):
    lm = tiny_lm()
    (free,) = answer(lm, [generate("the old", new=12)])
    stop = free["text"][3:5]
    (cut,) = answer(lm, [generate("the old", new=12, until=(stop, "never"))])
    assert cut["text"] == free["text"][: free["text"].index(stop)]


def test_long_prompts_lose_their_beginning_and_long_texts_their_end(tiny_lm):
    lm = tiny_lm(window=16)
    long = " ".join(["river"] * 40)
    n = len(lm.tokenizer(long)["input_ids"])
    generated, text = answer(lm, [generate(long, new=6), score("", long)])
    assert generated["truncated"] == n - (16 - 6)
    assert text["truncated"] == n - 16
    assert len(text["logprobs"]) == 15


def test_more_new_tokens_than_the_context_is_refused(tiny_lm):
    with pytest.raises(ModelError, match="64 new tokens are requested"):
        answer(tiny_lm(window=16), [generate("the", new=64)])


def test_cut_counts_special_tokens_and_decodes_without(tiny_lm):
    lm = tiny_lm()
    (got,) = answer(lm, [Ask("token_cut", "the old baker sang", {"tokens": 3})])
    ids = lm.tokenizer("the old baker sang")["input_ids"]
    assert ids[0] == lm.tokenizer.bos_token_id
    assert got["text"] == lm.tokenizer.decode(ids[1:3])


def test_a_remote_model_is_refused():
    with pytest.raises(ModelError, match="--model hf"):
        answer(SimpleNamespace(model=None), [generate("the")])
