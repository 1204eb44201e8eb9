"""After a merge: promote → report. The best tag moves to the merged model, or a move is undone."""

from clearml_ci.agent import controller
from clearml_ci.parameters import promotion_mode

PARAMETERS = {
    "action": "promote",
    "commit": "",
    "pull_request": "",
    "merge_commit": "",
    "project": "",
    "task_name": "",
    "scalar_title": "",
    "scalar_series": "",
    "goal": "maximize",
    "threshold_percent": "0",
    "gates": "",
    "best_tag": "Best Performance",
    "promote": "better",
    "inconclusive": "fail",
    "alike": "",
    "comment": "always",
    "_steps_queue": "",
    "_name": "",
    "_context": "{}",
    "_origin": "",
}

if __name__ == "__main__":
    controller.run(promotion_mode.PIPELINE, parameters=PARAMETERS, plan=promotion_mode.plan)
