"""The reader's URL, and what stands for its password in a statement."""

from __future__ import annotations

import base64

import pytest

from christmas.ingestion.reader_role import reader_role, scram_verifier


def test_user_and_password_come_from_the_url() -> None:
    role = reader_role("postgresql://reader:p%40ss@db:5432/christmas")
    assert role == ("reader", "p@ss")


@pytest.mark.parametrize("url", ["postgresql://db/christmas", "postgresql://reader@db/christmas", ""])
def test_a_url_without_them_names_the_mend(url: str) -> None:
    with pytest.raises(ValueError, match="USER:PASSWORD"):
        reader_role(url)


def test_the_verifier_is_that_of_rfc_7677() -> None:
    """The salt, iterations and server signature's key of the RFC's example: user, pencil."""
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    verifier = scram_verifier("pencil", salt)
    assert verifier == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )
