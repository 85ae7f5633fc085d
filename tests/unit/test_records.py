"""Content is stored in its shortest form, and comes back as it was."""

import bz2
import json
import random
import zlib
from typing import Any

import pytest

from benchmarks import messages
from casefile import contents, records
from tests.conftest import Invoke, stored

SESSION = "cs_260101_aaaaaaaaaaaaaaaa"


def contents_of(size: int) -> list[str]:
    """Prose, and noise that nothing makes shorter."""
    chance = random.Random(size)
    noise = "".join(chance.choices("".join(map(chr, range(0x4E00, 0x8E00))), k=size // 3))
    return [json.dumps({"content": messages.text(size, seed=size)}), noise]


@pytest.mark.parametrize(
    "size", [0, 390, 600, 900, 1500, 3000, 4000, 9000, 25_000, 60_000, 90_000, 300_000]
)
def test_content_is_as_short_as_any_form_of_it_unless_it_is_short_anyway(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket: dict[str, str] = {}
    monkeypatch.setattr(contents, "get_many", lambda _, digests: [bucket[d] for d in digests])
    for content in contents_of(size):
        text, beside = content.encode(), records.bytes_beside(SESSION)
        forms = [text, zlib.compress(text, 6, wbits=-15)]
        if len(text) >= 4096:
            forms.append(bz2.compress(text))
        packed = records.pack(SESSION, content)
        if records.is_packed_away(packed):
            bucket[packed["digest"].hex()] = content
            assert min(map(len, forms)) + beside > 31 * 1024 or len(text) > 256 * 1024
        else:
            (form,) = packed.values()
            stored = form.encode() if isinstance(form, str) else form
            assert len(stored) == (min(map(len, forms)) if len(text) >= 400 else len(text))
            assert beside + len(stored) <= 32 * 1024
        item: dict[str, Any] = {
            **records.slot_key(SESSION, 1),
            "kind": "chat",
            "request": bytes(16),
            "at": 0,
            "totals": [0, 0, 0, 0],
            "seal": bytes(32),
            **packed,
        }
        assert records.whole(SESSION, item).content == content


def test_a_batch_in_bzip2_is_read_as_it_was_sent(invoke: Invoke) -> None:
    session_id = invoke("create_chat_session")["payload"]["session_id"]
    said = messages.contents(25)
    batch = [{"content": content, "message_type": "user"} for content in said]
    invoke("chat", {"session_id": session_id, "messages": batch})
    (item,) = [each for each in stored() if each["sk"]["S"].isdecimal()]
    assert "content" not in item
    assert len(item["bzip2"]["B"]) < len(zlib.compress(json.dumps(batch).encode()))
    told = invoke("list_chat_messages", {"session_id": session_id})["payload"]["messages"]
    assert [message["content"] for message in told] == said
