"""Standard attack ensemble 2: the attacks of a suite, and the leaves that are measured under each.

    as deployed        the model as it is, and quantised: every leaf
    with the text      relearning on the forget text over a ladder of learning rates, full and low-rank, at stations on
                       shared trajectories, and quantised afterwards: what the model says
    without the text   relearning on the retain text, and on half of the forget text, scored on the other half: what the
                       model says and what its likelihoods hold
    last station       of every trajectory: also utility, so that an attack that wrecks the model is seen

Methods that withstand one learning rate give way to another, so no rate is tuned to a model and none is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["DEPLOYED", "Ensemble", "ensemble"]

DEPLOYED = ("none", "gptq4", "bnb_fp4")
"""The forms in which models are deployed."""


@dataclass(frozen=True, slots=True)
class Ensemble:
    """The attacks of a suite.

    Attributes:
        attacks: names, "none" first.
        probes: attack → names of the leaves measured under it; attacks that are not listed are measured on all.
    """

    attacks: tuple[str, ...]
    probes: dict[str, tuple[str, ...]]


def ensemble(
    with_text: Mapping[str, Sequence[int]],
    retain: Mapping[str, Sequence[int]],
    half: Mapping[str, Sequence[int]],
    *,
    says: Sequence[str],
    holds: Sequence[str],
    traced: Sequence[str],
    utility: Sequence[str],
) -> Ensemble:
    """Build the ensemble of a suite.

    Args:
        with_text: attacks that train on the forget text, by label (`relearn_const{k}_x5`), with their stations in steps.
        retain: the same of attacks that train on the retain text.
        half: the same of attacks that train on half of the forget text.
        says: leaves of what the model says that are cheap enough to be measured at every station.
        holds: leaves of what its likelihoods hold.
        traced: leaves whose documents can be traced to one half of the forget text, for the attacks on half of it.
        utility: leaves of utility that are measured at the last station of every trajectory.
    """
    probes: dict[str, tuple[str, ...]] = {}
    for lines, leaves in ((with_text, says), (retain, (*says, *holds)), (half, traced)):
        for label, stations in lines.items():
            for k in stations:
                probes[label.format(k=k)] = (*leaves, *(utility if k == stations[-1] else ()))
    return Ensemble((*DEPLOYED, *probes), probes)
