//! Memory per live token (issue "Measures"): RSS at 1,000,000 tokens less RSS at none, with a 50-octet identity, rights
//! for three applications and every index. A process of its own, so that nothing else is measured.

use obf_auth::table::{NewToken, RightsSet, TokenTable};
use obf_testkit::in_own_process;
use obf_token::{Algorithm, Ks, Method, Technology, TokenFacts, TokenId};
use obf_types::{
    AppId, Domain, Epoch, GlobalIdentity, IdentityKind, KeySchema, Lifetime, Right, Secret, UnixTime,
};

const TOKENS: u64 = 1_000_000;
/// The bound is 400, its stretch goal 250.
const MOST_OCTETS_A_TOKEN: usize = 250;

fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn a_live_token_takes_at_most_250_octets() {
    if !in_own_process("token_memory::a_live_token_takes_at_most_250_octets", &[]) {
        return;
    }
    let domain = Domain::new("rs1.as.operator.example").unwrap();
    let table = TokenTable::new(vec![domain.clone()], &Secret::new([1; 32]));
    let right = |app| Right {
        app: AppId::new(app).unwrap(),
        lifetime: Lifetime::DEFAULT,
        settings: [7; 40].into(),
        local_validity: None,
    };
    let rights = || {
        RightsSet::new(
            vec![right("track.example"), right("panic.example"), right("diagnosis.example")],
            false,
        )
    };
    let shared = table.intern(rights());
    let before = resident();
    for number in 0..TOKENS {
        let identity = format!("{:015}@ims.mnc001.mcc001.3gppnetwork.org", number);
        let identity = GlobalIdentity::new(IdentityKind::Impi, &identity).unwrap();
        assert!(identity.value().len() >= 49);
        let mut rand = [0; 16];
        rand[..8].copy_from_slice(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
        let facts = TokenFacts {
            schema: KeySchema::Obf1,
            method: Method::Aka(Algorithm::AkaV2Sha256),
            technology: Technology::ThreeGpp,
            epoch: Epoch(1_800_000_000 + number % 5),
            counter: number % 1000,
            bootstrapped_at: UnixTime(1_800_000_000),
            expires: UnixTime(1_800_000_000 + number % 86_400),
            rights_at: UnixTime(1_800_000_000),
        };
        table
            .insert(&NewToken {
                id: &TokenId::new(rand, domain.clone()),
                identity: &identity,
                user_name: identity.value().as_bytes(),
                ks: &Ks::new([number as u8; 32]),
                facts: &facts,
                rights: shared.clone(),
            })
            .unwrap();
    }
    let octets = (resident() - before) / TOKENS as usize;
    println!("{octets} octets per live token");
    assert_eq!(table.len(), TOKENS as usize);
    assert!(octets <= MOST_OCTETS_A_TOKEN, "{octets} octets per live token");
}
