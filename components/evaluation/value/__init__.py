"""What a binary model's answers are worth: the value of each outcome, and profit by threshold."""
