"""The routes of `moat.fastapi`, as the application's front end calls them."""

import logging
import os
import tempfile
import unittest
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPBearer
from fastapi.testclient import TestClient

from moat.fastapi import credentials_router
from moat.fossawork import AsyncCredentialManager, CredentialManager, WorkFossaCredentials

KEY = "dOeYXjxXfw4nRNKwE-4Pwbdn9R7ctlgGN9weENuP-S0"
LOGIN = {"username": " anna ", "password": "\tcorrect horse "}
SECRET = "correct horse"
BASE = "/api/v1/credentials"
ROUTES = [
    ("POST", "/workfossa"),
    ("GET", "/workfossa"),
    ("GET", "/workfossa/decrypt"),
    ("DELETE", "/workfossa"),
    ("POST", "/workfossa/test"),
]


@dataclass
class User:
    user_id: str
    is_administrator: bool = False


USERS = {"anna's": User("anna"), "root's": User("root", True), "nobody's": None}


def authenticate(token=Depends(HTTPBearer(auto_error=False))):
    if token is None or token.credentials not in USERS:
        raise HTTPException(401, "Not authenticated")
    return USERS[token.credentials]


class Routes(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        os.environ["FOSSAWORK_MASTER_KEY"] = KEY
        self.path = os.path.join(temporary.name, "credentials")
        self.tried = None
        self.client = self.client_of(try_login=self.try_login, login_url="https://example.com/")
        self.manager = CredentialManager(self.path)
        logger, handler = logging.getLogger(), logging.Handler()
        handler.emit = lambda record: self.assertNotIn(SECRET, record.getMessage())
        logger.addHandler(handler)
        self.addCleanup(logger.removeHandler, handler)

    def client_of(self, **named):
        app = FastAPI()
        manager = AsyncCredentialManager(self.path)
        app.include_router(credentials_router(authenticate, manager=manager, **named))
        return TestClient(app)

    async def try_login(self, username, password):
        self.tried = (username, password)
        if username == "broken":
            raise OSError(f"no answer for {password}")
        return username == "anna"

    def call(self, method, path, user_id="anna", token="anna's", **named):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        params = {} if user_id is None else {"user_id": user_id}
        answer = self.client.request(method, BASE + path, params=params, headers=headers, **named)
        if path != "/workfossa/decrypt" or answer.status_code != 200:
            self.assertNotIn(SECRET, answer.text)
        return answer.status_code, answer.json()

    def test_a_credential_is_saved_shown_decrypted_and_deleted(self):
        none = {"has_credentials": False, "username": "", "created_at": None}
        nothing = {"username": "", "password": "", "storage_method": "none"}
        self.assertEqual(self.call("GET", "/workfossa"), (200, none))
        self.assertEqual(self.call("GET", "/workfossa/decrypt"), (200, nothing))
        status, saved = self.call("POST", "/workfossa", json=LOGIN)
        self.assertEqual((status, saved["username"], saved["secure_storage"]), (200, "anna", True))
        members = "encryption_method message secure_storage status timestamp username".split()
        self.assertEqual(sorted(saved), members)
        self.assertIsNone(datetime.fromisoformat(saved["timestamp"]).tzinfo)
        _, shown = self.call("GET", "/workfossa")
        self.assertEqual(sorted(shown), ["created_at", "has_credentials", "updated_at", "username"])
        made = self.manager.retrieve_credentials("anna").created_at
        self.assertEqual((shown["has_credentials"], shown["username"]), (True, "anna"))
        self.assertEqual(datetime.fromisoformat(shown["created_at"]), made)
        whole = {"username": "anna", "password": SECRET, "storage_method": "secure_file_storage"}
        self.assertEqual(self.call("GET", "/workfossa/decrypt"), (200, whole))
        self.assertIsNotNone(self.manager.retrieve_credentials("anna").last_used)
        status, deleted = self.call("DELETE", "/workfossa")
        self.assertEqual((status, sorted(deleted)), (200, ["message", "status"]))
        gone = (404, {"detail": "No credentials found"})
        self.assertEqual(self.call("DELETE", "/workfossa"), gone)

    def test_an_old_credential_is_not_decrypted(self):
        made = datetime.now() - timedelta(days=31)
        self.manager.store_credentials(WorkFossaCredentials("anna", SECRET, "anna", made))
        nothing = {"username": "", "password": "", "storage_method": "none"}
        self.assertEqual(self.call("GET", "/workfossa/decrypt"), (200, nothing))
        self.assertIs(self.call("GET", "/workfossa")[1]["has_credentials"], True)

    def test_what_cannot_be_stored_is_told(self):
        del os.environ["FOSSAWORK_MASTER_KEY"]
        status, saved = self.call("POST", "/workfossa", json=LOGIN)
        self.assertEqual((status, saved["secure_storage"], saved["status"]), (200, False, "error"))

    def test_nobody_gets_in_without_a_token_or_to_anothers(self):
        for method, path in ROUTES:
            named = {"json": LOGIN} if method == "POST" else {}
            for token in (None, "unknown", "nobody's"):
                self.assertEqual(self.call(method, path, token=token, **named)[0], 401, path)
            self.assertEqual(self.call(method, path, user_id="bob", **named)[0], 403, path)
            self.assertEqual(self.call(method, path, user_id=None, **named)[0], 422, path)
        self.assertEqual(self.call("GET", "/security/info", token=None)[0], 401)
        self.assertEqual(self.call("GET", "/security/info", token="nobody's")[0], 401)
        self.assertEqual(self.manager.list_stored_users(), [])
        for method, path in ROUTES:
            named = {"json": LOGIN} if method == "POST" else {}
            self.assertIn(self.call(method, path, "bob", "root's", **named)[0], (200, 404), path)

    def test_a_request_that_is_wrong_is_not_repeated(self):
        for path in ("/workfossa", "/workfossa/test"):
            for empty in ({"username": " ", "password": SECRET}, {"username": "x", "password": "\n"}):
                self.assertEqual(self.call("POST", path, json=empty)[0], 400)
            for wrong in (
                {"password": SECRET}, {"username": [SECRET], "password": SECRET}, [SECRET], SECRET,
                {"username": "x", "password": [SECRET]}, {"username": "x", "password": {"x": SECRET}},
            ):
                self.assertEqual(self.call("POST", path, json=wrong)[0], 422, wrong)
            for torn in (f'{{"password": "{SECRET}", ', f'"{SECRET}\xff'.encode("latin-1")):
                self.assertIn(self.call("POST", path, content=torn)[0], (400, 422))
        self.assertEqual(self.call("POST", "/workfossa")[0], 422)

    def test_a_login_is_tried(self):
        self.assertEqual(self.call("POST", "/workfossa/test")[0], 404)
        members = ["message", "status", "timestamp", "url_tested", "username"]
        for name, expected in (("anna", "success"), ("bob", "failed"), ("broken", "error")):
            login = {"username": name, "password": SECRET}
            status, told = self.call("POST", "/workfossa/test", json=login)
            self.assertEqual((status, told["status"], told["username"]), (200, expected, name))
            self.assertEqual((sorted(told), told["url_tested"]), (members, "https://example.com/"))
            self.assertEqual(self.tried, (name, SECRET))
        self.call("POST", "/workfossa", json=LOGIN)
        self.tried = None
        self.assertEqual(self.call("POST", "/workfossa/test")[1]["status"], "success")
        self.assertEqual(self.tried, ("anna", SECRET))
        self.client = self.client_of()
        self.assertEqual(self.call("POST", "/workfossa/test")[1]["status"], "error")

    def test_the_security_info_is_the_applications(self):
        status, info = self.call("GET", "/security/info", user_id=None)
        self.assertEqual(
            (status, sorted(info)),
            (200, "encryption_enabled encryption_method features master_key_set"
             " storage_path stored_users_count".split()),
        )
        self.assertEqual(
            sorted(info["features"]),
            "credential_validation database_fallback secure_file_storage usage_tracking".split(),
        )

    def test_a_dependency_has_to_be_named(self):
        with self.assertRaises(TypeError):
            credentials_router()


if __name__ == "__main__":
    unittest.main()
