"""What the user's machine decides: defaults from the environment, and where the shipped files lie.

Every setting can be given as an environment variable with the prefix ``DEFINET_FLOWS_``,
for example ``DEFINET_FLOWS_CHECKPOINT=my-model``.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from definet_flows.errors import InputError

PACKAGE = Path(__file__).resolve().parent


class Settings(BaseSettings):
    """Defaults a user may change for a whole machine; none of them changes what a result means."""

    model_config = SettingsConfigDict(env_prefix="DEFINET_FLOWS_", extra="ignore", frozen=True)

    checkpoint: str = Field(
        default="definet-mos2-chgnet",
        min_length=1,
        description="Name of a shipped checkpoint, or the path of a checkpoint folder, used where none is named",
    )
    models_dir: Path | None = Field(
        default=None, description="Folder of your own checkpoints, searched before the shipped ones"
    )
    config_dir: Path | None = Field(
        default=None, description="Configuration folder of a cluster, as `definet-flows hpc init` writes it"
    )
    launch_dir: Path | None = Field(
        default=None, description="Where jobs from a queue run; set by that folder's env.sh"
    )


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings of this process, read from the environment once.

    Returns
    -------
    Settings
        The frozen settings.

    Raises
    ------
    InputError
        If an environment variable holds a value of the wrong kind.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        variable = f"DEFINET_FLOWS_{first['loc'][0]}".upper()
        raise InputError(
            f"The environment variable {variable} is unusable ({first['msg']}); change or unset it."
        ) from error


def models_directory() -> Path:
    """Return the folder of shipped checkpoints: inside an installed package, or beside it in a checkout."""
    return _shipped("_models", "models")


def workflows_directory() -> Path:
    """Return the folder of shipped campaign files: inside an installed package, or beside it in a checkout."""
    return _shipped("_workflows", "workflows")


def _shipped(installed_name: str, checkout_name: str) -> Path:
    installed = PACKAGE / installed_name
    return installed if installed.is_dir() else PACKAGE.parent / checkout_name
