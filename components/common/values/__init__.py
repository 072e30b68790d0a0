"""What the values of a column are, and how they are written.

- `column_format`: the format of a column, and `_columns.json`, which carries the formats of all
  columns with the examples to the model and its endpoint;
- `reading`: reads text in a format, a column at once or a single value;
- `missing_markers`: the texts that mean missing;
- `identifiers`, `codes`, `column_names`: which columns identify rows or customers, and which whole
  numbers are codes rather than quantities;
- `time_text`: reads points in time; `time_patterns` are their spellings, `time_fields` takes them
  apart, `time_evidence` and `time_numbers` decide how the times of a column are written.

Ingestion decides the formats from all values and converts with them; the served model reads every
spelling with the same ones.
"""
