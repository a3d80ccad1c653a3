//! A load generator for an HLR over GSUP: Send Auth Info for one vector, a window of requests in flight. The IMSIs are
//! asked for in turn, so that no two requests in flight are for one of them.

use anyhow::{Context, Result, bail};
use obf_gsup::{Ccm, Frame, FrameReader, Imsi, Message, PeerName, SendAuthInfoRequest};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// Asks for authentication vectors `requests` times over the IMSIs in turn, `window` in flight, and gives the seconds.
///
/// # Errors
/// The HLR closes the connection, is silent for 10 s, or refuses a request.
pub fn load(hlr: SocketAddr, imsis: &[String], requests: usize, window: usize) -> Result<f64> {
    let mut link = Link::open(hlr)?;
    let imsis: Vec<Imsi> = imsis.iter().map(|imsi| Imsi::new(imsi)).collect::<Result<_, _>>()?;
    let mut next = imsis.iter().cycle();
    let mut ask = |link: &mut Link| {
        let imsi = next.next().context("no subscriber to ask for")?;
        link.ask(SendAuthInfoRequest::one_vector(imsi.clone(), None))
    };
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

struct Link {
    stream: TcpStream,
    reader: FrameReader,
    out: Vec<u8>,
}

/// What a frame asks of us.
enum Heard {
    Result,
    Say(Ccm),
    Nothing,
}

impl Link {
    /// Connects and names itself, as a client must before its first request.
    fn open(hlr: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(hlr).context("the HLR's GSUP port")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut link = Self { stream, reader: FrameReader::new(), out: Vec::new() };
        while !link.hear()? {}
        Ok(link)
    }

    fn ask(&mut self, request: SendAuthInfoRequest) -> Result<()> {
        Message::SendAuthInfoRequest(request).write(&mut self.out);
        self.flush()
    }

    fn await_result(&mut self) -> Result<()> {
        loop {
            match self.next()? {
                Heard::Result => return Ok(()),
                Heard::Say(message) => self.say(&message)?,
                Heard::Nothing => {}
            }
        }
    }

    /// One message; whether it was the question who is there, answered now.
    fn hear(&mut self) -> Result<bool> {
        match self.next()? {
            Heard::Say(message) => {
                self.say(&message)?;
                Ok(matches!(message, Ccm::IdentityResponse(_)))
            }
            Heard::Result | Heard::Nothing => Ok(false),
        }
    }

    fn next(&mut self) -> Result<Heard> {
        loop {
            if let Some(frame) = self.reader.next_frame()? {
                return heard(frame);
            }
            let octets = self.stream.read(self.reader.room()).context("the HLR's answer")?;
            if octets == 0 {
                bail!("the HLR closed the connection");
            }
            self.reader.filled(octets);
        }
    }

    fn say(&mut self, message: &Ccm) -> Result<()> {
        message.write(&mut self.out);
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        self.stream.write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }
}

fn heard(frame: Frame<'_>) -> Result<Heard> {
    match frame {
        Frame::Gsup(message) => match Message::read(message)? {
            Message::SendAuthInfoResult(_) => Ok(Heard::Result),
            Message::SendAuthInfoError(error) => bail!("the HLR refused {}: {}", error.imsi, error.cause),
            Message::SendAuthInfoRequest(_) | Message::Other(_) => Ok(Heard::Nothing),
        },
        Frame::Ccm(message) => Ok(match Ccm::read(message)? {
            Ccm::Ping => Heard::Say(Ccm::Pong),
            Ccm::IdentityRequest => Heard::Say(Ccm::IdentityResponse(PeerName::new("obf-bench-0")?)),
            _ => Heard::Nothing,
        }),
        Frame::Other(_) => Ok(Heard::Nothing),
    }
}
