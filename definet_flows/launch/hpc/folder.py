"""A configuration folder as our commands read it; FireWorks' own commands read the same files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pymongo.errors import ConfigurationError

from definet_flows.errors import InputError
from definet_flows.launch.hpc.credentials import PASSWORD_VARIABLE, USER_VARIABLE, from_environment
from definet_flows.settings import settings

if TYPE_CHECKING:
    from fireworks import FWorker, LaunchPad
    from fireworks.queue.queue_adapter import QueueAdapterBase
    from jobflow.core.store import JobStore

DEFAULT_FOLDER = Path("~/.definet-flows")
FW_CONFIG = "FW_config.yaml"
LAUNCHPAD = "my_launchpad.yaml"
JOBFLOW = "jobflow.yaml"
ATOMATE2 = "atomate2.yaml"
ENVIRONMENT = "env.sh"
SUBMIT = "submit.sh"
ROLES = ("gpu", "cpu")
"""Categories of Fireworks; the GPU worker is called predict and the CPU worker relax."""


class ConfigFolder:
    """The files in a configuration folder.

    Parameters
    ----------
    path
        The folder.

    Raises
    ------
    InputError
        If there is no launchpad file in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        if not self.launchpad_file.is_file():
            raise InputError(
                f"There is no {LAUNCHPAD} in {path}: definet-flows hpc init --config-dir {path} writes a configuration."
            )

    @classmethod
    def find(cls, option: Path | None = None) -> ConfigFolder | None:
        """The folder that an option names; else DEFINET_FLOWS_CONFIG_DIR, the folder of FW_CONFIG_FILE, ~/.definet-flows.

        Parameters
        ----------
        option
            What a user gave as ``--config-dir``.

        Returns
        -------
        ConfigFolder or None
            None where nothing is set up.

        Raises
        ------
        InputError
            If what was named is no configuration folder.
        """
        chosen = option or settings().config_dir
        if chosen is None and "FW_CONFIG_FILE" in os.environ:
            chosen = Path(os.environ["FW_CONFIG_FILE"]).parent
        if chosen is not None:
            return cls(chosen)
        return cls(DEFAULT_FOLDER) if (DEFAULT_FOLDER.expanduser() / LAUNCHPAD).is_file() else None

    @property
    def launchpad_file(self) -> Path:
        """The file that says where the launchpad is."""
        return self.path / LAUNCHPAD

    @property
    def worker_files(self) -> list[Path]:
        """One per worker."""
        return self._files("worker-*.yaml", "my_fworker.yaml")

    @property
    def adapter_files(self) -> list[Path]:
        """One per queue."""
        return self._files("qadapter-*.yaml", "my_qadapter.yaml")

    def use(self) -> None:
        """Make FireWorks, jobflow and atomate2 take their settings from here, in this process and those it starts.

        They read them when they are first imported, so this comes before.
        """
        for variable, name in (
            ("FW_CONFIG_FILE", FW_CONFIG),
            ("JOBFLOW_CONFIG_FILE", JOBFLOW),
            ("ATOMATE2_CONFIG_FILE", ATOMATE2),
        ):
            if (self.path / name).is_file():
                os.environ[variable] = str(self.path / name)

    def launchpad_settings(self) -> dict[str, Any]:
        """What the launchpad file says."""
        return read_mapping(self.launchpad_file)

    @property
    def address(self) -> str:
        """Of the launchpad's database, as the file has it."""
        chosen = self.launchpad_settings()
        host = str(chosen.get("host") or "localhost")
        return host if "://" in host else f"mongodb://{host}:{chosen.get('port') or 27017}"

    @property
    def needs_login(self) -> bool:
        """Whether user and password come from the environment."""
        file = self.path / FW_CONFIG
        return file.is_file() and "MongoClient" in read_mapping(file)

    def launchpad(self, **options: Any) -> LaunchPad:
        """The launchpad, with the login that the environment has.

        Parameters
        ----------
        options
            Further options of the client, such as ``serverSelectionTimeoutMS=2000``.

        Raises
        ------
        InputError
            If the file cannot be used, or the database needs a login and the environment has none.
        """
        from fireworks import LaunchPad

        chosen = self.launchpad_settings()
        login = {}
        if self.needs_login:
            login = {"username": from_environment(USER_VARIABLE), "password": from_environment(PASSWORD_VARIABLE)}
        kwargs = (chosen.get("mongoclient_kwargs") or {}) | options
        # Where the address is a URI, FireWorks hands on nothing but these options.
        given = (
            {"mongoclient_kwargs": kwargs | login} if chosen.get("uri_mode") else login | {"mongoclient_kwargs": kwargs}
        )
        try:
            return LaunchPad.from_dict(chosen | given)
        except (ConfigurationError, ValueError, TypeError, KeyError) as error:
            raise InputError(f"{self.launchpad_file} cannot be used ({error}): correct it.") from error

    def job_store(self) -> JobStore:
        """The store of jobs' outputs, not connected; errors as for `launchpad`."""
        from jobflow.settings import JobflowSettings

        return JobflowSettings(CONFIG_FILE=str(self.path / JOBFLOW)).JOB_STORE

    def worker(self, file: Path) -> FWorker:
        """The worker that a file describes."""
        from fireworks import FWorker

        return FWorker.from_file(str(file))

    def adapter(self, file: Path) -> QueueAdapterBase:
        """The queue adapter that a file describes.

        Raises
        ------
        InputError
            If the file cannot be read.
        """
        from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter
        from fireworks.utilities.fw_serializers import load_object

        content = read_mapping(file)
        # FireWorks finds a class by importing all of its modules one after the other, its tests among them.
        return CommonAdapter.from_dict(content) if content["_fw_name"] == "CommonAdapter" else load_object(content)

    def _files(self, *patterns: str) -> list[Path]:
        return sorted(file for pattern in patterns for file in self.path.glob(pattern))


def read_mapping(file: Path) -> dict[str, Any]:
    """What a YAML file says.

    Raises
    ------
    InputError
        If it cannot be read or is not a mapping.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{file} cannot be read ({' '.join(str(error).split())}).") from error
    if not isinstance(content, dict):
        raise InputError(f"{file} is empty or not a mapping of settings.")
    return content
