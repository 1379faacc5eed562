"""Plays the FossaWork application: its calls, each with what it has to return.

They are made of `moat.fossawork` and of a small reference implementation, so that both stay honest;
then each reads what the other wrote, and what differs on purpose is tried. Needs no key.
"""

import enum
import json
import logging
import os
import tempfile
import time
import typing
import unittest
from datetime import datetime, timedelta, timezone
from pathlib import Path
from unittest import mock

import fossawork_reference
from exchange import user_cipher

from moat import Credential, MasterKey, Vault, fossawork

KEY = "dOeYXjxXfw4nRNKwE-4Pwbdn9R7ctlgGN9weENuP-S0"
OTHER_KEY = "a key of sixteen bytes or more"
USER, PASSWORD = "anna@example.com", "pässwörd \"'\\ \U0001f511"


class Case(unittest.TestCase):
    """A directory and a key for each test; nothing that is logged holds a secret."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name, "credentials")
        self.beside = Path(temporary.name)
        environment = {name: value for name, value in os.environ.items() if "FOSSAWORK" not in name}
        environment["FOSSAWORK_MASTER_KEY"] = KEY
        patched = mock.patch.dict(os.environ, environment, clear=True)
        patched.start()
        self.addCleanup(patched.stop)
        self.lines = []
        handler = logging.Handler()
        handler.emit = lambda record: self.lines.append(f"{record.levelname} {record.getMessage()}")
        logger = logging.getLogger("moat")
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        logger.addHandler(handler)
        self.addCleanup(logger.removeHandler, handler)
        self.addCleanup(self.expect_no_secret)

    def expect_no_secret(self):
        text = "\n".join(self.lines)
        for secret in (PASSWORD, PASSWORD[:8], KEY, OTHER_KEY, "battery"):
            self.assertNotIn(secret, text)

    def file(self, user_id=USER):
        return self.directory / f"{user_id}.cred"

    def record(self, user_id=USER):
        return json.loads(self.file(user_id).read_bytes())

    def secret(self, user_id=USER):
        """What is encrypted."""
        token = fossawork_reference.base64.urlsafe_b64decode(self.record(user_id)["encrypted_data"])
        return json.loads(user_cipher(user_id).decrypt(token))

    def write(self, contents, user_id=USER):
        self.file(user_id).write_bytes(contents)
        self.file(user_id).chmod(0o600)


class Calls:
    """The calls of the application."""

    def test_a_login_is_stored_retrieved_changed_and_stored_again(self):
        manager = self.module.CredentialManager(str(self.directory))
        before = datetime.now()
        given = self.module.WorkFossaCredentials(USER, PASSWORD, USER)
        self.assertLessEqual(before, given.created_at)
        self.assertEqual((given.last_used, given.is_valid, given.validation_attempts), (None, False, 0))
        given.is_valid = True
        given.validation_attempts = 3
        self.assertIs(manager.store_credentials(given), True)
        found = manager.retrieve_credentials(USER)
        self.assertEqual(vars(found), vars(given))
        self.assertIsNone(found.created_at.tzinfo)
        found.is_valid = False
        found.last_used = datetime(2026, 1, 2, 3, 4, 5, 678)
        found.created_at = datetime(2026, 1, 2, 3, 4, 5)
        self.assertIs(manager.store_credentials(found), True)
        self.assertEqual(vars(manager.retrieve_credentials(USER)), vars(found))

    def test_a_record_has_the_applications_form(self):
        manager = self.module.CredentialManager(str(self.directory))
        manager.store_credentials(self.module.WorkFossaCredentials("anna", PASSWORD, USER))
        record = self.record()
        self.assertEqual(record["encrypted_data"][:9], "Z0FBQUFBQ")
        self.assertEqual((record["user_id"], record["encryption_version"]), (USER, "1.0"))
        self.assertIsNone(datetime.fromisoformat(record["created_at"]).tzinfo)
        self.assertEqual(self.file().stat().st_mode & 0o7777, 0o600)
        self.assertEqual(self.directory.stat().st_mode & 0o7777, 0o700)
        secret = self.secret()
        made = datetime.fromisoformat(secret.pop("created_at"))
        self.assertLess(abs(datetime.now() - made), timedelta(seconds=10))
        rest = {"last_used": None, "is_valid": False, "validation_attempts": 0}
        self.assertEqual(secret, {"username": "anna", "password": PASSWORD, **rest})

    def test_the_clock_is_local(self):
        self.addCleanup(time.tzset)
        with mock.patch.dict(os.environ, {"TZ": "Asia/Tokyo"}):
            time.tzset()
            manager = self.module.CredentialManager(str(self.directory))
            manager.store_credentials(self.module.WorkFossaCredentials("anna", PASSWORD, USER))
            manager.update_last_used(USER)
            secret, found = self.secret(), manager.retrieve_credentials(USER)
            for name in ("created_at", "last_used"):
                stored = datetime.fromisoformat(secret[name])
                self.assertLess(abs(datetime.now() - stored), timedelta(seconds=10))
                self.assertEqual(getattr(found, name), stored)
            offset = datetime.now() - datetime.now(timezone.utc).replace(tzinfo=None)
            self.assertEqual(round(offset.total_seconds() / 3600), 9)

    def test_validation_is_a_read(self):
        manager = self.module.CredentialManager(str(self.directory))

        def valid(username="anna", password=PASSWORD, age=timedelta()):
            made = datetime.now() - age
            new = self.module.WorkFossaCredentials(username, password, USER, made)
            self.assertTrue(manager.store_credentials(new))
            before = self.file().read_bytes()
            answer = manager.validate_credentials(USER)
            self.assertEqual(self.file().read_bytes(), before)
            return answer

        self.assertIs(manager.validate_credentials(USER), False)
        self.assertIs(valid(), True)
        self.assertIs(valid(age=timedelta(days=30, seconds=-10)), True)
        self.assertIs(valid(age=timedelta(days=30)), False)
        self.assertIs(valid(age=timedelta(days=-1)), True)
        self.assertIs(valid(username=""), False)
        self.assertIs(valid(password=""), False)

    def test_a_use_is_noted(self):
        manager = self.module.CredentialManager(str(self.directory))
        self.assertIs(manager.update_last_used(USER), False)
        made = datetime(2025, 1, 14, 10, 0, 0, 5)
        new = self.module.WorkFossaCredentials("anna", PASSWORD, USER, made, None, True, 7)
        manager.store_credentials(new)
        before = datetime.now()
        self.assertIs(manager.update_last_used(USER), True)
        found = manager.retrieve_credentials(USER)
        self.assertTrue(before <= found.last_used <= datetime.now())
        new.last_used = found.last_used
        self.assertEqual(vars(found), vars(new))

    def test_users_are_listed_and_deleted(self):
        manager = self.module.CredentialManager(str(self.directory))
        self.assertEqual(manager.list_stored_users(), [])
        for user in (USER, "bob", "o'x", "a b.c"):
            manager.store_credentials(self.module.WorkFossaCredentials("x", PASSWORD, user))
        self.assertEqual(sorted(manager.list_stored_users()), ["a b.c", USER, "bob", "o'x"])
        self.assertEqual(manager.get_security_info()["stored_users_count"], 4)
        self.assertIs(manager.delete_credentials("bob"), True)
        self.assertIs(manager.delete_credentials("bob"), False)
        self.assertEqual(sorted(manager.list_stored_users()), ["a b.c", USER, "o'x"])
        self.write(b"torn", "o'x")
        self.assertIs(manager.delete_credentials("o'x"), True)

    def test_failures_are_none_and_false(self):
        manager = self.module.CredentialManager(str(self.directory))
        new = self.module.WorkFossaCredentials("anna", PASSWORD, USER)
        self.assertIsNone(manager.retrieve_credentials(USER))
        manager.store_credentials(new)
        good = self.file().read_bytes()

        def expect_failure():
            self.assertIsNone(manager.retrieve_credentials(USER))
            self.assertIs(manager.validate_credentials(USER), False)
            self.assertIs(manager.update_last_used(USER), False)

        for bad in (b"", b"{", good[: len(good) // 2], b"[]", b"null", b"\xff", b"{}"):
            self.write(bad)
            expect_failure()
            self.assertEqual(self.file().read_bytes(), bad)
            self.assertIs(manager.store_credentials(new), True)
            self.assertEqual(manager.retrieve_credentials(USER).password, PASSWORD)
        os.environ["FOSSAWORK_MASTER_KEY"] = OTHER_KEY
        expect_failure()
        before = self.file().read_bytes()
        del os.environ["FOSSAWORK_MASTER_KEY"]
        expect_failure()
        self.assertIs(manager.store_credentials(new), False)
        self.assertEqual(self.file().read_bytes(), before)
        os.environ["FOSSAWORK_MASTER_KEY"] = ""
        expect_failure()

    def test_the_environment_is_read_at_each_call(self):
        manager = self.module.credential_manager
        with mock.patch.object(manager, "storage_path", str(self.directory)):
            self.directory.mkdir(0o700)
            new = self.module.WorkFossaCredentials("anna", PASSWORD, USER)
            self.assertIs(manager.get_security_info()["master_key_set"], True)
            del os.environ["FOSSAWORK_MASTER_KEY"]
            self.assertIs(manager.get_security_info()["master_key_set"], False)
            self.assertIs(manager.store_credentials(new), False)
            os.environ["FOSSAWORK_MASTER_KEY"] = KEY
            self.assertIs(manager.store_credentials(new), True)
            os.environ["FOSSAWORK_MASTER_KEY"] = OTHER_KEY
            self.assertIsNone(manager.retrieve_credentials(USER))
            self.assertIs(manager.store_credentials(new), True)
            self.assertEqual(manager.retrieve_credentials(USER).password, PASSWORD)
            new.user_id = "bob"
            os.environ["FOSSAWORK_MASTER_KEY"] = KEY
            self.assertIs(manager.store_credentials(new), True)
            self.assertEqual(manager.retrieve_credentials("bob").password, PASSWORD)

    def test_without_a_key_the_private_methods_name_the_variable(self):
        del os.environ["FOSSAWORK_MASTER_KEY"]
        manager = self.module.CredentialManager(str(self.directory))
        with self.assertRaisesRegex(ValueError, "FOSSAWORK_MASTER_KEY"):
            manager._get_encryption_key(USER)
        with self.assertRaisesRegex(ValueError, "FOSSAWORK_MASTER_KEY"):
            manager._encrypt_data("data", USER)

    def test_the_security_info_has_six_members(self):
        manager = self.module.CredentialManager(str(self.directory))
        info = manager.get_security_info()
        self.assertEqual(
            {name: type(value) for name, value in info.items()},
            {
                "encryption_enabled": bool,
                "storage_path": str,
                "encryption_method": str,
                "key_derivation": str,
                "master_key_set": bool,
                "stored_users_count": int,
            },
        )
        self.assertEqual((info["storage_path"], info["encryption_enabled"]), (str(self.directory), True))

    def test_the_directory_is_for_this_user_alone(self):
        self.directory.mkdir(0o755)
        self.directory.chmod(0o777)
        manager = self.module.CredentialManager(str(self.directory))
        self.assertEqual(manager.storage_path, str(self.directory))
        self.assertEqual(self.directory.stat().st_mode & 0o7777, 0o700)
        deep = self.beside / "a/b/c"
        self.module.CredentialManager(str(deep))
        self.assertEqual(deep.stat().st_mode & 0o7777, 0o700)


class Reference(Calls, Case):
    """The reference implementation."""

    module = fossawork_reference


class Moat(Calls, Case):
    """The package."""

    module = fossawork


class Exchange(Case):
    """What one writes the other reads."""

    def test_each_reads_what_the_other_wrote(self):
        ours = fossawork.CredentialManager(str(self.directory))
        theirs = fossawork_reference.CredentialManager(str(self.directory))
        for writer, reader in ((ours, theirs), (theirs, ours)):
            new = fossawork.WorkFossaCredentials("anna", PASSWORD, USER, is_valid=True)
            self.assertTrue(writer.store_credentials(new))
            for manager in (reader, writer, reader):
                self.assertTrue(manager.update_last_used(USER))
                found = [vars(one.retrieve_credentials(USER)) for one in (writer, reader)]
                self.assertEqual(found[0], found[1])
                self.assertEqual(found[0], {**vars(new), "last_used": found[0]["last_used"]})
            self.assertTrue(reader.validate_credentials(USER))
            self.assertEqual(reader.list_stored_users(), [USER])

    def test_a_manager_takes_the_applications_own_class(self):
        ours = fossawork.CredentialManager(str(self.directory))
        new = fossawork_reference.WorkFossaCredentials("anna", PASSWORD, USER)
        self.assertTrue(ours.store_credentials(new))
        self.assertEqual(vars(ours.retrieve_credentials(USER)), vars(new))


class Deviations(Case):
    """What the package does otherwise, or besides."""

    def setUp(self):
        super().setUp()
        self.manager = fossawork.CredentialManager(str(self.directory))
        self.new = fossawork.WorkFossaCredentials("anna", PASSWORD, USER)

    def test_any_argument_gives_the_failure_value_and_a_line_in_the_log(self):
        class Number(enum.IntEnum):
            ONE = 1

        bad = [None, 5, 5.5, b"anna", [], {}, object(), self.new, Number.ONE, True]
        bad += ["", ".", "..", "../anna", "a/b", "/etc/passwd", "a\0b", "\ud800", "x" * 251, "x" * 10**6]
        for user_id in bad:
            for call, failure in (
                (self.manager.retrieve_credentials, None),
                (self.manager.validate_credentials, False),
                (self.manager.update_last_used, False),
                (self.manager.delete_credentials, False),
                (lambda user: self.manager.store_credentials(
                    fossawork.WorkFossaCredentials("anna", PASSWORD, user)
                ), False),
            ):
                self.lines.clear()
                self.assertIs(call(user_id), failure)
                self.assertEqual(len(self.lines), 1, (user_id if user_id != bad[-1] else "", self.lines))
                self.assertIn("ERROR", self.lines[0])
                self.assertIn("invalid-user-id", self.lines[0])
                self.assertLess(len(self.lines[0]), 400)
                self.expect_no_secret()
        self.assertEqual(os.listdir(self.beside), ["credentials"])
        self.assertEqual(self.manager.list_stored_users(), [])
        for credentials in (None, 5, "anna", {"user_id": USER}, USER, object(), mock.Mock()):
            self.assertIs(self.manager.store_credentials(credentials), False)
        for name, value in (
            ("username", None), ("username", 5), ("username", "\ud800"), ("password", b"horse"),
            ("password", PASSWORD + "\udfff"), ("password", PASSWORD * 10_000), ("created_at", "now"),
            ("created_at", 5), ("last_used", "never"), ("validation_attempts", -1),
            ("validation_attempts", 2**40), ("validation_attempts", "1"), ("validation_attempts", None),
        ):
            self.lines.clear()
            new = fossawork.WorkFossaCredentials("anna", PASSWORD, USER)
            setattr(new, name, value)
            self.assertIs(self.manager.store_credentials(new), False, name)
            self.assertIn("ERROR", self.lines[-1])
            self.expect_no_secret()
        self.assertEqual(self.manager.list_stored_users(), [])

    def test_what_is_replaced_is_warned_of_and_stays_if_the_new_one_cannot_be_written(self):
        os.environ["FOSSAWORK_MASTER_KEY"] = OTHER_KEY
        self.manager.store_credentials(self.new)
        os.environ["FOSSAWORK_MASTER_KEY"] = KEY
        before = self.file().read_bytes()
        too_large = fossawork.WorkFossaCredentials("anna", "x" * 70_000, USER)
        self.assertFalse(self.manager.store_credentials(too_large))
        with mock.patch("os.rename", side_effect=OSError(28, "no space")):
            self.assertFalse(self.manager.store_credentials(self.new))
        os.environ["FOSSAWORK_MASTER_KEY"] = "short"
        self.assertFalse(self.manager.store_credentials(self.new))
        os.environ["FOSSAWORK_MASTER_KEY"] = KEY
        self.assertEqual(self.file().read_bytes(), before)
        self.assertEqual(sorted(os.listdir(self.directory)), [".moat.lock", f"{USER}.cred"])
        self.lines.clear()
        self.assertTrue(self.manager.store_credentials(self.new))
        (line,) = self.lines
        self.assertIn("WARNING", line)
        self.assertIn("wrong-key-or-tampered", line)
        self.assertEqual(sorted(os.listdir(self.directory)), [".moat.lock", f"{USER}.cred"])

    def test_whatever_is_there_is_replaced_and_nothing_outside_is_touched(self):
        outside = self.beside / "outside"
        outside.write_bytes(b"not to be touched")
        self.write(b"x" * 100_000)
        self.assertTrue(self.manager.store_credentials(self.new))
        for link in (os.symlink, os.link):
            self.file().unlink()
            link(outside, self.file())
            self.assertIsNone(self.manager.retrieve_credentials(USER))
            self.assertTrue(self.manager.store_credentials(self.new))
            self.assertEqual(self.manager.retrieve_credentials(USER).password, PASSWORD)
        self.assertEqual(outside.read_bytes(), b"not to be touched")
        self.file().unlink()
        self.file().mkdir()
        self.assertFalse(self.manager.store_credentials(self.new))
        self.assertTrue(self.file().is_dir())

    def test_a_new_user_can_be_stored_beside_records_of_another_key(self):
        os.environ["FOSSAWORK_MASTER_KEY"] = OTHER_KEY
        self.manager.store_credentials(self.new)
        os.environ["FOSSAWORK_MASTER_KEY"] = KEY
        self.new.user_id = "bob"
        self.assertTrue(self.manager.store_credentials(self.new))
        self.assertEqual(self.manager.retrieve_credentials("bob").password, PASSWORD)
        self.assertIn("WARNING", self.lines[-1])

    def test_further_fields_stay(self):
        with Vault(self.directory) as vault:
            vault.put(USER, Credential("anna", "old", {"totp": "battery"}, expires="90d"))
        self.assertTrue(self.manager.update_last_used(USER))
        self.assertTrue(self.manager.store_credentials(self.new))
        with Vault(self.directory) as vault:
            credential = vault.reveal(USER).credential
        self.assertEqual((credential.field("totp"), credential.expires), ("battery", "90d"))
        self.assertEqual(credential.password, PASSWORD)

    def test_an_update_keeps_what_it_does_not_know(self):
        secret = {"username": "anna", "password": PASSWORD, "created_at": "2025-01-14T10:00:00.123",
                  "x": [1.0]}
        token = user_cipher(USER).encrypt(json.dumps(secret).encode()).decode()
        record = {"user_id": USER, "encrypted_data": token, "created_at": "2025-01-14T10:00:00",
                  "encryption_version": "1.0", "y": "z"}
        self.write(json.dumps(record).encode())
        self.assertTrue(self.manager.update_last_used(USER))
        record = self.record()
        self.assertEqual((record["encrypted_data"][:6], record["y"]), ("gAAAAA", "z"))
        found = json.loads(user_cipher(USER).decrypt(record["encrypted_data"].encode()))
        self.assertEqual((found["x"], found["created_at"]), ([1.0], secret["created_at"]))

    def test_records_of_version_2_are_read_and_become_the_applications(self):
        os.environ["FOSSAWORK_MASTER_KEY"] = "MOAT-MASTER-KEY-1" + "Q" * 52 + "7P8640"
        with Vault(self.directory) as vault:
            vault.put(USER, Credential("anna", PASSWORD))
            self.assertEqual(vault.inspect(USER).version, "2.0")
        self.assertEqual(self.manager.retrieve_credentials(USER).password, PASSWORD)
        self.assertTrue(self.manager.update_last_used(USER))
        self.assertEqual(self.record()["encryption_version"], "2.0")
        for user in (USER, "bob"):
            self.new.user_id = user
            self.assertTrue(self.manager.store_credentials(self.new))
            self.assertEqual(self.record(user)["encryption_version"], "1.0")
        theirs = fossawork_reference.CredentialManager(str(self.directory))
        self.assertEqual(theirs.retrieve_credentials(USER).password, PASSWORD)

    def test_times_with_a_zone_become_local(self):
        self.new.created_at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=9)))
        self.assertTrue(self.manager.store_credentials(self.new))
        found = self.manager.retrieve_credentials(USER).created_at
        self.assertIsNone(found.tzinfo)
        self.assertEqual(found.astimezone(), self.new.created_at)
        for text in ("2026-01-01T18:04:05Z", "2026-01-01T18:04:05.000000000Z"):
            with Vault(self.directory) as vault:
                vault.put(USER, Credential("anna", PASSWORD, created_at=text))
            self.assertEqual(self.manager.retrieve_credentials(USER).created_at, found)

    def test_a_key_file_is_read_at_each_call_and_a_command_is_not(self):
        del os.environ["FOSSAWORK_MASTER_KEY"]
        key, count = self.beside / "key", self.beside / "count"
        key.touch(0o600)
        key.write_text(KEY + "\n")
        os.environ["FOSSAWORK_MASTER_KEY_FILE"] = str(key)
        self.assertTrue(self.manager.store_credentials(self.new))
        key.write_text(OTHER_KEY)
        self.assertIsNone(self.manager.retrieve_credentials(USER))
        key.write_text(KEY)
        self.assertTrue(self.manager.retrieve_credentials(USER))
        del os.environ["FOSSAWORK_MASTER_KEY_FILE"]
        os.environ["FOSSAWORK_MASTER_KEY_COMMAND"] = f"echo >> '{count}'; cat '{key}'"
        for _ in range(5):
            self.assertTrue(self.manager.retrieve_credentials(USER))
        self.assertEqual(count.read_text(), "\n")
        os.environ["ANOTHER"] = "value"
        self.assertTrue(self.manager.retrieve_credentials(USER))
        self.assertEqual(count.read_text(), "\n" * 2)
        os.environ["FOSSAWORK_MASTER_KEY_COMMAND"] = "false"
        self.assertIsNone(self.manager.retrieve_credentials(USER))
        os.environ["FOSSAWORK_MASTER_KEY"] = KEY
        self.assertIsNone(self.manager.retrieve_credentials(USER))
        self.assertIn("master-key-missing", self.lines[-1])
        self.assertIs(self.manager.get_security_info()["master_key_set"], False)

    def test_with_a_key_the_private_methods_say_why_they_cannot_work(self):
        for call in (self.manager._get_encryption_key, self.manager._encrypt_data):
            with self.assertRaisesRegex(NotImplementedError, "."):
                call(USER)

    def test_the_default_directory(self):
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.beside)
        default = str(Path("data/credentials").absolute())
        self.assertEqual(fossawork.CredentialManager().storage_path, default)
        self.assertTrue(os.path.isdir(default))
        os.environ["FOSSAWORK_CREDENTIALS_DIR"] = str(self.beside / "named")
        for given in (None, ""):
            self.assertEqual(fossawork.CredentialManager(given).storage_path, str(self.beside / "named"))
        self.assertEqual(fossawork.CredentialManager(self.directory).storage_path, str(self.directory))

    def test_a_directory_that_cannot_be_made_is_tried_again(self):
        blocked = self.beside / "blocked"
        blocked.touch()
        manager = fossawork.CredentialManager(str(blocked / "credentials"))
        self.assertIn("ERROR", self.lines[-1])
        self.assertIs(manager.store_credentials(self.new), False)
        self.assertEqual(manager.list_stored_users(), [])
        self.assertEqual(manager.get_security_info()["stored_users_count"], 0)
        self.assertIn("directory", self.lines[-1])
        blocked.unlink()
        self.assertIs(manager.store_credentials(self.new), True)
        for path in ("a\0b", "\ud800", "x" * 5000):
            self.assertEqual(fossawork.CredentialManager(path).list_stored_users(), [])

    def test_a_directory_may_go_and_come_back(self):
        self.manager.store_credentials(self.new)
        self.file().unlink()
        (self.directory / ".moat.lock").unlink()
        self.directory.rmdir()
        self.assertIsNone(self.manager.retrieve_credentials(USER))
        self.directory.rmdir()
        self.directory.mkdir()
        self.directory.chmod(0o775)
        self.assertIs(self.manager.store_credentials(self.new), True)
        self.assertEqual(self.manager.list_stored_users(), [USER])

    def test_a_representation_has_no_password_and_its_types_can_be_evaluated(self):
        self.assertNotIn(PASSWORD, repr(self.new))
        self.assertIs(typing.get_type_hints(fossawork.WorkFossaCredentials)["created_at"], datetime)


if __name__ == "__main__":
    unittest.main()
