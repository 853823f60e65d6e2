"""Texts that a store must give back as they went in."""

from __future__ import annotations

ODD_TEXTS = [
    *(
        "",
        "NULL",
        "null",
        " a ",
        "{}",
        '{"',
        '"',
        "\\",
        '\\"',
        "a,b",
        "'",
        "\n\t",
        "%s",
    ),
    *("é\u2028😀", "\\x41", "E'\\'"),
]
