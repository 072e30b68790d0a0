"""A trained CatBoost model as plain TensorFlow operations.

`from_catboost(model, TreeColumns(...))` returns a `TreeEnsemble`, a model from the packed matrices
to logits. It needs CatBoost; what it returns does not.
"""

from kfp_tabular.components.training.trees.export.tree_columns import TreeColumns as TreeColumns
from kfp_tabular.components.training.trees.export.tree_ensemble import (
    TreeEnsemble as TreeEnsemble,
)
from kfp_tabular.components.training.trees.export.tree_ensemble import (
    from_catboost as from_catboost,
)
