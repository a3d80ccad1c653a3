//! Every frame that devices and manuals show (`tests/vectors/ais140`), decoded to its `expect` exactly or refused
//! naming the field (SPEC U12; issue sentence 11).

use obf_ais140::{
    Algorithm, ChecksumRule, Dialect, Layout, Message, Receiver, Refused, Track,
    checksum::{From, Place, verifying_rules},
    decode, http,
};
use serde_json::{Map, Value, json};

struct Vector {
    raw: String,
    dialect: Dialect,
    expect: Map<String, Value>,
}

fn vectors() -> Vec<Vector> {
    let file: Value =
        serde_json::from_str(include_str!("../../../../tests/vectors/ais140/messages.json")).unwrap();
    let vectors: Vec<Vector> = file["messages"].as_array().unwrap().iter().map(vector).collect();
    assert_eq!(vectors.len(), 39);
    vectors
}

fn vector(message: &Value) -> Vector {
    let name = message["dialect"].as_str().unwrap().split(' ').next().unwrap();
    let layout = Layout::from_name(if name == "named" { "named-header" } else { name }).unwrap();
    let raw = message["raw"].as_str().unwrap().to_owned();
    let dialect = match &message["checksum"] {
        Value::Null => Dialect::unchecked(layout),
        checksum => Dialect::checked(layout, rule(&raw, checksum)),
    };
    Vector { raw, dialect, expect: message["expect"].as_object().unwrap().clone() }
}

/// The rule as the vector states it: algorithm, and the octets covered.
fn rule(raw: &str, checksum: &Value) -> ChecksumRule {
    let to = usize::try_from(checksum["to"].as_u64().unwrap()).unwrap();
    let place = match (&raw[to - 1..to], &raw[to..=to]) {
        ("*", _) => Place::AfterCoveredStar,
        (_, "*") => Place::AfterStar,
        _ => Place::LastField,
    };
    let algorithm = Algorithm::from_name(checksum["algorithm"].as_str().unwrap()).unwrap();
    assert_eq!(checksum["from"], 0);
    ChecksumRule { algorithm, from: From::Dollar, place }
}

/// What was decoded, in the vector file's words.
fn described(message: &Message) -> Map<String, Value> {
    let mut out = json!({ "kind": message.kind(), "imei": message.imei().as_str() });
    match message {
        Message::Login(login) => {
            if let Some(point) = login.point {
                out["latitude"] = json!(point.latitude);
                out["longitude"] = json!(point.longitude);
            }
        }
        Message::Position(position) => {
            extend(&mut out, track(&position.track));
            if let Some(report) = &position.report {
                out["field_order"] = json!(report.fix_order.name());
                out["packet_type"] = json!(report.packet_type);
            }
        }
        Message::Health(_) => {}
        Message::Emergency(emergency) => extend(
            &mut out,
            json!({
                "message": emergency.message,
                "live": emergency.live,
                "fix": emergency.fix,
                "time": emergency.time.map(|time| time.to_string()),
                "latitude": emergency.point.latitude,
                "longitude": emergency.point.longitude,
            }),
        ),
        Message::Batch(batch) => {
            out["positions"] = batch.positions.iter().map(track).collect();
        }
    }
    out.as_object().unwrap().clone()
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
    out.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
}

/// Speed and heading are stated only for the fixed-width vectors: what the vector does not state is not compared,
/// and nothing that it states may be missing.
fn assert_decoded(vector: &Vector, outcome: &Result<Message, Refused>) {
    if let Some(refuse) = vector.expect.get("refuse") {
        let text = outcome.as_ref().unwrap_err().to_string();
        assert!(text.starts_with(refuse.as_str().unwrap()), "{text}");
        return;
    }
    let found = described(outcome.as_ref().unwrap_or_else(|refused| panic!("{}: {refused}", vector.raw)));
    for (name, expected) in &vector.expect {
        assert_eq!(found.get(name), Some(expected), "{name} of {}", vector.raw);
    }
    let unstated = ["speed_kmh", "heading_deg"];
    let surplus: Vec<&String> = found
        .keys()
        .filter(|name| !vector.expect.contains_key(*name) && !unstated.contains(&name.as_str()))
        .collect();
    assert!(surplus.is_empty(), "{surplus:?} of {}", vector.raw);
}

#[test]
fn u12_every_field_frame_decodes_to_its_expect_or_is_refused_naming_the_field() {
    for vector in vectors() {
        assert_decoded(&vector, &decode(&vector.dialect, vector.raw.as_bytes()));
    }
}

#[test]
fn u12_a_changed_octet_is_ignored_and_counted_where_the_device_type_has_a_rule() {
    let mut checked = 0;
    for vector in vectors().into_iter().filter(|vector| !vector.dialect.checksums.is_empty()) {
        let to = vector.raw.rfind(|c: char| !c.is_ascii_hexdigit() && !"*,".contains(c)).unwrap();
        for at in 1..to {
            let mut frame = vector.raw.clone().into_bytes();
            frame[at] = if frame[at] == b'3' { b'4' } else { b'3' };
            let mut receiver = Receiver::new(vector.dialect.clone());
            let mut out = receiver.push(&frame);
            out.extend(receiver.flush());
            assert!(out.is_empty(), "{out:?} of {}", String::from_utf8_lossy(&frame));
            assert_eq!(receiver.ignored(), 1);
        }
        checked += 1;
    }
    assert_eq!(checked, 13);
}

#[test]
fn the_verifying_rule_of_an_unknown_dialect_is_found() {
    for vector in vectors() {
        let found = verifying_rules(vector.raw.as_bytes());
        for rule in &vector.dialect.checksums {
            assert!(found.contains(rule), "{}", vector.raw);
        }
    }
}

#[test]
fn frames_of_one_connection_arrive_whole_however_they_are_cut() {
    for layout in Layout::ALL {
        let vectors: Vec<Vector> = vectors().into_iter().filter(|v| v.dialect.layout == layout).collect();
        let line_ends = ["", "\r\n", "\n"];
        for (line_end, step) in line_ends.iter().flat_map(|end| [1, 2, 7, 100, 5000].map(|step| (end, step)))
        {
            let stream: String = vectors.iter().map(|v| format!("{}{line_end}", v.raw)).collect();
            let mut receiver = Receiver::new(Dialect::unchecked(layout));
            let mut out = Vec::new();
            for read in stream.as_bytes().chunks(step) {
                out.extend(receiver.push(read));
            }
            out.extend(receiver.flush());
            assert_eq!(out.len(), vectors.len(), "{} with {line_end:?}, {step}", layout.name());
            for (vector, outcome) in vectors.iter().zip(&out) {
                assert_decoded(vector, outcome);
            }
        }
    }
}

#[test]
fn a_frame_that_its_rule_completes_needs_no_flush() {
    for vector in vectors() {
        let Some(rule) = vector.dialect.checksums.first() else { continue };
        if !vector.raw.contains('*') {
            continue;
        }
        let mut receiver = Receiver::new(Dialect::checked(vector.dialect.layout, *rule));
        assert_eq!(receiver.push(vector.raw.as_bytes()).len(), 1, "{}", vector.raw);
    }
}

#[test]
fn a_batch_arrives_in_a_post_body() {
    let vectors = vectors();
    let batch = vectors.iter().find(|vector| vector.raw.starts_with("BTH")).unwrap();
    let body = format!("vltdata={}", batch.raw);
    let frame = http::frame_in_body(body.as_bytes()).unwrap();
    assert_decoded(batch, &decode(&batch.dialect, &frame));
    assert_eq!(http::frame_in_body(http::body_with_frame(&frame).as_bytes()).unwrap(), frame);
}

#[test]
fn bad_fields_are_named_with_what_was_found() {
    let good = "$,NRM,MARK,V0.0.1,NR,01,L,358980100040246,000000000,1,10032021,073239,25.932051,N,71.509872,E,0.6,\
        1.40,13,211.2,1.4,0.7,IDEA,0,1,0.1,3.7,0,N,20,404,60,A5F,FD3F,14,0000,00,000027,*";
    let dialect = Dialect::unchecked(Layout::BareDollar);
    assert!(decode(&dialect, good.as_bytes()).is_ok());
    for (from, to, text) in [
        (",L,358980100040246", ",X,358980100040246", "status X: expected L or H"),
        ("358980100040246", "35898010004024", "imei 35898010004024: expected 15 digits"),
        (",1,1003", ",2,1003", "fix 2: expected 0 or 1"),
        ("10032021", "31022021", "date 31022021: expected a date, DDMMYYYY or DDMMYY"),
        ("10032021", "00000000", "date 00000000: expected a date, DDMMYYYY or DDMMYY"),
        ("073239", "247239", "time 247239: expected a time, hhmmss"),
        ("25.932051", "inf", "latitude inf: expected degrees, 0 to 90"),
        ("25.932051", "90.1", "latitude 90.1: expected degrees, 0 to 90"),
        ("71.509872", "-71.5", "longitude -71.5: expected degrees, 0 to 180"),
        (",N,71", ",E,71", "latitude direction E: expected N or S"),
        (",E,0.6", ",,0.6", "longitude direction (empty): expected E or W"),
        (",0.6,", ",1e3,", "speed 1e3: expected a decimal number"),
        (",13,211.2", ",256,211.2", "satellites 256: expected a whole number in its range"),
        (",404,60", ",40a,60", "mcc 40a: expected 1 to 3 digits"),
        (",0,N,20", ",0,NN,20", "tamper NN: expected C or O"),
        ("$,NRM", "NRM", "start NRM: expected $"),
        ("IDEA", "ID\u{e9}A", "frame has octet 0xc3 at 122: expected printable ASCII"),
    ] {
        let refused = decode(&dialect, good.replacen(from, to, 1).as_bytes()).unwrap_err();
        assert_eq!(refused.to_string(), text);
    }
    let cut = decode(&dialect, &good.as_bytes()[..80]).unwrap_err();
    assert_eq!(cut.to_string(), "latitude direction (empty): expected N or S");
}
