"""The pull-request check: find_task → compare ┐
remote_run ─────────┴→ report; the steps that a run does not need are left out.
"""

from clearml_ci.agent import controller
from clearml_ci.parameters import check, run_arguments

PARAMETERS = run_arguments.declared(check.PIPELINE)

if __name__ == "__main__":
    controller.run(check.PIPELINE, parameters=PARAMETERS, plan=check.plan)
