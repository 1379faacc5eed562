//! Who can read a file with a secret. Containers and services get theirs with owners and modes that they can't choose; they
//! are accepted where that makes nobody else a reader.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatVfsMountFlags, StatxAttributes, StatxFlags, statvfs, statx};
use rustix::process::{getegid, geteuid, getgroups};

use super::SYSTEMD_CREDENTIALS;

/// What Kubernetes begins the names of a volume's own directories with, to which links such as `..data` lead.
const VERSION_OF_VOLUME: &str = "..";

/// Whether nobody else can read the file, as far as this user can tell:
///
/// - only its owner can; or
/// - it is a credential that systemd passed to this service. Its group bits show an access control list, and nobody
///   else can enter the directory; or
/// - it is root's, and the group that can read it is one of this user's, who can't change that (`fsGroup` of Kubernetes);
///   or
/// - it is root's, and was mounted read-only for this container: by itself, or with the directory that it is in.
pub(super) fn is_private(path: &Path, metadata: &Metadata) -> bool {
    let (mode, is_roots) = (metadata.mode(), metadata.uid() == 0);
    let is_only_its_groups = mode & 0o027 == 0;
    mode & 0o077 == 0
        || is_only_its_groups && is_systemd_credential(path)
        || is_only_its_groups && is_roots && !geteuid().is_root() && is_own_group(metadata.gid())
        || mode & 0o022 == 0 && is_roots && is_mounted_for_this_container(path)
}

fn is_systemd_credential(path: &Path) -> bool {
    let directory = std::env::var_os(SYSTEMD_CREDENTIALS);
    let directory = directory.and_then(|directory| Path::new(&directory).canonicalize().ok());
    directory
        .zip(path.canonicalize().ok())
        .is_some_and(|(directory, file)| file.parent() == Some(&*directory))
}

fn is_own_group(group: u32) -> bool {
    let groups = getgroups().unwrap_or_default();
    groups.into_iter().chain([getegid()]).any(|own| own.as_raw() == group)
}

fn is_mounted_for_this_container(path: &Path) -> bool {
    let Ok(file) = path.canonicalize() else { return false };
    let is_version = |directory: &Path| {
        let name = directory.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(VERSION_OF_VOLUME))
    };
    let directory = file.parent();
    let volume = directory.filter(|directory| is_version(directory)).and_then(Path::parent);
    let is_read_only = statvfs(&file).is_ok_and(|fs| fs.f_flag.contains(StatVfsMountFlags::RDONLY));
    is_read_only && [Some(&*file), directory, volume].into_iter().flatten().any(is_mounted)
}

/// Whether something is mounted at this very path, other than the root directory.
fn is_mounted(path: &Path) -> bool {
    let status = statx(CWD, path, AtFlags::empty(), StatxFlags::empty());
    let root = StatxAttributes::MOUNT_ROOT;
    path.parent().is_some() && status.is_ok_and(|status| status.stx_attributes.contains(root))
}
