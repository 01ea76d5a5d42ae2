"""Reference pages made from the code at build time: commands from typer, fields from pydantic models.

Three directives, for MyST pages: ``{commands}`` lists every command with its arguments, options and example, ``{fields}`` the
fields of the models it names and of the models in them, and ``{public}`` documents what a package exports. Nothing they write is
kept in the repository.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from docutils import nodes
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

NAPOLEON_PRIORITY = 500
"""Sphinx's default, with which napoleon turns sections of NumPy docstrings into fields."""

PLAIN_TYPES = {
    type(None): "null",
    str: "text",
    int: "integer",
    float: "number",
    bool: "true or false",
    Any: "anything",
    Path: "path",
}
"""As a person would name them in a YAML or JSON file."""


class Commands(SphinxDirective):
    """Every command of ``definet-flows``."""

    def run(self) -> list[nodes.Node]:
        """Sections, one for each command."""
        from typer.main import get_command

        from definet_flows.cli.app import app

        self.env.note_reread()  # Sphinx does not see when the commands change.
        text = "\n\n".join(_command(" ".join(names), one) for names, one in _commands(get_command(app), ()))
        return self.parse_text_to_nodes(text, allow_section_headings=True)


class Fields(SphinxDirective):
    """The fields of pydantic models, named ``package.module:Model``, one to a line, and of all models within them."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Sections, one for each model."""
        self.env.note_reread()
        models: dict[type[BaseModel], None] = {}
        for line in self.content:
            module, _, name = line.strip().partition(":")
            _gather(getattr(importlib.import_module(module), name), models)
        text = "\n\n".join(_section(model) for model in models)
        return self.parse_text_to_nodes(text, allow_section_headings=True)


class Public(SphinxDirective):
    """What the named package exports, each from its docstring."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """What autodoc makes of it."""
        package = self.arguments[0]
        options = "   :members:\n   :show-inheritance:\n   :member-order: bysource\n"
        return self.parse_text_to_nodes(f"```{{eval-rst}}\n.. automodule:: {package}\n{options}```\n")


def _commands(command: Any, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, one in sorted(getattr(command, "commands", {}).items()):
        if not one.hidden:
            yield (*names, name), one
            yield from _commands(one, (*names, name))


def _command(name: str, command: Any) -> str:
    own = [one for one in command.params if "--help" not in one.opts and not getattr(one, "hidden", False)]
    rows = [[_spelling(one), _cell(_explained(one))] for one in own]
    table = _table(["argument or option", "meaning"], rows) if rows else ""
    example = (command.epilog or "").removeprefix("Example: ")
    shown = f"```console\n$ {example}\n```" if example else ""
    return "\n\n".join(part for part in (f"## {name}", inspect.cleandoc(command.help or ""), table, shown) if part)


def _spelling(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{_cell(parameter.metavar or parameter.name.upper())}`"
    return ", ".join(f"`{spelling}`" for spelling in (*parameter.opts, *parameter.secondary_opts))


def _explained(parameter: Any) -> str:
    text = parameter.help or ""
    choices = _choices(parameter.type_descriptor.annotation)
    if choices:
        text += f" One of {', '.join(f'`{one}`' for one in choices)}."
    if parameter.required:
        return f"{text} *Required.*"
    default = parameter.default
    if default in (None, False, ()) or callable(default) or parameter.multiple:
        return text
    return f"{text} Default: `{getattr(default, 'value', default)}`."


def _choices(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [one.value for one in annotation]
    return [one for inner in get_args(annotation) for one in _choices(inner)]


def _gather(model: type[BaseModel], found: dict[type[BaseModel], None]) -> None:
    if model in found:
        return
    found[model] = None
    for field in model.model_fields.values():
        for inner in _models_in(field.annotation):
            _gather(inner, found)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and not get_args(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _section(model: type[BaseModel]) -> str:
    summary = inspect.cleandoc(model.__doc__ or "")
    return f"({_anchor(model)})=\n\n## {model.__name__}\n\n{summary}\n\n{_fields(model)}"


def _anchor(model: type[BaseModel]) -> str:
    return f"fields-{model.__name__}"


def _fields(model: type[BaseModel]) -> str:
    rows = [
        [
            f"`{field.alias or name}`",
            _cell(_type(field.annotation, linked=True)),
            _default(field),
            _cell(field.description or ""),
        ]
        for name, field in model.model_fields.items()
    ]
    return _table(["field", "type", "default", "meaning"], rows)


def _type(annotation: Any, *, linked: bool) -> str:
    """A type as a person would name it in a YAML or JSON file."""
    origin = get_origin(annotation)
    if origin is not None:
        return _composed(origin, get_args(annotation), linked)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{_anchor(annotation)})" if linked else annotation.__name__
    return PLAIN_TYPES.get(annotation) or str(getattr(annotation, "__name__", annotation))


def _composed(origin: Any, inner: tuple[Any, ...], linked: bool) -> str:
    if origin is Literal:
        return " or ".join(f"`{one}`" for one in inner)
    named = [_type(one, linked=linked) for one in inner if one is not Ellipsis]
    if origin is Annotated:
        return named[0]
    if origin is dict:
        return f"mapping of {named[0]} to {named[1]}"
    if origin in {list, tuple}:
        count = f" of {len(named)}" if origin is tuple and Ellipsis not in inner else ""
        return f"list{count} ({', '.join(dict.fromkeys(named))})"
    return " or ".join(dict.fromkeys(named))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default is PydanticUndefined:
        made = field.default_factory
        return "made anew" if inspect.isfunction(made) else _shown(made())  # type: ignore[misc, call-arg]
    return _shown(field.default)


def _shown(value: Any) -> str:
    if isinstance(value, BaseModel):
        return "its defaults"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple | list):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value!r}`" if value == "" else f"`{value}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _describe_fields(_app: Sphinx, what: str, _name: str, subject: Any, _options: Any, lines: list[str]) -> None:
    """Put the fields of a pydantic model into what autodoc says of it: they have descriptions, not docstrings."""
    if what != "class" or not issubclass(subject, BaseModel):
        return
    lines += ["", *(line for name, field in subject.model_fields.items() for line in _field_lines(name, field)), ""]


def _keep_whole(_app: Sphinx, what: str, _name: str, _subject: Any, _options: Any, lines: list[str]) -> None:
    """Keep napoleon from reading what stands before a colon in a property's one line as its type."""
    if what == "property":
        lines[:0] = ["..", ""]  # an empty comment, which has no colon


def _field_lines(name: str, field: FieldInfo) -> list[str]:
    description = " ".join((field.description or "").split()).replace("*", "\\*").replace("|", "\\|")
    return [
        f":ivar {name}: {description}",
        f":vartype {name}: {_type(field.annotation, linked=False).replace('`', '')}",
    ]


def _skip(_app: Sphinx, _what: str, name: str, subject: Any, skip: bool, _options: Any) -> bool:
    """Leave out what pydantic itself puts into every model."""
    inherited = name in vars(BaseModel) or name in {"model_config", "model_fields", "model_computed_fields"}
    return skip or (inherited and not inspect.isclass(subject))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    for name, directive in (("commands", Commands), ("fields", Fields), ("public", Public)):
        app.add_directive(name, directive)
    app.connect("autodoc-process-docstring", _describe_fields)
    app.connect("autodoc-process-docstring", _keep_whole, priority=NAPOLEON_PRIORITY - 1)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True}
