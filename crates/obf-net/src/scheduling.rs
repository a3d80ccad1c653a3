//! How the operating system shares a core between a server's threads.
#![cfg_attr(
    target_os = "linux",
    expect(unsafe_code, reason = "the standard library knows no scheduling policies")
)]

/// From now on this thread, and each that it starts, does not preempt another when it wakes up (`SCHED_BATCH`, sched(7)):
/// on a busy core what has become ready meanwhile is then done together, with fewer switches between threads; on an
/// idle one nothing changes. A policy that was set from outside stays, and nothing happens where there are none.
pub fn wake_without_preempting() {
    #[cfg(target_os = "linux")]
    {
        let parameters = libc::sched_param { sched_priority: 0 };
        // SAFETY: 0 is the calling thread; the parameters outlive the call.
        let refused = unsafe {
            libc::sched_getscheduler(0) == libc::SCHED_OTHER
                && libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) != 0
        };
        if refused {
            let error = std::io::Error::last_os_error();
            tracing::debug!(%error, "the scheduling policy stays as it is");
        }
    }
}
