//! The power fails: an ext4 of the test's own is shut down without writing out what it holds in memory. What was
//! reported as done is still done afterwards, and what was on its way is done or not.

use std::process::Command;

use support::{MOAT, Store, as_root, expect, run, skipped, tool};

/// Runs a shell script in a mount namespace of its own, over a new disk. `power_cut` shuts the disk down and
/// mounts it again. Returns what the script prints; where disks can't be mounted, the test is skipped.
fn with_a_disk(store: &Store, script: &str) -> Option<String> {
    // EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH.
    const BASE: &str = r#"
        power_cut() {
            python3 -c 'if True:
                import fcntl, os, struct, sys
                disk = os.open(sys.argv[1], os.O_RDONLY)
                fcntl.ioctl(disk, 0x8004587D, struct.pack("I", 2))' "$DISK"
            umount "$DISK"
            mount -o loop "$DISK.ext4" "$DISK"
        }
        put() { printf "$1" | "$MOAT" put anna --username anna --password-stdin; }
        password() { "$MOAT" get anna --field password; }
        mkdir "$DISK"
        /usr/sbin/mkfs.ext4 -q "$DISK.ext4" 16M >&2 && mount -o loop "$DISK.ext4" "$DISK" || exit 77
    "#;
    if !as_root("mount a disk") {
        return None;
    }
    tool("/usr/sbin/mkfs.ext4")?;
    tool("python3")?;
    let mut shell = Command::new("unshare");
    let disk = store.beside("disk");
    store.surround(shell.args(["--mount", "bash", "-euc", &format!("{BASE}{script}")]));
    shell.env("FOSSAWORK_CREDENTIALS_DIR", disk.join("credentials"));
    shell.env("DISK", disk).env("MOAT", MOAT.as_str());
    let output = run(&mut shell);
    if output.status.code() == Some(77) {
        let why = String::from_utf8_lossy(&output.stderr);
        skipped(&format!("no disk can be mounted: {}", why.trim()));
        return None;
    }
    Some(expect(0, &output).0)
}

#[test]
fn what_was_reported_as_done_is_there_after_a_power_cut() {
    let script = r#"
        put one
        echo lost > "$DISK/not-synced"
        power_cut
        password
        [ -s "$DISK/not-synced" ] || echo 'what was not synced is lost'
        put two
        power_cut
        password
        "$MOAT" mark anna --valid
        power_cut
        "$MOAT" get anna --field is_valid
        "$MOAT" delete anna
        power_cut
        "$MOAT" list
    "#;
    let Some(printed) = with_a_disk(&Store::new(), script) else { return };
    let printed: Vec<&str> = printed.lines().filter(|line| !line.contains("anna")).collect();
    assert_eq!(printed, ["one", "what was not synced is lost", "two", "true"]);
}

/// Killed at each of its calls that change files, and then at once without power.
#[test]
fn a_power_cut_in_the_middle_leaves_the_old_record_or_the_new_one() {
    let Some(_) = tool("strace") else { return };
    let script = r#"
        put 0
        number=0
        for call in write fsync renameat; do
            for occurrence in {1..99}; do
                old=$number
                number=$((number + 1))
                code=0
                printf $number | strace -f -o "$DISK.trace" -e trace=$call \
                    -e inject=$call:signal=KILL:when=$occurrence \
                    "$MOAT" put anna --username anna --password-stdin || code=$?
                power_cut
                found=$(password)
                case $code/$found in
                    137/$old | 137/$number) number=$found ;;
                    0/$number) echo "$call: $((occurrence - 1))"; break ;;
                    *) echo "$call $occurrence: ended with $code, $old before, $found after"; exit 1 ;;
                esac
            done
        done
    "#;
    let Some(printed) = with_a_disk(&Store::new(), script) else { return };
    let printed: Vec<&str> = printed.lines().filter(|line| !line.contains("anna")).collect();
    println!("how often killed at each: {printed:?}");
    assert_eq!(printed.len(), 3);
    assert!(printed.iter().all(|points| !points.ends_with(": 0")), "{printed:?}");
}
