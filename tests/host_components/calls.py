"""Calls of a component that misbehaves: COMPONENT DIGEST, and pairs of a function and a user."""

import sys

from moat import Credential, MoatError, Vault

component, digest, *calls = sys.argv[1:]
vault = Vault("credentials", component=component, component_digest=digest)
for function, user in zip(calls[::2], calls[1::2], strict=True):
    more = (Credential("anna", "horse"),) if function == "put" else ()
    try:
        getattr(vault, function)(user, *more)
        print("done")
    except MoatError as error:
        print(f"{error.code}: {error.args[0]}")
