"""Registries: built-in members by their decorators, members of other distributions by entry points."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from robust_unlearn_bench.attacks import ATTACKS
from robust_unlearn_bench.errors import ConfigError, PluginError, UnknownNameError
from robust_unlearn_bench.objectives import OBJECTIVES, RETAIN_LOSSES
from robust_unlearn_bench.optimizers import OPTIMIZERS
from robust_unlearn_bench.registry import BUILT_IN, Registry
from robust_unlearn_bench.suites import SUITES

BUILT_IN_COLOURS = """
from {host}_registry import COLOURS

@COLOURS.register("red", warmth="warm")
class Red:
    wavelength = 700
"""


@pytest.fixture
def colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[Any]:
    """A registry whose package holds one module with one member."""
    host = f"paint{abs(hash(tmp_path))}"
    package = tmp_path / host
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "red.py").write_text(BUILT_IN_COLOURS.format(host=host))
    monkeypatch.syspath_prepend(tmp_path)
    registry: Registry[Any] = Registry("colour", "colours", host, requires=("wavelength",))
    monkeypatch.setitem(sys.modules, f"{host}_registry", type(sys)(f"{host}_registry"))
    sys.modules[f"{host}_registry"].COLOURS = registry  # type: ignore[attr-defined]  # a module made for this test
    return registry


@pytest.fixture
def distribute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, colours: Registry[Any]) -> Callable[..., None]:
    """Install a distribution with one module and its entry points."""

    def install(source: str, *names: str, package: str = "palette") -> None:
        host = colours._package
        (tmp_path / f"{package}.py").write_text(f"from {host}_registry import COLOURS\n{source}")
        info = tmp_path / f"{package}-2.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 2.0\n")
        lines = "\n".join(f"{name} = {package}" for name in names)
        (info / "entry_points.txt").write_text(f"[robust_unlearn_bench.colours]\n{lines}\n")
        importlib.invalidate_caches()
        monkeypatch.delitem(sys.modules, package, raising=False)

    return install


def test_a_built_in_member_is_known_before_it_is_imported(colours: Registry[Any]) -> None:
    module = f"{colours._package}.red"
    assert list(colours) == ["red"]
    assert "red" in colours
    assert colours.facts("red") == {"warmth": "warm"}
    assert colours.origin("red") == BUILT_IN
    assert module not in sys.modules
    assert colours["red"].wavelength == 700
    assert module in sys.modules


def test_unknown_names_suggest_the_nearest(colours: Registry[Any]) -> None:
    with pytest.raises(UnknownNameError, match="unknown colour 'rad': did you mean 'red'"):
        colours["rad"]
    with pytest.raises(UnknownNameError, match="known: red"):
        colours.facts("zzzzz")


def test_a_member_without_what_is_required_is_refused(colours: Registry[Any]) -> None:
    with pytest.raises(ConfigError, match="colour 'grey' has no wavelength: define it"):
        colours.register("grey")(object)


@pytest.mark.parametrize("first", [True, False])
def test_a_name_is_taken_once(colours: Registry[Any], first: bool) -> None:
    if first:
        assert colours["red"]
    with pytest.raises(ConfigError, match="colour 'red' is registered twice"):
        colours.register("red")(type("Red", (), {"wavelength": 1}))


def test_a_distribution_adds_a_member(colours: Registry[Any], distribute: Callable[..., None]) -> None:
    distribute('@COLOURS.register("teal", warmth="cool")\nclass Teal:\n    wavelength = 490\n', "teal")
    assert list(colours) == ["red", "teal"]
    assert colours.origin("teal") == "palette 2.0"
    assert colours["teal"].wavelength == 490
    assert colours.facts("teal") == {"warmth": "cool"}
    assert colours.origin("teal") == "palette 2.0"
    assert colours.problems() == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "import no_such_module",
            r"importing palette raised ModuleNotFoundError\(\"No module named 'no_such_module'\"\)",
        ),
        ('@COLOURS.register("teal")\nclass Teal: ...', "colour 'teal' has no wavelength: define it"),
        ("", "palette does not register itself under that name"),
        ('@COLOURS.register("red")\nclass Red:\n    wavelength = 1', "colour 'red' is registered twice"),
    ],
)
def test_a_distribution_that_cannot_be_used_is_named_and_the_rest_works(
    colours: Registry[Any], distribute: Callable[..., None], source: str, message: str
) -> None:
    distribute(source, "teal")
    with pytest.raises(PluginError, match=f"^colour 'teal' of palette 2.0 cannot be used: {message}"):
        colours["teal"]
    (problem,) = colours.problems()
    assert problem.startswith("colour 'teal' of palette 2.0 cannot be used: ")
    assert colours["red"].wavelength == 700


def test_a_distribution_never_shadows_a_built_in_member(
    colours: Registry[Any], distribute: Callable[..., None]
) -> None:
    distribute('@COLOURS.register("red")\nclass Red:\n    wavelength = 1', "red")
    assert colours["red"].wavelength == 700
    assert colours.problems() == [
        "colour 'red' of palette 2.0 cannot be used: the name is taken by robust-unlearn-bench; choose another"
    ]


def test_two_distributions_do_not_shadow_each_other(colours: Registry[Any], distribute: Callable[..., None]) -> None:
    teal = '@COLOURS.register("teal")\nclass Teal:\n    wavelength = {}\n'
    distribute(teal.format(1), "teal", package="aqua")
    distribute(teal.format(2), "teal", package="brine")
    assert len(colours.problems()) == 1
    assert "taken by" in colours.problems()[0]
    assert colours["teal"].wavelength in (1, 2)


@pytest.mark.parametrize("registry", [ATTACKS, OBJECTIVES, OPTIMIZERS, RETAIN_LOSSES, SUITES], ids=lambda r: r.kind)
def test_every_declared_member_is_registered_under_its_name(registry: Registry[Any]) -> None:
    built_in = [name for name in registry if registry.origin(name) == BUILT_IN]  # other tests register their own
    assert len(built_in) > 3
    assert [registry[name].name for name in built_in] == built_in
