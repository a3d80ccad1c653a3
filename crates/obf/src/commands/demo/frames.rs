//! The frames that real devices send (`tests/vectors/ais140`), and whether one was decoded to what it means.

use obf_ais140::{
    Algorithm, ChecksumRule, Dialect, Layout, Message, Refused, Track,
    checksum::{From, Place},
};
use serde_json::{Map, Value, json};

const VECTORS: &str = include_str!("../../../../../tests/vectors/ais140/messages.json");

/// A frame, its device type's registration, and what it means.
#[derive(Clone)]
pub struct Frame {
    /// The frame's octets, all printable.
    pub raw: String,
    /// The device type's registration.
    pub dialect: Dialect,
    expect: Map<String, Value>,
}

/// Every frame of the vectors; `None` if the file that was built in is not what it should be.
pub fn all() -> Option<Vec<Frame>> {
    let file: Value = serde_json::from_str(VECTORS).ok()?;
    file.get("messages")?.as_array()?.iter().map(frame).collect()
}

impl Frame {
    /// Whether the server's outcome is the expected one; otherwise what differs.
    ///
    /// # Errors
    /// The difference, in words.
    pub fn check(&self, outcome: &Result<Message, Refused>) -> Result<(), String> {
        let raw = &self.raw;
        match (self.expect.get("refuse").and_then(Value::as_str), outcome) {
            (Some(field), Err(refused)) if refused.to_string().starts_with(field) => Ok(()),
            (Some(field), other) => Err(format!("{raw}: expected a refusal of {field}, not {other:?}")),
            (None, Err(refused)) => Err(format!("{raw}: refused, {refused}")),
            (None, Ok(message)) => self.compare(&described(message)),
        }
    }

    /// Whether it is to be refused.
    pub fn refused(&self) -> bool {
        self.expect.contains_key("refuse")
    }

    fn compare(&self, found: &Value) -> Result<(), String> {
        for (name, expected) in &self.expect {
            if found.get(name) != Some(expected) {
                let found = found.get(name).unwrap_or(&Value::Null);
                return Err(format!("{}: {name} is {found}, not {expected}", self.raw));
            }
        }
        Ok(())
    }
}

fn frame(message: &Value) -> Option<Frame> {
    let raw = message.get("raw")?.as_str()?.to_owned();
    let layout = match message.get("dialect")?.as_str()?.split(' ').next()? {
        "named" => Layout::NamedHeader,
        name => Layout::from_name(name)?,
    };
    let dialect = match message.get("checksum")? {
        Value::Null => Dialect::unchecked(layout),
        checksum => Dialect::checked(layout, rule(&raw, checksum)?),
    };
    Some(Frame { raw, dialect, expect: message.get("expect")?.as_object()?.clone() })
}

/// The rule as the vector states it: algorithm, and the octets covered.
fn rule(raw: &str, checksum: &Value) -> Option<ChecksumRule> {
    let to = usize::try_from(checksum.get("to")?.as_u64()?).ok()?;
    let place = match (raw.get(to.checked_sub(1)?..to)?, raw.get(to..=to)?) {
        ("*", _) => Place::AfterCoveredStar,
        (_, "*") => Place::AfterStar,
        _ => Place::LastField,
    };
    let algorithm = Algorithm::from_name(checksum.get("algorithm")?.as_str()?)?;
    Some(ChecksumRule { algorithm, from: From::Dollar, place })
}

/// What was decoded, in the vector file's words.
fn described(message: &Message) -> Value {
    let mut out = json!({ "kind": message.kind(), "imei": message.imei().as_str() });
    match message {
        Message::Login(login) => {
            if let Some(point) = login.point {
                extend(&mut out, json!({"latitude": point.latitude, "longitude": point.longitude}));
            }
        }
        Message::Position(position) => {
            extend(&mut out, track(&position.track));
            if let Some(report) = &position.report {
                let order = report.fix_order.name();
                extend(&mut out, json!({"field_order": order, "packet_type": report.packet_type}));
            }
        }
        Message::Emergency(emergency) => {
            let time = emergency.time.map(|time| time.to_string());
            let (latitude, longitude) = (emergency.point.latitude, emergency.point.longitude);
            let said = json!({"message": emergency.message, "live": emergency.live, "fix": emergency.fix});
            extend(&mut out, said);
            extend(&mut out, json!({"time": time, "latitude": latitude, "longitude": longitude}));
        }
        Message::Batch(batch) => {
            let positions: Vec<Value> = batch.positions.iter().map(track).collect();
            extend(&mut out, json!({"positions": positions}));
        }
        _ => {}
    }
    out
}

fn track(track: &Track) -> Value {
    json!({
        "alert_id": track.alert.map(|alert| alert.0),
        "live": track.live,
        "fix": track.fix,
        "time": track.time.map(|time| time.to_string()),
        "latitude": track.point.latitude,
        "longitude": track.point.longitude,
        "speed_kmh": track.speed_kmh,
        "heading_deg": track.heading_deg,
    })
}

fn extend(out: &mut Value, more: Value) {
    if let (Some(out), Value::Object(more)) = (out.as_object_mut(), more) {
        out.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_altered_frame_does_not_pass_as_the_one_that_was_sent() {
        let frames = all().unwrap();
        assert_eq!(frames.len(), 39);
        for frame in &frames {
            let outcome = obf_ais140::decode(&frame.dialect, frame.raw.as_bytes());
            frame.check(&outcome).unwrap();
        }
        let login = frames.iter().find(|frame| frame.raw.contains("LGN")).unwrap();
        let other = login.raw.replacen("19.804487", "19.804488", 1);
        assert!(login.check(&obf_ais140::decode(&login.dialect, other.as_bytes())).is_err());
    }
}
