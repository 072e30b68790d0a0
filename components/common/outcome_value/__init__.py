"""What a binary model's answers are worth: the value of each outcome, and profit by threshold."""

OUTCOME_VALUES = """Binary: what outcomes are worth. By `true_positive`, `false_positive`,
`true_negative` and `false_negative`: a number, or an expression of columns such as
`"0.1 * amount - 5"`. For the profit of each threshold, and for `decision_threshold` `value`."""
"""The meaning of the option `outcome_values` of training and evaluation."""
