"""Words, stems, sentences and tokens, without a model and without a download."""

# ruff: noqa: RUF001  quotation marks and full stops of several languages

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

__all__ = [
    "STOP_WORDS",
    "content_stems",
    "identifier_words",
    "sentences",
    "stem",
    "strip_markdown",
    "tokens",
    "words",
]

STOP_WORDS = frozenset({
    "a", "about", "above", "after", "again", "against", "all", "also", "am", "an",
    "and", "any", "are", "as", "at", "be", "because", "been", "before", "being",
    "below", "between", "both", "but", "by", "can", "could", "did", "do", "does",
    "doing", "down", "during", "each", "either", "else", "etc", "ever", "every",
    "explain", "few", "for", "from", "further", "give", "given", "had", "has", "have",
    "having", "he", "hence", "her", "here", "hers", "him", "his", "how", "however", "i",
    "if", "in", "into", "is", "it", "its", "itself", "just", "kindly", "least", "let",
    "like", "list", "made", "make", "many", "may", "me", "mean", "means", "might",
    "more", "most", "much", "must", "my", "name", "no", "nor", "not", "now", "of",
    "off", "on", "once", "one", "only", "onto", "or", "other", "our", "out", "over",
    "own", "per", "please", "quite", "rather", "really", "same", "say", "shall", "she",
    "should", "show", "so", "some", "such", "tell", "than", "that", "the", "their",
    "them", "then", "there", "these", "they", "this", "those", "through", "thus", "to",
    "too", "under", "until", "up", "upon", "us", "use", "using", "very", "via", "want",
    "was", "we", "were", "what", "when", "where", "whether", "which", "while", "who",
    "whom", "whose", "why", "will", "with", "within", "without", "would", "yes", "yet",
    "you", "your", "yours", "describe", "define", "happen", "happens", "exactly",
})  # fmt: skip

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_IDENTIFIER = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
_TOKEN = re.compile(r"\s*[^\W_]{1,12}|\s*[^\w\s]|\s*_+|\s+")
_IDEOGRAPH = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7af]")
_SENTENCE_END = re.compile(
    r"(?<=[.!?…])[\"'”’)\]]*\s+(?=[\"'“‘(\[]?[^\W_a-zß-ÿ]|`)|(?<=[。！？])\s*"
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|cf|vs|etc|Dr|Mr|Mrs|Ms|No|St|approx))\.$"
)


def words(text: str) -> list[str]:
    """Return the words in lower case; ideographs count as pairs of neighbours."""
    found: list[str] = []
    for match in _WORD.finditer(unicodedata.normalize("NFKC", text).casefold()):
        word = match.group()
        if _IDEOGRAPH.search(word) and len(word) > 1:
            found += [word[i : i + 2] for i in range(len(word) - 1)]
        else:
            found.append(word)
    return found


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Cut English endings, so that `sees` meets `see` and `encrypted`, `encrypt`."""
    word = re.sub(r"['’]\w*$", "", word)
    if not word.isascii() or len(word) < 4:  # noqa: PLR2004
        return word
    if word.endswith("ies"):
        word = word[:-3] + "y"
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ization", "ation", "ion", "ing", "ment", "ed", "ly", "er", "or"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:  # noqa: PLR2004
            word = word[: -len(ending)]
            break
    if len(word) > 4 and word[-1] == word[-2] and word[-1] not in "ls":  # noqa: PLR2004
        word = word[:-1]
    return word[:-1] if word.endswith("e") and len(word) > 3 else word  # noqa: PLR2004


def content_stems(text: str) -> list[str]:
    """Return the stems of the words that carry meaning, in order."""
    return [stem(word) for word in words(text) if word not in STOP_WORDS]


def identifier_words(identifier: str) -> list[str]:
    """Split `get_weatherReport2` into its words, in lower case."""
    return [word.casefold() for word in _IDENTIFIER.findall(identifier)]


def tokens(text: str) -> list[str]:
    """Cut a text into pieces about as long as a tokenizer's; joined they are it."""
    return _TOKEN.findall(text)


def sentences(text: str) -> list[str]:
    """Split running text into sentences; a full stop inside `e.g.` ends none."""
    found: list[str] = []
    for piece in _SENTENCE_END.split(" ".join(text.split())):
        if found and _ABBREVIATION.search(found[-1]):
            found[-1] += f" {piece}"
        elif piece:
            found.append(piece)
    return found


def strip_markdown(text: str) -> str:
    """Drop emphasis marks and link targets, which read badly in an answer."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)\s]*\)", r"\1", text)
    text = re.sub(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1", r"\2", text)
    return re.sub(r"(?<!\w)\*(?=\S)([^*]+?)(?<=\S)\*(?!\w)", r"\1", text)
