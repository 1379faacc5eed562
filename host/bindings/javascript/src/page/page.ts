import {
  MAX_FILE_BYTES, MemoryDirectory, MoatError, Vault, componentDigest,
} from '../core/index.js';
import { wordsFor } from './messages.js';
import { fill, credentialParts, envelopeParts } from './show.js';

const SUFFIX = '.cred';

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

element('digest', HTMLElement).textContent = componentDigest;
file.addEventListener('change', () => file.files?.[0] && take(file.files[0]));
forget.addEventListener('click', wipe);
// A page that is left may be kept for the way back.
addEventListener('pagehide', wipe);

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
    if (!chosen.name.endsWith(SUFFIX)) {
      throw new MoatError('invalid-user-id', 'the name doesn\'t end with .cred');
    }
    if (chosen.size > MAX_FILE_BYTES) {
      throw new MoatError('too-large', 'the file is too large');
    }
    const userId = chosen.name.slice(0, -SUFFIX.length);
    const contents = new Uint8Array(await chosen.arrayBuffer());
    const directory = new MemoryDirectory([[chosen.name, contents]]);
    const envelope = await new Vault(directory, []).inspect(userId);
    record = { userId, directory };
    fill(envelopeList, envelopeParts(userId, envelope));
    envelopeList.hidden = false;
    key.focus();
  } catch (error) {
    showMessage(wordsFor(error));
  }
}

/** Opens the file with the key that was typed, and clears the key. */
async function read(): Promise<void> {
  const typed = key.value;
  key.value = '';
  if (record === undefined) {
    showMessage('There is no record yet. Choose a .cred file first.');
    return;
  }
  const { userId, directory } = record;
  const vault = new Vault(directory, typed === '' ? [] : [{ material: typed }]);
  fill(credentialList, []);
  opened.hidden = true;
  open.disabled = true;
  showMessage('Opening …', true);
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
  } catch (error) {
    showMessage(wordsFor(error));
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
  fill(credentialList, []);
  envelopeList.hidden = true;
  opened.hidden = true;
  showMessage('');
}

/** Shows a message, or with an empty one none. */
function showMessage(text: string, busy = false): void {
  message.textContent = text;
  message.classList.toggle('busy', busy);
  message.hidden = text === '';
}

function element<T extends HTMLElement>(id: string, kind: abstract new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) {
    throw new Error(`the page has no ${id}`);
  }
  return found;
}
