from __future__ import annotations

import dataclasses
import json
import string
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robust_unlearn_bench.attacks import ATTACKS, Attack, AttackSpec, parse
from robust_unlearn_bench.attacks.spec import _calls, _show, label_of  # the pair that must be inverse
from robust_unlearn_bench.errors import ConfigError, UnknownNameError
from robust_unlearn_bench.registry import BUILT_IN

# --- reading and printing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("gptq4", "gptq4"),
        ("gptq", "gptq4"),
        ("gptq04", "gptq4"),
        (" gptq3 ( group_size = 64 ) ", "gptq3(group_size=64)"),
        ("gptq4(group_size=128)", "gptq4"),
        ("gptq4(calibration='forget',act_order=true)", "gptq4(act_order=True,calibration=forget)"),
        ("gptq4(group_size=-1)", "gptq4(group_size=-1)"),
        ("relearn100(lr=2e-5,seed=1)", "relearn100(lr=2e-05,seed=1)"),
        ("relearn50(lr=1)", "relearn50(lr=1.0)"),
        ("relearn50_retain", "relearn50_retain"),
        ("relearn50 + gptq4", "relearn50+gptq4"),
        ("relearn50(lr=1e+0)+gptq4+rtn8", "relearn50(lr=1.0)+gptq4+rtn8"),
        ("finetune10(text=notes.txt)", "finetune10(text='notes.txt')"),
        ("finetune10(text='a+b (c), d=1')", "finetune10(text='a+b (c), d=1')"),
        ("none+gptq4", "gptq4"),
        ("none+none", "none"),
        ("bnb_int8", "bnb_int8"),
    ],
)
def test_canonical_names(text: str, name: str) -> None:
    spec = parse(text)
    assert spec.name == name
    assert parse(spec.name) == spec


@pytest.mark.parametrize(
    ("mapping", "name"),
    [
        ({"attack": "relearn100", "lr": 3e-5}, "relearn100(lr=3e-05)"),
        ({"attack": "relearn100", "lr": "3e-5"}, "relearn100(lr=3e-05)"),  # YAML 1.1 reads 3e-5 as a string
        ({"attack": "gptq", "bits": 3}, "gptq3"),
        ({"attack": "gptq3", "bits": 3}, "gptq3"),
        ({"attack": "gptq4(samples=16)", "act_order": True}, "gptq4(act_order=True,samples=16)"),
        ({"attack": "relearn50+gptq4"}, "relearn50+gptq4"),
    ],
)
def test_mappings_as_yaml_gives_them(mapping: dict[str, Any], name: str) -> None:
    assert parse(mapping).name == name
    assert parse(mapping).digest == parse(name).digest


def test_suite_defaults_fill_what_the_spec_leaves_open() -> None:
    defaults = {"relearn": {"lr": 1e-4, "seed": 3}, "gptq": {"length": 128}}
    spec = parse("relearn20(seed=0)+gptq4", defaults)
    assert spec.name == "relearn20(lr=0.0001)+gptq4(length=128)"
    assert parse("relearn_const20", defaults).name == "relearn_const20"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read"),
        ("+", "cannot be read"),
        ("gptq4+", "cannot be read"),
        ("gptq4 gptq3", "cannot be read"),
        ("gptq4-rtn4", "cannot be read"),
        ("gptq4(128)", "cannot be read"),
        ("gptq4(**{'bits': 3})", "cannot be read"),
        ("gptq4(samples=1,samples=2)", "cannot be read"),
        ("gptq4(samples=1)(length=3)", "cannot be read"),
        ("gptq4)(samples=1", "cannot be read"),
        ("gptq4(samples=open('x'))", "samples=\"open('x')\": input should be a valid integer"),
        ("gptq4\0", "cannot be read"),
        ("(" * 5000, "cannot be read"),
        ("relearn50(lr=1e999)", "lr=inf: give a finite number"),
        ("gptq4(bits=3)", "has bits=4 in its name but 3 as a parameter"),
        ("gptq4(samples=1.5)", "samples=1.5: input should be a valid integer"),
        ("gptq4(samples=True)", "samples=True: input should be a valid integer"),
        ("gptq4(symmetric=1)", "symmetric=1: input should be a valid boolean"),
        ("gptq4(calibration=retian)", "input should be 'retain', 'forget' or 'general'"),
        ({"bits": 4}, "no 'attack' key"),
        ({"attack": 4}, "no 'attack' key"),
        ({"attack": "relearn50+gptq4", "lr": 1e-4}, "is a composition"),
        ({"attack": "gptq4(samples=3)", "samples": 4}, "given samples twice"),
        ({"attack": "relearn50", "lr": "fast"}, "lr='fast': input should be a valid number"),
        ({"attack": "relearn50", "lr": {1}}, "attack relearn has lr="),
    ],
)
def test_what_cannot_be_read_is_said(text: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gtpq4", "did you mean 'gptq4'"),
        ("relern50", "did you mean 'relearn50'"),
        ("relearn50_retian", "did you mean 'relearn50_retain'"),
        ("bnb_fp5", "did you mean 'bnb_fp4'"),
        ("bnb_int84", "did you mean 'bnb_int8'"),
        ("none3", "did you mean 'none'"),
        ("gptq4(group=3)", "did you mean 'group_size'"),
        ("xyzzy", "known: bnb_fp4, "),
    ],
)
def test_unknown_names_suggest_the_nearest(text: str, message: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        parse(text)
    assert message in str(caught.value)


# --- every family -----------------------------------------------------------------------------------------------------


@pytest.fixture(params=[name for name in ATTACKS if ATTACKS.origin(name) == BUILT_IN])
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_family_keeps_the_contract(family: str) -> None:
    cls = ATTACKS[family]
    step = cls()
    assert step.name == family
    assert isinstance(step.version, int)
    assert dataclasses.is_dataclass(cls)
    field = label_of(family).field
    assert not field or isinstance(getattr(step, field), int)
    spec = AttackSpec((step,))
    assert parse(spec.name) == spec
    assert spec.config == json.loads(json.dumps(spec.config))
    assert family == "none" or "Source:" in (cls.__doc__ or "")


def test_families_are_frozen(family: str) -> None:
    step: Any = ATTACKS[family]()
    for field in dataclasses.fields(step):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(step, field.name, 1)


def test_trains_says_whether_any_step_does() -> None:
    assert parse("gptq4+relearn50").trains
    assert not parse("gptq4+rtn4").trains
    assert parse("none").is_none
    assert not parse("none+gptq4").is_none


# --- properties -------------------------------------------------------------------------------------------------------

_gptq = st.builds(
    ATTACKS["gptq"],
    bits=st.integers(2, 8),
    group_size=st.sampled_from([-1, 1, 32, 128, 999]),
    symmetric=st.booleans(),
    act_order=st.booleans(),
    damp=st.floats(1e-12, 1.0),
    samples=st.integers(1, 10**9),
    calibration=st.sampled_from(["retain", "forget", "general"]),
    seed=st.integers(-(10**12), 10**12),
)
_relearn = st.builds(ATTACKS["relearn"], k=st.integers(1, 10**6), lr=st.floats(1e-12, 1e3), seed=st.integers(0, 9))
_retain = st.builds(ATTACKS["relearn_retain"], k=st.integers(1, 10**6), lr=st.floats(1e-12, 1e3))
_benign = st.builds(ATTACKS["finetune"], k=st.integers(1, 99), text=st.text(max_size=20))
_noise = st.builds(ATTACKS["noise"], percent=st.integers(1, 10**6))
_specs = st.lists(st.one_of(_gptq, _relearn, _retain, _benign, _noise), min_size=1, max_size=3)


@settings(max_examples=25, deadline=None)
@given(_specs)
def test_a_name_reads_back_as_the_spec_it_was_printed_from(steps: list[Attack]) -> None:
    spec = AttackSpec(tuple(steps))
    again = parse(spec.name)
    assert again == spec
    assert again.name == spec.name
    assert again.digest == spec.digest
    assert len(spec.digest) == 12
    assert set(spec.digest) <= set(string.hexdigits)


@settings(max_examples=25, deadline=None)
@given(_specs, _specs)
def test_digests_are_equal_exactly_when_specs_are(left: list[Attack], right: list[Attack]) -> None:
    one, other = AttackSpec(tuple(left)), AttackSpec(tuple(right))
    assert (one.digest == other.digest) == (one == other)


@given(
    st.text(max_size=30) | st.booleans() | st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
def test_shown_values_are_read_back(value: Any) -> None:
    assert _calls(f"f(x={_show(value)})") == [("f", {"x": value})]


@given(st.text(alphabet="gptqrelearn48_()+=,'\" .1e-", max_size=25))
def test_any_text_is_read_or_refused_with_a_config_error(text: str) -> None:
    try:
        spec = parse(text)
    except ConfigError:
        return
    assert parse(spec.name) == spec


def test_listing_the_families_imports_no_torch() -> None:
    code = "import sys; from robust_unlearn_bench.attacks import ATTACKS; list(ATTACKS); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
