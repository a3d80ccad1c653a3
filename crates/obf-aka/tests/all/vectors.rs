//! Published and computed vectors: TS 35.208, 35.207, 35.233, 35.232 and TS 33.102 Annex C (SPEC R3, R8).

use obf_aka::{
    Algorithm, Amf, Authentication, CounterScheme, KeySize, MacSize, Milenage, ResSize, Sqn, SqnArray,
    SqnLayout, SqnLimits, Tuak, TuakKey, TuakSizes, authenticate, generate_vector, keccak_f1600, verify_auts,
};
use obf_types::Secret;
use serde_json::Value;

#[test]
fn ts_35_208_and_35_207_milenage_sets() {
    let sets = sets(include_str!("../../../../tests/vectors/milenage.json"), "sets");
    assert_eq!(sets.len(), 20);
    for set in &sets {
        let (k, op, opc) = (secret(set, "k"), secret(set, "op"), secret(set, "opc"));
        let (rand, sqn, amf) = (array(set, "rand"), array(set, "sqn"), array::<2>(set, "amf"));
        let milenage = Milenage::with_op(&k, &op);
        assert_eq!(milenage.opc(), &opc, "OPc of set {}", set["set"]);
        let keys = milenage.f2345(&rand);
        assert_eq!(milenage.f1(&rand, &sqn, &amf), array::<8>(set, "f1"));
        assert_eq!(milenage.f1_star(&rand, &sqn, &amf), array::<8>(set, "f1star"));
        assert_eq!(keys.res.expose(), octets(set, "f2"));
        assert_eq!(keys.ck.expose(), octets(set, "f3"));
        assert_eq!(keys.ik.expose(), octets(set, "f4"));
        assert_eq!(keys.ak, array::<6>(set, "f5"));
        assert_eq!(milenage.f5_star(&rand), array::<6>(set, "f5star"));

        let algorithm = Algorithm::milenage(&k, &opc);
        let auts = array(set, "auts_computed");
        assert_eq!(verify_auts(&algorithm, &rand, &auts), Some(Sqn::from_octets(sqn)));
        if let Ok(amf) = Amf::refusing_separation_bit(amf) {
            let vector = generate_vector(&algorithm, &rand, Sqn::from_octets(sqn), amf);
            assert_eq!(vector.autn.to_vec(), octets(set, "autn_computed"));
            assert_eq!(vector.xres, keys.res);
            let ks = [octets(set, "f3"), octets(set, "f4")].concat();
            assert_eq!(vector.ks().unwrap().expose(), ks.as_slice());
        }
    }
}

#[test]
fn ts_35_233_tuak_sets_in_every_size() {
    let sets = sets(include_str!("../../../../tests/vectors/tuak.json"), "sets");
    assert_eq!(sets.len(), 6);
    for set in &sets {
        let (rand, sqn, amf) = (array(set, "rand"), array(set, "sqn"), array::<2>(set, "amf"));
        let k = TuakKey::from_slice(&octets(set, "k")).unwrap();
        let iterations = set["keccak_iterations"].as_u64().unwrap() as u8;
        let tuak = Tuak::with_top(k, &secret(set, "top"), tuak_sizes(set), iterations);
        assert_eq!(tuak.topc(), &secret::<32>(set, "topc"), "TOPc of set {}", set["set"]);
        let keys = tuak.f2345(&rand);
        assert_eq!(tuak.f1(&rand, &sqn, &amf).expose(), octets(set, "f1"));
        assert_eq!(tuak.f1_star(&rand, &sqn, &amf).expose(), octets(set, "f1star"));
        assert_eq!(keys.res.expose(), octets(set, "f2"));
        assert_eq!(keys.ck.expose(), octets(set, "f3"));
        assert_eq!(keys.ik.expose(), octets(set, "f4"));
        assert_eq!(keys.ak, array::<6>(set, "f5"));
        assert_eq!(tuak.f5_star(&rand), array::<6>(set, "f5star"));

        let concealed: Vec<u8> = sqn.iter().zip(tuak.f5_star(&rand)).map(|(a, b)| a ^ b).collect();
        let auts = [&concealed, tuak.f1_star(&rand, &sqn, &[0, 0]).expose()].concat();
        assert_eq!(auts, octets(set, "auts_computed"));
        match (Algorithm::tuak(tuak.clone()), tuak.sizes().mac) {
            (Ok(algorithm), MacSize::Bits64) => {
                let auts = auts.try_into().unwrap();
                assert_eq!(verify_auts(&algorithm, &rand, &auts), Some(Sqn::from_octets(sqn)));
                let vector = generate_vector(&algorithm, &rand, Sqn::from_octets(sqn), Amf::ZERO);
                assert_eq!(&vector.autn[8..], tuak.f1(&rand, &sqn, &[0, 0]).expose());
                assert_eq!(vector.ks().is_some(), algorithm.has_128_bit_keys());
            }
            (Err(refused), mac) => assert_eq!(refused.0, mac),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn ts_35_232_keccak_permutation_sets() {
    for set in sets(include_str!("../../../../tests/vectors/tuak.json"), "keccak_f1600") {
        let mut lanes = lanes(&octets(&set, "input"));
        keccak_f1600(&mut lanes);
        assert_eq!(lanes.map(u64::to_le_bytes).concat(), octets(&set, "output"));
    }
}

/// The AUTS that a USIM holding `sqn_ms` answers with, SQN_MS as the home environment reads it, and the vector
/// it sends next (expected values by `osmo-auc-gen`).
#[test]
fn ts_33_102_6_3_5_auts_in_both_directions() {
    let milenage = sets(include_str!("../../../../tests/vectors/milenage.json"), "sets");
    let examples = sets(include_str!("../../../../tests/vectors/aka_sqn.json"), "auts_examples");
    assert_eq!(examples.len(), 6);
    for example in &examples {
        let set = milenage.iter().find(|set| set["set"] == example["milenage_set"]).unwrap();
        let algorithm = Algorithm::milenage(&secret(set, "k"), &secret(set, "opc"));
        let rand = array(set, "rand");
        let layout = SqnLayout::new(example["ind_len"].as_u64().unwrap() as u8).unwrap();
        let sqn_ms = Sqn::from_octets(array(example, "sqn_ms"));

        let mut memory = SqnArray::new(layout, SqnLimits { delta: u64::MAX, age: None });
        assert!(memory.accept(sqn_ms));
        let stale = generate_vector(&algorithm, &rand, sqn_ms, Amf::ZERO);
        let auts = array::<14>(example, "auts");
        let answer = authenticate(&algorithm, &mut memory, &rand, &stale.autn);
        assert_eq!(answer, Authentication::SynchronisationFailure(auts));

        assert_eq!(verify_auts(&algorithm, &rand, &auts), Some(sqn_ms));
        let sqn_he = layout.resynchronise(SqnLimits::DEFAULT, Sqn::default(), sqn_ms);
        let ind = example["ind"].as_u64().unwrap() as u8;
        let next = CounterScheme { layout }.next(sqn_he, ind).unwrap();
        // Where SQN_HE = 0 would do, the example's AuC resets to SQN_MS all the same.
        let next = if sqn_he == sqn_ms { next } else { CounterScheme { layout }.next(sqn_ms, ind).unwrap() };
        assert_eq!(next, Sqn::from_octets(array(example, "next_sqn")));
        let expected = array::<16>(example, "next_autn_same_rand");
        let milenage = Milenage::new(&secret(set, "k"), &secret(set, "opc"));
        assert_eq!(milenage.f1(&rand, &next.octets(), &array(set, "amf")).as_slice(), &expected[8..]);
        assert!(matches!(
            authenticate(&algorithm, &mut memory, &rand, &expected),
            Authentication::Success(_)
        ));
    }
}

#[test]
fn ts_33_102_6_3_5_a_spoilt_auts_is_refused_whatever_bit_it_is() {
    let set = &sets(include_str!("../../../../tests/vectors/milenage.json"), "sets")[0];
    let algorithm = Algorithm::milenage(&secret(set, "k"), &secret(set, "opc"));
    let (rand, auts) = (array(set, "rand"), array::<14>(set, "auts_computed"));
    for bit in 0..14 * 8 {
        let mut spoilt = auts;
        spoilt[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(verify_auts(&algorithm, &rand, &spoilt), None, "bit {bit}");
    }
    let mut other_rand = rand;
    other_rand[0] ^= 1;
    assert_eq!(verify_auts(&algorithm, &other_rand, &auts), None);
}

#[test]
fn ts_33_102_c_2_usim_scenarios() {
    let text = include_str!("../../../../tests/vectors/aka_sqn.json");
    for (name, limits) in [
        ("usim_scenario", SqnLimits::DEFAULT),
        ("usim_scenario_age_limit", SqnLimits { delta: 1 << 28, age: Some(101) }),
    ] {
        let mut memory = SqnArray::new(SqnLayout::DEFAULT, limits);
        for step in sets(text, name) {
            let sqn = Sqn::from_octets(array(&step, "sqn"));
            let before = memory.clone();
            assert_eq!(memory.accept(sqn), step["result"] == "accept", "{step}");
            if step["result"] != "accept" {
                assert_eq!(memory, before, "a refusal changes nothing");
            }
            if let Some(seq) = step["sqn_ms_seq_after"].as_u64() {
                assert_eq!(SqnLayout::DEFAULT.seq(memory.sqn_ms()), seq, "{step}");
            }
            let restored = SqnArray::restore(SqnLayout::DEFAULT, limits, memory.highest());
            assert_eq!(restored.as_ref(), Some(&memory), "storage keeps all of it");
        }
    }
}

/// An AUTN is answered once; a wrong MAC-A says nothing and changes nothing.
#[test]
fn r15_usim_refuses_replay_and_forgery() {
    let algorithm = Algorithm::milenage(&Secret::new([7; 16]), &Secret::new([9; 16]));
    let mut memory = SqnArray::new(SqnLayout::DEFAULT, SqnLimits::DEFAULT);
    let vector = generate_vector(&algorithm, &[1; 16], Sqn::new(32).unwrap(), Amf::ZERO);
    let Authentication::Success(success) = authenticate(&algorithm, &mut memory, &vector.rand, &vector.autn)
    else {
        panic!("a fresh vector is answered")
    };
    assert_eq!((&success.res, success.ks()), (&vector.xres, vector.ks()));
    let replayed = authenticate(&algorithm, &mut memory, &vector.rand, &vector.autn);
    let Authentication::SynchronisationFailure(auts) = replayed else { panic!("a replay is not answered") };
    assert_eq!(verify_auts(&algorithm, &vector.rand, &auts), Sqn::new(32));
    for bit in 0..16 * 8 {
        let mut forged = generate_vector(&algorithm, &[2; 16], Sqn::new(64).unwrap(), Amf::ZERO).autn;
        forged[bit / 8] ^= 1 << (bit % 8);
        let before = memory.clone();
        let answer = authenticate(&algorithm, &mut memory, &[2; 16], &forged);
        assert_eq!((answer, &memory), (Authentication::MacFailure, &before), "bit {bit}");
    }
}

#[test]
fn secrets_are_not_printed() {
    let algorithm = Algorithm::milenage(&Secret::new([0xab; 16]), &Secret::new([0xcd; 16]));
    let vector = generate_vector(&algorithm, &[0; 16], Sqn::default(), Amf::ZERO);
    let tuak = TuakKey::from_slice(&[0xab; 32]).unwrap();
    let tuak = Tuak::new(tuak, &Secret::new([0xcd; 32]), TuakSizes::DEFAULT, 1);
    let printed = format!("{algorithm:?} {tuak:?} {:?}", (&vector.xres, &vector.ck, &vector.ik));
    assert_eq!(
        printed,
        "Algorithm(Milenage(Milenage)) Tuak { sizes: TuakSizes { mac: Bits64, res: Bits64, ck: Bits128, ik: \
         Bits128 }, iterations: 1 } (SecretOutput<8 octets>, SecretOutput<16 octets>, SecretOutput<16 octets>)"
    );
}

fn tuak_sizes(set: &Value) -> TuakSizes {
    let key = |name: &str| match set[name].as_u64() {
        Some(128) => KeySize::Bits128,
        Some(256) => KeySize::Bits256,
        other => panic!("{other:?}"),
    };
    TuakSizes {
        mac: match set["mac_bits"].as_u64() {
            Some(64) => MacSize::Bits64,
            Some(128) => MacSize::Bits128,
            Some(256) => MacSize::Bits256,
            other => panic!("{other:?}"),
        },
        res: match set["res_bits"].as_u64() {
            Some(32) => ResSize::Bits32,
            Some(64) => ResSize::Bits64,
            Some(128) => ResSize::Bits128,
            Some(256) => ResSize::Bits256,
            other => panic!("{other:?}"),
        },
        ck: key("ck_bits"),
        ik: key("ik_bits"),
    }
}

fn lanes(octets: &[u8]) -> [u64; 25] {
    let lanes: Vec<u64> = octets.chunks(8).map(|lane| u64::from_le_bytes(lane.try_into().unwrap())).collect();
    lanes.try_into().unwrap()
}

fn sets(text: &str, name: &str) -> Vec<Value> {
    let mut file: Value = serde_json::from_str(text).unwrap();
    serde_json::from_value(file[name].take()).unwrap()
}

fn octets(set: &Value, name: &str) -> Vec<u8> {
    let hex = set[name].as_str().unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn array<const N: usize>(set: &Value, name: &str) -> [u8; N] {
    octets(set, name).try_into().unwrap()
}

fn secret<const N: usize>(set: &Value, name: &str) -> Secret<N> {
    Secret::new(array(set, name))
}
