//! Points in time and lifetimes, in whole seconds (the resolution of `Session-Timeout` and of TS 24.109's `lifetime`).

use core::fmt;

/// Seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnixTime(pub u64);

impl UnixTime {
    /// This point plus a lifetime, saturating.
    pub const fn plus(self, lifetime: Lifetime) -> Self {
        Self(self.0.saturating_add(lifetime.seconds() as u64))
    }

    /// Seconds from `earlier` to this point; 0 if this point is not later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// `YYYY-MM-DDThh:mm:ssZ` as TS 24.109's `lifetime` element (xs:dateTime, UTC) writes it.
    pub fn to_xs_date_time(self) -> alloc::string::String {
        let (days, rest) = (self.0 / 86_400, self.0 % 86_400);
        let (year, month, day) = civil_from_days(days);
        alloc::format!(
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
            rest / 3600,
            rest / 60 % 60,
            rest % 60
        )
    }

    /// Reads `YYYY-MM-DDThh:mm:ss[.fraction]Z` (the fraction is dropped); `None` for anything else.
    pub fn from_xs_date_time(text: &str) -> Option<Self> {
        let body = text.strip_suffix('Z')?;
        let (body, fraction) = body.split_once('.').map_or((body, "0"), |(body, fraction)| (body, fraction));
        if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let (date, clock) = body.split_once('T')?;
        let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
        let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
        if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let days = days_from_civil(year, month, day);
        if civil_from_days(days) != (year, month, day) {
            return None;
        }
        Some(Self(days * 86_400 + hour * 3600 + minute * 60 + second))
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_xs_date_time())
    }
}

fn numbers(text: &str, separator: char, widths: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(separator);
    let mut out = [0; 3];
    for (slot, width) in out.iter_mut().zip(widths) {
        let part = parts.next()?;
        if part.len() != width || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *slot = part.parse().ok()?;
    }
    parts.next().is_none().then_some(out)
}

/// Days since 1970-01-01 to (year, month, day) in the proleptic Gregorian calendar.
const fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + (month <= 2) as u64, month, day)
}

const fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// A token's or key's lifetime: 1 second to [`Lifetime::CEILING`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lifetime(u32);

impl Lifetime {
    /// What a deployment that says nothing gets: 8 hours.
    pub const DEFAULT: Self = Self(8 * 3600);
    /// Nothing lives longer: 24 hours.
    pub const CEILING: Self = Self(24 * 3600);

    /// A lifetime in seconds, or `None` for 0 and for more than the ceiling.
    pub const fn from_seconds(seconds: u32) -> Option<Self> {
        if seconds == 0 || seconds > Self::CEILING.0 { None } else { Some(Self(seconds)) }
    }

    /// Seconds, 1..=86 400.
    pub const fn seconds(self) -> u32 {
        self.0
    }

    /// Reads `90`, `90s`, `15m` or `8h`; `None` for anything else or out of range.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match text.get(digits.len()..)? {
            "" | "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return None,
        };
        Self::from_seconds(digits.parse::<u32>().ok()?.checked_mul(unit)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_round_trip() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (4_102_444_799, "2099-12-31T23:59:59Z"),
        ] {
            assert_eq!(UnixTime(seconds).to_xs_date_time(), text);
            assert_eq!(UnixTime::from_xs_date_time(text), Some(UnixTime(seconds)));
        }
        assert_eq!(UnixTime::from_xs_date_time("2023-11-14T22:13:20.1Z"), Some(UnixTime(1_700_000_000)));
        for bad in [
            "2023-02-29T00:00:00Z",
            "2023-11-14T22:13:20",
            "2023-11-14 22:13:20Z",
            "",
            "2023-13-01T00:00:00Z",
        ] {
            assert_eq!(UnixTime::from_xs_date_time(bad), None, "{bad}");
        }
    }

    #[test]
    fn lifetimes_have_a_ceiling() {
        assert_eq!(Lifetime::parse("8h"), Some(Lifetime::DEFAULT));
        assert_eq!(Lifetime::parse("90"), Lifetime::from_seconds(90));
        for bad in ["0", "25h", "h", "-1", "8d", "4294967295h"] {
            assert_eq!(Lifetime::parse(bad), None, "{bad}");
        }
    }
}
