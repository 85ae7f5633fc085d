"""The messages that are recorded: the same for every store, on every machine, in every run.

Words are made of syllables and drawn as often as words of a language are (Zipf), so that a message
compresses about as prose of its length does: 600 characters to 54 %, where those of Python's own
documentation come to 52 %. Lengths are those of chat messages: a median of 600 characters, many
short ones, and a few of many thousand.
"""

from __future__ import annotations

import json
import random
from itertools import accumulate
from math import log
from typing import Any

_SYLLABLES = """
a an ar as at be ca ce com con de di e ed en er es ex fi for ga gen ha he hi i in ing is it ke la
le li ly ma me men mi mo na ne ni no o of on or ou par pe po pre pro ra re ri ro sa se sh si so st
ta te ter th the ti tion to tra tu un ur ve ver vi wa we wh wi y
"""
_WORDS = 4000
_MEDIAN = 600
_SPREAD = 0.9
_LONGEST = 20_000


def contents(count: int, seed: int = 0) -> list[str]:
    """The texts of `count` messages."""
    chance = random.Random(seed)
    lengths = (round(chance.lognormvariate(log(_MEDIAN), _SPREAD)) for _ in range(count))
    return [_text(chance, min(_LONGEST, max(1, length))) for length in lengths]


def text(length: int, seed: int = 0) -> str:
    """One text of this length."""
    return _text(random.Random(seed), length)


def metadata(content: str) -> dict[str, Any]:
    """What goes with a message, where a store takes such a thing as it is."""
    return {"model": "some-model-1", "tokens": len(content) // 4}


def as_json(session: str, request_id: str, made_at: str, content: str) -> str:
    """A message as whoever stores it with bare hands would spell it."""
    return json.dumps(
        {
            "id": request_id,
            "session_id": session,
            "role": "user",
            "content": content,
            "created_at": made_at,
            "metadata": metadata(content),
        }
    )


def _text(chance: random.Random, length: int) -> str:
    drawn = chance.choices(_vocabulary, cum_weights=_often, k=length // 3 + 2)
    said: list[str] = []
    starts = True
    for word in drawn:
        ends = chance.random() < 0.08
        said.append((word.capitalize() if starts else word) + (". " if ends else " "))
        starts = ends
    return "".join(said)[:length]


def _make_vocabulary() -> list[str]:
    chance = random.Random("vocabulary")
    syllables = _SYLLABLES.split()
    return ["".join(chance.choices(syllables, k=chance.randint(1, 4))) for _ in range(_WORDS)]


_vocabulary = _make_vocabulary()
_often = list(accumulate(1 / (rank + 2) for rank in range(_WORDS)))
