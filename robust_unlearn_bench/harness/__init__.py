"""The interface to lm-evaluation-harness.

task.py                 classes that a task YAML names; they tag every request with its attack
task_yaml.py            writes the task YAML from the suites
plan.py                 one attack on one suite's data, and its report
session.py              applies each attack once for all tasks, and restores the weights bit for bit
token_requests.py       token-level requests, answered in length-sorted batches
cached_answers.py       answers kept by (model, attack, request), so that a run resumes, with
                        answer_key.py for the keys and answer_cache.py for the storage
peak_memory.py          peak memory of an attack
evaluate.py             `rub eval`: a suite or any lm-eval tasks under any attacks
attacked_checkpoint.py  `rub attack`: an attacked checkpoint on disk
connectivity.py         `rub lmc`: linear mode connectivity of two models
"""
