//! `obf grant …`: which device may use which application.

use crate::{
    admin::{Admin, Node, encoded},
    cli::Context,
    failure::{Failure, Outcome},
};
use clap::{Args, Subcommand};
use obf_types::Lifetime;
use serde_json::json;

/// Grants.
#[derive(Subcommand)]
pub enum Grant {
    /// Permit a device to use an application.
    #[command(
        after_help = "Example:\n  obf grant add --device 001010000000001 --app track.example --lifetime 8h"
    )]
    Add {
        /// Whom and what for.
        #[command(flatten)]
        pair: Pair,
        /// The longest that a key under this grant lives: 90s, 15m, 8h; at most 24h.
        #[arg(long, default_value = "8h", value_parser = lifetime)]
        lifetime: Lifetime,
    },
    /// The grants there are, of a device or of an application.
    List {
        /// Only this device's.
        #[arg(long)]
        device: Option<String>,
        /// Only this application's.
        #[arg(long)]
        app: Option<String>,
    },
    /// Take the permission back: keys in use end at once.
    Remove(Pair),
}

/// A device and an application.
#[derive(Args)]
pub struct Pair {
    /// The device's primary identity.
    #[arg(long)]
    device: String,
    /// The application's id, a domain name.
    #[arg(long)]
    app: String,
}

impl Grant {
    /// Does it.
    pub async fn run(self, context: &Context) -> Outcome {
        let admin = Admin::of(&context.configuration()?, Node::Resource)?;
        match self {
            Self::Add { pair, lifetime } => {
                let body = json!({"device": pair.device, "app": pair.app, "lifetime": lifetime.seconds()});
                admin.post("/v1/grants", &body).await.map_err(|failure| teach(failure, &pair))?;
                super::done(context, "grant", &format!("{} for {}", pair.app, pair.device), "added");
                Ok(())
            }
            Self::List { device, app } => {
                let query = super::query(&[("device", device.as_deref()), ("app", app.as_deref())]);
                let rows = super::pages(&admin, &format!("/v1/grants{query}"), "grants").await?;
                context.out.table(&rows, &["device", "app", "lifetime"]);
                Ok(())
            }
            Self::Remove(pair) => {
                let path = format!("/v1/grants/{}/{}", encoded(&pair.device), encoded(&pair.app));
                admin.delete(&path).await?;
                super::done(context, "grant", &format!("{} for {}", pair.app, pair.device), "removed");
                Ok(())
            }
        }
    }
}

fn lifetime(text: &str) -> Result<Lifetime, String> {
    Lifetime::parse(text).ok_or_else(|| "1s to 24h, written 90s, 15m or 8h".to_owned())
}

/// A grant needs its device and its application first.
fn teach(failure: Failure, pair: &Pair) -> Failure {
    match failure.code.as_str() {
        "unknown-device" => failure.next("obf device import FILE"),
        "unknown-app" => failure.next(format!("obf app add {0} --cert-name {0}", pair.app)),
        _ => failure,
    }
}
