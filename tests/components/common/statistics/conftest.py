from tests.components.small_examples import write_examples  # noqa: F401 - a fixture
