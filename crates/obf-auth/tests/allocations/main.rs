//! Allocations of an Authentication Server's threads (issue "Measures"): bounded for each key fetch and each bootstrap.
//! Everything is counted that its runtime does: TLS, RADIUS, HTTP, authorisation, derivation; not the load's own.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs, dead_code)]
#![allow(unsafe_code, reason = "a global allocator is an unsafe trait")]

#[path = "../all/application.rs"]
mod application;
#[path = "../all/deployment.rs"]
mod deployment;
#[path = "../all/device.rs"]
mod device;

use application::Application;
use deployment::{Deployment, Rpr, TRACK};
use device::{Sim, Ue};
use obf_types::UaId;
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
};

/// The most allocations of the server for one fetch from memory.
const MOST_PER_FETCH: u64 = 16;
/// The most for one bootstrap: two HTTPS requests, one RPR exchange, one commit.
const MOST_PER_BOOTSTRAP: u64 = 180;

struct Counting;

thread_local! {
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as our caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as our caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as our caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count() {
    // A thread that is ending has no flag any more; it does none of the server's work.
    if COUNTED.try_with(Cell::get).unwrap_or(false) {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn fetches_and_bootstraps_allocate_within_their_bounds() {
    let server = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .on_thread_start(|| COUNTED.set(true))
        .enable_all()
        .build()
        .unwrap();
    let load = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    load.block_on(async {
        let mut deployment = Deployment::start(Rpr::Tls).await;
        deployment.stop_auth(0).await;
        let config: obf_auth::Config = toml::from_str(&deployment.auth_config(0)).unwrap();
        let node = server.spawn(obf_auth::start(config, obf_auth::Environment::default()));
        deployment.auth[0] = Some(node.await.unwrap().unwrap());
        let sim = Sim::new(1);
        deployment.add_device(&sim, &[TRACK]).await;
        let mut ue = Ue::connect(&deployment, 0).await;

        for _ in 0..5 {
            ue.bootstrap(&sim).await.unwrap();
        }
        let per_bootstrap = counted(50, async || {
            ue.bootstrap(&sim).await.unwrap();
        })
        .await;
        println!("{per_bootstrap} allocations a bootstrap");

        let token = ue.bootstrap(&sim).await.unwrap().id;
        let application = Application::connect(&deployment, 0, TRACK, TRACK).await;
        for _ in 0..10 {
            application.key(&token, UaId::TLS13_PSK).await.unwrap();
        }
        let per_fetch = counted(500, async || {
            application.key(&token, UaId::TLS13_PSK).await.unwrap();
        })
        .await;
        println!("{per_fetch} allocations a fetch");
        assert!(per_bootstrap <= MOST_PER_BOOTSTRAP, "{per_bootstrap} allocations a bootstrap");
        assert!(per_fetch <= MOST_PER_FETCH, "{per_fetch} allocations a fetch");
    });
    server.shutdown_background();
}

/// Allocations of the server for each of so many goes, rounded up. Its background tasks count too.
async fn counted(goes: u64, mut go: impl AsyncFnMut()) -> u64 {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for _ in 0..goes {
        go().await;
    }
    (ALLOCATIONS.load(Ordering::Relaxed) - before).div_ceil(goes)
}
