"""The role by which runtimes read history: it may read, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import secrets
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote, urlsplit

import asyncpg

if TYPE_CHECKING:
    from asyncpg import Connection

logger = logging.getLogger(__name__)

_ITERATIONS: Final = 4096
_STATEMENT_TIMEOUT: Final = "30s"


class ReaderRole(NamedTuple):
    name: str
    password: str


def reader_role(url: str) -> ReaderRole:
    """The role and its password in a database URL; raises ValueError when it has no user or no password."""
    parts = urlsplit(url)
    if not parts.username or not parts.password:
        raise ValueError("reader_url: give it a user and a password: postgresql://USER:PASSWORD@HOST/DATABASE")
    return ReaderRole(unquote(parts.username), unquote(parts.password))


def scram_verifier(password: str, salt: bytes) -> str:
    """What PostgreSQL keeps in place of an ASCII password (RFC 5802): no statement in a log has the password."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, _ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${_ITERATIONS}:{encoded[0]}${encoded[1]}:{encoded[2]}"


async def ensure_reader(connection: Connection, url: str) -> None:
    """Make the role of ``url``, or bring its password and rights to what they should be.

    Where we may not make roles, a role that somebody made is granted what it needs, and the log says what to do
    when there is none.
    """
    role = reader_role(url)
    name, verifier = await connection.fetchrow(
        "SELECT quote_ident($1), quote_literal($2)", role.name, scram_verifier(role.password, secrets.token_bytes(16))
    )
    exists = await connection.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role.name)
    try:
        await connection.execute(f"{'ALTER' if exists else 'CREATE'} ROLE {name} LOGIN PASSWORD {verifier}")
        await connection.execute(f"ALTER ROLE {name} SET default_transaction_read_only = on")
        await connection.execute(f"ALTER ROLE {name} SET statement_timeout = '{_STATEMENT_TIMEOUT}'")
    except asyncpg.InsufficientPrivilegeError as error:
        if not exists:
            logger.error(
                "strategies warm up without history: CREATE ROLE %s LOGIN PASSWORD '...' as in the reader's URL",
                role.name,
                extra={"error": str(error)},
            )
            return
        logger.info("the reader's password is not ours to set", extra={"role": role.name})
    await connection.execute(f"GRANT USAGE ON SCHEMA public TO {name}")
    await connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}")
    await connection.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {name}")
