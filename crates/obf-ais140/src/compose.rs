//! Building frames as a device does, in the standard's order, and altering them on purpose.

use crate::{
    Dialect, Layout, Login, Position, Report,
    checksum::{ChecksumRule, Place},
    command::ParameterChangeText,
    message::FixOrder,
};
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

/// A login frame with header `LGN`; the fields before and behind the IMEI as [`Login`] has them.
pub fn login(dialect: &Dialect, login: &Login) -> Vec<u8> {
    let mut fields: Vec<String> = login.before_imei.clone();
    fields.push(login.imei.to_string());
    fields.extend(login.after_imei.iter().cloned());
    if let Some(point) = login.point {
        fields.extend(point_fields(point));
    }
    finished(dialect, "LGN", &fields)
}

/// A position frame with header `NRM`. `None` for a position without [`Report`] (a fixed-width one).
pub fn position(dialect: &Dialect, position: &Position) -> Option<Vec<u8>> {
    let report = position.report.as_ref()?;
    let track = &position.track;
    let flag = |on: bool| if on { "1" } else { "0" }.to_string();
    let mut fields = [report.vendor.clone(), report.firmware.clone(), report.packet_type.clone()].to_vec();
    fields.extend(track.alert.map(|alert| format!("{:02}", alert.0)));
    fields.push(if track.live { "L" } else { "H" }.to_string());
    fields.extend([position.imei.to_string(), report.registration.clone()]);
    let (date, clock) = date_and_time(position);
    match report.fix_order {
        FixOrder::FixDateTime => fields.extend([flag(track.fix), date, clock]),
        FixOrder::DateTimeFix => fields.extend([date, clock, flag(track.fix)]),
    }
    fields.extend(point_fields(track.point));
    fields.extend([
        track.speed_kmh.to_string(),
        track.heading_deg.to_string(),
        position.satellites.to_string(),
        report.altitude_m.to_string(),
        report.pdop.to_string(),
        position.hdop.to_string(),
        report.operator.clone(),
        flag(position.ignition),
        flag(position.main_power),
        report.main_volts.to_string(),
        report.battery_volts.to_string(),
        flag(report.emergency),
    ]);
    fields.extend(report.tamper.map(|letter| letter.to_string()));
    fields.push(position.gsm.to_string());
    fields.extend([&position.mcc, &position.mnc, &position.lac, &position.cell].map(Clone::clone));
    fields.extend(tail(report));
    Some(finished(dialect, "NRM", &fields))
}

/// One octet of a frame changed, and the checksum left as it was: what a receiver must ignore.
pub fn altered(frame: &[u8], at: usize) -> Vec<u8> {
    let mut out = frame.to_vec();
    if let Some(octet) = out.get_mut(at) {
        *octet = if *octet == b'1' { b'2' } else { b'1' };
    }
    out
}

fn tail(report: &Report) -> Vec<String> {
    let mut fields = report.neighbours.clone();
    if let Some((inputs, outputs)) = &report.digital {
        fields.extend([inputs.clone(), outputs.clone()]);
    }
    fields.extend(report.frame_number.map(|number| format!("{number:06}")));
    fields.extend(report.change.as_ref().map(ParameterChangeText::write));
    fields
}

fn date_and_time(position: &Position) -> (String, String) {
    let Some(time) = position.track.time else { return ("00000000".to_string(), "000000".to_string()) };
    let text = time.to_xs_date_time();
    let part = |range: core::ops::Range<usize>| text.get(range).unwrap_or("");
    (
        format!("{}{}{}", part(8..10), part(5..7), part(0..4)),
        format!("{}{}{}", part(11..13), part(14..16), part(17..19)),
    )
}

fn point_fields(point: crate::Point) -> [String; 4] {
    let letter = |value: f64, positive: &str, negative: &str| {
        if value < 0.0 { negative } else { positive }.to_string()
    };
    [
        format!("{:.6}", point.latitude.abs()),
        letter(point.latitude, "N", "S"),
        format!("{:.6}", point.longitude.abs()),
        letter(point.longitude, "E", "W"),
    ]
}

/// Start, header, fields, and the checksum of the dialect's first rule.
fn finished(dialect: &Dialect, header: &str, fields: &[String]) -> Vec<u8> {
    let start = match dialect.layout {
        Layout::BareDollar => "$,",
        Layout::NamedHeader | Layout::FixedWidth => "$",
    };
    let body = format!("{start}{header},{}", fields.join(","));
    let Some(rule) = dialect.checksums.first() else { return format!("{body},*").into_bytes() };
    let blank = "0".repeat(rule.algorithm.digits());
    let frame = match rule.place {
        Place::LastField => format!("{body},{blank},*"),
        Place::AfterStar | Place::AfterCoveredStar => format!("{body}*{blank}"),
    };
    sealed(*rule, frame)
}

fn sealed(rule: ChecksumRule, frame: String) -> Vec<u8> {
    rule.reseal(frame.as_bytes()).unwrap_or_else(|| frame.into_bytes())
}
