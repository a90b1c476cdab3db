"""Divergences between next-token distributions, per position, in fp32 (or fp64)."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn.functional import softplus

from .masking import wide

__all__ = ["jensen_shannon", "jensen_shannon_to_token", "kl", "log_softmax"]


def log_softmax(logits: Tensor) -> Tensor:
    """Return log-probabilities over the last dimension, in fp32 or wider."""
    return wide(logits).log_softmax(-1)


def kl(reference: Tensor, model: Tensor) -> Tensor:
    """KL(p_ref ‖ p) = Σ p_ref (log p_ref − log p).

    Args:
        reference: [..., vocab] log-probabilities of p_ref.
        model: [..., vocab] log-probabilities of p.

    Returns:
        [...] divergences in nats, at least 0.
    """
    return (reference.exp() * (reference - model)).sum(-1)


def jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    """JSD(p ‖ q) = ½ KL(p ‖ m) + ½ KL(q ‖ m), m = (p + q)/2, in nats.

    Args:
        p: [..., vocab] log-probabilities.
        q: [..., vocab] log-probabilities.

    Returns:
        [...] divergences in nats, from 0 to log 2.
    """
    middle = p.logaddexp(q) - math.log(2)
    return 0.5 * (kl(p, middle) + kl(q, middle))


def jensen_shannon_to_token(logp: Tensor, token: int) -> Tensor:
    """JSD(p ‖ one-hot at `token`), in closed form: it depends on p_t = exp(logp[…, token]) only.

    With m_t = (p_t + 1)/2 and m_v = p_v/2 elsewhere:
    2·JSD = p_t·log(p_t/m_t) + (1 − p_t)·log 2 − log m_t.

    Args:
        logp: [..., vocab] log-probabilities.
        token: index of the token in the vocabulary.

    Returns:
        [...] divergences in nats, from 0 to log 2.
    """
    log_pt = logp[..., token]
    pt = log_pt.exp()
    log_mt = softplus(log_pt) - math.log(2)  # log(1 + p_t) − log 2
    return 0.5 * (pt * (log_pt - log_mt) + (1 - pt) * math.log(2) - log_mt)
