"""Checks the parameters of all tasks before the first long one starts.

- `checks`: what each component says about its arguments, without data and with the columns.
"""
