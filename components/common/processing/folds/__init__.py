"""Accumulators that several steps use, for a column each.

- `moments`: mean, spread and skewness of numbers.
- `number_counts`: how often which numbers occur, exact for few distinct ones, from which quantiles
  follow.
- `value_counts`: how often which values occur, and how many distinct ones there are.
- `row_sample`: a random sample of rows.
"""
