"""Registries of attacks, suites, metrics, objectives, retain losses and optimizers.

Inside the package a decorator is enough: the registry finds it in the source of its package, so that names can be
listed without importing anything heavy:

    @ATTACKS.register("noise", label="noise{percent}")
    @dataclass(frozen=True, slots=True)
    class Noise: ...

Another distribution decorates its member in the same way and, to make it discoverable, declares an entry point in the
group of the registry:

    [project.entry-points."robust_unlearn_bench.attacks"]
    blur = "my_package.blur:Blur"
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar, cast

from .errors import ConfigError, PluginError, RubError, UnknownNameError

__all__ = ["BUILT_IN", "Registry"]

T = TypeVar("T")
D = TypeVar("D")

BUILT_IN = "robust-unlearn-bench"
"""Distribution of the members in this package."""

HERE = "here"
"""Origin of a member that comes neither from this package nor from an entry point."""


class _Declared(NamedTuple):
    """A decorator in the source: its module and its keyword arguments."""

    module: str
    facts: Mapping[str, str]


class Registry(Generic[T]):
    """Mapping of names to members, each imported on first access.

    Args:
        kind: kind of member in words, for error messages.
        plural: plural of `kind`: the entry-point group is `robust_unlearn_bench.<plural>`, and the variable of the
            registry in the source of its package is the plural in capitals.
        package: package with the modules that register the built-in members.
        requires: attributes that every member must have.
        requires_facts: keyword arguments that every decorator must have.
        make: function that turns the decorated object into the member; the identity by default.
    """

    def __init__(
        self,
        kind: str,
        plural: str,
        package: str,
        requires: Sequence[str] = (),
        requires_facts: Sequence[str] = (),
        make: Callable[[Any], T] = lambda member: cast(T, member),
    ) -> None:
        self.kind = kind
        self.group = f"robust_unlearn_bench.{plural}"
        self._symbol = plural.upper()
        self._package = package
        self._requires = tuple(requires)
        self._requires_facts = tuple(requires_facts)
        self._make = make
        self._members: dict[str, T] = {}
        self._facts: dict[str, Mapping[str, str]] = {}
        self._origins: dict[str, str] = {}
        self._loading = HERE
        self._declarations: dict[str, _Declared] | None = None
        self._plugins: dict[str, EntryPoint] | None = None
        self._refused: list[str] = []

    def register(self, name: str, **facts: str) -> Callable[[D], D]:
        """Register the decorated object under a name.

        Args:
            name: name of the member, a literal string.
            facts: literal strings, available without importing the member (an attack's label, an optimizer's grade).

        Raises:
            ConfigError: the name is taken by another object.
        """

        def enter(member: D) -> D:
            ours = str(getattr(member, "__module__", "")).startswith(f"{self._package}.")
            if name in self._members or (not ours and name in self._declared):
                raise ConfigError(f"{self.kind} {name!r} is registered twice; choose another name")
            made = self._make(member)
            missing = [attribute for attribute in self._requires if not hasattr(made, attribute)]
            if missing := [*missing, *(fact for fact in self._requires_facts if fact not in facts)]:
                raise ConfigError(f"{self.kind} {name!r} has no {' and no '.join(missing)}: define it")
            self._members[name], self._facts[name] = made, facts
            self._origins[name] = BUILT_IN if ours else self._loading
            return member

        return enter

    def __getitem__(self, name: str) -> T:
        """Return a member, importing its module if necessary.

        Raises:
            UnknownNameError: there is no such member.
            PluginError: the member comes from another distribution and cannot be used.
        """
        if name not in self._members:
            if declared := self._declared.get(name):
                import_module(declared.module)
            elif plugin := self._entry_points.get(name):
                self._load(name, plugin)
            else:
                raise UnknownNameError(self.kind, name, self)
        return self._members[name]

    def facts(self, name: str) -> Mapping[str, str]:
        """Return the keyword arguments of a member's decorator, without importing the member if it is a built-in one.

        Raises:
            UnknownNameError: there is no such member.
            PluginError: the member comes from another distribution and cannot be used.
        """
        if name not in self._facts and (declared := self._declared.get(name)):
            return declared.facts
        self[name]
        return self._facts[name]

    def origin(self, name: str) -> str:
        """Return the distribution that a member comes from, without importing the member.

        Raises:
            UnknownNameError: there is no such member.
        """
        if name in self._origins:
            return self._origins[name]
        if name in self._declared:
            return BUILT_IN
        if name in self._entry_points:
            return _distribution(self._entry_points[name])
        raise UnknownNameError(self.kind, name, self)

    def problems(self) -> list[str]:
        """Load all members of other distributions; return one sentence for each that cannot be used."""
        found = []
        for name in self._entry_points:
            try:
                self[name]
            except PluginError as error:
                found.append(str(error))
        return [*self._refused, *found]

    def __contains__(self, name: object) -> bool:
        return name in self._members or name in self._declared or name in self._entry_points

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._members, *self._declared, *self._entry_points}))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    # --- members of this package -----------------------------------------------------------------------------------

    @property
    def _declared(self) -> Mapping[str, _Declared]:
        if self._declarations is None:
            self._declarations = dict(_declarations(self._package, self._symbol))
        return self._declarations

    # --- members of other distributions ----------------------------------------------------------------------------

    @property
    def _entry_points(self) -> Mapping[str, EntryPoint]:
        if self._plugins is None:
            self._plugins = {}
            for plugin in entry_points(group=self.group):
                owner = BUILT_IN if plugin.name in self._declared else ""
                if plugin.name in self._plugins:
                    owner = _distribution(self._plugins[plugin.name])
                if owner:
                    self._refused.append(self._sentence(plugin, f"the name is taken by {owner}; choose another"))
                else:
                    self._plugins[plugin.name] = plugin
        return self._plugins

    def _load(self, name: str, plugin: EntryPoint) -> None:
        before, self._loading = self._loading, _distribution(plugin)
        try:
            plugin.load()
        except RubError as error:
            raise PluginError(self._sentence(plugin, str(error))) from error
        except Exception as error:  # anything that a third-party module raises on import
            raise PluginError(self._sentence(plugin, f"importing {plugin.value} raised {error!r}")) from error
        finally:
            self._loading = before
        if name not in self._members:
            raise PluginError(self._sentence(plugin, f"{plugin.value} does not register itself under that name"))

    def _sentence(self, plugin: EntryPoint, reason: str) -> str:
        return f"{self.kind} {plugin.name!r} of {_distribution(plugin)} cannot be used: {reason}"


def _distribution(plugin: EntryPoint) -> str:
    return f"{plugin.dist.name} {plugin.dist.version}" if plugin.dist else plugin.module


def _declarations(package: str, symbol: str) -> Iterator[tuple[str, _Declared]]:
    """Yield every `@SYMBOL.register("name", key="value")` in the modules of a package."""
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in sorted(Path(folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            if f"@{symbol}.register(" not in text:
                continue
            module = ".".join((package, *path.relative_to(folder).with_suffix("").parts))
            for node in ast.walk(ast.parse(text)):
                for call in getattr(node, "decorator_list", ()):
                    if isinstance(call, ast.Call) and ast.unparse(call.func) == f"{symbol}.register":
                        facts = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
                        yield ast.literal_eval(call.args[0]), _Declared(module, facts)
