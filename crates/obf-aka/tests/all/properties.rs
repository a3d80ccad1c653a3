//! What holds for every key, RAND and SQN between a home environment and a USIM.

use obf_aka::{
    Algorithm, Amf, Authentication, CounterScheme, Sqn, SqnArray, SqnLayout, SqnLimits, Tuak, TuakKey,
    TuakSizes, authenticate, generate_vector, verify_auts,
};
use obf_types::Secret;
use proptest::prelude::*;

proptest! {
    /// TS 33.102 6.3.5: wherever the two counters stand, one resynchronisation is enough.
    #[test]
    fn after_one_resynchronisation_the_next_vector_is_accepted(
        algorithm in algorithm(),
        rand: [u8; 16],
        he in 0..Sqn::MAX.number() - (1 << 34),
        ms in 0..Sqn::MAX.number() - (1 << 34),
        ind in 0u8..32,
    ) {
        let (layout, scheme) = (SqnLayout::DEFAULT, CounterScheme::default());
        let mut usim = SqnArray::new(layout, SqnLimits { delta: u64::MAX, age: None });
        usim.accept(Sqn::new(ms).unwrap());
        let mut usim = SqnArray::restore(layout, SqnLimits::DEFAULT, usim.highest()).unwrap();

        let sqn = scheme.next(Sqn::new(he).unwrap(), ind).unwrap();
        let vector = generate_vector(&algorithm, &rand, sqn, Amf::ZERO);
        match authenticate(&algorithm, &mut usim, &rand, &vector.autn) {
            Authentication::Success(success) => prop_assert_eq!(success.res, vector.xres),
            Authentication::MacFailure => prop_assert!(false, "the MAC is right"),
            Authentication::SynchronisationFailure(auts) => {
                let sqn_ms = verify_auts(&algorithm, &rand, &auts).unwrap();
                prop_assert_eq!(sqn_ms, usim.sqn_ms());
                let he = layout.resynchronise(SqnLimits::DEFAULT, sqn, sqn_ms);
                let next = scheme.next(he, ind).unwrap();
                let vector = generate_vector(&algorithm, &rand, next, Amf::ZERO);
                let answer = authenticate(&algorithm, &mut usim, &rand, &vector.autn);
                prop_assert!(matches!(answer, Authentication::Success(_)));
            }
        }
    }

    /// Nodes that take SQNs in turn from one counter, each with its own IND, cause no synchronisation failure
    /// however their challenges overtake one another, as long as each node's own arrive in order.
    #[test]
    fn parallel_nodes_with_their_own_ind_do_not_disturb_each_other(
        order in prop::collection::vec(0u8..32, 1..200),
        seed: u64,
    ) {
        let scheme = CounterScheme::default();
        let mut counter = Sqn::default();
        let mut waiting: [std::collections::VecDeque<Sqn>; 32] = Default::default();
        for ind in &order {
            counter = scheme.next(counter, *ind).unwrap();
            waiting[usize::from(*ind)].push_back(counter);
        }
        let mut usim = SqnArray::new(SqnLayout::DEFAULT, SqnLimits::DEFAULT);
        let mut turn = seed;
        while waiting.iter().any(|queue| !queue.is_empty()) {
            turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if let Some(sqn) = waiting[(turn >> 59) as usize].pop_front() {
                prop_assert!(usim.accept(sqn));
                prop_assert!(!usim.accept(sqn));
            }
        }
    }
}

fn algorithm() -> impl Strategy<Value = Algorithm> {
    (any::<bool>(), any::<[u8; 16]>(), any::<[u8; 32]>()).prop_map(|(milenage, k, operator)| {
        if milenage {
            let [opc, _] = *operator.as_chunks().0 else { unreachable!("32 octets are two halves") };
            Algorithm::milenage(&Secret::new(k), &Secret::new(opc))
        } else {
            let k = TuakKey::Bits128(Secret::new(k));
            Algorithm::tuak(Tuak::new(k, &Secret::new(operator), TuakSizes::DEFAULT, 1)).unwrap()
        }
    })
}
