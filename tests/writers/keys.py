"""Which of these users' records the environment's keys decrypt: `keys.py USER…`."""

import sys

from moat import MoatError, Vault, WrongKeyOrTampered, environment_keys

opened = []
try:
    # Without a key there is no need for a vault.
    environment_keys()
    with Vault("credentials") as vault:
        for user in sys.argv[1:]:
            try:
                key = vault.describe(user).key
            except WrongKeyOrTampered:
                continue
            opened.append(f"{user}*" if key.primary else user)
    print(*opened)
except MoatError as error:
    print(error.code)
