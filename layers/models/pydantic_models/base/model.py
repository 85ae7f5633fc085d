"""What all models of the contract are."""

from __future__ import annotations

from threading import RLock
from typing import Any

from pydantic import BaseModel, ConfigDict

_MAKING = RLock()
"""Held while a validator is made: not every pydantic bears two threads that make the same one."""


class Model(BaseModel):
    """A model whose validator is made when it is first needed, so importing it costs little."""

    model_config = ConfigDict(defer_build=True)

    @classmethod
    def model_rebuild(cls, **options: Any) -> bool | None:
        """Make the validator, unless all that happens is that open parameters are given.

        pydantic asks for it then, too, and has no use for it.
        """
        if "_types_namespace" in options and cls.__pydantic_generic_metadata__["parameters"]:
            return None
        with _MAKING:
            return super().model_rebuild(**options)
