//! A [`Refusal`] as RPR and RPO carry it: Access-Reject, Reply-Message `OBF-nnn words`, and OBF-Error, which a proxy
//! may filter (RFC 2865 5.44), so that only the former is relied on.

use crate::{Code, ObfAttribute, Repeated, Reply, Request, Vendor, dictionary::REPLY_MESSAGE};
use obf_types::Refusal;

/// A message lacks something, or has it in a shape it cannot have. Names the attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is missing, repeated or malformed")]
pub struct Malformed(pub &'static str);

impl From<Repeated> for Malformed {
    fn from(repeated: Repeated) -> Self {
        let name = |attribute: &&ObfAttribute| repeated.0.number() == **attribute as u8;
        match repeated.0.vendor_number().and_then(|_| ObfAttribute::ALL.iter().find(name)) {
            Some(attribute) => Self(attribute.name()),
            None => Self("a standard attribute"),
        }
    }
}

/// Why a reply holds no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The other end refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The answer is authentic but cannot be read: the other end is of another kind or version.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// Writes the Access-Reject to a request into `out`, which is emptied.
pub fn refuse(request: &Request, vendor: Vendor, refusal: Refusal, out: &mut Vec<u8>) {
    let mut reply = request.reply(Code::AccessReject, out);
    let attributes = reply.attributes();
    // Proxy-State can fill a packet; then the code alone is told.
    let _ = attributes.put_display(REPLY_MESSAGE, &refusal);
    let _ = attributes.put_integer(vendor.attribute(ObfAttribute::Error), refusal.code().into());
    reply.finish();
}

impl Reply {
    /// Nothing if this is an Access-Accept, otherwise why not.
    ///
    /// # Errors
    /// [`AnswerError::Refused`] by the code in Reply-Message, or in OBF-Error if a proxy has replaced the words.
    pub fn accepted(&self, vendor: Vendor) -> Result<(), AnswerError> {
        if self.code() == Code::AccessAccept {
            return Ok(());
        }
        let packet = self.packet();
        let said = || packet.text(REPLY_MESSAGE).and_then(Refusal::from_reply_message);
        let numbered = || {
            let number = packet.integer(vendor.attribute(ObfAttribute::Error))?;
            Refusal::from_code(number.try_into().ok()?)
        };
        let refusal = said().or_else(numbered);
        Err(refusal.map_or(AnswerError::Malformed(Malformed("Reply-Message")), AnswerError::Refused))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Framing, Pending};

    #[test]
    fn every_refusal_reads_back_by_its_words_or_its_number() {
        let vendor = Vendor::DOCUMENTATION;
        let framing = Framing::radsec();
        let (mut packet, mut out) = (Vec::new(), Vec::new());
        let pending = Pending::begin(&framing, Code::AccessRequest, 1, [3; 16], &[], &mut packet);
        let request = Request::authenticate(&framing, &packet).unwrap();
        for refusal in Refusal::ALL {
            refuse(&request, vendor, *refusal, &mut out);
            let reply = pending.accept(&framing, &out).unwrap();
            let words = reply.packet().text(REPLY_MESSAGE).unwrap().to_owned();
            assert!(words.starts_with(&format!("OBF-{:03} ", refusal.code())), "{words}");
            assert_eq!(reply.accepted(vendor), Err(AnswerError::Refused(*refusal)));

            let mut filtered = request.reply(Code::AccessReject, &mut out);
            filtered.attributes().put(REPLY_MESSAGE, b"go away").unwrap();
            let number = vendor.attribute(ObfAttribute::Error);
            filtered.attributes().put_integer(number, refusal.code().into()).unwrap();
            filtered.finish();
            let reply = pending.accept(&framing, &out).unwrap();
            assert_eq!(reply.accepted(vendor), Err(AnswerError::Refused(*refusal)));
        }
    }
}
