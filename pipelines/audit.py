"""The audit: audit_baselines ─────────────┐
              audit_leftovers ─────────────┼→ audit_report; probe and training only where they are asked for.
              audit_probe → audit_retrain ─┘

What main promises, is it still so? Started on a schedule, by ci_trigger.py or from ClearML's web UI.
"""

from clearml_ci.agent import controller
from clearml_ci.parameters import audit, remote_run

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
    **{name: text for name, text in remote_run.PARAMETERS.items() if name != "run_approval_label"},  # main needs none
    "_steps_queue": "",
    "_shared_queue": "",
    "_name": "",
    "_context": "{}",
    "_origin": "",
}

if __name__ == "__main__":
    controller.run(audit.PIPELINE, parameters=PARAMETERS, plan=audit.plan)
