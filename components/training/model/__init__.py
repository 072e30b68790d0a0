"""The model: what it is built from, its predictions, their metrics, and the SavedModel.

`ModelContext` is what your own `model_fn` is called with.
"""

from kfp_tabular.components.training.model.model_context import ModelContext as ModelContext
