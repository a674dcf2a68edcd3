"""What every section of a protocol is: frozen, validated, nothing unknown."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A frozen part of the protocol: unknown fields are refused, not ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")
