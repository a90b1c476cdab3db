"""Engines: each runs `carry_out.run_cell` on the cells that it is given, and reports how each ended."""
