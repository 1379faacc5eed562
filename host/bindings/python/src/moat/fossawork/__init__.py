"""A drop-in for the module `credential_manager` of the FossaWork application.

    from moat.fossawork import CredentialManager, WorkFossaCredentials, credential_manager

The README of this package has what differs from the application.
"""

from .asynchronous import AsyncCredentialManager
from .credentials import WorkFossaCredentials
from .manager import CredentialManager

__all__ = [
    "AsyncCredentialManager",
    "CredentialManager",
    "WorkFossaCredentials",
    "credential_manager",
]

credential_manager = CredentialManager()
"""The application's own instance, with the default path as it is at import."""
