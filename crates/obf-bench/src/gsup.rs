//! A load generator for an HLR over GSUP (OsmoHLR user manual, "Generic Subscriber Update Protocol"; IPA framing:
//! length of 2 octets, protocol, payload). Only what a measurement needs: SendAuthInfo, a window of requests in flight.

use anyhow::{Context, Result, bail};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

const CCM: u8 = 0xFE;
const OSMO: u8 = 0xEE;
const GSUP_EXTENSION: u8 = 0x05;
const SEND_AUTH_INFO_REQUEST: u8 = 0x08;
const SEND_AUTH_INFO_RESULT: u8 = 0x0A;

/// Asks for authentication vectors `requests` times over the IMSIs in turn, `window` in flight, and gives the seconds.
///
/// # Errors
/// The HLR closes the connection, is silent for 10 s, or refuses a request.
pub fn load(hlr: SocketAddr, imsis: &[String], requests: usize, window: usize) -> Result<f64> {
    let mut link = Link::open(hlr)?;
    let mut next = imsis.iter().cycle();
    let mut ask = |link: &mut Link| link.send(OSMO, &send_auth_info(next.next().map_or("", String::as_str)));
    let start = Instant::now();
    (0..window.min(requests)).try_for_each(|_| ask(&mut link))?;
    for answered in 1..=requests {
        link.await_result()?;
        if answered + window <= requests {
            ask(&mut link)?;
        }
    }
    Ok(start.elapsed().as_secs_f64())
}

struct Link(TcpStream);

impl Link {
    /// Connects and names itself, as an IPA client must before its first request.
    fn open(hlr: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(hlr).context("the HLR's GSUP port")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut link = Self(stream);
        let (protocol, _) = link.receive()?;
        if protocol != CCM {
            bail!("the HLR did not ask for an identity");
        }
        let mut identity = vec![0x05];
        for (tag, value) in [(0x08, "0/0/0"), (0x01, "obf-bench"), (0x00, "obf-bench-0")] {
            let length = u16::try_from(value.len() + 2)?;
            identity.extend_from_slice(&length.to_be_bytes());
            identity.push(tag);
            identity.extend_from_slice(value.as_bytes());
            identity.push(0);
        }
        link.send(CCM, &identity)?;
        Ok(link)
    }

    fn send(&mut self, protocol: u8, payload: &[u8]) -> Result<()> {
        let mut frame = u16::try_from(payload.len())?.to_be_bytes().to_vec();
        frame.push(protocol);
        frame.extend_from_slice(payload);
        Ok(self.0.write_all(&frame)?)
    }

    fn receive(&mut self) -> Result<(u8, Vec<u8>)> {
        let mut head = [0; 3];
        self.0.read_exact(&mut head).context("the HLR's answer")?;
        let [high, low, protocol] = head;
        let mut payload = vec![0; usize::from(u16::from_be_bytes([high, low]))];
        self.0.read_exact(&mut payload)?;
        Ok((protocol, payload))
    }

    fn await_result(&mut self) -> Result<()> {
        loop {
            match self.receive()? {
                (OSMO, payload) => match payload.get(1) {
                    Some(&SEND_AUTH_INFO_RESULT) => return Ok(()),
                    other => bail!("the HLR refused: message type {other:?}"),
                },
                (CCM, payload) if payload.first() == Some(&0) => self.send(CCM, &[1])?,
                _ => {}
            }
        }
    }
}

/// SendAuthInfo request: the IMSI in swapped BCD, circuit-switched or packet domain left to the HLR.
fn send_auth_info(imsi: &str) -> Vec<u8> {
    let digits: Vec<u8> = imsi.bytes().map(|b| b.wrapping_sub(b'0') & 0x0F).collect();
    let bcd: Vec<u8> = digits
        .chunks(2)
        .map(|pair| (pair.get(1).copied().unwrap_or(0x0F) << 4) | pair.first().copied().unwrap_or(0x0F))
        .collect();
    let mut message = vec![GSUP_EXTENSION, SEND_AUTH_INFO_REQUEST, 0x01, bcd.len() as u8];
    message.extend_from_slice(&bcd);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imsi_is_swapped_bcd() {
        assert_eq!(
            send_auth_info("001010000000001"),
            [0x05, 0x08, 0x01, 8, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0xF1]
        );
    }
}
