"""The hyperparameters document: a JSON object that tuning writes and training reads."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import files, options
from kfp_tabular.components.common.documents import at_least, one_of
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.options import option

LEARNING_RATE_SCHEDULES = ("constant", "cosine", "exponential")
LABEL_TRANSFORMS = ("none", "log", "rank")
NETWORK_TYPES = ("linear", "dnn", "wide_and_deep", "dcn_v2", "tabm")
"""The model types that are trained by gradient descent."""

AUTOMATIC = "automatic"
"""What is shown instead of a value that training chooses."""

AUTO, BLEND, TREES = "auto", "blend", "trees"
AUTO_NETWORK = "tabm"
"""The network that `auto` and `blend` train."""

MODEL_TYPES = (AUTO, BLEND, TREES, *NETWORK_TYPES)


_CHOSEN: Mapping[str, tuple[float, str]] = {"tabm": (0.005, "96,96"), "": (0.001, "256,128")}
"""The learning rate and the layer widths of a model type; `""` is for all others."""


_LEFT_TO_TRAINING = frozenset(
    (
        "epochs",
        "train_steps",
        "learning_rate",
        "hidden_units",
        "embedding_dimension",
        "tree_count",
        "tree_learning_rate",
        "tree_rows",
    )
)
"""Hyperparameters that training chooses if they are 0 or empty."""


def shown(name: str, value: object) -> object:
    """Return the value of a hyperparameter to show: `automatic` where training chooses it.

    Args:
        name: Its name; one that is unknown here keeps its value.
        value: Its value, as `model.json` records it.

    Example:
        >>> shown("tree_count", 0), shown("l2", 0.0)
        ('automatic', 0.0)
    """
    return AUTOMATIC if name in _LEFT_TO_TRAINING and not value else value


def layer_widths(text: str) -> list[int]:
    """Return the layer widths in a comma-separated list.

    Raises:
        ValueError: If it is not a list of whole numbers above 0.

    Example:
        >>> layer_widths("256,128")
        [256, 128]
    """
    try:
        widths = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        widths = []
    if not widths or min(widths) < 1:
        raise ValueError("expected layer widths above 0, such as 256,128")
    return widths


def _widths(value: str) -> None:
    if value:
        layer_widths(value)


def _rate_or_zero(value: float) -> None:
    if not 0 <= value < float("inf"):
        raise ValueError("expected a number above 0, or 0 to choose")


def _rate(value: float) -> None:
    if not 0 <= value < 1:
        raise ValueError("expected a number from 0 to below 1")


def _depth(value: int) -> None:
    if not 1 <= value <= 10:
        raise ValueError("expected a whole number from 1 to 10")


def _tree_rate(value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError("expected a number from 0 to 1")


@dataclass(frozen=True, kw_only=True)
class BasicHyperparameters:
    """The hyperparameters that components also take as arguments of their own."""

    model_type: str = option(
        AUTO,
        """`auto` tries `trees` and a network and keeps the best on eval, or their `blend`; or
        `trees` (boosted), `blend`, `linear`, `dnn`, `wide_and_deep`, `dcn_v2`, `tabm`.""",
        check=one_of(*MODEL_TYPES),
    )
    epochs: int = option(
        0,
        """Maximum number of passes over the train split. 0 chooses: 10, or on small data as many
        as 500 steps take; for `tabm`, 500,000 rows, 2,000 steps at most, 4 to 150 passes.""",
        check=at_least(0),
    )
    train_steps: int = option(
        0,
        "Number of training steps; overrides `epochs`. 0 leaves the length to `epochs`.",
        check=at_least(0),
    )
    batch_size: int = option(
        256,
        "Rows per step, over all workers; at most the rows of the train split.",
        check=at_least(1),
    )
    learning_rate: float = option(
        0.0,
        "Peak learning rate of the schedule. 0 chooses: 0.001, or 0.005 for `tabm`.",
        check=_rate_or_zero,
    )


@dataclass(frozen=True, kw_only=True)
class Hyperparameters(BasicHyperparameters):
    """All hyperparameters of a training: the model and its optimization.

    Example:
        >>> Hyperparameters(model_type="dnn").updated({"batch_size": "64"}).batch_size
        64
    """

    label_transform: str = option(
        "none",
        """Transform of a regression label for training, undone in predictions: `none`, `log` (of
        one plus the label) or `rank`. For a skewed label whose relative errors count; its RMSE is
        often worse, because such a model predicts about the median.""",
        check=one_of(*LABEL_TRANSFORMS),
    )
    learning_rate_schedule: str = option(
        "cosine",
        "`constant`, `cosine` (with warm-up) or `exponential`.",
        check=one_of(*LEARNING_RATE_SCHEDULES),
    )
    hidden_units: str = option(
        "",
        """Layer widths of the deep part, comma-separated. Empty chooses: 256,128, or 96,96 for
        `tabm`.""",
        check=_widths,
    )
    dropout: float = option(
        0.2,
        """Share of activations dropped in the deep part, from 0 to below 1. 0 also keeps the
        columns of rare categories.""",
        check=_rate,
    )
    l2: float = option(
        0.0,
        "Decoupled weight decay on the kernels of the deep part, as in AdamW.",
        check=at_least(0),
    )
    cross_layers: int = option(2, "Number of cross layers of DCN-v2.", check=at_least(1))
    members: int = option(4, "Number of members of `tabm`.", check=at_least(1))
    embedding_dimension: int = option(
        0, "Width of every embedding; 0 sizes each by its vocabulary.", check=at_least(0)
    )
    tree_count: int = option(
        0,
        """Most trees; early stopping keeps the best number. 0 chooses: 1,000, or as few as 150 for
        many rows and columns, and up to twice as many while the eval loss falls; or at most 500
        without an eval split.""",
        check=at_least(0),
    )
    tree_depth: int = option(6, "Depth of every tree, from 1 to 10.", check=_depth)
    tree_learning_rate: float = option(
        0.0,
        "Learning rate of trees, up to 1. 0 chooses by rows and trees, as CatBoost does.",
        check=_tree_rate,
    )
    tree_l2: float = option(3.0, "L2 regularization of the leaves of trees.", check=at_least(0))
    tree_rows: int = option(
        0,
        """Most rows of the train split that trees are grown on, evenly spaced. 0 chooses by the
        columns: as many as take about ten seconds on two cores.""",
        check=at_least(0),
    )

    def chosen(self) -> "Hyperparameters":
        """Return these hyperparameters with those chosen that are left to their model type.

        Example:
            >>> found = Hyperparameters(model_type="tabm", learning_rate=0.01).chosen()
            >>> found.learning_rate, found.hidden_units
            (0.01, '96,96')
        """
        rate, widths = _CHOSEN.get(self.model_type, _CHOSEN[""])
        return replace(
            self,
            learning_rate=self.learning_rate or rate,
            hidden_units=self.hidden_units or widths,
        )

    def described(self) -> dict[str, object]:
        """Return the values to show by name: `automatic` where 0 or nothing leaves it to training.

        Example:
            >>> Hyperparameters(l2=0.0).described()["learning_rate"]
            'automatic'
        """
        return {name: shown(name, value) for name, value in asdict(self).items()}

    def updated(self, values: Mapping[str, Any]) -> "Hyperparameters":
        """Return these hyperparameters with some replaced.

        Args:
            values: New values by name. Numbers may be floats or text, as in a KFP struct or on a
                command line.

        Raises:
            UserError: If a name is unknown or a value has the wrong type.
        """
        types = {field.name: field.type for field in fields(self)}
        converted: dict[str, Any] = {}
        for name, value in values.items():
            if name not in types:
                raise UserError(f"hyperparameter {name!r} is unknown.{closest(name, types)}")
            converted[name] = _convert(name, value, types[name])
        return replace(self, **converted)

    def check(self) -> None:
        """Check the range of each value.

        Raises:
            UserError: For the first value outside its range.
        """
        for problem in options.problems(self):
            raise UserError(f"hyperparameter {problem}")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the document, a JSON object, to a file."""
        files.write_text(path, json.dumps(asdict(self), indent=2))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Hyperparameters":
        """Read a document. Hyperparameters that it leaves out have their defaults.

        Raises:
            UserError: If it cannot be read, or is not a JSON object of known hyperparameters.
        """
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}.") from error
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise UserError(f"{path}: not a hyperparameters document: {error}") from error
        if not isinstance(values, dict):
            raise UserError(f"{path}: expected a JSON object of hyperparameters.")
        return cls().updated(values)


def _convert(name: str, value: Any, kind: Any) -> Any:
    if kind is str:
        return str(value)
    expected = "a whole number" if kind is int else "a number"
    try:
        number = float(value)
        if kind is float:
            return number
        if number == int(number):
            return int(number)
        cause = None
    except (TypeError, ValueError, OverflowError) as error:
        cause = error
    raise UserError(f"hyperparameter {name}: expected {expected}, found {value!r}.") from cause
