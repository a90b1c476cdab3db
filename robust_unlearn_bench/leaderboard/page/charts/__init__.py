"""Charts as inline SVG, drawn from numbers alone: no script, no style attribute, equal input gives equal bytes.

canvas.py    elements, axes, markers, labels that keep clear of each other
strips.py    scores by optimizer grade
scatter.py   robust forgetting against utility
curves.py    leakage against the attacker's work
dumbbell.py  before and after quantisation, by grade
"""
