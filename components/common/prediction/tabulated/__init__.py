"""Scoring by tables: what a model computes of one column alone is computed once per value.

A data set has far fewer distinct values than rows. `column_sources` finds the tensors of a model's
graph whose numbers come from one raw column each. `value_tables` holds those numbers by value, and
`tabulated_model` adds up the ones of a row and runs the rest of the graph on them.
"""
