from __future__ import annotations

import os
import shlex
import subprocess

import pytest
import yaml

from definet_flows.errors import InputError
from definet_flows.launch.hpc.writing import render, write_configuration
from tests.hpc_folders import cluster, written

SHARED = ["FW_config.yaml", "my_launchpad.yaml", "jobflow.yaml", "atomate2.yaml", "env.sh", "submit.sh"]
PER_ROLE = ["worker-gpu.yaml", "worker-cpu.yaml", "qadapter-gpu.yaml", "qadapter-cpu.yaml"]


def directives(folder, role, prefix):
    """The lines of a job's script that the scheduler reads, and those that the shell does."""
    adapter = folder.adapter(folder.path / f"qadapter-{role}.yaml")
    lines = adapter.get_script_str("/launches/here").splitlines()
    return {line.removeprefix(prefix) for line in lines if line.startswith(prefix)}, lines


@pytest.mark.parametrize(("scheduler", "more"), [("slurm", []), ("pbs", ["pbs-script.txt"])])
def test_the_folder_is_complete_and_its_owners_alone(tmp_path, scheduler, more):
    paths = write_configuration(cluster(scheduler=scheduler), tmp_path / "c")
    assert sorted(path.name for path in paths) == sorted(SHARED + PER_ROLE + more)
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}
    assert (tmp_path / "c").stat().st_mode & 0o777 == 0o700
    assert all("@{" not in path.read_text() for path in paths)


def test_nothing_is_overwritten_unless_forced(tmp_path):
    folder = written(tmp_path).path
    (folder / "jobflow.yaml").write_text("mine: true\n")
    (folder / "worker-gpu.yaml").unlink()
    (folder / "secrets.sh").write_text("export A=1\n")
    with pytest.raises(InputError, match=r"FW_config.yaml.*jobflow.yaml.*nothing was written\. --force replaces them"):
        write_configuration(cluster(), folder)
    assert (folder / "jobflow.yaml").read_text() == "mine: true\n"
    assert not (folder / "worker-gpu.yaml").exists()
    write_configuration(cluster(), folder, force=True)
    assert "mine" not in (folder / "jobflow.yaml").read_text()
    assert (folder / "secrets.sh").read_text() == "export A=1\n"


def test_a_file_that_others_could_read_is_closed_when_it_is_replaced(tmp_path):
    folder = written(tmp_path).path
    (folder / "jobflow.yaml").chmod(0o644)
    write_configuration(cluster(), folder, force=True)
    assert (folder / "jobflow.yaml").stat().st_mode & 0o777 == 0o600


def test_an_unwritable_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be written to .*file/c"):
        write_configuration(cluster(), tmp_path / "file" / "c")


def test_a_slurm_job_asks_for_what_was_said(tmp_path):
    folder = written(tmp_path, account="ab12", modules=("vasp/6.4",))
    asked, lines = directives(folder, "gpu", "#SBATCH ")
    assert asked == {
        "--nodes=1",
        "--ntasks-per-node=1",
        "--cpus-per-task=2",
        "--gres=gpu:1",
        "--mem=4G",
        "--time=01:00:00",
        "--partition=gpu",
        "--account=ab12",
        "--job-name=definet-gpu",
        "--output=definet-gpu-%j.out",
        "--error=definet-gpu-%j.error",
    }
    assert f"source {folder.path}/env.sh" in lines
    assert not any("module" in line for line in lines)
    asked, lines = directives(folder, "cpu", "#SBATCH ")
    assert {"--nodes=2", "--ntasks-per-node=16", "--cpus-per-task=1", "--partition=cpu"} <= asked
    assert not any("gres" in line or "--mem" in line for line in asked)
    assert "module load vasp/6.4" in lines
    assert f"rlaunch -l {folder.path}/my_launchpad.yaml -w {folder.path}/worker-cpu.yaml singleshot" in lines


def test_a_pbs_job_asks_for_what_was_said(tmp_path):
    folder = written(tmp_path, scheduler="pbs")
    asked, lines = directives(folder, "gpu", "#PBS ")
    assert {
        "-l select=1:ncpus=2:mpiprocs=1:ngpus=1:mem=4gb",
        "-l walltime=01:00:00",
        "-q gpu",
        "-N definet-gpu",
        "-V",
    } <= asked
    assert not any("$$" in line or line.startswith("-A") for line in asked)
    asked, lines = directives(folder, "cpu", "#PBS ")
    assert "-l select=2:ncpus=16:mpiprocs=16" in asked
    assert lines.index("cd /launches/here") > lines.index(f"source {folder.path}/env.sh")


def test_paths_with_spaces_survive_shell_and_yaml(tmp_path):
    folder = written(tmp_path / "my configuration")
    line = next(line for line in directives(folder, "gpu", "#SBATCH ")[1] if line.startswith("rlaunch"))
    path = str(folder.path)
    assert shlex.split(line) == [
        "rlaunch",
        "-l",
        f"{path}/my_launchpad.yaml",
        "-w",
        f"{path}/worker-gpu.yaml",
        "singleshot",
    ]
    command = ["bash", "-c", f"source '{path}/env.sh' && echo $JOBFLOW_CONFIG_FILE"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == f"{path}/jobflow.yaml\n"


@pytest.mark.parametrize(("shell", "script"), [("sh", "env.sh"), ("bash", "env.sh"), ("bash", "submit.sh")])
def test_the_scripts_are_valid_shell(tmp_path, shell, script):
    folder = written(tmp_path, database={"login": True}).path
    reply = subprocess.run([shell, "-n", folder / script], capture_output=True, text=True, check=False)
    assert (reply.returncode, reply.stderr) == (0, "")


def test_jobs_run_on_scratch_where_there_is_one(tmp_path, monkeypatch):
    monkeypatch.setenv("SCRATCH", str(tmp_path / "scratch"))
    assert f"LAUNCH_DIR={tmp_path}/scratch/definet-flows" in (written(tmp_path / "a").path / "env.sh").read_text()
    monkeypatch.delenv("SCRATCH")
    assert f"LAUNCH_DIR={tmp_path}/b/launches" in (written(tmp_path / "b").path / "env.sh").read_text()
    chosen = written(tmp_path / "c", launch_dir=str(tmp_path / "mine")).path
    assert f"LAUNCH_DIR={tmp_path}/mine" in (chosen / "env.sh").read_text()


def test_options_of_the_database_reach_both_of_its_users(tmp_path):
    folder = written(tmp_path, database={"host": "mongodb+srv://db.example.org", "options": {"tls": True}}).path
    launchpad = yaml.safe_load((folder / "my_launchpad.yaml").read_text())
    assert (launchpad["host"], launchpad["mongoclient_kwargs"]["tls"]) == ("mongodb+srv://db.example.org", True)
    stores = yaml.safe_load((folder / "jobflow.yaml").read_text())["JOB_STORE"]
    assert stores["docs_store"]["mongoclient_kwargs"] == launchpad["mongoclient_kwargs"]
    assert stores["additional_stores"]["data"]["mongoclient_kwargs"] == launchpad["mongoclient_kwargs"]


def test_no_file_has_a_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("DEFINET_FLOWS_DATABASE_USER", "ada-of-the-test")
    monkeypatch.setenv("DEFINET_FLOWS_DATABASE_PASSWORD", "lovelace-of-the-test")
    paths = write_configuration(cluster(database={"login": True}), tmp_path)
    assert not any("of-the-test" in path.read_text() for path in paths)


def test_a_template_that_asks_for_an_unknown_value_is_refused():
    assert render("a: @{b}\n@yes?c\n@no?d\n", {"b": 1, "yes": True, "no": False}) == "a: 1\nc\n"
    with pytest.raises(KeyError):
        render("@{unknown}", {})


ADD = """
from fireworks import LaunchPad
from jobflow import job
from jobflow.managers.fireworks import flow_to_workflow
import operator

launchpad = LaunchPad.auto_load()
launchpad.reset("", require_password=False)
added = job(operator.add)(2, 3)
added.update_config({"manager_config": {"_category": "cpu"}})
launchpad.add_wf(flow_to_workflow(added))
"""
READ = """
from fireworks import LaunchPad
from jobflow import SETTINGS
store = SETTINGS.JOB_STORE
store.connect()
launchpad = LaunchPad.auto_load()
print([document["output"] for document in store.query({})])
print([launch["fworker"]["name"] for launch in launchpad.launches.find({})])
print("lovelace" in str(list(launchpad.fireworks.find({}))))
"""


def test_fireworks_and_jobflow_log_in_as_the_environment_says(tmp_path, guarded_server):
    """Their own programs, in processes of their own, with what env.sh sets and secrets.sh holds."""
    options = {"authMechanism": "SCRAM-SHA-256", "authSource": "admin"}
    folder = written(tmp_path / "c", database={"host": guarded_server.uri, "login": True, "options": options}).path
    secrets = "export DEFINET_FLOWS_DATABASE_USER=ada\nexport DEFINET_FLOWS_DATABASE_PASSWORD=lovelace\n"
    (folder / "secrets.sh").write_text(secrets)
    (tmp_path / "add.py").write_text(ADD)
    (tmp_path / "read.py").write_text(READ)
    launches = [f"rlaunch -s -w {folder}/worker-{role}.yaml singleshot" for role in ("gpu", "cpu")]
    line = " && ".join([f"source {folder}/env.sh", "python add.py", *launches, "python read.py"])
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DEFINET_FLOWS")}
    reply = subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert reply.returncode == 0, reply.stderr
    assert reply.stdout.splitlines()[-3:] == ["[5]", "['relax']", "False"], "the CPU worker's job, and no secret stored"
