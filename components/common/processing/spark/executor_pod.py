"""Starts an executor in its pod: `python3 -m kfp_tabular.components.common.processing.spark...`.

Spark on Kubernetes tells a pod by variables what to start, and leaves the start to the image. This
program takes the place of a shell script in it, so that any image with Spark and this package does.
"""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from kfp_tabular.components.common.errors import reported_to_user
from kfp_tabular.components.common.processing.spark import installation

_CLASS = "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend"
_ARGUMENTS = {
    "--driver-url": "SPARK_DRIVER_URL",
    "--executor-id": "SPARK_EXECUTOR_ID",
    "--cores": "SPARK_EXECUTOR_CORES",
    "--app-id": "SPARK_APPLICATION_ID",
    "--hostname": "SPARK_EXECUTOR_POD_IP",
    "--resourceProfileId": "SPARK_RESOURCE_PROFILE_ID",
    "--podName": "SPARK_EXECUTOR_POD_NAME",
}
_JAVA_OPTION = re.compile(r"SPARK_JAVA_OPT_(\d+)")


def command(environment: Mapping[str, str], home: Path) -> list[str]:
    """Return the command of an executor.

    Args:
        environment: The pod's variables.
        home: The folder of Spark.

    Example:
        >>> given = {name: "1" for name in _ARGUMENTS.values()}
        >>> given |= {"SPARK_EXECUTOR_MEMORY": "1024m", "SPARK_JAVA_OPT_0": "-Dspark.driver.port=7"}
        >>> command(given, Path("/spark"))[:5]
        ['java', '-Dspark.driver.port=7', '-Xms1024m', '-Xmx1024m', '-cp']
    """
    java_home = environment.get("JAVA_HOME")
    options = {
        int(match[1]): value
        for name, value in environment.items()
        if (match := _JAVA_OPTION.fullmatch(name))
    }
    memory = environment["SPARK_EXECUTOR_MEMORY"]
    classes = (
        environment.get("SPARK_CONF_DIR", ""),
        environment.get("SPARK_CLASSPATH", ""),
        f"{home}/jars/*",
    )
    arguments = [text for flag, name in _ARGUMENTS.items() for text in (flag, environment[name])]
    return [
        f"{java_home}/bin/java" if java_home else "java",
        *(options[number] for number in sorted(options)),
        f"-Xms{memory}",
        f"-Xmx{memory}",
        "-cp",
        ":".join(filter(None, classes)),
        _CLASS,
        *arguments,
    ]


def main() -> None:
    """Become the executor."""
    with reported_to_user():
        installation.require()
    home = installation.spark_home()
    # The interpreter and packages of this image, for the Python processes, too.
    os.environ[installation.SPARK_HOME] = str(home)
    started = command(os.environ, home)
    sys.stdout.flush()
    os.execvp(started[0], started)  # noqa: S606 - the arguments are Spark's


if __name__ == "__main__":
    main()
