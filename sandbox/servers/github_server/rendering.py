"""Comments as GitHub shows them: GitHub-flavoured Markdown, alerts, Mermaid charts; nothing that could run."""

from collections.abc import Sequence

import nh3
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup
from mdit_py_plugins.gfm import gfm_plugin

_ALERTS = {f"markdown-alert-{kind}" for kind in ("note", "tip", "important", "warning", "caution")}
_CLASSES = {
    "div": {"markdown-alert", *_ALERTS},
    "p": {"markdown-alert-title"},
    "pre": {"mermaid"},
    "ul": {"contains-task-list"},
    "li": {"task-list-item"},
}
_TAGS = nh3.ALLOWED_TAGS | {"details", "summary", "input"}
_ATTRIBUTES = {
    **nh3.ALLOWED_ATTRIBUTES,
    "details": {"open"},
    "input": {"type", "checked", "disabled"},
    "td": {"align"},
    "th": {"align"},
}
# The only input that a comment may hold is the box of a task list; "disabled" is set on every other one as well.
_FIXED = {"input": {"type": "checkbox", "disabled": ""}}


def comment(text: str) -> Markup:
    """Sanitised HTML of a comment's Markdown."""
    html = nh3.clean(
        _MARKDOWN.render(text),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        allowed_classes=_CLASSES,
        set_tag_attribute_values=_FIXED,
    )
    return Markup(html)  # noqa: S704  nh3 has just cleaned it


def _fence(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    if tokens[index].info.strip() == "mermaid":
        return f'<pre class="mermaid">{escapeHtml(tokens[index].content)}</pre>\n'
    return renderer.fence(tokens, index, options, env)


def _cell(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    """GitHub aligns by attribute: style is stripped from every comment."""
    cell = tokens[index]
    style = str(cell.attrs.pop("style", ""))
    if style:
        cell.attrSet("align", style.removeprefix("text-align:"))
    return renderer.renderToken(tokens, index, options, env)


# A comment keeps its line breaks, unlike a file: `breaks`.
_MARKDOWN = MarkdownIt("commonmark", {"html": True, "breaks": True}).use(gfm_plugin)
for _rule, _render in (("fence", _fence), ("th_open", _cell), ("td_open", _cell)):
    _MARKDOWN.add_render_rule(_rule, _render)
