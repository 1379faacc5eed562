// Does the steps of one case over a vault; the same in Node and in the page.

/** The answers to these steps: `{ok: value}` or `{error: code}`, in the contract's spelling. */
export async function answersTo(steps, vault) {
  const answers = [];
  let revision;
  for (const step of steps) {
    const expected = step.expected_revision ?? step.options?.expected_revision;
    const answer = await answerTo(vault, step, expected === '$revision' ? revision : expected);
    answers.push(answer);
    JSON.stringify(answer, (name, value) => {
      revision = name === 'revision' ? value : revision;
      return value;
    });
  }
  return answers;
}

async function answerTo(vault, step, expectedRevision) {
  try {
    return { ok: inContractNames(await valueOf(vault, step, expectedRevision)) };
  } catch (error) {
    return failure(error);
  }
}

/** Only the contract's failures are answers; all others are the runner's own. */
function failure(error) {
  if (error.name !== 'MoatError') {
    throw error;
  }
  return { error: error.code };
}

async function valueOf(vault, step, expectedRevision) {
  const { user_id: userId, user_ids: userIds, options = {} } = step;
  const { version, encoding } = options;
  switch (step.call) {
    case 'put': {
      const { created_at: createdAt, ...credential } = step.credential;
      const createOnly = options.create_only;
      return vault.put(userId, { ...credential, createdAt },
        { createOnly, expectedRevision, version, encoding, keepFields: options.keep_fields });
    }
    case 'change': {
      const { removed_fields: removedFields, forget_history: forgetHistory, ...changes } = step.changes;
      return vault.change(userId, { ...changes, removedFields, forgetHistory }, expectedRevision);
    }
    case 'copy': return vault.copy(userId, step.source);
    case 'history': return vault.history(userId);
    case 'restore': return vault.restore(userId, step.number, expectedRevision);
    case 'reveal_version': return revealed(await vault.revealVersion(userId, step.number));
    case 'reveal': return revealed(await vault.reveal(userId));
    case 'describe': return vault.describe(userId);
    case 'mark_used': return vault.markUsed(userId);
    case 'inspect': return vault.inspect(userId);
    case 'mark_validated': return vault.markValidated(userId, step.valid);
    case 'remove': return vault.remove(userId, expectedRevision);
    case 'users': return { userIds: await all(vault.users()) };
    case 'verify': return outcomes(await vault.verify(userIds));
    case 'migrate': {
      const { dry_run: dryRun } = options;
      const { accept_default_key: acceptDefaultKey, accept_plaintext: acceptPlaintext } = options;
      const given = { dryRun, acceptDefaultKey, acceptPlaintext, version, encoding };
      return outcomes(await vault.migrate(userIds, given));
    }
    case 'rewrap': return outcomes(await vault.rewrap(userIds, { dryRun: step.dry_run }));
    case 'configure': return vault.configure(step.version, step.encoding, { history: step.history });
    case 'leftovers': return { leftovers: await all(vault.leftovers()) };
    case 'remove_backup': return vault.removeBackup(step.name);
    default: throw new Error(`there is no call ${step.call}`);
  }
}

/** With the secrets, which are not spread. */
function revealed({ credential, summary }) {
  const { password, fields } = credential;
  return { credential: { ...credential, password, fields }, summary };
}

async function all(items) {
  const list = [];
  for await (const item of items) {
    list.push(item);
  }
  return list;
}

function outcomes(list) {
  return list.map((outcome) => outcome.ok ? { ok: outcome.value } : failure(outcome.error));
}

/** A value with the contract's names, `_` for `-`, and null for what is not there. */
function inContractNames(value) {
  if (Array.isArray(value)) {
    return value.map(inContractNames);
  }
  if (typeof value !== 'object' || value === null) {
    return value ?? null;
  }
  const name = (camel) => camel.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [name(key), inContractNames(part)]));
}
