"""`rub sweep`: every cell of a grid, on this machine, on a Ray cluster or in an array of jobs.

sweep_grid.py     a grid in YAML → its cells
cell.py           one resolved configuration, whose content names its folder
cell_folder.py    state of a cell on disk: pending, running, failed or done
carry_out.py      unlearning and evaluation of one cell, with failures kept
sweep_folder.py   the folder of a sweep: what is to be run, and how far it is
sweep_table.py    what the cells gave, as rows
engines/          where cells run
"""
