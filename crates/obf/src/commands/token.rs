//! `obf token …`: what is live at the Authentication Server.

use crate::{
    admin::{Admin, Node},
    cli::Context,
    failure::Outcome,
    output::record,
};
use clap::Subcommand;
use obf_admin::routing::encoded;
use serde_json::json;

/// Tokens.
#[derive(Subcommand)]
pub enum Token {
    /// The live tokens of a device, or those that an application may use.
    #[command(after_help = "Example:\n  obf token list --device 001010000000001")]
    List {
        /// Only this device's.
        #[arg(long)]
        device: Option<String>,
        /// Only those whose device is permitted for this application.
        #[arg(long)]
        app: Option<String>,
    },
    /// One token; never its key.
    Show {
        /// The token id: base64(RAND)@domain.
        id: String,
    },
    /// End one token: every application that has a key of it is told at once.
    Revoke {
        /// The token id: base64(RAND)@domain.
        id: String,
    },
}

impl Token {
    /// Does it.
    pub async fn run(self, context: &Context) -> Outcome {
        let admin = Admin::of(&context.configuration()?, Node::Auth)?;
        match self {
            Self::List { device, app } => {
                let query = super::query(&[("device", device.as_deref()), ("app", app.as_deref())]);
                let rows = super::pages(&admin, &format!("/v1/tokens{query}"), "tokens").await?;
                context.out.table(&rows, &["id", "device", "schema", "expires"]);
            }
            Self::Show { id } => {
                let token = admin.get(&format!("/v1/tokens/{}", encoded(&id))).await?;
                context.out.say(&token, || record(&token));
            }
            Self::Revoke { id } => {
                admin.post(&format!("/v1/tokens/{}:revoke", encoded(&id)), &json!({})).await?;
                super::done(context, "token", &id, "revoked");
            }
        }
        Ok(())
    }
}
