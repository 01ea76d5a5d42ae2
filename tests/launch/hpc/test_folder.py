from __future__ import annotations

import os

import pytest
import yaml

from definet_flows.errors import InputError
from definet_flows.launch.hpc.connection import without_password
from definet_flows.launch.hpc.credentials import FromEnvironment, mongo_client
from definet_flows.launch.hpc.folder import ConfigFolder
from definet_flows.settings import settings
from tests.hpc_folders import launchpad_of, written


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    """A home without a configuration, and a shell that names none."""
    for variable in ("DEFINET_FLOWS_CONFIG_DIR", "FW_CONFIG_FILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    settings.cache_clear()
    yield tmp_path / "home"
    settings.cache_clear()


def test_the_folder_is_found_where_it_is_named_first(monkeypatch, tmp_path, home):
    assert ConfigFolder.find() is None
    at_home = written(home / ".definet-flows")
    assert ConfigFolder.find().path == at_home.path
    monkeypatch.setenv("FW_CONFIG_FILE", str(written(tmp_path / "b").path / "FW_config.yaml"))
    assert ConfigFolder.find().path == tmp_path / "b"
    monkeypatch.setenv("DEFINET_FLOWS_CONFIG_DIR", str(written(tmp_path / "c").path))
    settings.cache_clear()
    assert ConfigFolder.find().path == tmp_path / "c"
    assert ConfigFolder.find(at_home.path).path == at_home.path


def test_a_folder_without_a_configuration_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no my_launchpad.yaml in .*definet-flows hpc init --config-dir"):
        ConfigFolder.find(tmp_path)


def test_using_a_folder_names_its_files_to_everyone(monkeypatch, tmp_path):
    folder = written(tmp_path / "c")
    (folder.path / "atomate2.yaml").unlink()
    for variable in ("FW_CONFIG_FILE", "JOBFLOW_CONFIG_FILE", "ATOMATE2_CONFIG_FILE"):
        monkeypatch.setenv(variable, "before")
    folder.use()
    assert os.environ["FW_CONFIG_FILE"] == f"{tmp_path}/c/FW_config.yaml"
    assert os.environ["JOBFLOW_CONFIG_FILE"] == f"{tmp_path}/c/jobflow.yaml"
    assert os.environ["ATOMATE2_CONFIG_FILE"] == "before"


def test_a_launchpad_file_of_the_old_form_is_read_too(tmp_path):
    folder = written(tmp_path)
    old = {"host": "db.example.org", "port": 27018, "name": "fireworks", "username": "ada", "password": "lovelace"}
    folder.launchpad_file.write_text(yaml.safe_dump(old))
    assert folder.address == "mongodb://db.example.org:27018"
    with launchpad_of(folder, connect=False) as launchpad:
        assert (launchpad.name, launchpad.username) == ("fireworks", "ada")


@pytest.mark.parametrize("content", ["", "- a\n", "a: [\n"])
def test_a_file_that_is_no_mapping_is_named(tmp_path, content):
    folder = written(tmp_path)
    folder.launchpad_file.write_text(content)
    with pytest.raises(InputError, match=r"my_launchpad.yaml (cannot be read|is empty)"):
        folder.launchpad_settings()


def test_a_missing_login_is_named_with_its_variable(monkeypatch, tmp_path):
    monkeypatch.delenv("DEFINET_FLOWS_DATABASE_USER", raising=False)
    monkeypatch.setenv("DEFINET_FLOWS_DATABASE_PASSWORD", "lovelace")
    folder = written(tmp_path, database={"login": True})
    for connect in (folder.launchpad, folder.job_store, lambda: mongo_client(connect=False)):
        with pytest.raises(InputError, match=r"DEFINET_FLOWS_DATABASE_USER is not set.*secrets\.sh") as refused:
            connect()
        assert "lovelace" not in str(refused.value)
    monkeypatch.setenv("DEFINET_FLOWS_DATABASE_USER", "ada")
    assert FromEnvironment.from_dict({"variable": "DEFINET_FLOWS_DATABASE_USER"}) == "ada"
    with launchpad_of(folder, connect=False) as launchpad:
        assert launchpad.name == "definet_flows"


def test_an_address_is_shown_without_its_password():
    shown = without_password("mongodb+srv://ada:p@ss@db.example.org/x?authSource=admin&password=1")
    assert shown == "mongodb+srv://db.example.org/x"
    assert without_password("mongodb://db:27017/") == "mongodb://db:27017/"


@pytest.mark.parametrize("wrong", [{"host": "mongodb://db:port/"}, {"options": {"tsl": True}}, {"host": "mongo://db"}])
def test_an_unusable_address_is_one_sentence(tmp_path, wrong):
    folder = written(tmp_path, database=wrong)
    with pytest.raises(InputError, match=r"my_launchpad.yaml cannot be used \(.*\): correct it\.$"):
        folder.launchpad()
