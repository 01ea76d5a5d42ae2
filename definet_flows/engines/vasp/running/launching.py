"""One launch of VASP: atomate2's `RelaxMaker` with our inputs, watched by custodian, and why it failed if it did."""

from __future__ import annotations

import contextlib
import errno
import gzip
import logging
import re
import warnings
from pathlib import Path

from atomate2.vasp.jobs.core import RelaxMaker
from custodian.custodian import CustodianError

from definet_flows.engines.vasp.inputs.sets import RunInputs
from definet_flows.engines.vasp.running.custody import run_arguments
from definet_flows.engines.vasp.running.folder import RunFolder
from definet_flows.engines.vasp.settings import VaspSettings

logger = logging.getLogger(__name__)

TASK_DOCUMENT = "task.json.gz"
"""emmet's document of the last launch, for those who keep a store of such."""

_PROGRESS = re.compile(r"^\s*(DAV|RMM|SDA|CG|DMP|N +E|\d+ F=)")
"""Lines about a step, which tell nothing of why it was the last."""

_TAILS = ("std_err.txt", "vasp.out")


def launch(settings: VaspSettings, inputs: RunInputs, folder: RunFolder) -> None:
    """Write the inputs, run VASP under custodian and parse what it wrote; costs and failure are noted in the folder.

    Parameters
    ----------
    settings
        How it is run.
    inputs
        What to write.
    folder
        Where to run.

    Raises
    ------
    WalltimeError
        If the wall time is nearly over.
    OSError
        If the disk is full.
    """
    maker = RelaxMaker(
        input_set_generator=inputs.generator,
        # Settings for a whole machine would change the physics behind the record's back.
        write_input_set_kwargs={"apply_incar_updates": False},
        run_vasp_kwargs=run_arguments(settings),
        stop_children_kwargs={"handle_unsuccessful": False},
        task_document_kwargs={"parse_dos": False, "parse_bandstructure": False},
    )
    folder.begin(settings.cores)
    folder.end(_failure(maker, inputs, folder.path))


def _failure(maker: RelaxMaker, inputs: RunInputs, directory: Path) -> str | None:
    """Run; why it failed, None where VASP came to its own end."""
    try:
        with contextlib.chdir(directory), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pymatgen, about POTCARs and cells that are as they were meant
            response = maker.make.original(maker, inputs.structure)  # type: ignore[attr-defined]  # of jobflow's @job
            with gzip.open(TASK_DOCUMENT, "wt", encoding="utf-8") as file:
                file.write(response.output.model_dump_json())
    except CustodianError as error:
        return f"custodian gave up: {str(error).rstrip('.')}{_last_words(directory)}"
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        return _unexpected(error, directory)
    # VASP has run and is paid for: whatever custodian's and emmet's parsers raise on broken files, which is as varied as the
    # ways in which files break, must not lose its steps and core-hours. Our own readers go on with what there is.
    except Exception as error:  # noqa: BLE001
        return _unexpected(error, directory)
    return None


def _unexpected(error: Exception, directory: Path) -> str:
    logger.warning("the run in %s raised", directory, exc_info=error)
    return f"{type(error).__name__}: {error}{_last_words(directory)}"


def _last_words(directory: Path) -> str:
    """What VASP printed last, errors before results."""
    for name in _TAILS:
        with contextlib.suppress(OSError):
            lines = (directory / name).read_text(errors="replace").split("\n")
            spoken = [line.strip() for line in lines if line.strip() and not _PROGRESS.search(line)]
            if spoken:
                return f" ({name} ends with '{'; '.join(spoken[-2:])[:200]}')"
    return ""
