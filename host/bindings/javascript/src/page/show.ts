import type { Credential, Envelope, Summary } from '../core/index.js';

const HIDDEN = '••••••••';

/** A part of a description list: its name, and its value as text or as an element. */
type Part = readonly [name: string, value: string | HTMLElement];

/** What can be seen of a record without a key. */
export function envelopeParts(userId: string, envelope: Envelope): Part[] {
  return [
    ['User', userId],
    ['Kind', envelope.kind],
    ['Version', envelope.version ?? 'none'],
    ['Key', envelope.keyId ?? 'without a label'],
    ['Encrypted', timeOf(envelope.encryptedAt, 'never')],
  ];
}

/** All of an opened record, its secrets hidden. */
export function credentialParts(credential: Credential, { key }: Summary): Part[] {
  const tries = credential.validationAttempts;
  const valid = credential.isValid ? 'yes' : 'no';
  return [
    ['Username', credential.username],
    ['Password', secret('the password', credential.password)],
    ...credential.fields.map(({ name, value }): Part => [name, secret(name, value)]),
    ['Created', timeOf(credential.createdAt, 'unknown')],
    ['Last used', timeOf(credential.lastUsed, 'never')],
    ['Valid', tries === 0 ? 'not tried yet' : `${valid}, tried ${tries}×`],
    ...key.weakness === undefined ? [] : [
      ['Warning', `the master key is ${key.weakness.replace('-', ' ')}: replace it`] as const,
    ],
  ];
}

/** Puts the parts in place of what the list shows; with none, it is empty. */
export function fill(list: HTMLElement, parts: readonly Part[]): void {
  list.replaceChildren(...parts.flatMap(([name, value]) => {
    const [term, description] = [document.createElement('dt'), document.createElement('dd')];
    term.textContent = name;
    description.append(value);
    return [term, description];
  }));
}

/** A value that is in the page only while it is shown. */
function secret(name: string, value: string): HTMLElement {
  const [line, shownValue] = [document.createElement('div'), document.createElement('span')];
  const [toggle, copy] = [quietButton(), quietButton()];
  line.className = 'secret';
  // No live region, which a screen reader would speak aloud.
  shownValue.className = 'value';
  const show = (shown: boolean): void => {
    shownValue.textContent = shown ? value : HIDDEN;
    label(toggle, shown ? 'Hide' : 'Show', name);
    toggle.onclick = () => show(!shown);
  };
  show(false);
  line.append(shownValue, toggle);
  // Only pages from the own machine or by HTTPS get to the clipboard.
  if (navigator.clipboard !== undefined) {
    label(copy, 'Copy', name);
    copy.onclick = async () => {
      const done = await navigator.clipboard.writeText(value).then(() => true, () => false);
      label(copy, done ? 'Copied' : 'Not copied', name);
    };
    line.append(copy);
  }
  return line;
}

function quietButton(): HTMLButtonElement {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'quiet';
  return button;
}

/** What a button says, and to a screen reader also of what. */
function label(button: HTMLButtonElement, text: string, name: string): void {
  button.textContent = text;
  button.setAttribute('aria-label', `${text} ${name}`);
}

/** A record's time, which is UTC. */
function timeOf(text: string | undefined, otherwise: string): string {
  return text === undefined ? otherwise : `${text.slice(0, 19).replace('T', ' ')} UTC`;
}
