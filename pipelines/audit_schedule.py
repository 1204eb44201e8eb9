"""The schedule of a repository's audit: an agent of the services queue runs this file, and it never returns."""

from clearml_ci import clearml_schedule, step

if __name__ == "__main__":
    clearml_schedule.serve(tell=step.say)
