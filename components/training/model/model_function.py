"""Your own model: a function named by the argument `model_fn`."""

import importlib
import logging
from collections.abc import Callable
from typing import Any

from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.training.model.model_context import CATEGORICAL, NUMERIC, ModelContext

ModelFunction = Callable[[ModelContext], Any]

_logger = logging.getLogger(__name__)


def load(name: str) -> ModelFunction:
    """Import a model function.

    Args:
        name: `package.module:function`.

    Raises:
        UserError: If it cannot be imported, or is not a function.

    Example:
        >>> load("kfp_tabular.components.training.model.architectures:build").__name__
        'build'
        >>> load("my_models")
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: model_fn: expected
        'package.module:function', found 'my_models'.
    """
    module_name, _, function_name = name.partition(":")
    if not module_name or not function_name:
        raise UserError(f"model_fn: expected 'package.module:function', found {name!r}.")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise UserError(
            f"model_fn: cannot import {module_name!r}: {error}. It must be installed in the "
            "image, or on PYTHONPATH."
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise UserError(
            f"model_fn: {module_name!r} has no function {function_name!r}."
            + closest(function_name, vars(module))
        )
    found: ModelFunction = function
    return found


def build(name: str, context: ModelContext) -> Any:
    """Call a model function and check the model that it returns.

    Args:
        name: `package.module:function`.
        context: Its argument.

    Returns:
        The `tf_keras.Model`.

    Raises:
        UserError: If it is not a tf_keras model from the packed inputs to logits.
    """
    import tf_keras

    model = load(name)(context)
    if not isinstance(model, tf_keras.Model):
        raise UserError(
            f"model_fn {name!r}: expected a tf_keras.Model, found {type(model).__module__}."
            f"{type(model).__qualname__}. Keras 3 models do not train under this component; "
            "import tf_keras."
        )
    inputs = model.input if isinstance(model.input, dict) else {}
    if set(inputs) != {NUMERIC, CATEGORICAL}:
        raise UserError(
            f"model_fn {name!r}: expected a functional model of the inputs {NUMERIC!r} and "
            f"{CATEGORICAL!r}; make them with context.inputs() and pass the dictionary on."
        )
    shape = tuple(model.output.shape)
    if shape != (None, context.units):
        raise UserError(
            f"model_fn {name!r}: expected logits of shape (batch, {context.units}) for this "
            f"{context.task} task, found {shape}."
        )
    return model
