// Calls of a component that misbehaves: LIBRARY, and pairs of a function and a user.

const [library, ...calls] = process.argv.slice(2);
const { Vault } = await import(library);
const vault = Vault.open('credentials');
for (let at = 0; at < calls.length; at += 2) {
  const [name, user] = calls.slice(at, at + 2);
  const more = name === 'put' ? [{ username: 'anna', password: 'horse' }] : [];
  try {
    await vault[name](user, ...more);
    console.log('done');
  } catch (error) {
    console.log(`${error.code}: ${error.message}`);
  }
}
