//! Frames with separators: `$,NRM,…` and `$NRM,…`. The kind is told by header and shape, then every field is taken
//! in order by name.

use crate::{
    Alert, Emergency, Health, Imei, Layout, Login, Message, Position, Report, Track,
    command::ParameterChangeText,
    field::{Fields, choice, coordinate, date_time, digits, percent, plain_decimal, refuse, signed},
    message::FixOrder,
    refused::Refused,
};
use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    vec::Vec,
};

/// Decodes a frame of printable ASCII.
pub(crate) fn decode(layout: Layout, text: &str) -> Result<Message, Refused> {
    let all: Vec<&str> = text.split(',').collect();
    let (first, rest) = all.split_first().unwrap_or((&"", &[]));
    let header = first.strip_prefix('$').ok_or_else(|| refuse("start", first, "$"))?;
    let (header, body) = match layout {
        Layout::BareDollar if !header.is_empty() => {
            return Err(refuse("start", first, "$ alone, then a comma"));
        }
        Layout::BareDollar => rest.split_first().map_or(("", rest), |(header, body)| (*header, body)),
        Layout::NamedHeader | Layout::FixedWidth => (header, rest),
    };
    if header.is_empty() {
        return Err(refuse("header", header, "a name behind the $"));
    }
    match kind(header, body) {
        Kind::Login => login(body).map(Message::Login),
        Kind::Health => health(body).map(Message::Health),
        Kind::Emergency => emergency(body).map(Message::Emergency),
        Kind::Position => position(body).map(|position| Message::Position(Box::new(position))),
    }
}

enum Kind {
    Login,
    Health,
    Emergency,
    Position,
}

/// The standard names the packets and leaves headers to the maker, so a maker's own headers (`Header`, `RLP`, `01`)
/// are told apart by the packet type in the third field.
fn kind(header: &str, body: &[&str]) -> Kind {
    let field = |index: usize| body.get(index).copied().unwrap_or("");
    let is_packet_type = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase());
    match header {
        "LGN" => Kind::Login,
        "EPB" => Kind::Emergency,
        "HBT" | "HLM" | "HMP" => Kind::Health,
        _ if field(2) == "HP" => Kind::Health,
        _ if is_packet_type(field(2)) => Kind::Position,
        _ if percent("", field(3)).is_ok() && percent("", field(4)).is_ok() => Kind::Health,
        _ => Kind::Login,
    }
}

fn login(body: &[&str]) -> Result<Login, Refused> {
    // One or two fields before the IMEI; where neither place holds one, what stands in the likelier is named.
    let at = (1..=2)
        .find(|at| body.get(*at).copied().and_then(Imei::new).is_some())
        .or_else(|| {
            (1..=2).find(|at| body.get(*at).is_some_and(|text| digits(text).is_some() && text.len() > 9))
        })
        .unwrap_or(2);
    let (before, rest) = body.split_at_checked(at).unwrap_or((body, &[]));
    let mut fields = Fields::new(rest);
    let imei = fields.imei()?;
    let mut after_imei: Vec<String> = Vec::new();
    while !is_coordinate(fields.peek(), &after_imei) && !fields.rest().is_empty() {
        if after_imei.len() == 3 {
            return Err(refuse("latitude", fields.peek(), "degrees, 0 to 90"));
        }
        after_imei.push(without_end(fields.take()).to_string());
    }
    let point = if fields.rest().is_empty() { None } else { Some(login_point(&mut fields)?) };
    after_imei.retain(|text| !text.is_empty());
    Ok(Login { imei, before_imei: before.iter().map(ToString::to_string).collect(), after_imei, point })
}

/// The field right behind the IMEI is a firmware version, which may look like a coordinate.
fn is_coordinate(text: &str, before: &[String]) -> bool {
    !before.is_empty() && text.contains('.') && plain_decimal(text).is_some()
}

/// With letters of direction or, in one State's dialect, without any.
fn login_point(fields: &mut Fields<'_, '_>) -> Result<crate::Point, Refused> {
    let latitude = coordinate("latitude", fields.take(), 90.0)?;
    let lettered = plain_decimal(fields.peek()).is_none();
    let north =
        if lettered { choice("latitude direction", fields.take(), ("N", "S"), "N or S")? } else { true };
    let longitude = coordinate("longitude", fields.take(), 180.0)?;
    let east = if lettered {
        choice("longitude direction", without_end(fields.take()), ("E", "W"), "E or W")?
    } else {
        true
    };
    Ok(signed(latitude, north, longitude, east))
}

/// The last field without `*` and what follows it.
fn without_end(text: &str) -> &str {
    text.split_once('*').map_or(text, |(text, _)| text)
}

fn health(body: &[&str]) -> Result<Health, Refused> {
    let mut fields = Fields::new(body);
    let (vendor, firmware) = (fields.text(), fields.text());
    if fields.peek() == "HP" {
        fields.take();
    }
    let imei = fields.imei()?;
    Ok(Health {
        imei,
        vendor,
        firmware,
        battery_percent: percent("battery", fields.take())?,
        low_battery_percent: percent("low battery threshold", fields.take())?,
        memory_percent: percent("memory", fields.take())?,
        rate_ignition_on_s: fields.whole("update rate with ignition on")?,
        rate_ignition_off_s: fields.whole("update rate with ignition off")?,
        inputs: fields
            .rest()
            .iter()
            .map(|text| without_end(text).to_string())
            .filter(|text| !text.is_empty())
            .collect(),
    })
}

fn emergency(body: &[&str]) -> Result<Emergency, Refused> {
    let mut fields = Fields::new(body);
    if !matches!(fields.peek(), "EMR" | "SEM") {
        fields.take(); // A vendor id, in some dialects.
    }
    let message = fields.take();
    if !matches!(message, "EMR" | "SEM") {
        return Err(refuse("emergency message", message, "EMR or SEM"));
    }
    let imei = fields.imei()?;
    let live = choice("status", fields.take(), ("NM", "SP"), "NM or SP")?;
    let (date, clock) = match fields.peek().split_at_checked(8) {
        Some((date, clock)) if !clock.is_empty() => {
            fields.take();
            (date.to_string(), clock.to_string())
        }
        _ => split_date_time(&mut fields),
    };
    let fix = choice("fix", fields.take(), ("A", "V"), "A or V")?;
    let time = date_time(&date, &clock, fix)?;
    let point = fields.point()?;
    let altitude_m = fields.decimal("altitude")?;
    let speed_kmh = fields.decimal("speed")?;
    let distance = fields.decimal("distance")?;
    let provider = match fields.take() {
        "G" => 'G',
        "N" => 'N',
        found => return Err(refuse("provider", found, "G or N")),
    };
    let registration = fields.text();
    let reply_number = without_end(fields.take()).to_string();
    Ok(Emergency {
        imei,
        message: message.to_string(),
        live,
        fix,
        time,
        point,
        altitude_m,
        speed_kmh,
        distance,
        provider,
        registration,
        reply_number,
    })
}

/// `20,02,2019,10,59,13`
fn split_date_time(fields: &mut Fields<'_, '_>) -> (String, String) {
    let mut join = || format!("{}{}{}", fields.take(), fields.take(), fields.take());
    (join(), join())
}

fn position(body: &[&str]) -> Result<Position, Refused> {
    let mut fields = Fields::new(body);
    let (vendor, firmware, packet_type) = (fields.text(), fields.text(), fields.text());
    let alert = if digits(fields.peek()).is_some() { Some(Alert(fields.whole("alert id")?)) } else { None };
    let live = choice("status", fields.take(), ("L", "H"), "L or H")?;
    let imei = fields.imei()?;
    let registration = fields.text();
    let (fix_order, fix, time) = fix_date_time(&mut fields)?;
    let point = fields.point()?;
    let speed_kmh = fields.decimal("speed")?;
    let heading_deg = fields.decimal("heading")?;
    let satellites = fields.whole("satellites")?;
    let altitude_m = fields.decimal("altitude")?;
    let (pdop, hdop) = (fields.decimal("pdop")?, fields.decimal("hdop")?);
    let operator = fields.text();
    let (ignition, main_power) = (fields.flag("ignition")?, fields.flag("main power")?);
    let main_volts = fields.decimal("main voltage")?;
    let battery_volts = fields.decimal("battery voltage")?;
    let emergency = fields.flag("emergency")?;
    let tamper = tamper(&mut fields)?;
    let gsm = fields.whole("gsm strength")?;
    let (mcc, mnc) = (code(&mut fields, "mcc")?, code(&mut fields, "mnc")?);
    let (lac, cell) = (fields.text(), fields.text());
    let tail = Tail::of(fields.rest());
    let change = match alert {
        Some(Alert::PARAMETER_CHANGED) => Some(ParameterChangeText::find(body)?),
        _ => None,
    };
    let report = Report {
        vendor,
        firmware,
        packet_type,
        registration,
        fix_order,
        altitude_m,
        pdop,
        operator,
        main_volts,
        battery_volts,
        emergency,
        tamper,
        neighbours: tail.neighbours,
        digital: tail.digital,
        frame_number: tail.frame_number,
        change,
    };
    let track = Track { alert, live, fix, time, point, speed_kmh, heading_deg };
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
        report: Some(report),
    })
}

/// `1,04012020,094901`, `14072020,180150,1` or `1,20,02,2019,10,59,13`.
fn fix_date_time(
    fields: &mut Fields<'_, '_>,
) -> Result<(FixOrder, bool, Option<obf_types::UnixTime>), Refused> {
    if fields.peek().len() >= 6 {
        let (date, clock) = (fields.take(), fields.take());
        let fix = fields.flag("fix")?;
        return Ok((FixOrder::DateTimeFix, fix, date_time(date, clock, fix)?));
    }
    let fix = fields.flag("fix")?;
    let (date, clock) =
        if fields.peek().len() == 2 { split_date_time(fields) } else { (fields.text(), fields.text()) };
    Ok((FixOrder::FixDateTime, fix, date_time(&date, &clock, fix)?))
}

/// One letter; one maker leaves the field out, so that the signal strength stands in its place.
fn tamper(fields: &mut Fields<'_, '_>) -> Result<Option<char>, Refused> {
    if digits(fields.peek()).is_some() {
        return Ok(None);
    }
    let found = fields.take();
    let mut letters = found.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) if letter.is_ascii_uppercase() => Ok(Some(letter)),
        _ => Err(refuse("tamper", found, "C or O")),
    }
}

/// MCC or MNC.
fn code(fields: &mut Fields<'_, '_>, field: &'static str) -> Result<String, Refused> {
    let found = fields.take();
    match digits(found) {
        Some(text) if text.len() <= 3 => Ok(text.to_string()),
        _ => Err(refuse(field, found, "1 to 3 digits")),
    }
}

/// What follows the serving cell. Makers put any number of neighbours there and fields of their own behind the
/// inputs, so this part is found from its end and never refused.
struct Tail {
    neighbours: Vec<String>,
    digital: Option<(String, String)>,
    frame_number: Option<u32>,
}

impl Tail {
    fn of(fields: &[&str]) -> Self {
        let fields: Vec<&str> = fields.iter().map(|text| without_end(text)).collect();
        let is_inputs = |pair: &[&str]| match pair {
            [inputs, outputs] => {
                inputs.len() == 4
                    && outputs.len() == 2
                    && digits(inputs).is_some()
                    && outputs.bytes().all(|b| matches!(b, b'0' | b'1'))
            }
            _ => false,
        };
        let Some(at) = fields.windows(2).rposition(is_inputs) else {
            let neighbours = fields.iter().map(ToString::to_string).collect();
            return Self { neighbours, digital: None, frame_number: None };
        };
        let (neighbours, rest) = fields.split_at_checked(at).unwrap_or((&fields, &[]));
        let mut rest = Fields::new(rest);
        let digital = Some((rest.text(), rest.text()));
        // Six digits wherever they stand; some makers do not fill up with zeros, then right behind the outputs.
        let number = rest.rest().iter().find(|text| text.len() == 6 && digits(text).is_some());
        let frame_number = number
            .or_else(|| rest.rest().first())
            .and_then(|text| digits(text))
            .and_then(|text| text.parse().ok())
            .filter(|number| (1..=999_999).contains(number));
        Self { neighbours: neighbours.iter().map(ToString::to_string).collect(), digital, frame_number }
    }
}
