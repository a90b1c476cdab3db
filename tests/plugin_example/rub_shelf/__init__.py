"""A plug-in for robust-unlearn-bench: one attack, suite, metric, objective, optimizer and recipe."""
