//! How often a refused key may lead to another bootstrap (WIRES "RPA": at most once a minute for each application,
//! with backoff). Otherwise a broken server would make every device run up its sequence numbers.

use obf_types::AppId;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Between the first two bootstraps for an application whose server refuses the key.
const FIRST: Duration = Duration::from_secs(60);
/// The wait doubles up to this.
const LONGEST: Duration = Duration::from_secs(3600);

#[derive(Debug, Default)]
pub struct Throttle(HashMap<AppId, Waiting>);

#[derive(Debug)]
struct Waiting {
    since: Instant,
    wait: Duration,
}

impl Throttle {
    /// The server of `app` refused the key: `Ok` if the device may bootstrap again now, and then not again for a
    /// while; otherwise how long it has to wait.
    pub fn refused(&mut self, app: &AppId, now: Instant) -> Result<(), Duration> {
        let left = self.left(app, now);
        if !left.is_zero() {
            return Err(left);
        }
        let wait = self.0.get(app).map_or(FIRST, |waiting| (waiting.wait * 2).min(LONGEST));
        self.0.insert(app.clone(), Waiting { since: now, wait });
        Ok(())
    }

    /// How long the device still has to wait; zero if it may bootstrap for `app`.
    pub fn left(&self, app: &AppId, now: Instant) -> Duration {
        let left =
            |waiting: &Waiting| waiting.wait.saturating_sub(now.saturating_duration_since(waiting.since));
        self.0.get(app).map_or(Duration::ZERO, left)
    }

    /// The server of `app` accepted the key: the wait is the first again. It still runs from the
    /// last bootstrap, otherwise a server that alternates would be asked at every turn.
    pub fn accepted(&mut self, app: &AppId, now: Instant) {
        if let Some(waiting) = self.0.get_mut(app) {
            waiting.wait = FIRST;
            if now.saturating_duration_since(waiting.since) >= FIRST {
                self.0.remove(app);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_once_a_minute_for_each_application_and_less_and_less() {
        let (track, panic) = (AppId::new("track.example").unwrap(), AppId::new("panic.example").unwrap());
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut throttle = Throttle::default();
        assert_eq!(throttle.refused(&track, at(0)), Ok(()));
        assert_eq!(throttle.refused(&track, at(1)), Err(Duration::from_secs(59)));
        assert_eq!(throttle.refused(&panic, at(1)), Ok(()), "another application is another matter");
        throttle.accepted(&track, at(2));
        assert_eq!(throttle.refused(&track, at(59)), Err(Duration::from_secs(1)), "accepted in between");
        assert_eq!(throttle.refused(&track, at(60)), Ok(()));
        assert_eq!(throttle.refused(&track, at(120)), Err(Duration::from_secs(60)), "the wait has doubled");
        assert_eq!(throttle.refused(&track, at(180)), Ok(()));
        throttle.accepted(&track, at(180));
        assert_eq!(throttle.refused(&track, at(239)), Err(Duration::from_secs(1)), "a minute again");
        throttle.accepted(&track, at(240));
        assert_eq!(throttle.refused(&track, at(241)), Ok(()), "long ago: forgotten");

        let mut now = 0;
        let mut waits = Vec::new();
        let mut throttle = Throttle::default();
        for _ in 0..9 {
            throttle.refused(&track, at(now)).unwrap();
            let wait = throttle.refused(&track, at(now)).unwrap_err().as_secs();
            waits.push(wait);
            now += wait;
        }
        assert_eq!(waits, [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
    }
}
