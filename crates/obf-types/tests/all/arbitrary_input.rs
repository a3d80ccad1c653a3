//! Words are read from everywhere: no text panics, and what is accepted is kept as it was written (SPEC R9).

use obf_types::{AppId, Domain, GlobalIdentity, IdentityKind, Lifetime, MncLength, Refusal, UaId, UnixTime};
use proptest::prelude::*;

/// Arbitrary text, and text that is nearly a word of ours.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[0-9]{0,33}",
        "89[0-9]{16,30}",
        "[0-9a-fA-F]{8,18}",
        "[a-zA-Z0-9.@\"\\\\-]{0,80}",
        "[0-9]{1,15}@ims\\.mnc[0-9]{3}\\.mcc[0-9]{3}\\.3gppmnc_length\\.org",
        "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{0,3})?Z?",
        "[0-9]{0,12}[smhd]?",
        "OBF-[0-9é]{0,4}.{0,5}",
    ]
}

proptest! {
    #[test]
    fn arbitrary_texts_never_panic_and_what_is_accepted_is_unchanged(text in texts()) {
        for kind in IdentityKind::ALL {
            match GlobalIdentity::new(kind, &text) {
                Ok(identity) => prop_assert_eq!(identity.value(), &text),
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }
        if let Ok(identity) = GlobalIdentity::from_user_name(&text) {
            prop_assert_eq!(identity.value(), &text);
            for mnc_length in [MncLength::Two, MncLength::Three] {
                let impi = mnc_length.impi_of(&identity);
                prop_assert_eq!(impi.is_ok(), identity.kind() == IdentityKind::Imsi);
                if let Ok(impi) = impi {
                    let start = format!("{}@ims.mnc", identity.value());
                    prop_assert!(impi.value().starts_with(&start), "{}", impi.value());
                }
            }
        }
        if let Ok(app) = AppId::new(&text) {
            prop_assert_eq!(app.as_str(), &text);
        }
        if let Ok(domain) = Domain::new(&text) {
            prop_assert_eq!(domain.as_str(), &text);
        }
        let _ = (Lifetime::parse(&text), UaId::from_hex(&text), Refusal::from_reply_message(&text));
        if let Some(time) = UnixTime::from_xs_date_time(&text) {
            prop_assert!(text.starts_with(time.to_xs_date_time().trim_end_matches('Z')));
        }
    }

    #[test]
    fn times_read_back_up_to_the_year_9999(seconds in 0..253_402_300_800_u64) {
        let time = UnixTime(seconds);
        prop_assert_eq!(UnixTime::from_xs_date_time(&time.to_xs_date_time()), Some(time));
    }

    #[test]
    fn any_time_can_be_written(seconds in any::<u64>()) {
        prop_assert!(UnixTime(seconds).to_xs_date_time().ends_with('Z'));
    }
}
