"""The pull-request check: find_task → compare ┐
remote_run ─────────┴→ report; the steps that a run does not need are left out.
"""

from clearml_ci import check, controller

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
    "run_approval_label": "",
    "inconclusive": "fail",
    "alike": "",
    "baseline_main": "true",
    "comment": "always",
    "promote": "better",
    "_steps_queue": "",
    "_shared_queue": "",
    "_context": "{}",
    "_origin": "",
}

if __name__ == "__main__":
    controller.run("pr_check", parameters=PARAMETERS, plan=check.plan)
