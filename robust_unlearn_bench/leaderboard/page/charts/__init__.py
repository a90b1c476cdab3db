"""Charts as inline SVG, drawn from numbers alone: no script, no style attribute, equal input gives equal bytes.

canvas.py     elements, axes, markers, labels that keep clear of each other
strips.py     scores by optimizer grade
scatter.py    one quantity against another: says against holds, forgetting against utility
envelopes.py  what an attacker gets out against the steps that he may take
dumbbell.py   before and after quantisation, by grade
"""
