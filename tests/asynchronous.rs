//! Calls from asynchronous code, by the feature `tokio`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;

use moat::{Credential, ErrorCode, PutOptions, UserId, Vault};
use support::{KEY, Store};
use tokio::runtime::{Builder, Runtime};

/// A runtime of one thread.
fn runtime() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

fn filled(store: &Store) -> (Vault, UserId) {
    let (vault, anna) = (store.vault(KEY), UserId::parse("anna").unwrap());
    vault.put(&anna, &Credential::new("anna", "horse"), &PutOptions::default()).unwrap();
    (vault, anna)
}

/// Each call waits for something that only the one thread can do which it must not hold up.
#[test]
fn calls_hold_nobody_up_and_go_on_side_by_side() {
    let store = Store::new();
    let (vault, anna) = filled(&store);
    runtime().block_on(async {
        let calls: Vec<_> = (0..16)
            .map(|_| {
                let (go, wait) = mpsc::channel();
                let (vault, anna) = (vault.clone(), anna.clone());
                let call = async move {
                    let work = move |vault: &Vault| {
                        wait.recv().unwrap();
                        vault.mark_used(&anna)
                    };
                    vault.spawn_blocking(work).await
                };
                (go, tokio::spawn(call))
            })
            .collect();
        tokio::task::yield_now().await;
        for (go, _) in &calls {
            go.send(()).unwrap();
        }
        for (_, call) in calls {
            assert!(call.await.unwrap().unwrap().last_used.is_some());
        }
        let unknown = UserId::parse("nobody").unwrap();
        let error = vault.spawn_blocking(move |vault| vault.reveal(&unknown)).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::NotFound);
    });
}

#[test]
fn a_panic_goes_on_where_it_is_waited_for() {
    let store = Store::new();
    let (vault, _) = filled(&store);
    let call =
        || runtime().block_on(vault.spawn_blocking(|_| -> Result<(), _> { panic!("on purpose") }));
    let panic = catch_unwind(AssertUnwindSafe(call)).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"on purpose"));
}

#[test]
fn what_has_begun_is_done_even_if_nobody_waits_for_it() {
    let store = Store::new();
    let (vault, anna) = filled(&store);
    let runtime = runtime();
    runtime.block_on(async {
        let (began, begun) = tokio::sync::oneshot::channel();
        let user = anna.clone();
        let call = vault.spawn_blocking(move |vault| {
            began.send(()).unwrap();
            vault.mark_validated(&user, true)
        });
        let mut call = Box::pin(call);
        tokio::select! {
            _ = &mut call => panic!("it was done before it was given up"),
            begun = begun => begun.unwrap(),
        }
    });
    // Ends when the work has ended.
    drop(runtime);
    assert!(vault.describe(&anna).unwrap().is_valid);
}
