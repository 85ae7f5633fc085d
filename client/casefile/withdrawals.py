"""What somebody who follows a chat is told when messages are taken back."""

from __future__ import annotations

from pydantic import Field

from pydantic_models.base.model import Model


class Withdrawal(Model):
    """Of the messages told before, only the first `keep` stand: those whose `index` is lower."""

    keep: int = Field(ge=0)
