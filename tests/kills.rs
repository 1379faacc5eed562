//! Four writers at once, killed at random moments: each user's password is the last one that was reported as
//! stored, or one that was on its way.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use moat::{UserId, Vault};
use support::{KEY, Store, expect, long, run};

const USERS: [&str; 3] = ["anna", "bob", "carol"];

/// One `put`: from when to when it ran, and its password.
struct Attempt {
    password: String,
    begun: Instant,
    ended: Option<Instant>,
}

/// What a user's password may be.
#[derive(Default)]
struct Candidates {
    attempts: Vec<Attempt>,
}

impl Candidates {
    fn begin(&mut self, password: &str) {
        let password = password.to_owned();
        self.attempts.push(Attempt { password, begun: Instant::now(), ended: None });
    }

    /// Reported as stored: whatever ended before it began is overwritten now.
    fn stored(&mut self, password: &str) {
        let begun = self.end(password).begun;
        self.attempts.retain(|other| other.ended.is_none_or(|ended| ended > begun));
    }

    fn killed(&mut self, password: &str) {
        self.end(password);
    }

    /// Another writer was faster.
    fn refused(&mut self, password: &str) {
        self.attempts.retain(|attempt| attempt.password != password);
    }

    fn end(&mut self, password: &str) -> &Attempt {
        let mut attempts = self.attempts.iter_mut();
        let attempt = attempts.find(|attempt| attempt.password == password).unwrap();
        attempt.ended = Some(Instant::now());
        attempt
    }

    fn check(&self, vault: &Vault, user: &str) {
        let revealed = vault.reveal(&UserId::parse(user).unwrap()).unwrap();
        let found = revealed.credential().expose_password();
        assert!(self.attempts.iter().any(|attempt| attempt.password == found), "{user}: {found}");
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

#[derive(Default)]
struct Tally {
    killed: usize,
    stored: usize,
    refused: usize,
}

#[test]
fn nothing_is_lost_or_torn_however_writers_are_killed() {
    let kills = if long() { 1000 } else { 60 };
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    println!("seed {seed}");
    let store = Store::new();
    let vault = store.vault(KEY);
    // Whoever holds the lock may count on it that nobody else begins or ends meanwhile.
    let state = Mutex::new((Tally::default(), [(); 3].map(|()| Candidates::default())));
    let begun = Instant::now();
    for (user, candidates) in USERS.iter().zip(&mut state.lock().unwrap().1) {
        candidates.begin("first");
        store.put(user, "first");
        candidates.stored("first");
    }
    // Four at once take longer than one: with the time of three, about half of them get to their end.
    let longest = begun.elapsed().as_micros() as u64;
    thread::scope(|scope| {
        for writer in 0..4 {
            let (store, vault, state) = (&store, &vault, &state);
            let mut random = Random(seed + writer);
            scope.spawn(move || {
                for number in 0.. {
                    let who = random.below(3) as usize;
                    let password =
                        format!("{writer}-{number} ").repeat(1 + random.below(2000) as usize);
                    state.lock().unwrap().1[who].begin(&password);
                    let arguments = ["put", USERS[who], "--username", "x", "--password-stdin"];
                    let mut put = store.moat(&arguments);
                    put.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
                    let mut put = put.spawn().unwrap();
                    put.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
                    thread::sleep(Duration::from_micros(random.below(longest)));
                    put.kill().unwrap();
                    let status = put.wait().unwrap();

                    let (tally, candidates) = &mut *state.lock().unwrap();
                    match (status.code(), status.signal()) {
                        (Some(0), _) => {
                            tally.stored += 1;
                            candidates[who].stored(&password);
                        }
                        (Some(8), _) => {
                            tally.refused += 1;
                            candidates[who].refused(&password);
                        }
                        (_, Some(9)) => {
                            tally.killed += 1;
                            candidates[who].killed(&password);
                        }
                        _ => panic!("{status}"),
                    }
                    for (user, candidates) in USERS.iter().zip(candidates) {
                        candidates.check(vault, user);
                    }
                    if tally.killed >= kills {
                        break;
                    }
                }
            });
        }
    });
    let Tally { killed, stored, refused } = state.into_inner().unwrap().0;
    println!("{killed} killed, {stored} stored, {refused} were too late; none lost, none torn");
    assert!(stored > 0);
    expect(0, &run(&mut store.moat(&["touch", "anna"])));
    assert_eq!(store.names(), [".moat.lock", "anna.cred", "bob.cred", "carol.cred"]);
}
