//! CDAC's fixed-width frames: `NRM`, one position; `BTH`, many of one device, 78 characters each.

use crate::{
    Alert, Batch, Imei, Message, Position, Track,
    field::{choice, coordinate, date_time, digits, plain_decimal, refuse, signed},
    refused::Refused,
};
use alloc::{
    boxed::Box,
    string::{String, ToString},
    vec::Vec,
};

/// `NRM` or `BTH` and the IMEI.
const HEAD: usize = 3 + 15;
/// One position.
const POSITION: usize = 78;
/// Octets of `NRM…`.
pub(crate) const NRM_FRAME: usize = HEAD + POSITION;
/// The longest `BTH…`: 999 positions.
pub(crate) const MAX_FRAME: usize = HEAD + 3 + 999 * POSITION;

/// What is known of a frame's length from its beginning.
pub(crate) enum Length {
    /// More octets are needed to tell.
    Unknown,
    /// This many in all.
    Octets(usize),
    /// Not the beginning of a frame.
    Foreign,
}

/// The length of the frame that begins here.
pub(crate) fn frame_length(beginning: &[u8]) -> Length {
    match beginning.get(..3) {
        None => {
            if b"NRM".starts_with(beginning) || b"BTH".starts_with(beginning) {
                Length::Unknown
            } else {
                Length::Foreign
            }
        }
        Some(b"NRM") => Length::Octets(NRM_FRAME),
        Some(b"BTH") => match beginning.get(HEAD..HEAD + 3) {
            None => Length::Unknown,
            Some(count) => match core::str::from_utf8(count).ok().and_then(digits).map(str::parse::<usize>) {
                Some(Ok(count)) => Length::Octets(HEAD + 3 + count * POSITION),
                _ => Length::Foreign,
            },
        },
        Some(_) => Length::Foreign,
    }
}

/// Decodes a frame of printable ASCII.
pub(crate) fn decode(text: &str) -> Result<Message, Refused> {
    let mut columns = Columns { rest: text };
    let header = columns.take(3);
    if !matches!(header, "NRM" | "BTH") {
        return Err(refuse("header", header, "NRM or BTH"));
    }
    let imei = columns.take(15);
    let imei = Imei::new(imei).ok_or_else(|| refuse("imei", imei, "15 digits"))?;
    if header == "NRM" {
        exact_length(columns.rest, POSITION)?;
        return position(&mut columns, imei).map(|position| Message::Position(Box::new(position)));
    }
    let count: usize = columns.number("position count", 3)?;
    exact_length(columns.rest, count * POSITION)?;
    let positions: Result<Vec<Track>, Refused> =
        (0..count).map(|_| position(&mut columns, imei.clone()).map(|position| position.track)).collect();
    Ok(Message::Batch(Batch { imei, positions: positions? }))
}

fn exact_length(rest: &str, expected: usize) -> Result<(), Refused> {
    if rest.len() == expected {
        return Ok(());
    }
    Err(refuse("length", &rest.len().to_string(), "78 characters for each position"))
}

fn position(columns: &mut Columns<'_>, imei: Imei) -> Result<Position, Refused> {
    let alert = Alert(columns.number("alert id", 2)?);
    let live = choice("status", columns.take(1), ("L", "H"), "L or H")?;
    let fix = columns.flag("fix")?;
    let (date, clock) = (columns.take(6), columns.take(6));
    let time = date_time(date, clock, fix)?;
    let latitude = coordinate("latitude", columns.take(10), 90.0)?;
    let north = choice("latitude direction", columns.take(1), ("N", "S"), "N or S")?;
    let longitude = coordinate("longitude", columns.take(10), 180.0)?;
    let east = choice("longitude direction", columns.take(1), ("E", "W"), "E or W")?;
    let mcc = columns.text(3);
    // Two-digit network codes are filled with an x.
    let mnc = columns.take(3).trim_start_matches('x').to_string();
    let (lac, cell) = (columns.text(4), columns.text(9));
    let speed_kmh = columns.decimal("speed", 6)?;
    let heading_deg = columns.decimal("heading", 6)?;
    let satellites = columns.number("satellites", 2)?;
    let hdop = columns.decimal("hdop", 2)?;
    let gsm = columns.number("gsm strength", 2)?;
    let (ignition, main_power) = (columns.flag("ignition")?, columns.flag("main power")?);
    let mode = columns.take(1);
    if !mode.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err(refuse("vehicle mode", mode, "an upper-case letter"));
    }
    let point = signed(latitude, north, longitude, east);
    let track = Track { alert: Some(alert), live, fix, time, point, speed_kmh, heading_deg };
    Ok(Position {
        imei,
        track,
        satellites,
        hdop,
        ignition,
        main_power,
        gsm,
        mcc,
        mnc,
        lac,
        cell,
        report: None,
    })
}

/// Columns of a text that is known to be ASCII.
struct Columns<'a> {
    rest: &'a str,
}

impl<'a> Columns<'a> {
    fn take(&mut self, width: usize) -> &'a str {
        let (column, rest) = self.rest.split_at_checked(width).unwrap_or((self.rest, ""));
        self.rest = rest;
        column
    }

    fn text(&mut self, width: usize) -> String {
        self.take(width).to_string()
    }

    fn number<T: core::str::FromStr>(&mut self, field: &'static str, width: usize) -> Result<T, Refused> {
        let found = self.take(width);
        digits(found)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| refuse(field, found, "a whole number in its range"))
    }

    fn decimal(&mut self, field: &'static str, width: usize) -> Result<f64, Refused> {
        let found = self.take(width);
        plain_decimal(found).ok_or_else(|| refuse(field, found, "a decimal number"))
    }

    fn flag(&mut self, field: &'static str) -> Result<bool, Refused> {
        choice(field, self.take(1), ("1", "0"), "0 or 1")
    }
}
