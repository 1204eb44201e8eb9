"""The pull-request check: find_task → compare ┐
remote_run ─────────┴→ report; the steps that a run does not need are left out.
"""

from clearml_ci.agent import controller
from clearml_ci.parameters import check, remote_run

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
    "candidate": "find",
    **remote_run.PARAMETERS,
    "inconclusive": "fail",
    "alike": "",
    "baseline_main": "true",
    "comment": "always",
    "promote": "better",
    "_steps_queue": "",
    "_shared_queue": "",
    "_name": "",
    "_context": "{}",
    "_origin": "",
}

if __name__ == "__main__":
    controller.run("pr_check", parameters=PARAMETERS, plan=check.plan)
