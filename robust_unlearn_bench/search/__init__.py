"""`rub attack search`: the strongest attack on one model, found by trying many within a budget.

space.py          what is searched: training, quantising, pruning, noise and their compositions
work_budget.py    how much the search may spend
attack_bench.py   one attack on the model and on the retrain model, measured
proposals.py      the sampler: a trial depends on the seed, its number and the finished trials alone
study.py          trials in a journal that several processes share and that survives their end
report.py         the record of what was found, and running a record again
"""

from __future__ import annotations
