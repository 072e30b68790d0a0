"""The samples that a registry exposes, for comparison."""

from prometheus_client.parser import text_string_to_metric_families

from kfp_tabular.serving.metrics.exposition import render_metrics
from kfp_tabular.serving.metrics.instruments import ModelIdentity

SECRET = "4111-1111-geheim"
SERVED = ModelIdentity("fraud", "7", "binary", "sha256:1", ("amount", "商户"), ("no", "ja"))


def exposed(metrics, accept="", more=()):
    return render_metrics([metrics.registry, *more], accept)[0].decode()


ORDER = ["protocol", "operation", "code", "model", "version", "task", "schema_digest"]
ORDER += ["feature", "class", "reason", "outcome", "key", "bound", "le"]


def samples(text):
    """Values by the name and the labels' values, in `ORDER`."""
    return {
        (
            sample.name,
            *(sample.labels[label] for label in sorted(sample.labels, key=ORDER.index)),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(metrics):
    return samples(exposed(metrics))
