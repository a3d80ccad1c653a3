//! What a frame means. Fields that a maker leaves out or invents are kept as they were written.

use alloc::{boxed::Box, string::String, vec::Vec};
use core::fmt;
use obf_types::UnixTime;

/// A device's IMEI as its frames write it: 15 digits. The check digit is not enforced: devices in the field ship
/// with placeholder IMEIs, and in OBF the secure element's identity is what identifies the vehicle (U9).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Imei(Box<str>);

impl Imei {
    /// An IMEI, or `None` unless it has exactly 15 digits.
    pub fn new(text: &str) -> Option<Self> {
        (text.len() == 15 && text.bytes().all(|b| b.is_ascii_digit())).then(|| Self(text.into()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Imei {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Imei {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Imei({})", self.0)
    }
}

/// A place on Earth, degrees; south and west are negative.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// -90 to 90.
    pub latitude: f64,
    /// -180 to 180.
    pub longitude: f64,
}

/// One decoded frame.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Sent after each connection.
    Login(Login),
    /// Position, velocity and time, with what else the vehicle reports.
    Position(Box<Position>),
    /// The device's own state.
    Health(Health),
    /// Panic button.
    Emergency(Emergency),
    /// Many positions at once.
    Batch(Batch),
}

impl Message {
    /// `login`, `position`, `health`, `emergency` or `batch`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Login(_) => "login",
            Self::Position(_) => "position",
            Self::Health(_) => "health",
            Self::Emergency(_) => "emergency",
            Self::Batch(_) => "batch",
        }
    }

    /// Who the frame says it is from. What the connection proved takes precedence (U1, U9).
    pub const fn imei(&self) -> &Imei {
        match self {
            Self::Login(login) => &login.imei,
            Self::Position(position) => &position.imei,
            Self::Health(health) => &health.imei,
            Self::Emergency(emergency) => &emergency.imei,
            Self::Batch(batch) => &batch.imei,
        }
    }
}

/// Login.
#[derive(Clone, Debug, PartialEq)]
pub struct Login {
    /// Who.
    pub imei: Imei,
    /// Registration number and vendor, in the order the maker writes them.
    pub before_imei: Vec<String>,
    /// Firmware, protocol version or registration number behind the IMEI, in the maker's order.
    pub after_imei: Vec<String>,
    /// Last valid location, where the dialect sends one.
    pub point: Option<Point>,
}

/// What every position says, in every layout.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// Why it was sent; see [`Alert`]. Some dialects leave it out of history frames.
    pub alert: Option<Alert>,
    /// `true` live (`L`), `false` from history (`H`).
    pub live: bool,
    /// Whether the receiver had a fix.
    pub fix: bool,
    /// UTC of the fix; `None` for the all-zero date of a device that never had one.
    pub time: Option<UnixTime>,
    /// Where.
    pub point: Point,
    /// km/h.
    pub speed_kmh: f64,
    /// Degrees from north.
    pub heading_deg: f64,
}

/// Position, velocity, time: what every layout sends.
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    /// Who.
    pub imei: Imei,
    /// Where and when.
    pub track: Track,
    /// Satellites in use.
    pub satellites: u8,
    /// Horizontal dilution of precision.
    pub hdop: f64,
    /// Ignition on.
    pub ignition: bool,
    /// Running on the vehicle's battery.
    pub main_power: bool,
    /// GSM signal strength as written, 0–31.
    pub gsm: u8,
    /// Mobile country code.
    pub mcc: String,
    /// Mobile network code.
    pub mnc: String,
    /// Location area code, as written.
    pub lac: String,
    /// Cell id, as written.
    pub cell: String,
    /// The rest of the standard's frame; fixed-width frames have none.
    pub report: Option<Report>,
}

/// What frames with separators say beyond the position.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Vendor id, perhaps empty.
    pub vendor: String,
    /// Firmware version.
    pub firmware: String,
    /// `NR` normal, `EA` emergency alert, `TA` tamper alert, `IN`/`IF` ignition, `BD`/`BR` vehicle battery, `BL`
    /// internal battery low, or what the maker adds.
    pub packet_type: String,
    /// Registration number, perhaps empty.
    pub registration: String,
    /// The order the maker writes the fix in.
    pub fix_order: FixOrder,
    /// Metres.
    pub altitude_m: f64,
    /// Position dilution of precision.
    pub pdop: f64,
    /// Network operator as the device names it.
    pub operator: String,
    /// Volts of the vehicle's battery.
    pub main_volts: f64,
    /// Volts of the internal battery.
    pub battery_volts: f64,
    /// Panic button pressed.
    pub emergency: bool,
    /// Tamper state as written (`C` closed, `O` open; some makers use other letters or leave it out).
    pub tamper: Option<char>,
    /// Neighbour cells as written: any number of fields, hex or decimal, `x` for unknown.
    pub neighbours: Vec<String>,
    /// Digital inputs and outputs, as written; `None` where the dialect's tail does not show them.
    pub digital: Option<(String, String)>,
    /// 1–999 999, rises by one a frame; `None` where the tail does not show it.
    pub frame_number: Option<u32>,
    /// Alert 12: what was changed, and who asked.
    pub change: Option<ParameterChange>,
}

/// The order in which a maker writes fix, date and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FixOrder {
    /// `1,04012020,094901`
    FixDateTime,
    /// `14072020,180150,1`
    DateTimeFix,
}

impl FixOrder {
    /// `fix,date,time` or `date,time,fix`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FixDateTime => "fix,date,time",
            Self::DateTimeFix => "date,time,fix",
        }
    }
}

/// An alert id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Alert(pub u8);

impl Alert {
    /// A parameter was changed over the air: the acknowledgement of a command.
    pub const PARAMETER_CHANGED: Self = Self(12);

    /// What the standard calls it; `None` for a maker's own.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            1 => "location",
            2 => "location from history",
            3 => "disconnected from main battery",
            4 => "low battery",
            5 => "low battery gone",
            6 => "connected to main battery",
            7 => "ignition on",
            8 => "ignition off",
            9 => "box opened",
            10 => "emergency on",
            11 => "emergency off",
            12 => "parameter changed over the air",
            13 => "harsh braking",
            14 => "harsh acceleration",
            15 => "rash turning",
            16 => "emergency wire cut",
            _ => return None,
        })
    }
}

/// What alert 12 says: name of the parameter, source of the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterChange {
    /// The key of the command.
    pub key: String,
    /// Who sent it, for example the application's name.
    pub source: String,
}

/// The device's own state.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// Who.
    pub imei: Imei,
    /// Vendor id.
    pub vendor: String,
    /// Firmware version.
    pub firmware: String,
    /// Internal battery, percent.
    pub battery_percent: f64,
    /// Below this it reports low battery, percent.
    pub low_battery_percent: f64,
    /// Memory in use, percent.
    pub memory_percent: f64,
    /// Update rate with ignition on, seconds.
    pub rate_ignition_on_s: u32,
    /// Update rate with ignition off, seconds.
    pub rate_ignition_off_s: u32,
    /// Digital and analogue inputs and what follows, as written.
    pub inputs: Vec<String>,
}

/// Panic button.
#[derive(Clone, Debug, PartialEq)]
pub struct Emergency {
    /// Who.
    pub imei: Imei,
    /// `EMR` (begun) or `SEM` (stopped).
    pub message: String,
    /// `true` normal (`NM`), `false` stored (`SP`).
    pub live: bool,
    /// Whether the position is valid (`A`) or not (`V`).
    pub fix: bool,
    /// UTC; `None` for the all-zero date.
    pub time: Option<UnixTime>,
    /// Where.
    pub point: Point,
    /// Metres.
    pub altitude_m: f64,
    /// km/h.
    pub speed_kmh: f64,
    /// Metres since the last fix, as the device counts.
    pub distance: f64,
    /// `G` satellites, `N` network.
    pub provider: char,
    /// Registration number.
    pub registration: String,
    /// Where to answer, perhaps empty.
    pub reply_number: String,
}

/// Many positions of one device.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Who.
    pub imei: Imei,
    /// In the order sent.
    pub positions: Vec<Track>,
}
