"""Readers of the file formats. All of them implement the protocols in `source`.

- `file_formats`: detect the format of files and open them as one `Source`.
- `csv_source`, `csv_rows`: CSV. `parquet_source`: Parquet. `tfrecord_source`: TFRecord.
"""
