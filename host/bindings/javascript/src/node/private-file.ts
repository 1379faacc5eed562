/**
 * Who can read a file with a secret. Containers and services get theirs with owners and modes that
 * they can't choose; these are accepted where that makes nobody else a reader (host/docs/keys.md).
 */

import { readFileSync, realpathSync, type Stats } from 'node:fs';
import { basename, dirname } from 'node:path';

/** What Kubernetes begins the names of a volume's own directories with, to which `..data` leads. */
const VERSION_OF_VOLUME = '..';

/**
 * Whether nobody else can read the file, as far as this user can tell. Only its owner can. Or it is a
 * credential that systemd passed to this service: its group bits show an access control list, and
 * nobody else can enter the directory. Or it is root's, and the group that can read it is one of this
 * user's, who can't change that (`fsGroup` of Kubernetes). Or it is root's, and was mounted read-only
 * for this container: by itself, or with the directory that it is in.
 */
export function isPrivate(path: string, { mode, uid, gid }: Stats): boolean {
  const isRoots = uid === 0;
  const isOnlyItsGroups = (mode & 0o027) === 0;
  return (mode & 0o077) === 0
    || (isOnlyItsGroups && isSystemdCredential(path))
    || (isOnlyItsGroups && isRoots && process.geteuid?.() !== 0 && isOwn(gid))
    || ((mode & 0o022) === 0 && isRoots && isMountedForThisContainer(path));
}

function isSystemdCredential(path: string): boolean {
  const directory = process.env.CREDENTIALS_DIRECTORY;
  return !!directory && dirname(realpathSync(path)) === realpathSync(directory);
}

function isOwn(group: number): boolean {
  return [process.getegid?.(), ...process.getgroups?.() ?? []].includes(group);
}

function isMountedForThisContainer(path: string): boolean {
  const file = realpathSync(path);
  const directory = dirname(file);
  const places = [file, directory];
  if (basename(directory).startsWith(VERSION_OF_VOLUME)) {
    places.push(dirname(directory));
  }
  const mounted = readOnlyMounts();
  return places.some((place) => place !== '/' && mounted.has(place));
}

/** Where something is mounted read-only in this mount namespace (proc_pid_mountinfo(5)). */
function readOnlyMounts(): Set<string> {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').trimEnd().split('\n');
  const mounts = lines.map((line) => line.split(' ')).filter((fields) => {
    const options = [fields[5], fields.at(-1)].flatMap((field) => field?.split(',') ?? []);
    return options.includes('ro');
  });
  return new Set(mounts.map((fields) => unescaped(fields[4] ?? '')));
}

function unescaped(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}
