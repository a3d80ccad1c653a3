//! See Cargo.toml. The program uses a little of each crate, so that the linker has something to resolve.
#![no_std]
#![no_main]

extern crate alloc;

use {obf_aka as _, obf_digest as _, obf_rpa as _, obf_rpb as _};

use core::{
    alloc::{GlobalAlloc, Layout},
    cell::UnsafeCell,
    panic::PanicInfo,
    sync::atomic::{AtomicUsize, Ordering},
};

/// Enough for what `main` does; nothing is given back.
const ARENA: usize = 1 << 20;

struct Bump {
    arena: UnsafeCell<[u8; ARENA]>,
    used: AtomicUsize,
}

// SAFETY: the arena is handed out in pieces that never overlap, by one atomic counter.
unsafe impl Sync for Bump {}

// SAFETY: each piece lies inside the arena, is aligned as asked, and is handed out once.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let base = self.arena.get() as usize;
        let mut start = 0;
        let taken = self.used.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |used| {
            start = (base + used).next_multiple_of(layout.align()) - base;
            start.checked_add(layout.size()).filter(|end| *end <= ARENA)
        });
        if taken.is_err() {
            return core::ptr::null_mut();
        }
        self.arena.get().cast::<u8>().wrapping_add(start)
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static HEAP: Bump = Bump { arena: UnsafeCell::new([0; ARENA]), used: AtomicUsize::new(0) };

unsafe extern "C" {
    fn abort() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: the C library's abort takes nothing and does not return.
    unsafe { abort() }
}

/// The precompiled `alloc` was built to unwind and names these two; nothing here unwinds.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    // SAFETY: as above.
    unsafe { abort() }
}

#[link(name = "c")]
unsafe extern "C" {}

#[unsafe(no_mangle)]
extern "C" fn main(_: i32, _: *const *const u8) -> i32 {
    i32::from(!device::works())
}

mod device {
    //! One call into each crate.
    use obf_types::{AppId, GlobalIdentity, IdentityKind, NafId, Secret, UaId};

    pub fn works() -> bool {
        derives_a_key().unwrap_or(false) && decodes_a_frame()
    }

    fn derives_a_key() -> Option<bool> {
        let identity = GlobalIdentity::new(IdentityKind::Imsi, "001010000000001").ok()?;
        let naf = NafId { app: AppId::new("track.example").ok()?, ua: UaId::TLS13_PSK };
        let key = obf_token::derive::gba_me(&Secret::new([7; 32]), &[1; 16], identity.value().as_bytes(), &naf);
        Some(key != Secret::new([0; 32]))
    }

    fn decodes_a_frame() -> bool {
        let dialect = obf_ais140::Dialect::unchecked(obf_ais140::Layout::BareDollar);
        obf_ais140::decode(&dialect, b"$,01,XYZ123,0.0.1,861359034137271,MH12AB1234,").is_ok()
    }
}
