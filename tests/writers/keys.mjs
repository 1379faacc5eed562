// Which of these users' records the environment's keys decrypt: `keys.mjs LIBRARY USER…`.

const [library, ...users] = process.argv.slice(2);
const { Vault, environmentKeys } = await import(library);
const opened = [];
try {
  // Without a key there is no need for a vault.
  environmentKeys();
  const vault = Vault.open('credentials');
  for (const user of users) {
    try {
      const { key } = await vault.describe(user);
      opened.push(key.primary ? `${user}*` : user);
    } catch (error) {
      if (error.code !== 'wrong-key-or-tampered') throw error;
    }
  }
  console.log(opened.join(' '));
} catch (error) {
  console.log(error.code);
}
