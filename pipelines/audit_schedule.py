"""The schedule of a repository's audit: an agent of the services queue runs this file, and it never returns."""

from clearml import Task

from clearml_ci import clearml_gateway, clearml_schedule, step
from clearml_ci.clearml_gateway import ClearMLError
from clearml_ci.clearml_schedule import Wanted
from clearml_ci.errors import UsageError

PARAMETERS = dict.fromkeys(
    ("schedule", "_project", "_controllers_queue", "_repository", "_commit", "_arguments"),
    "",
)


def main() -> None:
    task = Task.init(auto_connect_arg_parser=False, auto_connect_frameworks=False, auto_resource_monitoring=False)
    wanted = clearml_schedule.from_arguments(task.connect(dict(PARAMETERS), name="Args"))
    clearml_schedule.scheduler(task, wanted.when, lambda: start(wanted)).start()


def start(wanted: Wanted) -> None:
    """One audit; what hinders it is said, and the next one is tried on time."""
    try:
        clearml = clearml_gateway.connect()
        run = clearml_schedule.start_audit(clearml, wanted)
        step.say(f"started the audit {clearml_gateway.run(clearml, run).url}")
    except (ClearMLError, UsageError) as error:
        step.say(f"the audit could not be started: {error}")


if __name__ == "__main__":
    main()
