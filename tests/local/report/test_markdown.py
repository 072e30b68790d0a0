import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.pipelines.local.report.markdown import to_page

TAGS = re.compile(
    r"</?(main|header|section|h[1-6]|p|pre|code|strong|em|ul|ol|li|a|br|hr|blockquote|div|table|thead|tbody|tr|th|td)"
    r"( (class|href|scope)=('[^'<>]*'|n|col))*>"
)


def render(text):
    """Return the content of the one section of a document's page."""
    found = re.findall(r"<section><h2>.*?</h2>\n(.*?)\n</section>", to_page(text, "x"), re.DOTALL)
    assert len(found) <= 1
    return "".join(found).replace(">\n<", "><")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# Title #\n\ntext", "<p>text</p>"),
        ("one\ntwo\n\nthree", "<p>one two</p><p>three</p>"),
        ("text\n### Next\n##### Far", "<p>text</p><h3>Next</h3><h5>Far</h5>"),
        ("a `b <c>` **d** *e* _f_", "<p>a <code>b &lt;c&gt;</code> <strong>d</strong> <em>e</em>"),
        ("`` a ` b ``", "<p><code>a ` b</code></p>"),
        ("snake_case_name 2 * 3 * 4", "<p>snake_case_name 2 * 3 * 4</p>"),
        ("2*3*4", "<p>2<em>3</em>4</p>"),
        ("> quoted\n\n---", "<blockquote><p>quoted</p></blockquote><hr>"),
        ("![x](https://example.com/a.png)", "<p>!<a href='https://example.com/a.png'>x</a></p>"),
        (r"\*not\* \_it\_ \<b\>", "<p>*not* _it_ &lt;b&gt;</p>"),
        ("- one\n- two\n  more", "<ul><li>one</li><li>two more</li></ul>"),
        ("1. one\n2. two", "<ol><li>one</li><li>two</li></ol>"),
        ("    $ run\n\n    $ again\nend", "<pre>$ run\n\n$ again</pre><p>end</p>"),
        ("```json\n{\n  1 < 2\n}\n```\nend", "<pre>{\n  1 &lt; 2\n}</pre><p>end</p>"),
        ("```\nnever closed", "<pre>never closed</pre>"),
        ("[guide](docs/a.md)", "<p><a href='docs/a.md'>guide</a></p>"),
        ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>"),
        ("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"),
        ("", ""),
    ],
)
def test_blocks(text, expected):
    assert render(text).startswith(expected)


def test_table():
    page = render("| a | b |\n| --- | ---: |\n| `x\\|y` | 1 |\n| short |\n\nafter")
    assert re.findall(r"<th scope=col[^>]*>(.*?)</th>", page) == ["a", "b"]
    assert re.findall(r"<td[^>]*>(.*?)</td>", page) == ["<code>x|y</code>", "1", "short", ""]
    assert page.endswith("<p>after</p>")


def test_headings_become_the_title_and_the_sections_of_the_page():
    page = to_page("# All `of` it\n\nintro\n\n## One\n\n1\n\n## Empty\n\n# Late\n\n2", "task")
    assert "<h1>All of it</h1>" in page
    assert "<title>All of it</title>" in page
    assert re.findall(r"<h2>(.*?)</h2>", page) == ["Summary", "One", "Empty", "Late"]
    assert "<h1>task</h1>" in to_page("no heading", "task")
    assert "<h2>Summary</h2>" not in to_page("# Title\n\n## One", "task")


def test_numbers_are_aligned_to_the_right():
    page = render("| split | rows | share |\n| --- | --- | --- |\n| `1` | 1,234 | 5.0% |")
    assert "<td>" in page
    assert "<td class=n>1,234</td><td class=n>5.0%</td>" in page
    assert page.count("class=n>") == 4


@given(st.text(alphabet="ab*_`|-#[]()\\<>&'\" \n\t1.", max_size=60))
def test_any_text_becomes_text_and_known_tags(text):
    page = to_page(text, "x")
    body = page[page.index("<main>") : page.index("</main>")]
    rest = TAGS.sub("", body)
    assert "<" not in rest
    assert ">" not in rest
    assert html.unescape(rest) is not None
