"""The FossaWork application's routes of credentials, for FastAPI (extra `fastapi`)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from typing import Any, Optional, Protocol

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, SecretStr

from .fossawork import AsyncCredentialManager, WorkFossaCredentials, credential_manager

logger = logging.getLogger(__name__)

PREFIX = "/api/v1/credentials"
# What an error of validation may repeat of the request: a password, too.
QUOTING = ("input", "ctx")


class Caller(Protocol):
    """Who makes a request."""

    @property
    def user_id(self) -> str:
        """Whose credentials the caller may use."""

    @property
    def is_administrator(self) -> bool:
        """Whether the caller may use everybody's."""


class Login(BaseModel):
    """A username and a password."""

    username: str
    password: SecretStr


def credentials_router(
    authenticate: Callable[..., Any],
    *,
    manager: AsyncCredentialManager | None = None,
    try_login: Callable[[str, str], Awaitable[bool]] | None = None,
    login_url: str | None = None,
) -> APIRouter:
    """A router with the application's six routes below `/api/v1/credentials`.

    `authenticate` is a dependency of FastAPI's: it raises `HTTPException` with status 401, or
    returns the `Caller`. By default the credentials are those of the application's own manager,
    `moat.fossawork.credential_manager`. `try_login` tries a username and a password at `login_url`,
    and returns whether they are valid.
    """
    credentials = manager or AsyncCredentialManager(credential_manager.storage_path)
    router = APIRouter(prefix=PREFIX, tags=["credentials"], route_class=_DiscreetRoute)

    async def known(caller: Any = Depends(authenticate)) -> Any:
        # A dependency that may return None lets nobody in by that.
        if not isinstance(getattr(caller, "user_id", None), str):
            raise HTTPException(401, "Not authenticated", {"WWW-Authenticate": "Bearer"})
        return caller

    async def allowed(user_id: str = Query(), caller: Any = Depends(known)) -> str:
        if caller.user_id != user_id and caller.is_administrator is not True:
            raise HTTPException(403, "Not allowed to access another user's credentials")
        return user_id

    @router.post("/workfossa")
    async def save(login: Login, user_id: str = Depends(allowed)) -> dict[str, Any]:
        username, password = _stripped(login)
        stored = await credentials.store_credentials(
            WorkFossaCredentials(username, password, user_id)
        )
        info = await credentials.get_security_info()
        return {
            "status": "success" if stored else "error",
            "message": "Credentials saved" if stored else "Credentials could not be stored",
            "username": username,
            "secure_storage": stored,
            "encryption_method": info["encryption_method"],
            "timestamp": _now(),
        }

    @router.get("/workfossa")
    async def show(user_id: str = Depends(allowed)) -> dict[str, Any]:
        found = await credentials.retrieve_credentials(user_id)
        if found is None:
            return {"has_credentials": False, "username": "", "created_at": None}
        return {
            "has_credentials": True,
            "username": found.username,
            "created_at": found.created_at.isoformat(),
            "updated_at": (found.last_used or found.created_at).isoformat(),
        }

    @router.get("/workfossa/decrypt")
    async def decrypt(response: Response, user_id: str = Depends(allowed)) -> dict[str, Any]:
        response.headers["Cache-Control"] = "no-store"
        is_valid = await credentials.validate_credentials(user_id)
        found = await credentials.retrieve_credentials(user_id) if is_valid else None
        if found is None:
            return {"username": "", "password": "", "storage_method": "none"}
        await credentials.update_last_used(user_id)
        return {
            "username": found.username,
            "password": found.password,
            "storage_method": "secure_file_storage",
        }

    @router.delete("/workfossa")
    async def delete(user_id: str = Depends(allowed)) -> dict[str, Any]:
        if await credentials.delete_credentials(user_id):
            return {"status": "success", "message": "Credentials deleted"}
        if user_id in await credentials.list_stored_users():
            raise HTTPException(500, "Failed to delete credentials")
        raise HTTPException(404, "No credentials found")

    @router.post("/workfossa/test")
    async def test(
        login: Optional[Login] = None,  # noqa: UP045 (evaluated, also by Python 3.9)
        user_id: str = Depends(allowed),
    ) -> dict[str, Any]:
        if login is None:
            found = await credentials.retrieve_credentials(user_id)
            if found is None:
                raise HTTPException(404, "No credentials found")
            username, password = found.username, found.password
        else:
            username, password = _stripped(login)
        status, message = await _tried(try_login, username, password)
        return {
            "status": status,
            "message": message,
            "username": username,
            "url_tested": login_url,
            "timestamp": _now(),
        }

    @router.get("/security/info", dependencies=[Depends(known)])
    async def security_info() -> dict[str, Any]:
        info = await credentials.get_security_info()
        del info["key_derivation"]
        info["features"] = {
            "secure_file_storage": True,
            "database_fallback": False,
            "credential_validation": True,
            "usage_tracking": True,
        }
        return info

    return router


class _DiscreetRoute(APIRoute):
    """Errors of validation don't repeat the request."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_discreetly(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError as error:
                told = [
                    {name: part for name, part in one.items() if name not in QUOTING}
                    for one in error.errors()
                ]
            raise RequestValidationError(told)

        return handle_discreetly


def _stripped(login: Login) -> tuple[str, str]:
    username, password = login.username.strip(), login.password.get_secret_value().strip()
    if not (username and password):
        raise HTTPException(400, "Username and password are required")
    return username, password


async def _tried(
    try_login: Callable[[str, str], Awaitable[bool]] | None, username: str, password: str
) -> tuple[str, str]:
    """The status and the message of an attempt to log in."""
    if try_login is None:
        return "error", "Logins can't be tried here"
    try:
        is_valid = await try_login(username, password)
    except Exception as error:
        # Its message may hold the password.
        logger.error("a login could not be tried: %s", type(error).__name__)
        return "error", "The login could not be tried"
    return ("success", "The login works") if is_valid else ("failed", "The login was refused")


def _now() -> str:
    return datetime.now().isoformat()
