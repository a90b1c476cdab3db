"""The benchmark's metrics as pure functions of numbers and strings, independent of models and datasets.

document.py         registry of per-document metrics, and their input
rouge.py            ROUGE-L F1 and recall
extraction.py       extraction strength, exact memorisation
membership.py       Min-K %, loss, zlib, Min-K++ scores, AUC, PrivLeak
truth_ratio.py      answer probability, truth ratio and the two metrics derived from it
forget_quality.py   Kolmogorov–Smirnov p-value and distance
utility.py          harmonic mean, TOFU's model utility
means.py            mean over the scored documents
bootstrap.py        standard errors of the metrics that are not plain means
"""
