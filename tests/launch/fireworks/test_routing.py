from __future__ import annotations

import bson
from jobflow.core.flow import Flow
from jobflow.core.job import JobConfig
from jobflow.managers.fireworks import flow_to_workflow

from definet_flows.flows.plan import PlannedRun
from definet_flows.flows.resources import Resources
from definet_flows.jobs.prerelax import PREDICT_JOB
from definet_flows.launch.fireworks.jobs import PredictJob, RelaxJob, relax_job
from definet_flows.launch.fireworks.routing import LIST_JOB, RoutedConfig, marked, role_of, routed

RESOURCES = Resources(predict={"gres": "gpu:1"}, relax={"partition": "cpu", "walltime": "24:00:00"})
PLACE = {"directory": "/scratch/group/user/campaigns/low-density-mos2", "walltime": 86400}


def relaxation(copper, prediction="b" * 32):
    return relax_job("c" * 32, PLACE, PlannedRun("a" * 32, copper.configuration({0: "Vac", 3: "Al"}), prediction))


def specs(*jobs):
    return [firework.spec for firework in flow_to_workflow(routed(Flow(list(jobs)), RESOURCES))]


def test_jobs_go_where_their_work_is_done(copper):
    predict = marked(PredictJob().make("c", PLACE, {}, [], []), "c", "predict")
    assert PREDICT_JOB in predict.name
    (of_gpu,), (of_cpu,) = specs(predict), specs(relaxation(copper))
    assert (of_gpu["_category"], of_gpu["_queueadapter"]) == ("gpu", {"gres": "gpu:1"})
    assert (of_cpu["_category"], of_cpu["_queueadapter"]) == ("cpu", {"queue": "cpu", "walltime": "24:00:00"})
    assert of_cpu["definet"]["configuration"] == copper.configuration({0: "Vac", 3: "Al"}).id
    assert role_of(PredictJob(name=LIST_JOB).make("c", PLACE, {}, [], [])) == "small"


def test_no_relaxation_is_taken_for_a_prediction(copper):
    assert PREDICT_JOB not in relaxation(copper).name
    assert role_of(relaxation(copper)) == role_of(relaxation(copper, None)) == "relax"


def test_a_waiting_job_takes_less_than_two_kilobytes_and_hands_nothing_on(copper):
    work = relaxation(copper)
    workflow = flow_to_workflow(routed(Flow([work]), RESOURCES))
    (firework,) = workflow
    assert len(bson.encode(firework.to_db_dict())) + len(bson.encode(workflow.to_db_dict())) < 2000
    read = RoutedConfig.from_dict(work.config.as_dict())
    assert (read.pass_manager_config, read.manager_config) == (False, {})
    assert isinstance(read, JobConfig)
    assert RelaxJob().name == "relax"
