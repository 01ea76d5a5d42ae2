"""What source archive and wheel hold; an installed wheel finds its checkpoint and campaigns, away from the checkout."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PROBE = """
import json, definet_flows
from pathlib import Path
from definet_flows.settings import models_directory, settings, workflows_directory
from definet_flows.definet.checkpoint import load_checkpoint
print(json.dumps({
    "package": definet_flows.__file__,
    "checkpoint": load_checkpoint(settings().checkpoint).card.name,
    "models": str(models_directory()),
    "templates": sorted(path.name for path in (workflows_directory() / "fireworks").iterdir()),
    "campaigns": sorted(path.stem for path in workflows_directory().glob("*.yaml")),
    "page": sorted(path.suffix for path in (Path(definet_flows.__file__).parent / "analysis/report/assets").iterdir()),
}))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Where a source archive of the checkout lies, and the wheel that was built from it."""
    where = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(where), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    return where


@pytest.fixture(scope="module")
def installed(built):
    """A bare environment holding only our wheel; its dependencies come from this environment through PYTHONPATH."""
    where = built
    venv.create(where / "bare", with_pip=False, symlinks=True)
    python = where / "bare" / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(where / "bare"), "platbase": str(where / "bare")}))
    install = ["install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([sys.executable, "-m", "pip", *install, *map(str, where.glob("*.whl"))], check=True)
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return python, site, where


def files_below(*folders):
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    return {str(path.relative_to(ROOT)) for path in paths if "__pycache__" not in path.parts}


def test_the_wheel_holds_package_models_and_campaigns_and_nothing_else(built):
    (wheel,) = built.glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    everything = files_below("definet_flows", "models", "workflows")
    meant = {name for name in everything if not (name.startswith("workflows/") and name.endswith(".safetensors"))}
    assert meant < everything, "labels stay in the repository"
    placed = {"models": "definet_flows/_models", "workflows": "definet_flows/_workflows"}
    assert held == {
        "/".join([placed.get(room, room), rest]) for room, _, rest in (name.partition("/") for name in meant)
    }
    assert wheel.stat().st_size < 20e6, "eight networks of 2 MB with their cards, and no labels"


def test_the_source_archive_holds_what_a_developer_needs_and_no_rubbish(built):
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        held = {name.partition("/")[2] for name in opened.getnames()}
    assert files_below("definet_flows", "models", "workflows", "tests", "benchmarks") <= held
    assert {"LICENSE", "README.md", "CITATION.cff", "CONTRIBUTING.md", "SECURITY.md", "Makefile"} <= held
    assert {"constraints.txt", "docs/index.md", "docs/_extensions/generated_reference.py", ".ci/run"} <= held
    rubbish = {name for name in held if {"__pycache__", ".venv", "_build", ".git", "demo-run"} & set(Path(name).parts)}
    assert rubbish == set()


def test_the_wheel_carries_its_checkpoint_and_campaigns(installed):
    python, site, elsewhere = installed
    reply = subprocess.run([python, "-I", "-c", PROBE], cwd=elsewhere, capture_output=True, text=True, check=False)
    assert reply.returncode == 0, reply.stderr
    found = json.loads(reply.stdout)
    assert Path(found["package"]).is_relative_to(site), "the checkout was imported instead of the wheel"
    assert Path(found["models"]).is_relative_to(site)
    assert found["checkpoint"] == "definet-mos2-chgnet"
    assert {".css", ".html", ".js"} == set(found["page"])
    assert {"my_launchpad.yaml", "qadapter-slurm.yaml", "pbs-script.txt", "submit.sh"} <= set(found["templates"])
    assert {"demo", "low-density-mos2", "low-density-wse2", "high-density-hbn"} <= set(found["campaigns"])


def test_the_wheel_has_the_command(installed):
    python, site, elsewhere = installed
    command = [python, "-I", "-c", "from definet_flows.cli.app import main; main(['models', 'list'])"]
    reply = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=False)
    assert reply.returncode == 0, reply.stderr
    assert "definet-mos2-chgnet" in reply.stdout
    assert (site / "bin" / "definet-flows").exists()
