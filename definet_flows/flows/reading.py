"""Campaign files, with errors that say in one sentence which field to change into what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from definet_flows.errors import InputError
from definet_flows.flows.campaign import Campaign
from definet_flows.flows.hosts import Screening
from definet_flows.flows.validation import ValidationSettings

Settings = TypeVar("Settings", Campaign, Screening)


class _StrictLoader(yaml.SafeLoader):
    """YAML without repeated keys, of which the last would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse repeated keys."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        repeated = {str(key) for key in keys if keys.count(key) > 1}
        if repeated:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {', '.join(sorted(repeated))} is there twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


def load_campaign(path: str | Path) -> Campaign:
    """Read a campaign file with one host.

    Parameters
    ----------
    path
        YAML. Relative paths in it are relative to its folder.

    Raises
    ------
    InputError
        One sentence that names the file, the field and what is allowed there; also if it has several hosts.
    """
    campaigns = load_campaigns(path)
    if len(campaigns) > 1:
        raise InputError(
            f"{path} has several hosts ({_listed([one.name for one in campaigns])}), and one is needed here; write a file "
            "with the host that is meant."
        )
    return campaigns[0]


def load_campaigns(path: str | Path) -> list[Campaign]:
    """Read a campaign file: one campaign, or one for each of its hosts.

    Parameters
    ----------
    path
        As for `load_campaign`.

    Raises
    ------
    InputError
        One sentence that names the file, the field and what is allowed there.
    """
    file = Path(path)
    content = _read_mapping(file)
    folder = file.resolve().parent
    if "hosts" not in content:
        return [_with_absolute_paths(_validated(Campaign, content, file), folder)]
    if "host" in content:
        raise InputError(f"{file}: 'host' and 'hosts' exclude each other; put the one host into the list.")
    members = _validated(Screening, content, file).members()
    return [_with_absolute_paths(one, folder) for one in members]


def _validated(kind: type[Settings], content: dict[str, Any], file: Path) -> Settings:
    known = {name: entry for name, entry in content.items() if name != "screening"}
    try:
        if len(known) < len(content):
            raise InputError(f"{file}: {_unknown_key({'loc': ('screening',)}, kind)}")
        return kind.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{file}: {_sentence(error.errors()[0], kind)}") from error


def _read_mapping(file: Path) -> dict[str, Any]:
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506  a SafeLoader
    except FileNotFoundError:
        raise InputError(f"There is no campaign file {file}; check the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The campaign file {file} cannot be read ({error}).") from error
    except yaml.YAMLError as error:
        raise InputError(f"{file} is not valid YAML: {_yaml_problem(error)}.") from error
    if not isinstance(content, dict):
        raise InputError(f"{file} is empty or not a mapping; it needs the keys {_listed(_required(Campaign))}.")
    return content


def _yaml_problem(error: yaml.YAMLError) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return f"{problem or 'it cannot be read'}{where}"


def _sentence(error: Mapping[str, Any], root: type[BaseModel]) -> str:
    """What is wrong with one field and what to write instead."""
    place = ".".join(_located(error["loc"], root)[0]) or "the campaign"
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(error, root)
    if kind == "literal_error":
        return f"'{place}' is {error['input']!r}, which is not one of {context['expected']}."
    if kind == "union_tag_invalid":
        return f"'{place}.name' is {context['tag']!r}, which is not one of {context['expected_tags']}."
    endings = {
        "missing": "is missing; add it",
        "value_error": f": {context.get('error')}",
        "union_tag_not_found": f"is {_shown(error['input'])}: write its settings as a mapping, such as {{name: vasp}}",
    }
    if kind in endings:
        return f"'{place}' {endings[kind]}.".replace("' : ", "': ")
    problem = error["msg"].replace("tuple", "list").replace("Tuple", "List")
    return f"'{place}' is {_shown(error['input'])}: {problem[0].lower()}{problem[1:]}."


def _unknown_key(error: Mapping[str, Any], root: type[BaseModel]) -> str:
    *parents, key = error["loc"]
    names, model = _located(parents, root)
    allowed = sorted(set(model.model_fields) - {"screening"}) if model else []
    near = get_close_matches(str(key), allowed, n=1, cutoff=0.6)
    meant = f"did you mean '{near[0]}'? " if near else ""
    where = f"'{'.'.join(names)}' has" if names else "there is"
    return f"{where} no key '{key}'; {meant}the keys are {_listed(allowed)}."


def _located(path: Sequence[Any], root: type[BaseModel]) -> tuple[list[str], type[BaseModel] | None]:
    """A place in the campaign file and the model that describes it.

    Where a field takes one of several models, pydantic's path also has the name of the one it took, which no file has; where
    it takes a list of one model, the place in the list.
    """
    model: type[BaseModel] | None = root
    options: list[type[BaseModel]] = []
    names: list[str] = []
    for name in map(str, path):
        if name.isdigit() and options:
            names[-1] += f"[{name}]"
            continue
        taken = (
            [option for option in options if option.model_fields["name"].default == name] if len(options) > 1 else []
        )
        if taken:
            model, options = taken[0], []
            continue
        names.append(name)
        field = model.model_fields.get(name) if model else None
        options = list(_models_in(field.annotation)) if field else []
        model = options[0] if options else None
    return names, model


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if get_origin(annotation) in {Union, UnionType}:
        for option in get_args(annotation):
            yield from _models_in(option)
    elif get_origin(annotation) in {Annotated, tuple}:
        yield from _models_in(get_args(annotation)[0])
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation


def _required(model: type[BaseModel]) -> list[str]:
    return [name for name, field in model.model_fields.items() if field.is_required()]


def _listed(names: list[str]) -> str:
    return ", ".join(names)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _with_absolute_paths(campaign: Campaign, folder: Path) -> Campaign:
    host, source, model = campaign.host, campaign.configurations, campaign.model
    if host.file is not None:
        host = host.model_copy(update={"file": str(folder / host.file)})
    source = source.model_copy(update={"files": tuple(str(folder / file) for file in source.files)})
    # A checkpoint is a name unless a folder of that name lies beside the campaign file.
    if model is not None and (folder / model.checkpoint).is_dir():
        model = model.model_copy(update={"checkpoint": str(folder / model.checkpoint)})
    crystals = tuple(str(folder / file) for file in campaign.elements.crystals)
    elements = campaign.elements.model_copy(update={"crystals": crystals})
    changes: Mapping[str, Any] = {"host": host, "configurations": source, "model": model, "elements": elements}
    return campaign.model_copy(update={**changes, "validation": _located_validation(campaign.validation, folder)})


def _located_validation(settings: ValidationSettings | None, folder: Path) -> ValidationSettings | None:
    if settings is None:
        return None
    held_out = settings.held_out
    if held_out is not None:
        held_out = held_out.model_copy(update={"files": tuple(str(folder / file) for file in held_out.files)})
    training = settings.training and str(folder / settings.training)
    return settings.model_copy(update={"held_out": held_out, "training": training})
