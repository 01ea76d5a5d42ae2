"""The job that relaxes one configuration from one start."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jobflow.core.job import job
from jobflow.core.maker import Maker

from definet_flows.engines import EngineSettings, ForceFieldEngine
from definet_flows.jobs.hosts import Defects, configuration_from, host_from
from definet_flows.records.documents import PredictionRecord
from definet_flows.records.extract import record_from_relaxation


@dataclass
class RelaxMaker(Maker):
    """Relaxes one configuration, or the pristine supercell, from one start.

    Parameters
    ----------
    engine
        What relaxes.
    campaign
        Name of the campaign, for the records.
    name
        Name of the job.
    """

    engine: EngineSettings = field(default_factory=ForceFieldEngine)
    campaign: str = ""
    name: str = "relax"

    @job(data="positions")
    def make(
        self,
        defects: Defects,
        host: dict[str, Any],
        prediction: dict[str, Any] | None = None,
        shares_unrelaxed: bool = False,
        charge: int = 0,
    ) -> Any:
        """Relax.

        Parameters
        ----------
        defects
            The changed sites; none for the pristine supercell.
        host
            What `Host.to_dict` wrote, with the engine's reference.
        prediction
            The `PredictionRecord` to start from; None for the unrelaxed start. Where the guard refused it, the run
            starts unrelaxed.
        shares_unrelaxed
            There is another run of the same configuration from the unrelaxed start, which a refused prediction shares.
        charge
            Total charge of the cell in elementary charges, for the engine and the record alike.

        Returns
        -------
        dict
            A `RelaxationRecord`, or ``{"shared": configuration id}`` where the unrelaxed run is shared.
        """
        configuration = configuration_from(defects, host_from(host))
        start = None if prediction is None else PredictionRecord.model_validate(prediction)
        if start is not None and not start.passed:
            if shares_unrelaxed:
                return {"shared": configuration.id}
            start = None
        if not configuration.defects:
            relaxation = self.engine.relax_pristine(configuration.host)
        else:
            coords = None if start is None else np.array(start.positions)
            relaxation = self.engine.relax(configuration, coords, charge)
        record = record_from_relaxation(configuration, relaxation, self.engine, self.campaign, start, charge)
        return record.model_dump(mode="json")
