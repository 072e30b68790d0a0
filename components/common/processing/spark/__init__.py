"""The engine that runs folds and maps on Apache Spark.

Spark schedules pieces, tries them again where an executor is lost, and moves states. This package's
own code reads and computes, in Python processes of the executors: Spark's data sources are not
used, and no row becomes an object of Python or Java.

- `installation`: finds pyspark and Java.
- `spark_context`: starts and stops Spark.
- `spark_engine`: the engine; `job_watch` follows its jobs.
- `executor_tasks`: what executors run; `python_daemon` starts their processes.
"""
