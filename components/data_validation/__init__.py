"""Data validation: computes statistics, infers or checks the schema, and finds anomalies.

- `component`: the KFP interface. `options`: its arguments. `validate`: the logic behind it.
- `schema_inference`, `given_schema`, `schema_features`, `schema_changes`: schemas.
- `schema_types`, `value_rules`, `schema_violations`, `data_checks`: what is wrong with the data.
- `anomalies`, `validation_report`: how it is reported.

Statistics and distances are in `components.common.statistics`.
"""
