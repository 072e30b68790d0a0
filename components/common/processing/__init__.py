"""Folds and maps over pieces of data, and the engines that run them.

Everything that is done to rows is a fold (an accumulator takes batches, merges with others of its
kind, and is finished once) or a map (a function from a piece of input to a piece of output). An
engine runs them over pieces and knows nothing of what they do.

- `pieces`: a piece of input, such as some row groups of a shard.
- `accumulator`: what a fold is made of; `state` turns accumulators into bytes.
- `engine`: what an engine offers; `local_engine` runs folds and maps in threads.
- `row_keys`: random numbers for rows, the same for every cut of the rows into pieces.
- `folds`: accumulators that several steps use.
- `ordered_threads`: work in threads, with results in order.
"""
