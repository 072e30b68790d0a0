from pathlib import Path
from typing import NamedTuple

import pytest
from kfp import compiler, dsl

from kfp_tabular import components
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.catalog import generate, interface, markdown, metadata

ROOT = Path(__file__).parents[3]


@dsl.component(base_image="tensorflow:1")
def documented(
    rows: dsl.Input[dsl.Dataset],
    model: dsl.Output[dsl.Model],
    rate: float = 1,
    name: str = 'a "b"',
    options: dict = {"x": [1]},  # noqa: B006
) -> bool:
    """Does a thing.

    And says more:

    - a list.

    Args:
        rows: What goes in
            over two lines: with a colon, and a | bar.
        model: What comes out.
        rate: A rate, per second.
        name: A name.
        options: What else.

    Returns:
        Whether it went well: true or false.

    Raises:
        UserError: Where the rows are gone.
    """


@dsl.component(base_image="tensorflow:1")
def neglected(count: int, thing: dsl.Output[dsl.Artifact]):
    """Does another.

    Args:
        counts: Misspelt.
    """


def test_the_interface_is_read_from_code_and_docstring():
    read = interface.read(documented)
    assert read.summary == "Does a thing."
    assert "- a list." in read.body
    assert [(a.name, a.type, a.required, a.default) for a in read.inputs] == [
        ("rows", "Dataset", True, ""),
        ("rate", "float", False, "1.0"),
        ("name", "str", False, '"a \\"b\\""'),
        ("options", "dict", False, '{"x": [1]}'),
    ]
    assert read.inputs[0].description == ("What goes in over two lines: with a colon, and a | bar.")
    assert [(a.name, a.type, a.description) for a in read.outputs] == [
        ("model", "Model", "What comes out."),
        ("Output", "bool", "Whether it went well: true or false."),
    ]
    assert read.raises == (("UserError", "Where the rows are gone."),)
    # The format of the artifact `rows` is not described anywhere.
    assert read.problems == (
        "the format of the artifact 'rows' is not in pipelines/catalog/artifacts.py",
    )


@dsl.component(base_image="tensorflow:1")
def publish(text: str) -> NamedTuple("Outputs", [("uri", str), ("version", int)]):
    """Publishes.

    Args:
        text: What.

    Returns:
        uri: Where it is:
            a directory.
        version: Which it is.

    Raises:
        UserError: Never.
    """


def test_several_outputs_are_described_one_by_one():
    read = interface.read(publish)
    assert read.problems == ()
    assert [(a.name, a.type, a.description) for a in read.outputs] == [
        ("uri", "str", "Where it is: a directory."),
        ("version", "int", "Which it is."),
    ]


def test_what_is_not_documented_is_named():
    problems = " / ".join(interface.read(neglected).problems)
    assert "argument 'count' has no description" in problems
    assert "argument 'thing' has no description" in problems
    assert "describes 'counts', which is not an argument" in problems
    assert "does not describe what is raised" in problems


def test_bars_do_not_break_a_table():
    about = metadata.Metadata("documented", "T", "D.", "data", "tfdv", "beta", ("a",))
    page = markdown.page(interface.read(documented), about, {})
    (row,) = [line for line in page.splitlines() if line.startswith("| `rows` | `Dataset`")]
    assert row.replace("\\|", "").count("|") == 5


@pytest.mark.parametrize("name", components.COMPONENTS)
def test_every_component_is_documented(name):
    read = interface.read(getattr(components, name))
    assert read.problems == ()
    assert read.name == name


@pytest.mark.parametrize("name", components.COMPONENTS)
def test_every_example_compiles(name, tmp_path):
    code = markdown.example(interface.read(getattr(components, name)))
    scope: dict[str, object] = {}
    exec(compile(code, name, "exec"), scope)
    compiler.Compiler().compile(scope["my_pipeline"], str(tmp_path / "pipeline.yaml"))
    assert f"comp-{name.replace('_', '-')}" in (tmp_path / "pipeline.yaml").read_text()


def test_the_generated_pages_are_up_to_date():
    made = generate.catalog(ROOT)
    assert made.problems == ()
    assert generate.stale(ROOT, made.pages) == []
    for name, folder in components.COMPONENTS.items():
        assert Path("docs/components") / f"{name}.md" in made.pages
        assert Path("components") / folder / "README.md" in made.pages


def test_stale_pages_are_found_and_written(tmp_path):
    fresh, gone = Path("docs/components/fresh.md"), Path("docs/components/gone.md")
    (tmp_path / gone).parent.mkdir(parents=True)
    (tmp_path / gone).write_text("of a component that was removed")
    pages = {fresh: "text\n"}
    assert generate.stale(tmp_path, pages) == [fresh, gone]
    assert generate.write(tmp_path, pages) == [fresh, gone]
    assert generate.stale(tmp_path, pages) == []
    assert not (tmp_path / gone).exists()
    (tmp_path / fresh).write_text("edited")
    assert generate.stale(tmp_path, pages) == [fresh]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"titel": "x"}, "unknown field 'titel'. Did you mean 'title'"),
        ({"title": None}, "title must be text"),
        ({"title": "A title."}, "without a full stop"),
        ({"description": "No stop"}, "end it with a full stop"),
        ({"category": "trainig"}, "Did you mean 'training'"),
        ({"image": "pytorch"}, "image 'pytorch' is not one of"),
        ({"stability": 1}, "stability must be text"),
        ({"tags": []}, "at least one tag"),
        ({"tags": ["Not Fit"]}, "lower-case"),
        ({"name": "other"}, "name is 'other'"),
    ],
)
def test_metadata_is_checked(tmp_path, change, message):
    import yaml

    content = {
        "name": "thing",
        "title": "A thing",
        "description": "Does it.",
        "category": "training",
        "image": "tensorflow",
        "stability": "beta",
        "tags": ["a-tag"],
    }
    path = tmp_path / "metadata.yaml"
    path.write_text(yaml.safe_dump(content))
    assert metadata.load(path, "thing").tags == ("a-tag",)
    path.write_text(yaml.safe_dump({**content, **change}))
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        metadata.load(path, "thing")


def test_metadata_that_is_not_there_or_not_yaml(tmp_path):
    path = tmp_path / "metadata.yaml"
    with pytest.raises(UserError, match="not found"):
        metadata.load(path, "thing")
    path.write_text("a: [")
    with pytest.raises(UserError, match="not YAML"):
        metadata.load(path, "thing")
