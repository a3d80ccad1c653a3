//! Single fields, each refused by name.

use crate::{Imei, Point, refused::Refused};
use alloc::{
    format,
    string::{String, ToString},
};
use obf_types::UnixTime;

/// The refusal of a field.
pub(crate) fn refuse(field: &'static str, found: &str, expected: &'static str) -> Refused {
    Refused::Field { field, found: found.chars().take(40).collect(), expected }
}

/// A cursor over the fields of a frame; the names of the fields are given where they are taken.
pub(crate) struct Fields<'a, 'b> {
    rest: &'b [&'a str],
}

impl<'a, 'b> Fields<'a, 'b> {
    pub(crate) const fn new(fields: &'b [&'a str]) -> Self {
        Self { rest: fields }
    }

    pub(crate) const fn rest(&self) -> &'b [&'a str] {
        self.rest
    }

    pub(crate) fn peek(&self) -> &'a str {
        self.rest.first().copied().unwrap_or("")
    }

    /// The next field; empty once the frame has ended, so that its parser refuses it by name.
    pub(crate) fn take(&mut self) -> &'a str {
        let Some((first, rest)) = self.rest.split_first() else { return "" };
        self.rest = rest;
        first
    }

    pub(crate) fn text(&mut self) -> String {
        self.take().to_string()
    }

    pub(crate) fn imei(&mut self) -> Result<Imei, Refused> {
        let found = self.take();
        Imei::new(found).ok_or_else(|| refuse("imei", found, "15 digits"))
    }

    pub(crate) fn decimal(&mut self, field: &'static str) -> Result<f64, Refused> {
        decimal(field, self.take())
    }

    pub(crate) fn whole<T: core::str::FromStr>(&mut self, field: &'static str) -> Result<T, Refused> {
        let found = self.take();
        digits(found)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| refuse(field, found, "a whole number in its range"))
    }

    pub(crate) fn flag(&mut self, field: &'static str) -> Result<bool, Refused> {
        choice(field, self.take(), ("1", "0"), "0 or 1")
    }

    pub(crate) fn point(&mut self) -> Result<Point, Refused> {
        let latitude = coordinate("latitude", self.take(), 90.0)?;
        let north = choice("latitude direction", self.take(), ("N", "S"), "N or S")?;
        let longitude = coordinate("longitude", self.take(), 180.0)?;
        let east = choice("longitude direction", self.take(), ("E", "W"), "E or W")?;
        Ok(signed(latitude, north, longitude, east))
    }
}

/// Two letters for yes and no.
pub(crate) fn choice(
    field: &'static str,
    found: &str,
    (yes, no): (&str, &str),
    expected: &'static str,
) -> Result<bool, Refused> {
    if found == yes {
        Ok(true)
    } else if found == no {
        Ok(false)
    } else {
        Err(refuse(field, found, expected))
    }
}

pub(crate) fn signed(latitude: f64, north: bool, longitude: f64, east: bool) -> Point {
    Point {
        latitude: if north { latitude } else { -latitude },
        longitude: if east { longitude } else { -longitude },
    }
}

/// Unsigned degrees up to `max`.
pub(crate) fn coordinate(field: &'static str, found: &str, max: f64) -> Result<f64, Refused> {
    let expected = if max > 90.0 { "degrees, 0 to 180" } else { "degrees, 0 to 90" };
    match plain_decimal(found) {
        Some(degrees) if degrees <= max => Ok(degrees),
        _ => Err(refuse(field, found, expected)),
    }
}

/// A decimal number, perhaps negative; no exponent, no `inf`, no sign of plus.
pub(crate) fn decimal(field: &'static str, found: &str) -> Result<f64, Refused> {
    let unsigned = found.strip_prefix('-').unwrap_or(found);
    let sign = if unsigned.len() == found.len() { 1.0 } else { -1.0 };
    plain_decimal(unsigned)
        .map(|number| number * sign)
        .ok_or_else(|| refuse(field, found, "a decimal number"))
}

/// Percent, with or without its sign.
pub(crate) fn percent(field: &'static str, found: &str) -> Result<f64, Refused> {
    match plain_decimal(found.strip_suffix('%').unwrap_or(found)) {
        Some(number) if number <= 100.0 => Ok(number),
        _ => Err(refuse(field, found, "percent, 0 to 100")),
    }
}

/// `12`, `12.5`: at most 20 characters.
pub(crate) fn plain_decimal(found: &str) -> Option<f64> {
    let (whole, fraction) = found.split_once('.').unwrap_or((found, "0"));
    digits(whole)?;
    digits(fraction)?;
    found.parse().ok()
}

/// One to twenty digits, or `None`.
pub(crate) fn digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.len() <= 20 && text.bytes().all(|b| b.is_ascii_digit())).then_some(text)
}

/// `DDMMYYYY` or `DDMMYY`, and `hhmmss`; `None` for the all-zero date of a device that has no fix.
pub(crate) fn date_time(date: &str, time: &str, fix: bool) -> Result<Option<UnixTime>, Refused> {
    const EXPECTED: &str = "a date, DDMMYYYY or DDMMYY";
    let wrong_date = || refuse("date", date, EXPECTED);
    let text = digits(date).ok_or_else(wrong_date)?;
    let (day, month, year) = match (text.get(..2), text.get(2..4), text.get(4..)) {
        (Some(day), Some(month), Some(year)) if year.len() == 4 => (day, month, year.to_string()),
        (Some(day), Some(month), Some(year)) if year.len() == 2 => (day, month, format!("20{year}")),
        _ => return Err(wrong_date()),
    };
    let clock = digits(time).filter(|text| text.len() == 6);
    let (Some(hour), Some(minute), Some(second)) = (
        clock.and_then(|text| text.get(..2)),
        clock.and_then(|text| text.get(2..4)),
        clock.and_then(|text| text.get(4..)),
    ) else {
        return Err(refuse("time", time, "a time, hhmmss"));
    };
    if text.bytes().all(|b| b == b'0') && !fix {
        return Ok(None);
    }
    let day_alone = UnixTime::from_xs_date_time(&format!("{year}-{month}-{day}T00:00:00Z"));
    if day_alone.is_none() {
        return Err(wrong_date());
    }
    UnixTime::from_xs_date_time(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"))
        .map(Some)
        .ok_or_else(|| refuse("time", time, "a time, hhmmss"))
}
