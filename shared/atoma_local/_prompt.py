"""What a conversation asks, and what it gives to answer from."""

# ruff: noqa: RUF001  quotation marks and full stops of several languages

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ._text import sentences, words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Prompt", "message_text", "read_prompt"]

_QUESTION_LABEL = re.compile(
    r"(?im)^[ \t]*(?:#{1,6}[ \t]*|\*\*)?"
    r"(?:(?:user(?:'s)?|follow[- ]?up|standalone|latest)[ \t]+)?"
    r"(?:question|query|input|request)[ \t]*:[ \t]*(?:\*\*)?[ \t]*"
)
_GIVEN = (
    r"(?:context|passages?|documents?|sources?|excerpts?|text|material|articles?|"
    r"information|notes)"
)
_MATERIAL_LABEL = re.compile(
    rf"(?im)^[^\n]{{0,120}}\b{_GIVEN}\b[^\n:]{{0,60}}:[ \t]*(?:\*\*)?[ \t]*$"
    rf"|(?:^|(?<=[.:!?])[ \t]+)[ \t]*(?:#{{1,6}}[ \t]*|\*\*)?[\w ]{{0,20}}{_GIVEN}"
    r"[ \t]*:[ \t]*(?:\*\*)?[ \t]*"
)
# Further in, such a line belongs to the material itself.
_LABEL_WITHIN = 800
_ANSWER_LABEL = re.compile(
    r"(?im)^[ \t]*(?:[\w ]{0,20})?(?:answer|response|summary|output|result)[ \t]*:"
    r"[ \t]*$"
)
_TAGGED = re.compile(
    r"(?is)<(context|passages|documents|sources|text|document|question|query)>"
    r"(.*?)</\1>"
)
_INSTRUCTION = re.compile(
    r"(?i)^(?:you are\b|you're\b|your (?:task|job|role)|act as|answer\b|use\b|"
    r"respond\b|reply\b|keep\b|if\b.*\b(?:don't|do not|cannot|can't|unsure)\b|"
    r"do not\b|don't\b|always\b|never\b|cite\b|name the\b|be (?:concise|brief|"
    r"helpful)|think\b|please\b|given\b.*\b(?:question|history)|write\b|summari[sz]e\b|"
    r"return\b|only\b|provide\b|the following\b|below\b|here (?:is|are)\b|"
    r"a helpful|helpful)"
)
_REWRITE = re.compile(r"(?i)\b(?:standalone|stand-alone|rephrase|reformulate)\b")
_SUMMARY = re.compile(r"(?i)\b(?:summari[sz]e|summary|tl;?dr|key points|gist)\b")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation taken apart.

    `request` is the last thing the user said, whole; `question` is what of it asks;
    `material` is what may be quoted; `background` is what the user said before.
    """

    request: str
    question: str
    material: str
    background: str
    instructions: str
    tool_results: tuple[str, ...] = ()

    @property
    def wants_summary(self) -> bool:
        """Whether the user asks for the gist rather than for a fact."""
        asked = f"{self.question}\n{self.instructions}"
        return bool(_SUMMARY.search(asked)) and bool(self.material)

    @property
    def wants_rewrite(self) -> bool:
        """Whether the question is to be put again rather than answered."""
        return bool(_REWRITE.search(self.instructions)) and "?" in self.question


def message_text(message: Mapping[str, Any]) -> str:
    """Return a message's text; of images, audio and files only that they are there."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    return "\n".join(
        str(block["text"]) if block["type"] == "text" else f"({block['type']})"
        for block in blocks
    )


def read_prompt(messages: Sequence[Mapping[str, Any]]) -> Prompt:
    """Take a conversation apart."""
    last = max(
        (n for n, m in enumerate(messages) if m["role"] == "user"),
        default=len(messages),
    )
    request = message_text(messages[last]) if last < len(messages) else ""
    question, material, instructions = _split(request)
    systems = [m for m in messages if m["role"] in {"system", "developer"}]
    for message in systems:
        rest, given = _without_instructions(message_text(message))
        instructions = f"{rest}\n{instructions}"
        material = f"{given}\n\n{material}".strip()
    earlier = [m for m in messages[:last] if m["role"] in {"user", "assistant"}]
    results = tuple(
        message_text(m) for m in messages[last + 1 :] if m["role"] == "tool"
    )
    turns = [text for m in earlier if (text := message_text(m))]
    asked = [message_text(m) for m in earlier if m["role"] == "user"]
    stated = "\n\n".join(turn for turn in turns if not turn.rstrip().endswith("?"))
    return Prompt(
        request=request,
        question=question,
        material=f"{material}\n\n{stated}".strip(),
        background="\n".join(asked),
        instructions=instructions.strip(),
        tool_results=results,
    )


def _split(request: str) -> tuple[str, str, str]:
    """Split a user message into what it asks, what it gives, and how to answer."""
    tagged = {match[1].lower(): match[2].strip() for match in _TAGGED.finditer(request)}
    if tagged:
        rest = _TAGGED.sub("\n\n", request).strip()
        asked = tagged.pop("question", "") or tagged.pop("query", "")
        question, more, how = _split(rest) if rest else ("", "", "")
        material = "\n\n".join([*tagged.values(), more]).strip()
        return asked or question, material, how
    labels = list(_QUESTION_LABEL.finditer(request))
    if labels:
        before, after = request[: labels[-1].start()], request[labels[-1].end() :]
        after = _ANSWER_LABEL.sub("", after)
        asked, _, more = after.strip().partition("\n\n")
        how, given = _without_instructions(before)
        _, also = _without_instructions(more)
        return asked.strip(), f"{given}\n\n{also}".strip(), how
    return _split_unlabelled(_ANSWER_LABEL.sub("", request).strip())


def _split_unlabelled(request: str) -> tuple[str, str, str]:
    paragraphs = [p for p in re.split(r"\n\s*\n", request) if p.strip()]
    if len(paragraphs) < 2:  # noqa: PLR2004
        return _split_paragraph(request)
    asking = next((n for n in (len(paragraphs) - 1, 0) if _asks(paragraphs[n])), None)
    if asking is None:
        how, given = _without_instructions(request)
        return (how or paragraphs[0]), given, how
    rest = "\n\n".join(p for n, p in enumerate(paragraphs) if n != asking)
    how, given = _without_instructions(rest)
    return paragraphs[asking].strip(), given, how


def _split_paragraph(request: str) -> tuple[str, str, str]:
    """One paragraph may state first and ask last: "I am Ada. Who am I?"."""
    lead, colon, rest = request.partition(":\n")
    if colon and _INSTRUCTION.match(lead.strip()):
        return lead.strip(), rest.strip(), lead.strip()
    said = sentences(request)
    asked = [text for text in said if text.endswith(("?", "？"))]
    if not asked:
        return request.strip(), "", ""
    given = " ".join(text for text in said if text not in asked)
    return " ".join(asked), given, ""


def _asks(paragraph: str) -> bool:
    short = len(words(paragraph)) <= 60  # noqa: PLR2004
    text = paragraph.strip()
    return short and (text.endswith(("?", "？")) or bool(_INSTRUCTION.match(text)))


def _without_instructions(text: str) -> tuple[str, str]:
    """Separate how to answer from what to answer from."""
    tagged = [match[2].strip() for match in _TAGGED.finditer(text)]
    if tagged:
        return _TAGGED.sub("", text).strip(), "\n\n".join(tagged)
    label = _MATERIAL_LABEL.search(text, 0, _LABEL_WITHIN)
    if label:
        return text[: label.end()].strip(), text[label.end() :].strip()
    how: list[str] = []
    given: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        lines = paragraph.strip().splitlines()
        if not lines:
            continue
        told = _INSTRUCTION.match(lines[0].strip())
        (how if told else given).append(paragraph)
    return "\n\n".join(how), "\n\n".join(given)
