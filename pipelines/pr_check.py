"""The pull-request check: find_task → compare → report.

An agent runs this file as the controller. The DAG is built anew on every run, from the code at the run's own
commit, so a rerun from ClearML's web UI with edited parameters is a check like any other.
"""

from clearml import PipelineController, Task

STEP_PROJECT_SUFFIX = "/.pipelines/"
# A controller that fails with its steps would hide the verdict: whatever happens, `report` runs and tells it.
CARRY_ON = {
    "continue_on_fail": True,
    "continue_on_abort": True,
    "skip_children_on_fail": False,
    "skip_children_on_abort": False,
}
PARAMETERS = {
    "commit": "",
    "pull_request": "",
    "project": "",
    "task_name": "",
    "scalar_title": "",
    "scalar_series": "",
    "goal": "maximize",
    "threshold_percent": "0",
    "gates": "",
    "best_tag": "Best Performance",
    "inconclusive": "fail",
    "alike": "",
    "baseline_main": "true",
    "_steps_queue": "",
    "_context": "{}",
}


def main() -> None:
    # The reporting subprocess makes every close of a task wait for 11 seconds (sdk.development.report_use_subprocess).
    Task._report_subprocess_enabled = False
    controller = Task.init(auto_connect_arg_parser=False, auto_connect_frameworks=False, auto_resource_monitoring=False)
    project = controller.get_project_name()
    # Connected before they are declared: defaults of add_parameter overwrite the arguments of a first run.
    parameters = controller.connect(dict(PARAMETERS), name="Args")
    pipeline = PipelineController(
        name="pr_check",
        project=project.split(STEP_PROJECT_SUFFIX)[0],
        pool_frequency=1 / 60,
        target_project=project,
    )
    for name in PARAMETERS:
        pipeline.add_parameter(name, parameters[name])

    def add(step: str, parents: list[str]) -> None:
        pipeline.add_step(
            name=step,
            parents=parents,
            base_task_factory=lambda _: step_task(controller, project, step),
            parameter_override={"Args/run": controller.id},
            execution_queue=parameters["_steps_queue"],
            continue_behaviour=CARRY_ON,
        )

    add("find_task", [])
    last = "find_task"
    if parameters["scalar_title"] or parameters["scalar_series"] or parameters["gates"]:
        add("compare", [last])
        last = "compare"
    add("report", [last])
    pipeline.start(queue=None)  # an agent runs this file: it is enqueued already


def step_task(controller: Task, project: str, step: str) -> Task:
    """A step's task: its script at the controller's own repository and commit."""
    script = controller.data.script
    return Task.create(
        project_name=project,
        task_name=step,
        task_type=Task.TaskTypes.data_processing,
        repo=script.repository,
        commit=script.version_num,
        script=f"steps/{step}.py",
        working_directory=".",
        add_task_init_call=False,  # the default leaves a diff on the task for ever
    )


if __name__ == "__main__":
    main()
