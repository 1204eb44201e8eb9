"""After a merge: promote → report. The tag moves to the merged model, or a promotion is undone."""

from clearml_ci.agent import controller
from clearml_ci.parameters import promotion_mode, run_arguments

PARAMETERS = run_arguments.declared(promotion_mode.PIPELINE)

if __name__ == "__main__":
    controller.run(promotion_mode.PIPELINE, parameters=PARAMETERS, plan=promotion_mode.plan)
