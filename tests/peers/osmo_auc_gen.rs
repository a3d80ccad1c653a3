//! Milenage, AUTN and AUTS against a real peer: `osmo-auc-gen` of Debian's libosmocore-utils, 1,000 random inputs.
//!
//! One process per input says RAND, AUTN, RES, CK and IK for our SQN and AMF; a second one takes our USIM's AUTS
//! and says SQN_MS and the SQN, AUTN that follow.

use obf_aka::{
    Algorithm, Amf, Authentication, CounterScheme, Milenage, Sqn, SqnArray, SqnLayout, SqnLimits,
    authenticate, generate_vector,
};
use obf_types::Secret;
use std::process::Command;

const INPUTS: usize = 1000;
const AT_ONCE: usize = 4;

#[test]
fn milenage_equals_osmo_auc_gen_on_1000_random_inputs() {
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| (0..INPUTS / AT_ONCE).for_each(|_| Case::random().check()));
        }
    });
}

#[derive(Debug)]
struct Case {
    k: [u8; 16],
    /// OP on odd cases, OPc on even ones.
    operator: [u8; 16],
    is_op: bool,
    rand: [u8; 16],
    sqn: Sqn,
    amf: Amf,
    ind: u8,
}

impl Case {
    fn random() -> Self {
        let [a, b, c, d, e, f] = random();
        // The AuC needs room for the SQN after this one.
        let sqn = Sqn::from_octets([a & 0x7f, b, c, d, e, f]);
        let [is_op, ind] = random();
        Self {
            k: random(),
            operator: random(),
            is_op: is_op % 2 == 1,
            rand: random(),
            sqn,
            amf: Amf::clearing_separation_bit(random()),
            ind: ind % 32,
        }
    }

    fn check(&self) {
        let (k, operator) = (Secret::new(self.k), Secret::new(self.operator));
        let algorithm: Algorithm =
            if self.is_op { Milenage::with_op(&k, &operator) } else { Milenage::new(&k, &operator) }.into();

        let vector = generate_vector(&algorithm, &self.rand, self.sqn, self.amf);
        let theirs = self.peer(&["-s", &self.sqn.number().to_string()]);
        assert_eq!(theirs.octets("AUTN"), vector.autn, "{self:02x?}");
        assert_eq!(theirs.octets("RES"), vector.xres.expose(), "{self:02x?}");
        assert_eq!(theirs.octets("CK"), vector.ck.expose(), "{self:02x?}");
        assert_eq!(theirs.octets("IK"), vector.ik.expose(), "{self:02x?}");

        let mut usim = SqnArray::new(SqnLayout::DEFAULT, SqnLimits { delta: u64::MAX, age: None });
        assert!(usim.accept(self.sqn), "{self:02x?}");
        let answer = authenticate(&algorithm, &mut usim, &self.rand, &vector.autn);
        let Authentication::SynchronisationFailure(auts) = answer else {
            panic!("{self:02x?}: a USIM takes no SQN twice")
        };
        let theirs = self.peer(&["-A", &hex(&auts), "-l", "5", "-i", &self.ind.to_string()]);
        let next = CounterScheme::default().next(self.sqn, self.ind).unwrap();
        assert_eq!(theirs.text("SQN.MS"), self.sqn.number().to_string(), "{self:02x?}");
        assert_eq!(theirs.text("SQN"), next.number().to_string(), "{self:02x?}");
        let expected = generate_vector(&algorithm, &self.rand, next, self.amf);
        assert_eq!(theirs.octets("AUTN"), expected.autn, "{self:02x?}");
    }

    fn peer(&self, more: &[&str]) -> Answer {
        let operator = if self.is_op { "-O" } else { "-o" };
        let output = Command::new("osmo-auc-gen")
            .args(["-3", "-a", "milenage", "-k", &hex(&self.k), operator, &hex(&self.operator)])
            .args(["-r", &hex(&self.rand), "-f", &hex(&self.amf.octets())])
            .args(more)
            .output()
            .unwrap_or_else(|error| {
                panic!("osmo-auc-gen does not run ({error}): apt-get install libosmocore-utils")
            });
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "osmo-auc-gen: {}\n{text}\n{self:02x?}", output.status);
        Answer(text)
    }
}

struct Answer(String);

impl Answer {
    fn text(&self, name: &str) -> &str {
        let line = self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
        line.unwrap_or_else(|| panic!("osmo-auc-gen says no {name}:\n{}", self.0))
    }

    fn octets(&self, name: &str) -> Vec<u8> {
        let hex = self.text(name);
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut octets = [0; N];
    getrandom::fill(&mut octets).unwrap();
    octets
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
