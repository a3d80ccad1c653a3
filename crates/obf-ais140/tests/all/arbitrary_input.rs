//! Whatever arrives: no panic, bounded memory, and our own frames read back.

use obf_ais140::{
    Alert, ChecksumRule, Command, Dialect, Framer, Imei, Layout, Login, Message, ParameterChange, Point,
    Position, Receiver, Refused, Report, Track, command::MAX_VALUE, compose, decode, http, message::FixOrder,
};
use obf_types::UnixTime;
use proptest::prelude::*;

fn frames() -> Vec<String> {
    let file: serde_json::Value =
        serde_json::from_str(include_str!("../../../../tests/vectors/ais140/messages.json")).unwrap();
    file["messages"].as_array().unwrap().iter().map(|m| m["raw"].as_str().unwrap().to_owned()).collect()
}

fn dialects() -> Vec<Dialect> {
    let mut out: Vec<Dialect> = Layout::ALL.map(Dialect::unchecked).to_vec();
    out.extend(ChecksumRule::all().map(|rule| Dialect::checked(Layout::NamedHeader, rule)));
    out.push(Dialect { layout: Layout::BareDollar, checksums: ChecksumRule::all().collect() });
    out
}

proptest! {
    #[test]
    fn arbitrary_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..600)) {
        for dialect in dialects() {
            let _ = decode(&dialect, &octets);
            let mut receiver = Receiver::new(dialect);
            receiver.push(&octets);
            receiver.flush();
        }
        let _ = http::frame_in_body(&octets);
        let _ = String::from_utf8_lossy(&octets).parse::<Command>();
    }

    /// Octets that look like frames reach deeper than noise does.
    #[test]
    fn mutilated_frames_never_panic(
        which in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![
            Just(b','), Just(b'*'), Just(b'$'), Just(b'.'), Just(b'-'), Just(b'('), b'0'..=b'9', any::<u8>(),
        ]), 0..6),
        cut in any::<prop::sample::Index>(),
        drop_field in any::<prop::sample::Index>(),
    ) {
        let frames = frames();
        let mut frame = which.get(&frames).clone().into_bytes();
        for (at, octet) in edits {
            let at = at.index(frame.len());
            frame[at] = octet;
        }
        let mut fields: Vec<&[u8]> = frame.split(|b| *b == b',').collect();
        fields.remove(drop_field.index(fields.len()));
        let shortened = fields.join(&b","[..]);
        for dialect in dialects() {
            let _ = decode(&dialect, &frame);
            let _ = decode(&dialect, &frame[..cut.index(frame.len())]);
            let _ = decode(&dialect, &shortened);
        }
    }

    #[test]
    fn framing_does_not_depend_on_the_cuts(
        octets in prop::collection::vec(prop_oneof![
            Just(b'$'), Just(b'*'), Just(b','), Just(b'\n'), Just(b'A'), Just(b'g'), any::<u8>(),
        ], 0..300),
        step in 1..50usize,
    ) {
        for dialect in dialects() {
            let cut = |step: usize| {
                let mut framer = Framer::new(&dialect);
                let mut frames = Vec::new();
                for read in octets.chunks(step) {
                    framer.push(read, |frame| frames.push(frame.to_vec()));
                }
                framer.flush(|frame| frames.push(frame.to_vec()));
                (frames, framer.discarded())
            };
            prop_assert_eq!(cut(step), cut(octets.len().max(1)));
        }
    }

    #[test]
    fn composed_frames_read_back(position in positions(), bare in any::<bool>(), sealed in any::<bool>()) {
        let layout = if bare { Layout::BareDollar } else { Layout::NamedHeader };
        let rules: Vec<Option<ChecksumRule>> =
            if sealed { ChecksumRule::all().map(Some).collect() } else { vec![None] };
        for rule in rules {
            let dialect = Dialect { layout, checksums: rule.into_iter().collect() };
            let frame = compose::position(&dialect, &position).unwrap();
            prop_assert_eq!(decode(&dialect, &frame), Ok(Message::Position(Box::new(position.clone()))));
            let imei_at = frame.windows(15).position(|w| w == position.imei.as_str().as_bytes()).unwrap();
            if let Some(rule) = rule {
                let altered = compose::altered(&frame, imei_at);
                let mismatch = matches!(decode(&dialect, &altered), Err(Refused::Checksum { .. }));
                prop_assert!(mismatch);
                prop_assert!(decode(&dialect, &rule.reseal(&altered).unwrap()).is_ok());
            }
        }
    }
}

/// Any packet type but `HP`, which makes it a health frame.
fn positions() -> impl Strategy<Value = Position> {
    let place = (-90_000_000i32..=90_000_000, -180_000_000i32..=180_000_000);
    let numbers = (0u32..3000, 0u32..3600, 0u8..40, 1u32..=999_999, 0u64..4_000_000_000);
    let letters =
        ("[A-Z0-9]{0,9}", "V[0-9]", "[A-GI-Z][A-Z]", "[A-Z]{2}[0-9]{2}", "[A-Za-z ]{1,20}", "[A-Z]{1,16}");
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (place, numbers, letters, flags, "[0-9]{15}", 1u8..20).prop_map(
        |(place, numbers, letters, flags, imei, alert)| Position {
            imei: Imei::new(&imei).unwrap(),
            track: Track {
                alert: Some(Alert(alert)),
                live: flags.0,
                fix: flags.1,
                time: Some(UnixTime(946_684_800 + numbers.4 / 2)),
                point: Point { latitude: f64::from(place.0) / 1e6, longitude: f64::from(place.1) / 1e6 },
                speed_kmh: f64::from(numbers.0) / 10.0,
                heading_deg: f64::from(numbers.1) / 10.0,
            },
            satellites: numbers.2,
            hdop: 0.7,
            ignition: flags.2,
            main_power: flags.3,
            gsm: numbers.2 % 32,
            mcc: "404".into(),
            mnc: "45".into(),
            lac: "61b4".into(),
            cell: "9ad9".into(),
            report: Some(Report {
                vendor: letters.0,
                firmware: letters.1,
                packet_type: letters.2,
                registration: letters.3,
                fix_order: if flags.0 { FixOrder::FixDateTime } else { FixOrder::DateTimeFix },
                altitude_m: -12.5,
                pdop: 1.4,
                operator: letters.4,
                main_volts: 12.6,
                battery_volts: 4.1,
                emergency: flags.2,
                tamper: flags.3.then_some('C'),
                neighbours: vec!["x".into(), "(-57".into(), "1b1".into()],
                digital: Some(("0100".into(), "01".into())),
                frame_number: Some(numbers.3),
                change: (alert == 12)
                    .then(|| ParameterChange { key: letters.5, source: "track.example".into() }),
            }),
        },
    )
}

#[test]
fn an_endless_frame_is_dropped_and_the_next_one_is_read() {
    let good = "$LGN,,869867037009679,3.2AIH,9.99546000,N,76.35886167,E\r\n";
    let mut receiver = Receiver::new(Dialect::unchecked(Layout::NamedHeader));
    assert!(receiver.push(b"$").is_empty());
    for _ in 0..1000 {
        assert!(receiver.push(&[b'A'; 1000]).is_empty());
    }
    assert_eq!(receiver.discarded(), 1_000_001);
    assert_eq!(receiver.push(good.as_bytes()).len(), 1);
}

#[test]
fn a_login_composed_for_any_rule_reads_back() {
    let login = Login {
        imei: Imei::new("358980100077446").unwrap(),
        before_imei: vec!["OBFDEMO".into(), "KA01I2000".into()],
        after_imei: vec!["1.0".into(), "AIS140".into()],
        point: Some(Point { latitude: 12.976545, longitude: -77.549759 }),
    };
    for rule in ChecksumRule::all() {
        let dialect = Dialect::checked(Layout::BareDollar, rule);
        let frame = compose::login(&dialect, &login);
        match decode(&dialect, &frame) {
            Ok(Message::Login(found)) => assert_eq!(found.point, login.point),
            other => panic!("{other:?} of {}", String::from_utf8_lossy(&frame)),
        }
    }
}

#[test]
fn alert_12_acknowledges_a_command_by_parameter_and_source() {
    let command: Command = "SET PIP:10.0.0.7".parse().unwrap();
    let change = command.acknowledgement("track.example");
    let frame = "$,NRM,V,F1,OA,12,L,358980100040246,KA01,1,10032021,073239,25.9,N,71.5,E,0,0,9,2,1,1,IDEA,0,1,12,4,0,C,20,\
        404,60,A5F,FD3F,0000,00,000027,(PIP,track.example),*";
    let dialect = Dialect::unchecked(Layout::BareDollar);
    let Ok(Message::Position(position)) = decode(&dialect, frame.as_bytes()) else {
        panic!("not a position")
    };
    assert_eq!(position.report.unwrap().change, Some(change));
    let missing = decode(&dialect, frame.replace("(PIP,track.example),", "").as_bytes()).unwrap_err();
    assert_eq!(
        missing.to_string(),
        "changed parameter (empty): expected (key,source) in a frame of alert 12"
    );
    assert!(Command::set("PIP", &"1".repeat(MAX_VALUE + 1)).is_err());
}
