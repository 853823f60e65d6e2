"""What a wellness product must not say, and where the words are allowed after all."""

from __future__ import annotations

import re

# Claims that belong to a medical device, wherever they stand.
_CLAIMS = (
    r"urgent intervention|emergenc|diagnos|treatment|patient|disease|medical|infect"
    r"|abnormal|symptom|therap|clinical|patholog|at risk"
)
# Words that also have an everyday meaning in documents for engineers.
_FRIGHT = r"|urgent|interven|treat|danger|risk|doctor|\bsick"
_STRICT = re.compile(_CLAIMS + _FRIGHT, re.IGNORECASE)
_CLAIM = re.compile(_CLAIMS, re.IGNORECASE)
# Saying what it is not.
_DENIALS = re.compile(
    r"not a\s+medical\s+device|no\s+diagnosis|(not|never) a\s+diagnosis"
    r"|no\s+treatment\s+advice",
    re.IGNORECASE,
)
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def forbidden_in(text: str) -> list[str]:
    """Return the words in a text for staff or consumers that must not be there."""
    return _found(_STRICT, text)


def claims_in(document: str) -> list[str]:
    """Return the claims in a Markdown document; names in code are no claims."""
    return _found(_CLAIM, _CODE.sub(" ", document))


def _found(pattern: re.Pattern[str], text: str) -> list[str]:
    kept = _DENIALS.sub(" ", text)
    return [
        kept[max(0, hit.start() - 30) : hit.end() + 30].strip()
        for hit in pattern.finditer(kept)
    ]
