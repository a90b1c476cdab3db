"""Values that can be derived on paper; each docstring holds the derivation."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from robust_unlearn_bench.errors import ConfigError
from robust_unlearn_bench.objectives import OBJECTIVES, RETAIN_LOSSES
from robust_unlearn_bench.objectives.divergence import jensen_shannon, jensen_shannon_to_token, kl
from robust_unlearn_bench.objectives.dpo import dpo
from robust_unlearn_bench.objectives.ilu import scale_gradient
from robust_unlearn_bench.objectives.npo import npo
from robust_unlearn_bench.objectives.rmu import activation_distance, control_vector
from robust_unlearn_bench.objectives.simnpo import simnpo
from robust_unlearn_bench.objectives.undial import undial


def T(*values: Any) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def uniform(labels: torch.Tensor, table: Any, words: int = 4) -> Any:
    return table(logits=torch.zeros(*labels.shape, words, dtype=torch.float64))


def test_grad_ascent_is_the_mean_log_probability(rows: Any, table: Any) -> None:
    """Uniform over 5 words: every scored token has log ⅕, whatever their number."""
    batch = rows()
    model = table(logits=torch.zeros(3, 6, 5))
    assert float(OBJECTIVES["grad_ascent"]().loss(batch, model, None)) == pytest.approx(-math.log(5))
    assert float(RETAIN_LOSSES["nll"]().loss(batch, model, None)) == pytest.approx(math.log(5))


def test_npo_at_the_start_and_at_both_ends() -> None:
    """Log-ratio 0: −(2/β)·log ½. Log-ratio r → −∞: 0. r → +∞: −(2/β)·(−β·r) = 2r."""
    assert float(npo(T(-3.0, -7.0), T(-3.0, -7.0), 0.1)) == pytest.approx(20 * math.log(2))
    assert float(npo(T(-1e4), T(0.0), 0.1)) == pytest.approx(0.0, abs=1e-12)
    assert float(npo(T(0.0), T(-1e4), 0.1)) == pytest.approx(2e4)


def test_npo_by_hand() -> None:
    """β = 1, r = log 3: σ(−log 3) = 1/(1 + 3) = ¼, so −2·log ¼ = 4·log 2."""
    assert float(npo(T(math.log(3)), T(0.0), 1.0)) == pytest.approx(4 * math.log(2))


def test_npo_gradient_is_gradient_ascents_weighted_by_two_sigma() -> None:
    """d/dr of −(2/β)·log σ(−βr) is 2·σ(βr): 1 at r = 0, as gradient ascent on the sum."""
    logp = T(-2.0, -9.0).requires_grad_()
    npo(logp, T(-2.0, -5.0), 0.5).backward()
    assert logp.grad is not None
    assert logp.grad.tolist() == pytest.approx([1 / 2, (2 / (1 + math.exp(2))) / 2])


def test_npo_levels_differ_by_what_they_average(rows: Any, table: Any, outputs: Any) -> None:
    """Scored predictions per sequence: 5, 3, 1. token_mean divides each log-ratio by that number."""
    from dataclasses import replace

    from robust_unlearn_bench.objectives.masking import sequence_logprobs

    model = table(logits=outputs()["logits"])
    batch = rows()
    now = sequence_logprobs(model.outputs["logits"], batch.labels)
    batch = replace(batch, before=now + T(1.0, 2.0, 3.0))
    whole = OBJECTIVES["npo"](beta=1.0).loss(batch, model, None)
    per_token = OBJECTIVES["npo"](beta=1.0, level="token_mean").loss(batch, model, None)
    expected = [sum(2 * math.log1p(math.exp(-d)) for d in ds) / 3 for ds in ((1, 2, 3), (1 / 5, 2 / 3, 3 / 1))]
    assert [float(whole), float(per_token)] == pytest.approx(expected)


def test_muse_logits_ignores_the_labels(rows: Any, table: Any, outputs: Any) -> None:
    """Raw logits one above the reference's everywhere: 2·log(1 + e) for β = 1, whatever the tokens are."""
    from dataclasses import replace

    before = outputs()["logits"]
    objective = OBJECTIVES["npo"](beta=1.0, level="muse_logits")
    batch = rows()
    for labels in (batch.labels, torch.where(batch.labels == -100, -100, (batch.labels + 1) % 5)):
        got = objective.loss(replace(batch, labels=labels), table(logits=before + 1), table(logits=before))
        assert float(got) == pytest.approx(2 * math.log1p(math.e))
    assert objective.needs == "model"
    assert OBJECTIVES["npo"]().needs == "sequence_logprobs"


def test_simnpo_by_hand() -> None:
    """|y| = 2, log p = −2·log 3, β = 1, γ = 0: σ(log 3) = ¾. γ = log 3 makes it σ(0) = ½."""
    assert float(simnpo(T(-2 * math.log(3)), T(2.0), 1.0, 0.0)) == pytest.approx(-2 * math.log(0.75))
    assert float(simnpo(T(-2 * math.log(3)), T(2.0), 1.0, math.log(3))) == pytest.approx(2 * math.log(2))


def test_dpo_by_hand() -> None:
    """Refusal gained log 3, answer gained 0, β = 1: σ(log 3) = ¾. Nothing gained: ½."""
    assert float(dpo(T(-1 + math.log(3)), T(-2.0), T(-1.0), T(-2.0), 1.0)) == pytest.approx(-2 * math.log(0.75))
    assert float(dpo(T(-1.0), T(-2.0), T(-1.0), T(-2.0), 0.1)) == pytest.approx(20 * math.log(2))
    assert float(dpo(T(-1.0), T(-2.0 - math.log(3)), T(-1.0), T(-2.0), 1.0)) == pytest.approx(-2 * math.log(0.75))


def test_control_vector_is_uniform_normalised_and_seeded() -> None:
    u = control_vector(1000, seed=0)
    assert float(u.norm()) == pytest.approx(1.0, abs=1e-6)
    assert float(u.min()) >= 0
    assert torch.equal(u, control_vector(1000, seed=0))
    assert not torch.equal(u, control_vector(1000, seed=1))
    drawn = torch.rand(1000, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(u / u[0], drawn / drawn[0])


def test_activation_distance_by_hand() -> None:
    """Differences (3, 4) and (0, 0) at the two scored tokens: means of squares 12.5 and 0, mean 6.25."""
    hidden = T([[9.0, 9.0], [3.0, 4.0], [0.0, 0.0]])
    assert float(activation_distance(hidden, T(0.0, 0.0), torch.tensor([[-100, 1, 1]]))) == 6.25


def test_rmu_vanishes_on_the_control_vector(rows: Any, table: Any) -> None:
    target = 6.5 * control_vector(4, 0)
    model = table(hidden7=target.expand(3, 6, 4).double())
    assert float(OBJECTIVES["rmu"]().loss(rows(), model, None)) == pytest.approx(0.0, abs=1e-12)
    model = table(hidden7=(target + 2).expand(3, 6, 4).double())
    assert float(OBJECTIVES["rmu"]().loss(rows(), model, None)) == pytest.approx(4.0)


def test_undial_by_hand() -> None:
    """Two words, z_ref = 0, s = log 3, y = 0: teacher (¼, ¾); student uniform: CE = log 2 = −¼·log ½ − ¾·log ½.

    Student with z = (0, log 3) is the teacher itself: CE is its entropy, −¼·log ¼ − ¾·log ¾.
    """
    labels = torch.tensor([[-100, 0]])
    reference = torch.zeros(1, 2, 2, dtype=torch.float64)
    assert float(undial(torch.zeros_like(reference), reference, labels, math.log(3))) == pytest.approx(math.log(2))
    student = T([[0.0, math.log(3)], [7.0, 7.0]])
    entropy = -0.25 * math.log(0.25) - 0.75 * math.log(0.75)
    assert float(undial(student, reference, labels, math.log(3))) == pytest.approx(entropy)


def test_undial_does_not_touch_word_zero_where_nothing_is_scored() -> None:
    """An ignored label scattered as index 0 (or −100) would turn a word down that nobody asked about."""
    labels = torch.tensor([[-100, -100, 1]])
    logits = torch.randn(1, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    only = undial(logits[:, 1:], logits[:, 1:], labels[:, 1:], 5.0)
    torch.testing.assert_close(undial(logits, logits, labels, 5.0), only)


def test_divergences_by_hand() -> None:
    """p = (½, ½), q = (¼, ¾): KL(p‖q) = ½·log 2 + ½·log ⅔. JSD of disjoint distributions is log 2, of equals 0."""
    p, q = T(0.5, 0.5).log(), T(0.25, 0.75).log()
    assert float(kl(p, q)) == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3))
    assert float(jensen_shannon(p, p)) == pytest.approx(0.0, abs=1e-15)
    assert float(jensen_shannon(T(0.0, -50.0), T(-50.0, 0.0))) == pytest.approx(math.log(2))
    m = T(0.375, 0.625).log()
    assert float(jensen_shannon(p, q)) == pytest.approx(0.5 * float(kl(p, m)) + 0.5 * float(kl(q, m)))


def test_closed_form_to_a_token_equals_the_full_divergence() -> None:
    logp = torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    one_hot = torch.full((6, 5), -200.0, dtype=torch.float64)
    one_hot[:, 3] = 0.0
    torch.testing.assert_close(jensen_shannon_to_token(logp, 3), jensen_shannon(logp, one_hot))
    assert float(jensen_shannon_to_token(T(0.0, -400.0), 0)) == 0.0
    assert float(jensen_shannon_to_token(T(0.0, -400.0), 1)) == pytest.approx(math.log(2))


def test_jensun_is_bounded_and_finds_its_token(rows: Any, table: Any, tiny_tokenizer: Any) -> None:
    objective = OBJECTIVES["jensun"](refusal="who").with_tokenizer(tiny_tokenizer)
    assert objective.token == tiny_tokenizer("who", add_special_tokens=False)["input_ids"][0]
    logits = torch.zeros(3, 6, 5)
    logits[..., 2] = 1e4
    sure = table(logits=logits)
    assert float(OBJECTIVES["jensun"](token=2).loss(rows(), sure, None)) == pytest.approx(0.0, abs=1e-6)
    assert float(OBJECTIVES["jensun"](token=1).loss(rows(), sure, None)) == pytest.approx(math.log(2))


def test_retain_divergences_vanish_on_the_reference(rows: Any, table: Any, outputs: Any) -> None:
    for name in ("kl", "jsd"):
        both = table(logits=outputs()["logits"])
        assert float(RETAIN_LOSSES[name]().loss(rows(), both, both)) == pytest.approx(0.0, abs=1e-12)
        assert float(RETAIN_LOSSES[name]().loss(rows(), table(logits=outputs(seed=4)["logits"]), both)) > 0.01
    still = table(**outputs())
    assert float(RETAIN_LOSSES["activation"](layer=2).loss(rows(), still, still)) == 0.0


def test_ilu_penalty_is_the_derivative_of_scaled_cross_entropy(rows: Any, outputs: Any) -> None:
    """dCE(w·z)/dw at w = 1 by central differences, against E_p[z] − z_y."""
    from robust_unlearn_bench.objectives.masking import mean_scored, token_logprobs

    z, batch = outputs()["logits"], rows()

    def ce(w: float) -> float:
        return -float(mean_scored(token_logprobs(w * z, batch.labels), batch.labels))

    assert float(scale_gradient(z, batch.labels)) == pytest.approx((ce(1 + 1e-6) - ce(1 - 1e-6)) / 2e-6, rel=1e-6)


def test_ilu_adds_its_penalty_to_the_base(rows: Any, table: Any, outputs: Any) -> None:
    from dataclasses import replace

    batch = replace(rows(), before=T(-5.0, -6.0, -4.5), companion=rows(seed=2))
    model = table(**outputs())
    base = OBJECTIVES["npo"]().loss(batch, model, None)
    penalty = scale_gradient(model.outputs["logits"], batch.companion.labels).square()
    got = OBJECTIVES["ilu"](weight=3.0).loss(batch, model, None)
    assert float(got) == pytest.approx(float(base + 3 * penalty))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("npo", {"beta": 0.0}, "npo has beta=0.0"),
        ("simnpo", {"beta": -1.0}, "simnpo has beta=-1.0"),
        ("dpo", {"beta": 0.0}, "dpo has beta=0.0"),
        ("rmu", {"layer": -1}, "rmu has layer=-1"),
        ("undial", {"strength": 0.0}, "undial has strength=0.0"),
        ("jensun", {"refusal": ""}, "jensun has refusal=''"),
        ("ilu", {"weight": 0.0}, "ilu has weight=0.0"),
        ("lat", {"layer": -1}, "lat has layer=-1"),
        ("lat", {"radius": 0.0}, "lat has radius=0.0"),
        ("lat", {"inner_steps": 0}, "lat has inner_steps=0"),
    ],
)
def test_bad_hyper_parameters(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        OBJECTIVES[name](**options)
