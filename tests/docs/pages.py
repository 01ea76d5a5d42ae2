"""What a reader would do with a page of the documentation: write the files it shows, give its commands, run its Python."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

_BLOCK = re.compile(
    r"(?P<before>[^\n]*)\n\n```(?P<kind>\w+)\n(?P<body>.*?)```(?:\n\n```text\n(?P<output>.*?)```)?", re.DOTALL
)
_FILE = re.compile(r"`(?P<name>[\w/-]+\.\w+)`(, [^`]*)?:$")


@dataclass(frozen=True)
class Step:
    """One block: a file to write, commands for a shell, or Python; with what it prints, where the page says so."""

    kind: str
    body: str
    output: str | None = None
    file: str | None = None

    @property
    def commands(self) -> str:
        """What is typed after the prompt."""
        return "\n".join(line.removeprefix("$ ") for line in self.body.splitlines())


def steps_of(page: str) -> list[Step]:
    """The blocks of a page of the docs, named without its ending, that can be carried out, in order."""
    found = []
    for block in _BLOCK.finditer((DOCS / f"{page}.md").read_text(encoding="utf-8")):
        name = _FILE.search(block["before"])
        if name or block["kind"] in {"console", "python"}:
            found.append(Step(block["kind"], block["body"], block["output"], name and name["name"]))
    return found


def command_lines(text: str) -> list[str]:
    """Every call of ``definet-flows`` after a prompt, continued lines joined, comments dropped, one call each."""
    prompted = re.findall(r"^\$ (.*)$", text.replace("\\\n", " "), re.MULTILINE)
    calls = [part.strip() for line in prompted for part in re.split(r"&&|\||(?<=\s)#.*|[12]?> ", line)]
    return [call for call in calls if call.startswith("definet-flows")]
