"""Many managers, threads and processes with `moat.fossawork`, as in an application server."""

import os
import resource
import subprocess
import sys
import tempfile
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from moat.fossawork import CredentialManager, WorkFossaCredentials

KEY = "dOeYXjxXfw4nRNKwE-4Pwbdn9R7ctlgGN9weENuP-S0"
LOCK = """
import fcntl, sys, time
file = open(sys.argv[1] + "/.moat.lock", "w")
fcntl.flock(file, fcntl.LOCK_EX)
print(flush=True)
time.sleep(float(sys.argv[2]))
"""


def hold_lock(directory, seconds):
    """Another process that holds a directory's lock."""
    command = [sys.executable, "-c", LOCK, directory, str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    process.stdout.readline()
    return process


def memory():
    """The bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


class Processes(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.path = os.path.join(temporary.name, "credentials")
        os.environ["FOSSAWORK_MASTER_KEY"] = KEY

    def test_2000_managers_live_with_256_descriptors(self):
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
        same = [CredentialManager(self.path) for _ in range(2000)]
        others = [CredentialManager(f"{self.path}{n}") for n in range(2000)]
        self.assertTrue(same[0].store_credentials(WorkFossaCredentials("anna", "horse", "anna")))
        before = set(os.listdir("/proc/self/fd"))
        for manager in same[::10]:
            self.assertEqual(manager.retrieve_credentials("anna").password, "horse")
        for manager in others[::100]:
            self.assertTrue(manager.store_credentials(WorkFossaCredentials("bob", "pony", "bob")))
        for manager in others[::10]:
            self.assertIn(len(manager.list_stored_users()), (0, 1))
        self.assertEqual(set(os.listdir("/proc/self/fd")), before)

    def test_a_manager_for_each_request_does_not_grow(self):
        self.assertTrue(
            CredentialManager(self.path).store_credentials(
                WorkFossaCredentials("anna", "horse", "anna")
            )
        )

        def serve(requests):
            for _ in range(requests):
                CredentialManager(self.path).retrieve_credentials("anna")

        serve(200)
        before = memory()
        serve(1000)
        self.assertLess(memory() - before, 2 * 1024 * 1024)

    def test_threads_share_a_manager(self):
        manager = CredentialManager(self.path)

        def work(number):
            user = f"user{number % 8}"
            new = WorkFossaCredentials(user, f"horse{number}", user)
            stored = manager.store_credentials(new)
            used = manager.update_last_used(user)
            found = CredentialManager(self.path).retrieve_credentials(user)
            return stored and used and found.username == user

        with ThreadPoolExecutor(16) as threads:
            self.assertTrue(all(threads.map(work, range(160))))
        self.assertEqual(len(manager.list_stored_users()), 8)

    def test_a_waiting_writer_keeps_no_reader_waiting(self):
        manager = CredentialManager(self.path, lock_timeout=1.0)
        new = WorkFossaCredentials("anna", "horse", "anna")
        self.assertTrue(manager.store_credentials(new))
        other = hold_lock(self.path, 60)
        self.addCleanup(other.stdout.close)
        self.addCleanup(other.wait)
        self.addCleanup(other.kill)
        answers = []
        writer = threading.Thread(target=lambda: answers.append(manager.store_credentials(new)))
        writer.start()
        reads = 0
        while writer.is_alive():
            self.assertIsNotNone(manager.retrieve_credentials("anna"))
            reads += 1
        self.assertEqual(answers, [False])
        self.assertGreater(reads, 3)
        manager.lock_timeout = 30
        threading.Timer(0.5, other.kill).start()
        self.assertTrue(manager.store_credentials(new))

    def test_children_of_a_fork_go_on(self):
        manager = CredentialManager(self.path)
        self.assertTrue(manager.store_credentials(WorkFossaCredentials("anna", "horse", "anna")))
        stop = threading.Event()

        def work():
            while not stop.is_set():
                manager.retrieve_credentials("anna")

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            children = [self.forked(manager, number) for number in range(20)]
            for child in children:
                self.assertEqual(os.waitpid(child, 0)[1], 0)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(len(manager.list_stored_users()), 21)

    def forked(self, manager, number):
        """A child that stores and retrieves, as a worker of gunicorn would."""
        child = os.fork()
        if child == 0:
            user = f"user{number}"
            manager.lock_timeout = 60
            stored = manager.store_credentials(WorkFossaCredentials("x", "pony", user))
            found = manager.retrieve_credentials("anna")
            os._exit(0 if stored and found.password == "horse" else 1)
        return child


if __name__ == "__main__":
    unittest.main()
