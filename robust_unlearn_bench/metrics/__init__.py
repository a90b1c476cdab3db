"""The benchmark's measures as pure functions of numbers and strings; nothing here knows a model or a dataset.

rouge.py            ROUGE-L F1 and recall
extraction.py       extraction strength, exact memorisation
membership.py       Min-K %, loss, zlib, Min-K++ scores, AUC, PrivLeak
truth_ratio.py      answer probability, truth ratio and its two readings
forget_quality.py   Kolmogorov–Smirnov p-value and distance
utility.py          harmonic mean, TOFU's model utility
means.py            mean over what was scored
bootstrap.py        the cluster bootstrap behind standard errors and the leaderboard's intervals
"""
