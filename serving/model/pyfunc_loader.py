"""The loader that `MLmodel` names: a registered model as `mlflow.pyfunc.load_model` returns it.

It checks the model's bytes, and each row, with the code of the endpoint, so both refuse the same
and answer the same.
"""

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_tabular.components.common.artifacts.model_pointer import ModelPointer
from kfp_tabular.components.common.registry.model_bytes import verify
from kfp_tabular.components.common.registry.places import first_there
from kfp_tabular.components.common.storage import local_copy
from kfp_tabular.serving.model.domain_rules import check_domains
from kfp_tabular.serving.model.predictor import Predictor
from kfp_tabular.serving.model.version_check import VersionCheck
from kfp_tabular.serving.protocol import v1_json
from kfp_tabular.serving.protocol.request_error import RequestError
from kfp_tabular.serving.settings.server_settings import ModelSettings, ValuePolicies

if TYPE_CHECKING:
    import pandas as pd

_LOAD_SECONDS = 600.0


class EndpointModel:
    """A model that answers rows as the endpoint does.

    Attributes:
        predictor: The model.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> "pd.DataFrame":
        """Predict raw rows.

        Args:
            model_input: A pandas DataFrame of raw columns, or a list of rows by feature name.
            params: Not used; MLflow passes it.

        Returns:
            A row per row: `class` and `probabilities` of a classifier, `prediction` of a
            regression model.

        Raises:
            MlflowException: For the first row that the endpoint would refuse; it names the feature.
                `mlflow models serve` answers status 400 with the message.
        """
        del params
        import pandas as pd
        from mlflow.exceptions import INVALID_PARAMETER_VALUE, MlflowException

        interface = self.predictor.interface
        rows = instances(model_input)
        try:
            arrays = v1_json.decode({"instances": rows}, interface, max(len(rows), 1))
            check_domains(arrays, self.predictor.rules, ValuePolicies(), _uncounted)
            outputs = self.predictor.predict(arrays)
            self.predictor.check(outputs)
        except RequestError as error:
            raise MlflowException(str(error), INVALID_PARAMETER_VALUE) from error
        answer = v1_json.encode(outputs, interface.spec, "")
        return pd.DataFrame(answer["predictions"])


def _load_pyfunc(path: str) -> EndpointModel:
    """Load a model; MLflow calls this.

    Args:
        path: The pointer to the model, which `register_model` writes.

    Raises:
        UserError: If the model is gone, or its bytes are not those that were registered; the
            message names the file.
    """
    pointer = ModelPointer.load(Path(path))
    uri = first_there(pointer.locations, f"{path}, which points to this model")
    settings = ModelSettings()
    with local_copy(uri) as directory:
        verify(directory, pointer.digest)
        check = VersionCheck(settings.max_model_mib, "check")
        check.check(directory, time.monotonic() + _LOAD_SECONDS)
        return EndpointModel(Predictor.load(directory))


def instances(model_input: Any) -> list[dict[str, Any]]:
    """Return rows as a request has them: JSON values by feature name, missing ones left out.

    Example:
        >>> instances([{"hour": 7, "payment": None}])
        [{'hour': 7}]
    """
    rows = model_input if isinstance(model_input, list) else _records(model_input)
    return [
        {str(name): _value(value) for name, value in row.items() if not _is_missing(value)}
        for row in rows
    ]


def _records(model_input: Any) -> Sequence[Mapping[str, Any]]:
    records: Sequence[Mapping[str, Any]] = model_input.to_dict(orient="records")
    return records


def _value(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "tolist"):
        value = value.tolist()
    # A column of whole numbers with missing ones is a column of floats.
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _is_missing(value: Any) -> bool:
    is_nan = isinstance(value, float) and math.isnan(value)
    return value is None or is_nan or type(value).__name__ in ("NAType", "NaTType")


def _uncounted(_feature: str, _rows: int) -> None:
    """Count nothing: metrics are the server's."""
