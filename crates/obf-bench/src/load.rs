//! Load: a fixed number of requests in flight until all are answered.

use anyhow::Result;
use std::{
    future::Future,
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};
use tokio::task::JoinSet;

/// Makes `requests` requests, `window` at a time, and gives answers a second.
///
/// # Errors
/// The first request that fails ends it.
pub async fn in_flight<F>(window: usize, requests: usize, one: impl Fn(usize) -> F) -> Result<f64>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let start = Instant::now();
    let mut under_way = JoinSet::new();
    let next = AtomicUsize::new(0);
    let begin = |under_way: &mut JoinSet<Result<()>>| {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number < requests {
            under_way.spawn(one(number));
        }
    };
    (0..window).for_each(|_| begin(&mut under_way));
    while let Some(done) = under_way.join_next().await {
        done??;
        begin(&mut under_way);
    }
    Ok(requests as f64 / start.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn every_request_is_made_once_and_never_more_than_the_window() {
        let (now, most, sum) =
            (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let rate = in_flight(3, 50, |number| {
            let (now, most, sum) = (now.clone(), most.clone(), sum.clone());
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::SeqCst);
                sum.fetch_add(number, Ordering::SeqCst);
                Ok(())
            }
        });
        assert!(rate.await.unwrap() > 0.0);
        assert_eq!(sum.load(Ordering::SeqCst), 49 * 50 / 2);
        assert!(most.load(Ordering::SeqCst) <= 3);
    }
}
