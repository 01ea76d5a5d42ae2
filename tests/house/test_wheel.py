"""An installed wheel finds its default checkpoint and its campaign files, away from the checkout."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
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
def installed(tmp_path_factory):
    """A bare environment holding only our wheel; its dependencies come from this environment through PYTHONPATH."""
    where = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(where), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    venv.create(where / "bare", with_pip=False, symlinks=True)
    python = where / "bare" / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(where / "bare"), "platbase": str(where / "bare")}))
    install = ["install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([sys.executable, "-m", "pip", *install, *map(str, where.glob("*.whl"))], check=True)
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return python, site, where


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
