"""Commands and links in the documentation are ones that exist, and every command has an example."""

from __future__ import annotations

import re
import shlex

import pytest
from typer.main import get_command

from definet_flows.cli.app import app
from definet_flows.settings import workflows_directory
from tests.docs.pages import DOCS, ROOT, command_lines

PAGES = sorted([*DOCS.glob("*.md"), *ROOT.glob("*.md")])
TOP = get_command(app)


def commands(command=TOP, names=()):
    for name, one in getattr(command, "commands", {}).items():
        yield (*names, name), one
        yield from commands(one, (*names, name))


def unknown_in(call):
    """Words of a call that name no command or no option of it."""
    command, spelt = TOP, set()
    unknown = []
    for word in shlex.split(call)[1:]:
        spelt |= {spelling for one in command.params for spelling in (*one.opts, *one.secondary_opts)} | {"-h"}
        if word.startswith("-") and not re.match(r"-\d", word):
            unknown += [] if word.split("=")[0] in spelt or re.fullmatch("-v+", word) else [word]
        elif hasattr(command, "commands"):
            if word not in command.commands:
                return [*unknown, word] if re.fullmatch(r"[a-z-]+", word) else unknown
            command = command.commands[word]
    return unknown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_commands_and_options_that_exist(page):
    calls = command_lines(page.read_text(encoding="utf-8"))
    assert {call: unknown for call in calls if (unknown := unknown_in(call))} == {}


@pytest.mark.parametrize(("names", "command"), [pytest.param(*one, id=" ".join(one[0])) for one in commands()])
def test_every_command_has_an_example_of_itself(names, command):
    example = (command.epilog or "").removeprefix("Example: ")
    assert example.startswith(f"definet-flows {' '.join(names)}")
    assert unknown_in(example) == []


def test_every_campaign_file_that_ships_is_described():
    table = (DOCS / "campaigns.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    # `one-a`, `-b` stands for one-a and one-b.
    described = set()
    for cell in named:
        first, *endings = re.findall(r"`([\w-]+)`", cell)
        described |= {first, *(first.rpartition("-")[0] + one if one[0] == "-" else one for one in endings)}
    assert {file.stem for file in workflows_directory().glob("*.yaml")} == described


def test_every_checkpoint_that_ships_is_described():
    page = (DOCS / "campaigns.md").read_text(encoding="utf-8")
    assert [
        folder.name for folder in (ROOT / "models").iterdir() if folder.is_dir() and f"`{folder.name}`" not in page
    ] == []


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")), ids=lambda page: page.name)
def test_links_of_a_page_outside_the_docs_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (ROOT / target).exists()] == []
