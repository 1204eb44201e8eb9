"""Comments are shown as GitHub shows them, and nothing in them runs."""

import pytest

from sandbox.servers.github_server import rendering


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("| a | b |\n|:-:|--:|\n| 1 | 2 |", '<td align="center">1</td>\n<td align="right">2</td>'),
        ("> [!WARNING]\n> Mind it", '<div class="markdown-alert markdown-alert-warning">'),
        ("- [x] done", 'checked=""> done</li>'),
        ("see https://clear.ml now", '<a href="https://clear.ml"'),
        ("~~gone~~", "<s>gone</s>"),
        ("one\ntwo", "one<br>\ntwo"),
        ("<details><summary>All</summary>\n\n**x**\n\n</details>", "<details><summary>All</summary>\n<p><strong>x"),
        ("```mermaid\nxychart-beta\n```", '<pre class="mermaid">xychart-beta\n</pre>'),
        ("```mermaid\nA[<b>x</b>]\n```", "A[&lt;b&gt;x&lt;/b&gt;]"),
        ("a < b & c", "a &lt; b &amp; c"),
    ],
    ids=["table", "alert", "task", "link", "strike", "break", "details", "chart", "chart-html", "escaped"],
)
def test_comment__markdown__becomes_githubs_html(text: str, html: str) -> None:
    assert html in str(rendering.comment(text))


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("<script>alert(1)</script>", "alert"),
        ("<style>p { color: red }</style>", "color"),
        ('<b style="color: red" onclick="x()">b</b>', "color"),
        ('<b style="color: red" onclick="x()">b</b>', "onclick"),
        ('<img src="x" onerror="x()">', "onerror"),
        ('<a href="javascript:x()">a</a>', "javascript"),
        ("[a](javascript:x)", "href"),
        ("<iframe src='https://clear.ml'></iframe>", "iframe"),
        ('<div class="site">x</div>', "site"),
        ("<!-- marker -->", "marker"),
        ('<input type="password">', "password"),
        ("```mermaid\n</pre><script>x()</script>\n```", "<script"),
    ],
)
def test_comment__dangerous_or_styled__stripped(text: str, gone: str) -> None:
    assert gone not in str(rendering.comment(text))
