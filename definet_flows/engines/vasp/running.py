"""One relaxation with VASP: atomate2's `RelaxMaker` with our inputs, watched by custodian, in a directory of its own."""

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

from definet_flows.defects import DefectConfiguration
from definet_flows.engines.moments import Scheme
from definet_flows.engines.relaxation import FloatArray, Relaxation, RunDetails
from definet_flows.engines.vasp.custody import WalltimeError, check_command, run_arguments
from definet_flows.engines.vasp.folder import RunFolder
from definet_flows.engines.vasp.inputs import (
    RunInputs,
    check_potcars,
    poscar_order,
    relaxation_inputs,
)
from definet_flows.engines.vasp.outputs import host_positions, read_run, relaxation_of
from definet_flows.engines.vasp.settings import VaspEngine
from definet_flows.engines.vasp.single_points import chosen_moments, with_single_points
from definet_flows.errors import InputError

logger = logging.getLogger(__name__)

TASK_DOCUMENT = "task.json.gz"
"""emmet's document of the last launch, for those who keep a store of such."""

_WALLTIME = "WalltimeHandler"
_PROGRESS = re.compile(r"^\s*(DAV|RMM|SDA|CG|DMP|N +E|\d+ F=)")
"""Lines about a step, which tell nothing of why it was the last."""

_FEWEST_STEPS = 2
"""NSW of a launch: with fewer, VASP would not relax."""

_TAILS = ("std_err.txt", "vasp.out")


def relax(engine: VaspEngine, configuration: DefectConfiguration, start: FloatArray, origin: str) -> Relaxation:
    """Relax a configuration, or go on with, or read, what was done of it before.

    Parameters
    ----------
    engine
        The settings.
    configuration
        What to relax; the one without defects is the pristine supercell.
    start
        [n_sites, 3] Å in host site order.
    origin
        ``unrelaxed`` or ``prerelaxed``, for the name of the directory.

    Returns
    -------
    Relaxation
        Over all launches of this run, failed ones included.

    Raises
    ------
    InputError
        If VASP or a POTCAR is missing.
    WalltimeError
        If the wall time ends first.
    """
    folder = RunFolder.of(engine, configuration, start, origin)
    if not folder.state.get("ended"):
        check_command(engine)
        check_potcars(engine, configuration)
        scheme = chosen_moments(engine, configuration, start, folder, launch)
        _go_on(engine, configuration, start, folder, scheme)
    return with_single_points(engine, configuration, folder, outcome_of(folder, configuration), launch)


def _go_on(
    engine: VaspEngine, configuration: DefectConfiguration, start: FloatArray, folder: RunFolder, scheme: Scheme
) -> None:
    """Launch VASP where the last launch stopped, with as many steps as are left."""
    positions, steps = start, 0
    if folder.started:
        steps = outcome_of(folder, configuration).ionic_steps or 0
        positions = folder.last_positions(configuration, poscar_order(configuration), start)
        folder.put_aside()
    left = max(_FEWEST_STEPS, engine.max_steps - steps)
    inputs = relaxation_inputs(engine, configuration, positions, scheme=scheme, max_steps=left)
    launch(engine, inputs, folder)
    outcome = outcome_of(folder, configuration)
    if not outcome.converged and _stopped_for_walltime(outcome):
        raise WalltimeError(
            f"The wall time of {engine.walltime} s is nearly over, so {folder.path.name} was stopped after "
            f"{outcome.ionic_steps} ionic steps; give the same command again in another job, and it goes on from there."
        )
    folder.note(ended=outcome.error is None)


def outcome_of(folder: RunFolder, configuration: DefectConfiguration) -> Relaxation:
    """The figures of a run over all its launches, whatever became of them.

    Parameters
    ----------
    folder
        Its directory.
    configuration
        What is relaxed.
    """
    try:
        run = read_run(folder.path)
    except InputError:  # VASP ended before it wrote anything
        return _nothing_written(folder)
    outcome = relaxation_of(run, host_positions(configuration.host, poscar_order(configuration)))
    attempts = outcome.details.attempts if outcome.details else []
    if not all(attempt.ended for attempt in attempts):
        outcome = _timed_by_us(outcome, folder)
    # VASP may say that it converged, and its files be cut off before that.
    whole = bool(attempts) and attempts[-1].ended
    reason = (None if outcome.converged and whole else folder.state.get("reason")) or outcome.error
    if reason is None:
        return outcome
    why = f"{reason}, after {outcome.ionic_steps} ionic steps; the files are in {folder.path}"
    return outcome.model_copy(update={"error": why, "converged": False})


def _nothing_written(folder: RunFolder) -> Relaxation:
    seconds, core_hours = folder.costs()
    return Relaxation(
        converged=False,
        error=f"{folder.state.get('reason') or 'VASP has written nothing'}; the files are in {folder.path}",
        ionic_steps=0,
        max_force_history=[],
        wall_seconds=seconds,
        cores=None,
        core_hours=core_hours,
        engine_version="VASP of unknown version",
        details=RunDetails(directory=str(folder.path)),
    )


def _timed_by_us(outcome: Relaxation, folder: RunFolder) -> Relaxation:
    """The outcome with the costs that we measured, where VASP was cut off and hence does not tell them."""
    seconds, core_hours = folder.costs()
    if outcome.details is None or seconds <= (outcome.wall_seconds or 0.0):
        return outcome
    measured = "measured around VASP, which was cut off and does not tell it"
    caveats = {name: reason for name, reason in outcome.details.caveats.items() if "wall_seconds" not in name}
    details = outcome.details.model_copy(update={"caveats": caveats | {"wall_seconds": measured}})
    return outcome.model_copy(update={"wall_seconds": seconds, "core_hours": core_hours, "details": details})


def launch(engine: VaspEngine, inputs: RunInputs, folder: RunFolder) -> None:
    """Write the inputs, run VASP under custodian and parse what it wrote, with atomate2's `RelaxMaker`.

    Why it failed, if it did, is noted in the folder.

    Parameters
    ----------
    engine
        The settings.
    inputs
        What to write.
    folder
        Where to run.
    """
    maker = RelaxMaker(
        input_set_generator=inputs.generator,
        # Settings for a whole machine would change the physics behind the record's back.
        write_input_set_kwargs={"apply_incar_updates": False},
        run_vasp_kwargs=run_arguments(engine),
        stop_children_kwargs={"handle_unsuccessful": False},
        task_document_kwargs={"parse_dos": False, "parse_bandstructure": False},
    )
    folder.begin(engine.cores)
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
    # The parsers of custodian and emmet fail on broken files in as many ways as files break; ours then read what there is.
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


def _stopped_for_walltime(outcome: Relaxation) -> bool:
    corrections = outcome.details.corrections if outcome.details else None
    return bool(corrections) and any(one.handler == _WALLTIME for one in corrections or ())
