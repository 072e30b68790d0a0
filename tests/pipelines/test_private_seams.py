"""What pipelines use of the Kubeflow Pipelines SDK beyond its documented interface."""

import inspect
import json
from pathlib import Path
from typing import Any

import pytest

from kfp_tabular.components.common.task import task_process
from kfp_tabular.pipelines import spec
from tests.private_seams import seam


def _add(a: int) -> int:
    return a + 1


def _pipeline() -> Any:
    from kfp import dsl

    component = dsl.component(_add, base_image="python:3.13")

    def pipeline(a: int = 1) -> None:
        component(a=a)

    return dsl.pipeline(pipeline, name="a-pipeline", description="A pipeline.")


def test_a_pipeline_can_be_taken_apart_and_made_again() -> None:
    with seam(
        "kfp",
        "GraphComponent: pipeline_func, pipeline_spec, pipeline_config, component_spec",
        user="pipelines/placement.py",
    ):
        from kfp import dsl
        from kfp.dsl.graph_component import GraphComponent

        pipeline = _pipeline()
        assert isinstance(pipeline, GraphComponent)
        assert pipeline.pipeline_spec.pipeline_info.name == "a-pipeline"
        assert pipeline.component_spec.description == "A pipeline."
        again = dsl.pipeline(
            pipeline.pipeline_func, name="b", pipeline_config=pipeline.pipeline_config
        )
        assert again.pipeline_spec.pipeline_info.name == "b"


def test_the_tasks_of_the_pipeline_that_is_being_made() -> None:
    with seam(
        "kfp",
        "Pipeline.get_default_pipeline().tasks, and a task's specs and platform settings",
        user="pipelines/placement.py",
    ):
        from kfp import dsl
        from kfp.dsl.pipeline_context import Pipeline

        seen: dict[str, Any] = {}
        function = _pipeline().pipeline_func

        def observed(a: int = 1) -> None:
            function(a=a)
            seen.update(Pipeline.get_default_pipeline().tasks)

        dsl.pipeline(observed)
        (task,) = seen.values()
        assert task.name == "add"
        assert task.component_spec.name == "add"
        assert task.container_spec.image == "python:3.13"
        assert task.component_spec.implementation.container.image == "python:3.13"
        assert task.platform_config == {}


def test_a_component_shows_its_function() -> None:
    with seam(
        "kfp",
        "PythonComponent: python_func and component_spec",
        user="pipelines/catalog/interface.py",
    ):
        from kfp import dsl

        component = dsl.component(_add, base_image="python:3.13")
        assert component.python_func is _add
        assert component.component_spec.inputs["a"].default is None
        assert component.component_spec.implementation.container.image == "python:3.13"


def test_a_local_run_hands_tasks_to_a_handler_of_ours(tmp_path: Path) -> None:
    with seam(
        "kfp",
        "kfp.local: the name SubprocessTaskHandler in its module, and what a handler is given",
        user="pipelines/local/execution/spec_runner.py",
    ):
        from kfp import local
        from kfp.local import executor_input_utils, status, subprocess_task_handler

        name = executor_input_utils.get_local_pipeline_resource_name
        calls: list[tuple[str, list[str], dict[str, str]]] = []
        original = subprocess_task_handler.SubprocessTaskHandler

        class Handler(original):  # type: ignore[misc, valid-type]
            def validate_image(self, image: str) -> None:
                pass

            def run(self) -> Any:
                calls.append((self.image, self.full_command, self.env_vars))
                return status.Status.FAILURE

        subprocess_task_handler.SubprocessTaskHandler = Handler
        executor_input_utils.get_local_pipeline_resource_name = lambda pipeline: f"{pipeline}-here"
        try:
            local.init(
                local.SubprocessRunner(use_venv=False),
                pipeline_root=str(tmp_path),
                raise_on_error=False,
            )
            _pipeline()(a=3)
        finally:
            subprocess_task_handler.SubprocessTaskHandler = original
            executor_input_utils.get_local_pipeline_resource_name = name
        ((image, command, environment),) = calls
        assert image == "python:3.13"
        assert isinstance(environment, dict)
        arguments = list(command)
        given = json.loads(arguments[arguments.index("--executor_input") + 1])
        assert given["inputs"]["parameterValues"] == {"a": 3}
        output = Path(given["outputs"]["outputFile"])
        assert output.parent.name == "add"
        assert output.is_relative_to(tmp_path)
        assert output.parent.parent.name.endswith("-here")


def test_the_client_of_a_server() -> None:
    with seam(
        "kfp",
        "Client: get_kfp_healthz, _healthz_api and _get_url_prefix",
        user="pipelines/kubeflow/connection.py and submission.py",
    ):
        import kfp
        import kfp_server_api

        assert "sleep_duration" in inspect.signature(kfp.Client.get_kfp_healthz).parameters
        assert callable(kfp.Client._get_url_prefix)
        assert "self._healthz_api" in inspect.getsource(kfp.Client.__init__)
        assert callable(kfp_server_api.HealthzServiceApi.healthz_service_get_healthz)


def test_the_request_for_a_log() -> None:
    with seam(
        "kfp",
        "Client._run_api.api_client",
        user="pipelines/kubeflow/pod_logs.py",
    ):
        import kfp
        import kfp_server_api

        assert "self._run_api" in inspect.getsource(kfp.Client.__init__)
        signature = inspect.signature(kfp_server_api.ApiClient.call_api).parameters
        assert {"path_params", "auth_settings", "_preload_content", "_request_timeout"} <= set(
            signature
        )


def test_the_deletion_of_a_schedule() -> None:
    with seam(
        "kfp",
        "Client._recurring_run_api, and propagation_policy of its deletion",
        user="pipelines/kubeflow/replacement.py",
    ):
        import kfp
        import kfp_server_api

        assert "self._recurring_run_api" in inspect.getsource(kfp.Client.__init__)
        delete = kfp_server_api.RecurringRunServiceApi
        source = inspect.getsource(delete.recurring_run_service_delete_recurring_run_with_http_info)
        assert "propagation_policy" in source


def test_types_of_parameters() -> None:
    with seam(
        "kfp-pipeline-spec",
        "pipeline_spec_pb2.ParameterType.ParameterTypeEnum",
        user="pipelines/parameters.py",
    ):
        from kfp.pipeline_spec import pipeline_spec_pb2

        names = pipeline_spec_pb2.ParameterType.ParameterTypeEnum
        declared = _pipeline().pipeline_spec.root.input_definitions.parameters["a"]
        assert names.Name(declared.parameter_type) == "NUMBER_INTEGER"


def test_a_variable_says_that_this_is_a_task() -> None:
    with seam(
        "kfp",
        "_KFP_RUNTIME=true in a task's environment",
        user="components/tuning/local/trial_scheduler.py and pipelines/local/virtual_environments",
    ):
        import kfp.dsl.component_factory

        source = inspect.getsource(kfp.dsl.component_factory)
        assert "_KFP_RUNTIME=true" in source


def test_a_command_of_our_own_passes_for_a_python_component() -> None:
    with seam(
        "kfp",
        "what kfp.local.SubprocessRunner takes for a Python component, and dsl.executor.Executor",
        user="components/common/task",
    ):
        from kfp import local
        from kfp.dsl.executor import Executor
        from kfp.local import subprocess_task_handler

        command, arguments = task_process.command_line(_add)
        runner = local.SubprocessRunner(use_venv=False)
        handler = subprocess_task_handler.SubprocessTaskHandler
        handler("python:3.13", [*command, *arguments], "", runner)
        with pytest.raises(RuntimeError, match="Container Component"):
            handler("python:3.13", command, "", runner)
        named = inspect.signature(Executor.__init__).parameters
        assert {"executor_input", "function_to_execute"} <= named.keys()
        assert callable(Executor.execute)


def test_the_specification_of_a_component_can_be_changed() -> None:
    with seam("kfp", "component_spec of a component", user="components/common/task/component.py"):
        from kfp import dsl

        component = dsl.component(_add, base_image="python:3.13")
        component.component_spec.implementation.container.command = ["python3"]
        component.component_spec.inputs["a"].description = "A number."
        document = spec.of(component)
        (executor,) = document["deploymentSpec"]["executors"].values()
        assert executor["container"]["command"] == ["python3"]
        (changed,) = document["components"].values()
        assert changed["inputDefinitions"]["parameters"]["a"]["description"] == "A number."


def test_the_source_of_a_lightweight_component_is_in_its_command() -> None:
    with seam(
        "kfp",
        "the command of a lightweight component",
        user="pipelines/lightweight_source.py",
    ):
        from kfp import dsl

        from kfp_tabular.pipelines import lightweight_source

        container = dsl.component(
            _add, base_image="python:3.13"
        ).component_spec.implementation.container
        written = next(
            index
            for index, part in enumerate(container.command)
            if lightweight_source._WRITES_SOURCE in part
        )
        assert "def _add(a: int)" in container.command[written + 1]
        assert container.args[-2:] == [lightweight_source._FUNCTION, "_add"]
