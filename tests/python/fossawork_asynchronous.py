"""`moat.fossawork.AsyncCredentialManager`: it never blocks the event loop, and can be canceled."""

import asyncio
import os
import tempfile
import threading
import time
import unittest
from datetime import datetime, timedelta

from fossawork_processes import KEY, hold_lock

from moat.fossawork import AsyncCredentialManager, CredentialManager, WorkFossaCredentials


async def longest_pause(work):
    """How long the event loop was kept from others at most, while it did this; and what came."""
    longest, task = 0.0, asyncio.ensure_future(work)
    while not task.done():
        begun = time.perf_counter()
        await asyncio.sleep(0.001)
        longest = max(longest, time.perf_counter() - begun)
    return longest, task.result()


class Asynchronous(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.path = os.path.join(temporary.name, "credentials")
        os.environ["FOSSAWORK_MASTER_KEY"] = KEY
        self.manager = AsyncCredentialManager(self.path)
        self.new = WorkFossaCredentials("anna", "horse", "anna")

    async def asyncSetUp(self):
        # The debug mode of these tests takes milliseconds for each step.
        asyncio.get_running_loop().set_debug(False)

    def locked(self, seconds):
        other = hold_lock(self.path, seconds)
        self.addCleanup(other.stdout.close)
        self.addCleanup(other.wait)
        self.addCleanup(other.kill)
        return other

    async def test_the_calls_are_the_managers(self):
        manager = self.manager
        self.assertIsNone(await manager.retrieve_credentials("anna"))
        self.assertIs(await manager.store_credentials(self.new), True)
        self.assertIs(await manager.update_last_used("anna"), True)
        found = await manager.retrieve_credentials("anna")
        self.assertEqual(found, CredentialManager(self.path).retrieve_credentials("anna"))
        self.assertIs(await manager.validate_credentials("anna"), True)
        self.assertEqual(await manager.list_stored_users(), ["anna"])
        info = await manager.get_security_info()
        self.assertEqual(info, CredentialManager(self.path).get_security_info())
        self.assertIs(await manager.delete_credentials("anna"), True)
        self.assertIs(await manager.delete_credentials("anna"), False)
        for wrong in (None, object(), threading.Lock(), self.new.__class__):
            self.assertIs(await manager.store_credentials(wrong), False)
        self.assertIsNone(await manager.retrieve_credentials("../anna"))
        public = {name for name in dir(CredentialManager) if name[0] != "_"}
        self.assertEqual({name for name in dir(AsyncCredentialManager) if name[0] != "_"}, public)

    async def test_what_is_stored_is_what_was_given(self):
        stored = asyncio.ensure_future(self.manager.store_credentials(self.new))
        await asyncio.sleep(0)
        self.new.password = "another"
        await stored
        self.assertEqual((await self.manager.retrieve_credentials("anna")).password, "horse")

    async def test_the_loop_is_responsive_while_the_directory_is_locked(self):
        await self.manager.store_credentials(self.new)
        self.manager.lock_timeout = 50
        pauses = []
        # What else the machine does can pause it, too, but hardly each time.
        while not pauses or (min(pauses) >= 0.05 and len(pauses) < 4):
            pauses.append(await self.pause_while_locked(5))
        self.assertLess(min(pauses), 0.05, pauses)

    async def pause_while_locked(self, seconds):
        """How long the loop paused while 20 writes waited for the lock, and others didn't."""
        other = self.locked(60)

        async def read():
            for _ in range(20):
                self.assertIsNotNone(await self.manager.retrieve_credentials("anna"))

        async def use_default_executor():
            loop = asyncio.get_running_loop()
            await asyncio.gather(*(loop.run_in_executor(None, time.sleep, 0.01) for _ in range(50)))

        async def unlock():
            await asyncio.gather(read(), use_default_executor(), asyncio.sleep(seconds))
            other.kill()

        writes = (self.manager.store_credentials(self.new) for _ in range(20))
        pause, stored = await longest_pause(asyncio.gather(*writes, unlock()))
        self.assertEqual(stored, [True] * 20 + [None])
        return pause

    async def test_a_lock_is_waited_for_as_long_as_was_said(self):
        await self.manager.store_credentials(self.new)
        self.locked(60)
        self.manager.lock_timeout = 0.3
        begun = time.monotonic()
        with self.assertLogs("moat.fossawork", "ERROR") as logs:
            self.assertIs(await self.manager.store_credentials(self.new), False)
        self.assertTrue(0.25 < time.monotonic() - begun < 10)
        self.assertIn("locked", logs.output[0])

    async def test_what_was_canceled_is_not_done_later(self):
        await self.manager.store_credentials(self.new)
        other = self.locked(60)
        self.manager.lock_timeout = 30
        old = WorkFossaCredentials("anna", "old", "anna")
        with self.assertRaises(asyncio.TimeoutError):
            await asyncio.wait_for(self.manager.store_credentials(old), 0.2)
        other.kill()
        other.wait()
        await asyncio.sleep(0.2)
        self.assertEqual((await self.manager.retrieve_credentials("anna")).password, "horse")

    async def test_canceling_at_any_moment_is_sound(self):
        await self.manager.store_credentials(self.new)
        for moment in range(100):
            name = f"horse{moment}"
            task = asyncio.ensure_future(
                self.manager.store_credentials(WorkFossaCredentials("anna", name, "anna"))
            )
            await asyncio.sleep(moment / 20_000)
            task.cancel()
            try:
                self.assertTrue(await task)
            except asyncio.CancelledError:
                pass
            before = (await self.manager.retrieve_credentials("anna")).password
            await asyncio.sleep(0.005)
            self.assertEqual((await self.manager.retrieve_credentials("anna")).password, before)

    async def test_an_old_credential_is_not_valid(self):
        self.new.created_at = datetime.now() - timedelta(days=31)
        await self.manager.store_credentials(self.new)
        self.assertIs(await self.manager.validate_credentials("anna"), False)


if __name__ == "__main__":
    unittest.main()
