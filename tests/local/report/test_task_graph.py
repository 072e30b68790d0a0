import pytest
import yaml
from kfp import compiler, dsl

from kfp_tabular.pipelines import spec as specs
from kfp_tabular.pipelines.local.report.task_graph import Node, read_graph


@dsl.component(base_image="example.com/tensorflow:1")
def make(data: dsl.Output[dsl.Dataset]):
    pass


@dsl.component(base_image="example.com/tensorflow:1")
def decide(data: dsl.Input[dsl.Dataset]) -> bool:
    return True


@dsl.component(base_image="example.com/tensorflow:1")
def say(text: str) -> str:
    return text


@pytest.fixture
def compiled(tmp_path):
    def compile_it(pipeline):
        file = tmp_path / "pipeline.yaml"
        compiler.Compiler().compile(pipeline, str(file))
        return yaml.safe_load(file.read_text())

    return compile_it


def test_tasks_come_after_what_they_wait_for(compiled):
    @dsl.pipeline(name="p")
    def pipeline():
        data = make().output
        decision = decide(data=data)
        say(text="at the end").after(decision)

    graph = read_graph(compiled(pipeline))
    assert graph.nodes == (Node("make"), Node("decide"), Node("say"))
    assert set(graph.edges) == {("make", "decide"), ("decide", "say")}


def test_conditions_are_unfolded_and_named(compiled):
    @dsl.pipeline(name="p")
    def pipeline():
        first = say(text="a")
        decision = decide(data=make().output)
        with dsl.If(decision.output == True, name="blessed"):  # noqa: E712
            inside = say(text=first.output)
            with dsl.If(inside.output == "b"):
                say(text="deep")

    graph = read_graph(compiled(pipeline))
    assert graph.nodes[-2:] == (
        Node("say-2", "if blessed"),
        Node("say-3", "if blessed, if say-2-Output == 'b'"),
    )
    assert {("decide", "say-2"), ("say", "say-2"), ("say-2", "say-3")} <= set(graph.edges)
    assert ("decide", "say-3") not in graph.edges


def test_branches_loops_and_nested_pipelines(compiled):
    @dsl.pipeline(name="inner")
    def inner(text: str) -> str:
        first = say(text=text)
        return say(text=first.output).output

    @dsl.pipeline(name="p")
    def pipeline(flip: str):
        first = say(text=flip)
        with dsl.If(first.output == "heads", name="heads"):
            say(text="1")
        with dsl.Else():
            say(text="2")
        with dsl.ParallelFor([1, 2]):
            say(text="3")
        nested = inner(text=first.output)
        say(text=nested.output)

    compiled_spec = compiled(pipeline)
    graph = read_graph(compiled_spec)
    names = [node.name for node in graph.nodes]
    assert sorted(names) == sorted(specs.tasks(compiled_spec))
    assert len(names) == len(set(names)) == 7
    conditions = {node.condition for node in graph.nodes}
    assert conditions == {"", "if heads", "if !(say-Output == 'heads')", "for each item"}
    # What waits for the nested pipeline waits for its last task.
    waiting = [first for first, last in graph.edges if last == "say-5"]
    assert len(waiting) == 1
    assert [first for first, last in graph.edges if last == waiting[0]] != ["say"]
    seen = set()
    for name in names:
        assert {first for first, last in graph.edges if last == name} <= seen
        seen.add(name)
