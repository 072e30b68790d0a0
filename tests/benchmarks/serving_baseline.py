"""KServe's ModelServer, as a user would write it, for comparison: nothing but the signature.

python serving_baseline.py MODEL PORT
"""

import sys
from pathlib import Path
from typing import Any

from kfp_tabular.components.common.artifacts.model_document import SERVING_SIGNATURE, ModelSpec
from kfp_tabular.components.common.process.tensorflow import import_tensorflow


def main(directory: str, port: str) -> None:
    """Serve a model until it is told to stop."""
    sys.argv = sys.argv[:1]
    tf = import_tensorflow()
    import kserve

    loaded = tf.saved_model.load(directory)
    signature = loaded.signatures[SERVING_SIGNATURE]
    inputs = ModelSpec.load(Path(directory)).inputs

    class Plain(kserve.Model):  # type: ignore[misc]  # kserve has no types
        def predict(
            self, payload: dict[str, Any], headers: Any = None, response_headers: Any = None
        ) -> dict[str, Any]:
            instances = payload["instances"]
            tensors = {
                item.input: tf.constant(
                    [row.get(item.name, item.missing) for row in instances], item.dtype
                )
                for item in inputs
            }
            outputs = signature(**tensors)
            return {
                "predictions": [
                    {"class": label.decode(), "probabilities": probabilities}
                    for label, probabilities in zip(
                        outputs["classes"].numpy().tolist(),
                        outputs["probabilities"].numpy().tolist(),
                        strict=True,
                    )
                ]
            }

    model = Plain("taxi")
    model.ready = True
    # Without the line per request that KServe logs by default; it would cost a tenth.
    kserve.ModelServer(
        http_port=int(port), enable_grpc=False, enable_latency_logging=False, workers=1
    ).start([model])


if __name__ == "__main__":
    main(*sys.argv[1:])
