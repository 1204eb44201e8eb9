"""The audit: audit_baselines ┐
              audit_leftovers ┼→ audit_report; probe and retraining are left out where none is asked for.
              audit_probe ────┤
              audit_retrain ──┘

An agent runs this file as the controller, on a schedule or from ClearML's web UI: what main promises, is it still so?
"""

from clearml import PipelineController, Task
from clearml.backend_interface.task.development.worker import DevWorker

from clearml_ci import audit, clearml_gateway
from clearml_ci.clearml_gateway import ClearML

STEP_PROJECT_SUFFIX = "/.pipelines/"
# A controller that fails with its steps would hide the verdict: whatever happens, `audit_report` runs and tells it.
CARRY_ON = {
    "continue_on_fail": True,
    "continue_on_abort": True,
    "skip_children_on_fail": False,
    "skip_children_on_abort": False,
}
PARAMETERS = {
    "projects": "",
    "task_name": "",
    "best_tag": "Best Performance",
    "gates": "",
    "queues": "",
    "longest_wait": "3600",
    "clean_up": "true",
    "commit": "",
    "retrain": "0",
    "run_until": "off",
    "run_queue": "",
    "run_project": "",
    "run_name": "",
    "run_script": "",
    "run_module": "",
    "run_folder": "",
    "run_requirements": "",
    "run_packages": "",
    "run_args": "",
    "run_docker_image": "",
    "run_docker_args": "",
    "run_queue_limit": "",
    "run_setup_limit": "",
    "run_progress_limit": "",
    "run_inject_task_init": "",
    "_steps_queue": "",
    "_shared_queue": "",
    "_context": "{}",
}


def main() -> None:
    # The reporting subprocess makes every close of a task wait for 11 seconds (sdk.development.report_use_subprocess).
    Task._report_subprocess_enabled = False
    DevWorker.report_period = 1.0  # seconds between two looks for an abort; the SDK's own 30 are too many
    controller = Task.init(auto_connect_arg_parser=False, auto_connect_frameworks=False, auto_resource_monitoring=False)
    clearml = clearml_gateway.connect()
    clearml_gateway.mark(clearml, controller.id, run=controller.id, purpose="run")
    controller.register_abort_callback(lambda: on_abort(clearml, controller.id), callback_execution_timeout=10.0)
    project = controller.get_project_name()
    # Connected before they are declared: defaults of add_parameter overwrite the arguments of a first run.
    parameters = controller.connect(dict(PARAMETERS), name="Args")
    pipeline = PipelineController(
        name="audit",
        project=project.split(STEP_PROJECT_SUFFIX)[0],
        pool_frequency=1 / 60,
        target_project=project,
    )
    for name in PARAMETERS:
        pipeline.add_parameter(name, parameters[name])
    for step, parents in audit.plan({name: str(value or "") for name, value in parameters.items()}).items():
        pipeline.add_step(
            name=step,
            parents=parents,
            base_task_factory=lambda _, step=step: step_task(clearml, controller, project, step),
            parameter_override={"Args/run": controller.id},
            execution_queue=parameters["_steps_queue"],
            continue_behaviour=CARRY_ON,
        )
    pipeline.start(queue=None)  # an agent runs this file: it is enqueued already


def step_task(clearml: ClearML, controller: Task, project: str, step: str) -> Task:
    """A step's task: its script at the controller's own repository and commit."""
    script = controller.data.script
    task = Task.create(
        project_name=project,
        task_name=step,
        task_type=Task.TaskTypes.data_processing,
        repo=script.repository,
        commit=script.version_num,
        script=f"steps/{step}.py",
        working_directory=".",
        add_task_init_call=False,  # the default leaves a diff on the task for ever
    )
    clearml_gateway.mark(clearml, task.id, run=controller.id, purpose="step")
    return task


def on_abort(clearml: ClearML, run: str) -> None:
    """What an abort of the controller alone leaves to itself: older servers stop no steps with it."""
    clearml_gateway.stop_children(clearml, run, reason="ClearML CI: the run was aborted")


if __name__ == "__main__":
    main()
