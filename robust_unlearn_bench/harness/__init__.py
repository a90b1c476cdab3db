"""The seam to lm-evaluation-harness.

task.py                  what a task YAML's `class:` points at: tags every request with its attack
lm_eval_versions.py      the differences between the supported versions of lm-eval
task_yaml.py             writes the task YAML from the suites
plan.py                  one attack on one suite's data, and what it reported
session.py               applies each attack once for all tasks, restores the weights bit for bit
token_requests.py        token-level requests, answered in length-sorted batches
answer_cache.py          answers on disk, so that a run resumes
answer_key.py            what an answer depends on besides the weights
cached_answers.py        report and answers of one attack, kept and found together
peak_memory.py           the most memory in use during an attack
readable.py              refuses damaged and incomplete models
evaluate.py              `rub eval`: a suite or any lm-eval tasks under any attacks
attacked_checkpoint.py   `rub attack`: an attacked checkpoint that any backend can load
connectivity.py          `rub lmc`: the line between two models
"""
