"""The quick part of `tests/docs`: links, commands and documents."""

from tests.docs.test_blocks import (  # noqa: F401 - tests
    test_blocks_say_what_they_are,
    test_commands_and_documents_are_accepted,
    test_commands_within_sentences_are_accepted,
)
from tests.docs.test_links import test_links_lead_somewhere  # noqa: F401 - a test
