"""The section `control_api` of a configuration."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

DEFAULT_PORT: Final = 8765


class ControlApiSettings(BaseModel):
    """Where the control API listens and what it allows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(default=False, description="whether there is a control API at all")
    host: str = Field(
        default="127.0.0.1", min_length=1, max_length=253, description="address to listen on"
    )
    port: int = Field(
        default=DEFAULT_PORT, ge=0, le=65535, description="port; 0 takes any free one"
    )
    token: str | None = Field(
        default=None,
        pattern=r"^env:[A-Za-z_][A-Za-z0-9_]*$",
        description="where the token is: env:NAME; without it the token file is used",
    )
    token_file: Path | None = Field(
        default=None,
        description="file with the token, made on first start; default in the data directory",
    )
    allow_execute: bool = Field(
        default=False, description="whether POST /agents/{id}/execute runs a cycle"
    )
    allow_remote: bool = Field(
        default=False, description="whether it may listen beyond this machine; needs a certificate"
    )
    certificate: Path | None = Field(default=None, description="TLS certificate chain, PEM")
    private_key: Path | None = Field(default=None, description="private key of the certificate")
    allowed_hosts: tuple[str, ...] = Field(
        default=(), description="names that a Host header may have besides localhost and host"
    )

    @model_validator(mode="after")
    def _remote_needs_protection(self) -> Self:
        if self.private_key is not None and self.certificate is None:
            raise ValueError("private_key needs certificate")
        if self.allow_remote and self.certificate is None:
            raise ValueError("allow_remote needs certificate: a token must not cross the net bare")
        if not self.allow_remote and not is_loopback(self.host):
            raise ValueError(
                f"host {self.host!r} is not this machine: use 127.0.0.1, or set allow_remote"
            )
        return self


def is_loopback(host: str) -> bool:
    """Return whether *host* is `localhost` or an address of the loopback interface."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
