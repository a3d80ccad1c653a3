//! Identities as UEs write them.

use super::wire::{Wire, tls};
use super::{Device, import};
use obf_testkit::Deployment;

#[test]
fn identities_as_a_ue_writes_them() {
    let deployment = Deployment::start();
    let sims = import(&deployment, 0..1);
    let mut wire = Wire::connect(deployment.endpoint("auth", "rpb"), &tls(&deployment.file("ca.pem")));
    let imsi = sims[0].imsi.as_str();
    let mut device = Device::new(&sims[0]);
    for username in [imsi.to_owned(), format!("{imsi}@ims.mnc001.mcc001.3gppnetwork.org")] {
        device.settings.username = username.as_str().into();
        let association = device.bootstrap(&mut wire).unwrap();
        assert_eq!(
            association.identity.unwrap().value(),
            imsi,
            "the registered identity, however it was written"
        );
        assert_eq!(&*association.username, username, "P1 of gba-me is what was written");
        assert_eq!(association.id.domain().as_str(), "rs.as.obf.example");
    }
    for username in
        [format!("sip:{imsi}@ims.mnc001.mcc001.3gppnetwork.org"), format!("{imsi}@elsewhere.example")]
    {
        device.settings.username = username.into();
        assert!(device.bootstrap(&mut wire).is_err());
    }
}
