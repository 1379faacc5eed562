"""A credential manager that does what the FossaWork application's does: in place, one key at a time.

Written from a list of its interface, not from its source. It is the peer of `moat.fossawork` in
tests: both get the same calls, and read what the other wrote.
"""

import base64
import json
import logging
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Optional

from exchange import user_cipher

logger = logging.getLogger(__name__)


@dataclass
class WorkFossaCredentials:
    username: str
    password: str
    user_id: str
    created_at: datetime = None
    last_used: datetime = None
    is_valid: bool = False
    validation_attempts: int = 0

    def __post_init__(self):
        if self.created_at is None:
            self.created_at = datetime.now()


class CredentialManager:
    def __init__(self, storage_path: str = None):
        self.storage_path = storage_path or os.path.abspath("data/credentials")
        os.makedirs(self.storage_path, exist_ok=True)
        os.chmod(self.storage_path, 0o700)

    def _file(self, user_id):
        return Path(self.storage_path, f"{user_id}.cred")

    def _cipher(self, user_id):
        if not os.environ.get("FOSSAWORK_MASTER_KEY"):
            raise ValueError("FOSSAWORK_MASTER_KEY is not set")
        return user_cipher(user_id)

    _get_encryption_key = _cipher

    def _encrypt_data(self, data, user_id):
        return base64.urlsafe_b64encode(self._cipher(user_id).encrypt(data.encode())).decode()

    def _decrypt_data(self, data, user_id):
        return self._cipher(user_id).decrypt(base64.urlsafe_b64decode(data)).decode()

    def store_credentials(self, credentials: WorkFossaCredentials) -> bool:
        try:
            used = credentials.last_used
            secret = {
                "username": credentials.username,
                "password": credentials.password,
                "created_at": credentials.created_at.isoformat(),
                "last_used": used.isoformat() if used else None,
                "is_valid": credentials.is_valid,
                "validation_attempts": credentials.validation_attempts,
            }
            record = {
                "user_id": credentials.user_id,
                "encrypted_data": self._encrypt_data(json.dumps(secret), credentials.user_id),
                "created_at": datetime.now().isoformat(),
                "encryption_version": "1.0",
            }
            file = self._file(credentials.user_id)
            file.write_text(json.dumps(record))
            file.chmod(0o600)
            return True
        except Exception as error:
            logger.error("store: %s", type(error).__name__)
            return False

    def retrieve_credentials(self, user_id: str) -> Optional[WorkFossaCredentials]:
        try:
            record = json.loads(self._file(user_id).read_text())
            secret = json.loads(self._decrypt_data(record["encrypted_data"], user_id))
            used = secret.get("last_used")
            return WorkFossaCredentials(
                secret["username"],
                secret["password"],
                user_id,
                datetime.fromisoformat(secret["created_at"]),
                datetime.fromisoformat(used) if used else None,
                secret.get("is_valid", False),
                secret.get("validation_attempts", 0),
            )
        except Exception as error:
            logger.error("retrieve: %s", type(error).__name__)
            return None

    def validate_credentials(self, user_id: str) -> bool:
        found = self.retrieve_credentials(user_id)
        if not found or not found.username or not found.password:
            return False
        return datetime.now() - found.created_at < timedelta(days=30)

    def update_last_used(self, user_id: str) -> bool:
        found = self.retrieve_credentials(user_id)
        if not found:
            return False
        found.last_used = datetime.now()
        return self.store_credentials(found)

    def delete_credentials(self, user_id: str) -> bool:
        try:
            self._file(user_id).unlink()
            return True
        except OSError:
            return False

    def list_stored_users(self) -> list:
        return [file.stem for file in Path(self.storage_path).glob("*.cred")]

    def get_security_info(self) -> dict:
        return {
            "encryption_enabled": True,
            "storage_path": self.storage_path,
            "encryption_method": "Fernet",
            "key_derivation": "PBKDF2-HMAC-SHA256",
            "master_key_set": bool(os.environ.get("FOSSAWORK_MASTER_KEY")),
            "stored_users_count": len(self.list_stored_users()),
        }


credential_manager = CredentialManager()
