"""What all models of the contract are."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """A model whose validator is made when it is first needed, so importing it costs little."""

    model_config = ConfigDict(defer_build=True)
