"""Writes the inputs that fuzzing begins with, from the fixtures: seeds.py DIRECTORY, a folder a target in it."""

import base64
import json
import shlex
import sys
from hashlib import sha1
from pathlib import Path

FIXTURES = Path(__file__).parent.parent / "fixtures"
COMMANDS = Path(__file__).parent.parent / "commands"
OPENS_TO = '{"username":"a","password":"p","created_at":"c","fields":{"totp":"1"},"x":[1.50]}'


def write(target, *seeds):
    folder = Path(sys.argv[1]) / target
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        (folder / sha1(seed).hexdigest()).write_bytes(seed)


def template(sample):
    """The sample as Anna's record, with a mark for its token (see support/template.rs)."""
    content = base64.b64decode(sample["content_b64"])
    try:
        record = json.loads(content)
        token = base64.urlsafe_b64decode(record["encrypted_data"])
    except (ValueError, TypeError, KeyError):
        return content
    content = content.replace(json.dumps(record["user_id"]).encode(), b'"anna"')
    inner = sample["plaintext_json"] or OPENS_TO
    mark = {b"\x80": f"$({inner})$", b"g": f"@({inner})@"}.get(token[:1], record["encrypted_data"])
    return content.replace(record["encrypted_data"].encode(), mark.encode())


# Members that are kept as they are written, though hardly any reader accepts them.
ODD = b'{"user_id":"anna","encrypted_data":"$(%s)$","encryption_version":"1.0","a":1e999,"b":"\\ud800","c":%s}'
odd = ODD % (OPENS_TO.encode(), b"[" * 200 + b"]" * 200)
write("record", odd)
write("boundary", b"\x05\x06\x07\x02" + odd)
write("outgoing", b"\x00" + odd)

samples = json.loads((FIXTURES / "fossawork-samples.json").read_text())["cases"]
for sample in samples:
    write("record", template(sample))
    write("outgoing", b"\x00" + template(sample))
    write("boundary", b"\x09\x0a\x82\x02" + template(sample), b"\x82\x05\x0a\x03" + template(sample))
    write("boundary", b"\x00\x02\x05\x03" + template(sample), b"\x04\x07\x06\x08" + template(sample))
    write("user_id", sample["user_id"].encode(), sample["file"].encode())

for name in ["generate", "verify", "invalid"]:
    for vector in json.loads((FIXTURES / "fernet" / f"{name}.json").read_text()):
        # Key, time, IV, form (a token as text), not again, no changes; then the content.
        head = base64.urlsafe_b64decode(vector["secret"]) + bytes(8 + 16) + b"\xff\xff\xff\xff"
        write("token", head + bytes(1 + 2 * 3) + vector["token"].encode())
        write("token", bytes(len(head) - 4) + bytes(4 + 1 + 2 * 3) + vector["token"].encode())

for console in COMMANDS.glob("*.console"):
    for line in console.read_text().splitlines():
        if line.startswith("$ moat "):
            write("arguments", "\n".join(shlex.split(line)[2:]).encode())
for value in ["plain", "'a $b'", '"two words"', "a$?", "'?'", "?\nFOSSAWORK_MASTER_KEY="]:
    write("arguments", f"export FOSSAWORK_MASTER_KEY={value}\n".encode())
write("arguments", b"put\nanna\n--username=a\n--password=?", b"get\nanna\n-p?", b"list\n--password\n?")
