"""The VASP engine: its settings, and what is done with them."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from definet_flows.defects import DefectConfiguration, Host
from definet_flows.engines.relaxation import FloatArray, Relaxation
from definet_flows.engines.starts import start_name, start_of, with_supercell_reference
from definet_flows.engines.vasp.inputs.kpoints import kpoint_warning
from definet_flows.engines.vasp.settings import VaspSettings
from definet_flows.errors import InputError

if TYPE_CHECKING:
    from definet_flows.engines.vasp.running.job import VaspJob

logger = logging.getLogger(__name__)


class VaspEngine(VaspSettings):
    """The VASP engine; `relax` does the work."""

    def in_campaign(self, directory: Path, host: Host) -> Self:
        """The engine as a campaign uses it: runs lie in its directory, and the wall time counts from now.

        Parameters
        ----------
        directory
            Of the campaign.
        host
            Its pristine supercell; what is unwise for it is warned of.
        """
        if warning := kpoint_warning(host, self.kpoints):
            logger.warning(warning)
        deadline = None if self.walltime is None else time.time() + self.walltime
        where = self.directory or directory / "vasp"
        return self.model_copy(update={"directory": where.resolve(), "deadline": self.deadline or deadline})

    def relaxed_host(self, host: Host) -> Host:
        """The host with VASP's own pristine positions as its reference; its cell stays.

        The supercell is relaxed as the configurations are, so that its k-points are theirs, and the displacements are
        averaged over its unit cells and their symmetry.

        Raises
        ------
        InputError
            If VASP or a POTCAR is missing.
        DefinetFlowsError
            If the pristine cell does not converge.
        """
        if not self.relax_host or host.reference_hash == self.physics_hash:
            return host
        return with_supercell_reference(host, self.relax_pristine(host), self.name, self.physics_hash)

    def relax_pristine(self, host: Host) -> Relaxation:
        """Relax the pristine supercell, the energy reference; errors as for `relax`."""
        return self.relax(DefectConfiguration(host, ()))

    def relax(
        self, configuration: DefectConfiguration, start_positions: FloatArray | None = None, charge: int = 0
    ) -> Relaxation:
        """Relax the atoms of a configuration in its fixed cell, in a directory of its own.

        A run that was killed goes on from where it was; one that has ended is read, not repeated, unless it failed.

        Parameters
        ----------
        configuration
            What to relax.
        start_positions
            [n_sites, 3] Å in host site order; by default the unrelaxed start.
        charge
            Total charge of the cell in elementary charges; it sets NELECT.

        Returns
        -------
        Relaxation
            Also where the run failed, with the reason, the directory, and the steps and core-hours until then.

        Raises
        ------
        InputError
            If VASP or a POTCAR is missing, or a dipole correction is asked for a charged cell.
        WalltimeError
            If the wall time ends first; the same call goes on in another job.
        """
        job = self._job(configuration, start_positions, charge)
        from definet_flows.engines.vasp.running.relaxing import relax

        return relax(job)

    def left_behind(
        self, configuration: DefectConfiguration, start_positions: FloatArray | None = None, charge: int = 0
    ) -> Relaxation | None:
        """What the files of a run tell that was lost before it could report; None where VASP wrote nothing.

        Parameters
        ----------
        configuration, start_positions, charge
            As for `relax`; the pristine supercell is the configuration without defects.
        """
        job = self._job(configuration, start_positions, charge)
        if not job.folder.started:
            return None
        from definet_flows.engines.vasp.running.relaxing import outcome_of

        return outcome_of(job)

    def _job(self, configuration: DefectConfiguration, start_positions: FloatArray | None, charge: int) -> VaspJob:
        try:
            from definet_flows.engines.vasp.running.job import VaspJob
        except ImportError as error:
            raise InputError(
                f"The VASP engine needs atomate2 and custodian ({error}): pip install 'definet-flows[vasp]'."
            ) from error
        start = start_of(configuration, start_positions, self.rattle)
        return VaspJob(self, configuration, start, start_name(start_positions), charge)
