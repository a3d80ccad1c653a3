//! The task behind a [`super::GsupClient`]: connects, again and again, and runs one connection at a time.

use super::{GsupClientSettings, GsupError, QueuedRequest, State};
use crate::Running;
use obf_gsup::{Dead, Event, Exchange, FrameError, FrameReader, SendAuthInfoResult, Waiter};
use std::{
    io,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{mpsc, oneshot, watch},
};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// How often what is overdue is looked for.
const TICK: Duration = Duration::from_millis(250);

/// Keeps a connection up.
pub(super) struct Keeper {
    settings: GsupClientSettings,
    state: watch::Sender<State>,
    asked: mpsc::Receiver<QueuedRequest>,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Disconnected {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("closed by the HLR")]
    Closed,
    #[error("no identity request within {0:?}: is this the GSUP port of an HLR?")]
    TooSlow(Duration),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Dead(#[from] Dead),
    #[error("this node is stopping")]
    Stopping,
}

/// The client's end of [`QueuedRequest`].
#[derive(Debug)]
struct AnswerSender(oneshot::Sender<Result<SendAuthInfoResult, GsupError>>);

impl Waiter for AnswerSender {
    fn is_gone(&self) -> bool {
        self.0.is_closed()
    }
}

/// A connection: its stream, what was read, what is to be written, who waits.
struct Link {
    stream: TcpStream,
    begun: Instant,
    reader: FrameReader,
    exchange: Exchange<AnswerSender>,
    out: Vec<u8>,
}

impl Keeper {
    pub(super) const fn new(
        settings: GsupClientSettings,
        state: watch::Sender<State>,
        asked: mpsc::Receiver<QueuedRequest>,
    ) -> Self {
        Self { settings, state, asked }
    }

    /// Until the group is told to finish and nothing is in flight.
    pub(super) async fn run(mut self, group: &Running) {
        let mut pause = FIRST_PAUSE;
        loop {
            let opened = tokio::select! {
                opened = Link::open(&self.settings) => opened,
                () = group.stopping() => return,
            };
            let address = self.settings.address;
            let reason = match opened {
                Ok(link) => {
                    tracing::info!(%address, name = %self.settings.name, "connected to the HLR");
                    self.state.send_replace(State::Connected);
                    let begun = Instant::now();
                    let reason = link.converse(&mut self.asked, group).await;
                    if matches!(reason, Disconnected::Stopping) {
                        return;
                    }
                    // A connection that lived gets one attempt at once, for which requests wait.
                    if begun.elapsed() >= self.settings.backoff {
                        tracing::warn!(%address, %reason, "the connection to the HLR ended");
                        self.state.send_replace(State::Connecting);
                        pause = FIRST_PAUSE;
                        continue;
                    }
                    reason.to_string()
                }
                Err(reason) => reason.to_string(),
            };
            if !matches!(&*self.state.borrow(), State::Away(known) if *known == reason) {
                tracing::warn!(%address, reason, "the HLR is away");
            }
            self.state.send_replace(State::Away(reason.clone()));
            tokio::select! {
                () = self.refuse(&reason, pause) => {}
                () = group.stopping() => return,
            }
            pause = (pause * 2).min(self.settings.backoff);
        }
    }

    /// Waits that long; what is asked meanwhile, or waits since before, hears why not.
    async fn refuse(&mut self, reason: &str, pause: Duration) {
        let until = tokio::time::Instant::now() + pause;
        while let Ok(Some(asked)) = tokio::time::timeout_at(until, self.asked.recv()).await {
            let error = GsupError::Away { address: self.settings.address, reason: reason.to_owned() };
            let _ = asked.answer.send(Err(error));
        }
        tokio::time::sleep_until(until).await;
    }
}

impl Link {
    /// Connected, and the HLR knows who we are.
    async fn open(settings: &GsupClientSettings) -> Result<Self, Disconnected> {
        let opening = async {
            let stream = crate::connect(settings.address, settings.connect_time).await?;
            let mut link = Self {
                stream,
                begun: Instant::now(),
                reader: FrameReader::new(),
                exchange: Exchange::new(settings.name.clone(), settings.limits),
                out: Vec::new(),
            };
            while !link.exchange.is_identified() {
                link.read().await?;
            }
            link.stream.write_all(&link.out).await?;
            link.out.clear();
            Ok(link)
        };
        let time = settings.connect_time;
        tokio::time::timeout(time, opening).await.unwrap_or(Err(Disconnected::TooSlow(time)))
    }

    /// Until the connection ends. Whoever waits then hears it when `self` is dropped.
    async fn converse(mut self, asked: &mut mpsc::Receiver<QueuedRequest>, group: &Running) -> Disconnected {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            if group.is_stopping() && self.exchange.is_idle() {
                return Disconnected::Stopping;
            }
            let stopping = !group.is_stopping();
            let (mut reading, mut writing) = self.stream.split();
            let outcome = tokio::select! {
                read = reading.read(self.reader.room()) => match read {
                    Ok(octets) => self.taken(octets),
                    Err(error) => Err(error.into()),
                },
                written = writing.write(&self.out), if !self.out.is_empty() => match written {
                    Ok(octets) => {
                        self.out.drain(..octets);
                        Ok(())
                    }
                    Err(error) => Err(error.into()),
                },
                Some(request) = asked.recv() => {
                    self.ask(request);
                    Ok(())
                }
                _ = ticks.tick() => {
                    let now = self.begun.elapsed();
                    self.exchange.watch(now, &mut self.out).map_err(Disconnected::from)
                }
                () = group.stopping(), if stopping => Ok(()),
            };
            if let Err(reason) = outcome {
                return reason;
            }
        }
    }

    async fn read(&mut self) -> Result<(), Disconnected> {
        let octets = self.stream.read(self.reader.room()).await?;
        self.taken(octets)
    }

    fn ask(&mut self, QueuedRequest { request, answer }: QueuedRequest) {
        let asker = AnswerSender(answer);
        if asker.is_gone() {
            return;
        }
        if let Err(full) = self.exchange.ask(self.begun.elapsed(), request, asker, &mut self.out) {
            let _ = full.0.0.send(Err(GsupError::Overloaded));
        }
    }

    /// So many octets have been read.
    fn taken(&mut self, octets: usize) -> Result<(), Disconnected> {
        if octets == 0 {
            return Err(Disconnected::Closed);
        }
        self.reader.filled(octets);
        let now = self.begun.elapsed();
        while let Some(frame) = self.reader.next_frame()? {
            match self.exchange.received(now, frame, &mut self.out) {
                // Whoever asked may have stopped waiting.
                Event::Answer(asker, outcome) => drop(asker.0.send(outcome.map_err(GsupError::from))),
                Event::Unasked(imsi) => tracing::warn!(%imsi, "the HLR answers what was not asked"),
                Event::Unreadable(error) => tracing::warn!(%error, "from the HLR"),
                Event::UnreadableCcm(error) => tracing::warn!(%error, "from the HLR"),
                Event::Nothing | Event::Identified | Event::Ignored => {}
            }
        }
        Ok(())
    }
}
