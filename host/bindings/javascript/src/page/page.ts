import {
  MAX_FILE_BYTES, MemoryDirectory, MoatError, Vault, componentDigest,
} from '../core/index.js';
import { userIdOf } from './file-name.js';
import { wordsFor } from './messages.js';
import { fill, credentialParts, envelopeParts } from './show.js';

/** How long a credential stays in the page when nothing is done with it. */
const SECONDS = 60;

/** The failures that are the key's; all others are the file's. */
const OF_THE_KEY = ['master-key-missing', 'master-key-refused', 'wrong-key-or-tampered'];

const form = element('form', HTMLFormElement);
const file = element('file', HTMLInputElement);
const key = element('key', HTMLInputElement);
const open = element('open', HTMLButtonElement);
const message = element('message', HTMLElement);
const envelopeList = element('envelope', HTMLElement);
const opened = element('opened', HTMLElement);
const credentialList = element('credential', HTMLElement);
const forget = element('forget', HTMLButtonElement);

/** The file that was chosen. */
let record: { userId: string; directory: MemoryDirectory } | undefined;
/** Removes the credential. */
let timer: ReturnType<typeof setTimeout> | undefined;

element('not-started', HTMLElement).remove();
element('digest', HTMLElement).textContent = componentDigest;
file.addEventListener('change', () => file.files?.[0] && take(file.files[0]));
forget.addEventListener('click', wipe);
// A page that is left may be kept for the way back.
addEventListener('pagehide', wipe);
document.addEventListener('visibilitychange', () => {
  if (document.hidden) {
    removeCredential('while the page was out of sight');
  }
});
for (const kind of ['click', 'keydown', 'focusin']) {
  opened.addEventListener(kind, restartTimer);
}

// Anywhere, since the browser would leave the page for a file that is dropped beside its place.
addEventListener('dragover', (event) => {
  event.preventDefault();
  document.body.classList.add('over');
});
addEventListener('dragleave', () => document.body.classList.remove('over'));
addEventListener('drop', (event) => {
  event.preventDefault();
  document.body.classList.remove('over');
  const dropped = event.dataTransfer?.files[0];
  if (dropped !== undefined) {
    file.files = event.dataTransfer?.files ?? null;
    void take(dropped);
  }
});

form.addEventListener('submit', (event) => {
  event.preventDefault();
  void read();
});

/** Takes a file, and shows what can be seen of it without a key. */
async function take(chosen: File): Promise<void> {
  clear();
  try {
    if (chosen.size > MAX_FILE_BYTES) {
      throw new MoatError('too-large', 'the file is too large');
    }
    const contents = new Uint8Array(await chosen.arrayBuffer());
    const userId = userIdOf(chosen.name, contents);
    const directory = new MemoryDirectory([[`${userId}.cred`, contents]]);
    const envelope = await new Vault(directory, []).inspect(userId);
    record = { userId, directory };
    fill(envelopeList, envelopeParts(userId, envelope));
    envelopeList.hidden = false;
    key.focus();
  } catch (error) {
    showFailure(error);
  }
}

/** Opens the file with the key that was typed, and clears the key. */
async function read(): Promise<void> {
  const typed = key.value;
  key.value = '';
  if (record === undefined) {
    showMessage('There is no record yet. Choose a .cred file first.', 'wrong', file);
    return;
  }
  const { userId, directory } = record;
  const vault = new Vault(directory, typed === '' ? [] : [{ material: typed }]);
  emptyCredential();
  open.disabled = true;
  showMessage('Opening …', 'busy');
  try {
    // The derivation keeps the thread busy, so let the page show this first.
    await new Promise((painted) => requestAnimationFrame(() => setTimeout(painted)));
    const { credential, summary } = await vault.reveal(userId);
    if (record?.directory !== directory) {
      // Another file was dropped meanwhile.
      return;
    }
    fill(credentialList, credentialParts(credential, summary));
    opened.hidden = false;
    showMessage('');
    opened.focus();
    restartTimer();
  } catch (error) {
    showFailure(error);
  } finally {
    vault.close();
    open.disabled = false;
  }
}

/** Forgets the file and all that is shown. */
function wipe(): void {
  form.reset();
  clear();
}

/** Forgets all but what stands in the form. */
function clear(): void {
  record?.directory.clear();
  record = undefined;
  fill(envelopeList, []);
  envelopeList.hidden = true;
  emptyCredential();
  showMessage('');
}

/** Removes the credential, and says why. */
function removeCredential(why: string): void {
  if (opened.hidden) {
    return;
  }
  const hadFocus = opened.contains(document.activeElement);
  emptyCredential();
  showMessage(`The credential was removed from the page ${why}. The key opens it again.`, 'notice');
  if (hadFocus) {
    key.focus();
  }
}

function emptyCredential(): void {
  clearTimeout(timer);
  fill(credentialList, []);
  opened.hidden = true;
}

/** From now on, the credential stays for so long if nothing is done with it. */
function restartTimer(): void {
  clearTimeout(timer);
  timer = setTimeout(() => removeCredential(`after ${SECONDS} seconds`), SECONDS * 1000);
}

function showFailure(error: unknown): void {
  const isKeys = error instanceof MoatError && OF_THE_KEY.includes(error.code);
  showMessage(wordsFor(error), 'wrong', isKeys ? key : file);
}

/** Shows a message, with an empty one none; and at which field something is wrong. */
function showMessage(
  text: string,
  kind: 'wrong' | 'busy' | 'notice' = 'wrong',
  field?: HTMLInputElement,
): void {
  message.textContent = text;
  message.className = `message ${kind}`;
  message.hidden = text === '';
  for (const input of [file, key]) {
    input.removeAttribute('aria-invalid');
    input.removeAttribute('aria-describedby');
  }
  if (field !== undefined) {
    field.setAttribute('aria-invalid', 'true');
    field.setAttribute('aria-describedby', message.id);
  }
}

function element<T extends HTMLElement>(id: string, kind: abstract new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) {
    throw new Error(`the page has no ${id}`);
  }
  return found;
}
