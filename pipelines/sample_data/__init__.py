"""Sample data: realistic card transactions, to try the pipelines on."""

from kfp_tabular.pipelines.sample_data.csv import write_csv
from kfp_tabular.pipelines.sample_data.labels import LABELS
from kfp_tabular.pipelines.sample_data.table import MINIMUM_ROWS, generate

__all__ = ["LABELS", "MINIMUM_ROWS", "generate", "write_csv"]
