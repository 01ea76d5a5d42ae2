from __future__ import annotations

import pytest
from pydantic import ValidationError

from definet_flows.errors import InputError
from definet_flows.launch.hpc.cluster import DatabaseSettings, parse_options
from tests.hpc_folders import cluster


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"gpu": {"walltime": "2 hours"}}, "HH:MM:SS"),
        ({"cpu": {"walltime": "1:2:3"}}, "HH:MM:SS"),
        ({"cpu": {"memory": "lots"}}, "such as 32G"),
        ({"cpu": {"cores": 0}}, "greater than or equal to 1"),
        ({"scheduler": "lsf"}, "slurm"),
        ({"database": {"name": "a b"}}, "letters, digits"),
        ({"database": {"port": 0}}, "greater than or equal to 1"),
    ],
)
def test_what_no_cluster_can_have_is_refused(changes, complaint):
    with pytest.raises(ValidationError, match=complaint):
        cluster(**changes)


def test_a_walltime_of_days_and_a_memory_are_taken():
    assert cluster(cpu={"walltime": "2-00:00:00", "memory": "32g"}).cpu.select == "2:ncpus=16:mpiprocs=16:mem=32gb"


def test_an_address_with_a_password_is_refused():
    with pytest.raises(ValidationError, match="leave user and password out"):
        DatabaseSettings(host="mongodb://ada:lovelace@db.example.org")


def test_a_login_is_looked_for_in_the_database_it_is_for():
    assert DatabaseSettings(host="db", name="mine").client_options["authSource"] == "mine"
    assert DatabaseSettings(host="db", options={"authSource": "admin"}).client_options["authSource"] == "admin"
    assert "authSource" not in DatabaseSettings(host="db", login=False).client_options
    assert DatabaseSettings(host="db").uri == "mongodb://db:27017/"


def test_vasp_is_started_by_the_schedulers_launcher_unless_said_otherwise():
    assert cluster().vasp_commands == ("srun vasp_std", "srun vasp_gam")
    assert cluster(scheduler="pbs").vasp_commands == ("mpirun vasp_std", "mpirun vasp_gam")
    assert cluster(vasp_cmd="ibrun vasp_std").vasp_commands == ("ibrun vasp_std", "ibrun vasp_gam")


def test_options_of_the_database_are_read():
    assert parse_options(["tls=true", "maxPoolSize=5", "authSource=admin"]) == {
        "tls": True,
        "maxPoolSize": 5,
        "authSource": "admin",
    }
    with pytest.raises(InputError, match="key=value"):
        parse_options(["tls"])
    with pytest.raises(InputError, match="not written to any file") as refused:
        parse_options(["password=lovelace"])
    assert "lovelace" not in str(refused.value)
