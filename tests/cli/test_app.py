from __future__ import annotations

import os
import subprocess
import sys

import pytest

import definet_flows

COMMANDS = {
    "hosts": [],
    "enumerate": ["--host", "--supercell", "--recipe", "--preset", "--count-only", "--json", "--output"],
    "sample": ["--host", "--seed", "--concentration"],
    "prerelax": ["--host", "--supercell", "--model", "--no-guard", "--device", "--output"],
    "run": ["--dir", "--workers"],
    "results": ["--where", "--json", "--csv"],
    "report": [],
    "models": [],
    "models list": [],
    "models show": [],
    "labels": [],
    "labels import": ["--output", "--skip-bad", "--host", "--teacher"],
    "labels show": ["--json"],
    "train": ["--resume"],
    "evaluate": ["--json"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example(invoke, name):
    reply = invoke(*name.split(), "--help")
    assert reply.exit_code == 0
    assert f"Example: definet-flows {name.split()[0]}" in reply.stdout
    for option in COMMANDS[name]:
        assert option in reply.stdout


def test_the_version_names_the_packages_that_matter(invoke):
    reply = invoke("--version")
    assert reply.stdout.startswith(f"definet-flows {definet_flows.__version__}\n")
    for package in ("python", "torch", "pymatgen", "chgnet", "jobflow", "atomate2", "fireworks"):
        assert f"  {package} " in reply.stdout


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("re", {"report", "results", "recover"}), ("report --h", {"--html"}), ("models ", {"list", "import"})],
)
def test_a_shell_completes_commands_and_options(typed, offered):
    words = f"definet-flows {typed}"
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")), "_DEFINET_FLOWS_COMPLETE": "complete_bash"}
    program = "from definet_flows.cli.app import main; main()"
    reply = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | asked, capture_output=True, text=True, check=False
    )
    assert offered <= set(reply.stdout.split())


def test_help_loads_no_heavy_package():
    program = (
        "import sys\n"
        "from definet_flows.cli.app import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'pymatgen', 'ase', 'jobflow', 'maggma', 'matplotlib', 'numpy'} & set(sys.modules)))"
    )
    reply = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert reply.stdout.splitlines()[-1] == "[]"


def test_a_misspelt_command_is_corrected(invoke):
    reply = invoke("enumrate")
    assert reply.exit_code == 2
    assert "enumerate" in reply.stderr
