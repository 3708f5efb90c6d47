"""Who takes responsibility for a report."""

from __future__ import annotations

from dataclasses import dataclass

from marrowmap.data.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class Signature:
    """Who signed a report.

    Attributes:
        name: The reader, as DICOM writes a person: family^given.
        organization: Where the reader works.
    """

    name: str
    organization: str

    def __post_init__(self) -> None:
        """Refuse an empty or overlong signature.

        Raises:
            SettingsError: If name or organization is empty or longer than 64 characters.
        """
        for field, value in (("name", self.name), ("organization", self.organization)):
            if not 0 < len(value.strip()) <= 64 or not value.isprintable() or "\\" in value:
                raise SettingsError(
                    f"need the {field} of who signs in 1 to 64 plain characters, no backslash"
                )
