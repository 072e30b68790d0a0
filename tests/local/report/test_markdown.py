import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.pipelines.local.report.markdown import to_blocks

TAGS = re.compile(
    r"</?(h[3-6]|p|pre|code|strong|em|ul|ol|li|a|br|hr|blockquote|div|table|thead|tbody|tr|th|td)"
    r"( (class|href)=('[^'<>]*'|n))*>"
)


def render(text):
    return "".join(to_blocks(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# Title #\n\ntext", "<h3>Title</h3><p>text</p>"),
        ("one\ntwo\n\nthree", "<p>one two</p><p>three</p>"),
        ("text\n## Next", "<p>text</p><h4>Next</h4>"),
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
    assert re.findall(r"<th[^>]*>(.*?)</th>", page) == ["a", "b"]
    assert re.findall(r"<td[^>]*>(.*?)</td>", page) == ["<code>x|y</code>", "1", "short", ""]
    assert page.endswith("<p>after</p>")


@given(st.text(alphabet="ab*_`|-#[]()\\<>&'\" \n\t1.", max_size=60))
def test_any_text_becomes_text_and_known_tags(text):
    rest = TAGS.sub("", render(text))
    assert "<" not in rest
    assert ">" not in rest
    assert html.unescape(rest) is not None
